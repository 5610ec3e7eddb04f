// SPDX-License-Identifier: Apache-2.0
//
// cairn compact, recover, backup: what an index file needs when it has been written for long, when
// its writer has crashed, and before either.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include <cairn/cairn.h>

#include "tools/command/command.h"
#include "tools/command/progress.h"
#include "tools/command/stop_on_signal.h"

namespace cairn::tools {
namespace {

struct MaintainCommand {
  std::string file;
  OutputFile output;
  bool salvage = false;
  bool no_copy = false;
  bool erase = false;
  OutputFlags flags;
};

OpenOptions to_write(bool salvage, const StopOnSignal& stop) {
  OpenOptions options;
  options.mode = Mode::read_write;
  options.salvage = salvage;
  options.stop = stop.flag();
  return options;
}

ProgressStyle style(const OutputFlags& flags) {
  return progress_style(!flags.json && !flags.quiet);
}

// A signal is told as what it means for the file; the rest as it is.
Exit report_stopped(const char* command, const Error& error, const std::string& meaning) {
  if (error.code() != ErrorCode::cancelled) return report(command, error);
  return report(command, Error(ErrorCode::cancelled, meaning));
}

std::uint64_t bytes_of(const std::string& path) {
  std::error_code failed;
  const auto bytes = std::filesystem::file_size(path, failed);
  return failed ? 0 : bytes;
}

Exit run_compact(const MaintainCommand& command) {
  const std::uint64_t before = bytes_of(command.file);
  const std::string as_it_was = command.file + " is as it was";
  {
    const StopOnSignal stop;
    auto index = Index::open(command.file, to_write(false, stop));
    if (!index) return report_stopped("compact", index.error(), as_it_was);
    Progress progress("compact", "vectors", style(command.flags));
    BuildOptions options;
    options.stop = stop.flag();
    options.erase = command.erase;
    options.progress = [&](std::size_t done, std::size_t total) { progress.update(done, total); };
    const auto compacted = index->compact(options);
    progress.clear();
    if (!compacted) return report_stopped("compact", compacted.error(), as_it_was);
  }
  const std::uint64_t after = bytes_of(command.file);
  if (command.flags.json) {
    print_json({{"bytes_before", before}, {"bytes", after}});
  } else {
    remark(command.flags, command.file + ": " + human_bytes(before) + " -> " + human_bytes(after));
  }
  return Exit::ok;
}

// A name beside the file that nothing has.
std::filesystem::path name_of_copy(const std::string& file) {
  std::filesystem::path name = file + ".before-salvage";
  for (int n = 2; std::filesystem::exists(std::filesystem::symlink_status(name)); ++n) {
    name = file + ".before-salvage." + std::to_string(n);
  }
  return name;
}

std::error_code synced(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const bool done = fd >= 0 && ::fsync(fd) == 0;
  const std::error_code failed(done ? 0 : errno, std::generic_category());
  if (fd >= 0) ::close(fd);
  return failed;
}

// The file as it is, if the salvage would give up part of its log; else no name.
Result<std::filesystem::path> put_aside(const MaintainCommand& command, const StopOnSignal& stop) {
  OpenOptions options;
  options.stop = stop.flag();
  const auto as_it_is = Index::open(command.file, options);
  if (as_it_is || as_it_is.error().code() != ErrorCode::data_loss) return std::filesystem::path();
  const std::filesystem::path copy = name_of_copy(command.file);
  std::error_code failed;
  std::filesystem::copy_file(command.file, copy, failed);
  if (!failed) failed = synced(copy);
  if (!failed) return copy;
  std::error_code ignored;  // nothing may be there
  std::filesystem::remove(copy, ignored);
  return Error(failed == std::errc::no_space_on_device ? ErrorCode::no_space : ErrorCode::io_error,
               "copy " + command.file + " to " + copy.string() + ": " + failed.message() +
                   "; --no-copy does without");
}

void print_recovered(const MaintainCommand& command, const Stats& stats,
                     const std::filesystem::path& copy) {
  if (command.flags.json) {
    print_json({{"recovered_frames", stats.recovered_frames},
                {"vectors", stats.live},
                {"lost_frames", stats.lost_frames},
                {"first_lost_lsn", stats.first_lost_lsn},
                {"last_lost_lsn", stats.last_lost_lsn},
                {"vectors_before_loss", stats.live_before_loss},
                {"copy", copy.string()}});
    return;
  }
  remark(command.flags, command.file + ": " + with_commas(stats.recovered_frames) +
                            " frames of the log recovered, " + with_commas(stats.live) +
                            " vectors");
  if (stats.first_lost_lsn == 0) return;
  std::string lost = "lost: what the log held from frame " + with_commas(stats.first_lost_lsn) +
                     " on, which nothing tells of";
  if (stats.lost_frames != 0) {
    lost = "lost: frames " + with_commas(stats.first_lost_lsn) + " to " +
           with_commas(stats.last_lost_lsn) + " of the log, at least " +
           with_commas(stats.lost_frames);
  }
  if (stats.live_before_loss != 0) {
    lost += "; there were " + with_commas(stats.live_before_loss) + " vectors";
  }
  remark(command.flags, lost);
  if (!copy.empty()) remark(command.flags, "the file as it was: " + copy.string());
}

Exit run_recover(const MaintainCommand& command) {
  const StopOnSignal stop;
  const auto copy = command.salvage && !command.no_copy
                        ? put_aside(command, stop)
                        : Result<std::filesystem::path>(std::filesystem::path());
  if (!copy) return report("recover", copy.error());
  Progress progress("recover", "changes", style(command.flags));
  OpenOptions options = to_write(command.salvage, stop);
  options.progress = [&](std::size_t done, std::size_t total) { progress.update(done, total); };
  auto index = Index::open(command.file, options);
  progress.clear();
  if (!index) {
    const bool is_as_it_was = index.error().code() == ErrorCode::path_in_use ||
                              index.error().code() == ErrorCode::cancelled;
    std::error_code ignored;
    if (is_as_it_was && !copy->empty()) std::filesystem::remove(*copy, ignored);
    return report_stopped("recover", index.error(), command.file + " can be recovered later");
  }
  print_recovered(command, index->stats(), *copy);
  return Exit::ok;
}

Exit run_backup(const MaintainCommand& command) {
  if (auto ok = check_output(command.output); !ok) return report("backup", ok.error());
  const std::string no_copy = "no copy was written";
  const StopOnSignal stop;
  OpenOptions options;
  options.stop = stop.flag();
  const auto index = Index::open(command.file, options);
  if (!index) return report_stopped("backup", index.error(), no_copy);
  if (auto ok = index->backup(command.output.path, save_options(command.output, stop.flag()));
      !ok) {
    return report_stopped("backup", ok.error(), no_copy);
  }
  // Beside a writer FILE may hold more by now.
  const auto copy = Index::open(command.output.path);
  if (!copy) return report("backup", copy.error());
  const std::uint64_t bytes = bytes_of(command.output.path);
  if (command.flags.json) {
    print_json({{"vectors", copy->size()}, {"bytes", bytes}});
  } else {
    remark(command.flags, "saved  " + command.output.path + ", " + human_bytes(bytes));
  }
  return Exit::ok;
}

CLI::App* add_command(CLI::App& app, const std::string& name, const std::string& description,
                      MaintainCommand& command) {
  CLI::App* sub = app.add_subcommand(name, description);
  add_index_file(*sub, command.file);
  add_output_flags(*sub, command.flags);
  return sub;
}

}  // namespace

Run add_compact(CLI::App& app) {
  auto command = std::make_shared<MaintainCommand>();
  CLI::App* sub =
      add_command(app, "compact", "Write an index file anew, without what was removed", *command);
  sub->add_flag("--erase", command->erase, "Overwrite the old file before its space is given back");
  sub->footer("Example:\n  cairn compact words.cairn");
  return [command] { return run_compact(*command); };
}

Run add_recover(CLI::App& app) {
  auto command = std::make_shared<MaintainCommand>();
  CLI::App* sub =
      add_command(app, "recover",
                  "Bring a file up to date whose writer has ended without closing it", *command);
  sub->add_flag("--salvage", command->salvage,
                "If the log has lost acknowledged changes: keep those before the loss, and the "
                "file as it was beside it (FILE.before-salvage)");
  sub->add_flag("--no-copy", command->no_copy, "With --salvage: keep no copy");
  sub->footer("Example:\n  cairn recover words.cairn");
  return [command] { return run_recover(*command); };
}

Run add_backup(CLI::App& app) {
  auto command = std::make_shared<MaintainCommand>();
  CLI::App* sub = add_command(
      app, "backup", "Copy an index file, also beside a writer, without its log", *command);
  sub->add_option("-o,--output", command->output.path, "The copy")->required()->type_name("COPY");
  sub->add_flag("-f,--force", command->output.force, "Replace COPY if it exists");
  sub->footer("Example:\n  cairn backup words.cairn -o monday.cairn");
  return [command] { return run_backup(*command); };
}

}  // namespace cairn::tools
