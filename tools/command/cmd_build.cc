// SPDX-License-Identifier: Apache-2.0
//
// cairn build: vectors from a file into an index file.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <cairn/cairn.h>

#include "tools/command/build_options.h"
#include "tools/command/command.h"
#include "tools/command/progress.h"
#include "tools/command/stop_on_signal.h"
#include "tools/command/stored_rows.h"
#include "tools/files/text_file.h"
#include "tools/files/vector_file.h"

namespace cairn::tools {
namespace {

struct BuildCommand {
  std::string vectors;
  OutputFile output;
  std::string keys;
  BuildSettings settings;
  OutputFlags flags;
};

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

Error unless_interrupted(const Error& error) {
  if (error.code() != ErrorCode::cancelled) return error;
  return Error(ErrorCode::cancelled, "interrupted; no file was written");
}

struct Built {
  std::size_t vectors;
  std::size_t dimensions;
  double build_seconds;
  double save_seconds;
  std::uint64_t bytes;
};

Result<Built> build(const BuildCommand& command) {
  if (auto ok = check_output(command.output); !ok) return ok.error();
  const auto file = map_vectors(command.vectors);
  if (!file) return file.error();
  const auto keys = keys_of_rows(command.keys, command.vectors, file->rows);
  if (!keys) return keys.error();
  remark(command.flags, "read   " + with_commas(file->rows) + " vectors of " +
                            std::to_string(file->dims) + " dimensions from " +
                            input_name(command.vectors));

  const StopOnSignal stop_on_signal;  // outlives the index, whose end may take a while
  const IndexParams params = params_for(command.settings, *file);
  if (const auto index = Index::create(params); !index)
    return without_operation(index.error(), "create");
  const auto rows = StoredRows::of(*file, command.vectors, params);
  if (!rows) return rows.error();

  Progress progress("build", "vectors",
                    progress_style(!command.flags.json && !command.flags.quiet));
  BuildOptions options;
  options.threads = command.settings.threads;
  options.stop = stop_on_signal.flag();
  Built built{file->rows, file->dims, 0, 0, 0};
  const auto begin = std::chrono::steady_clock::now();
  options.progress = [&](std::size_t done, std::size_t total) {
    progress.update(done, total);
    built.build_seconds = seconds_since(begin);  // the last call comes before the file is written
  };
  const auto ok = build_file(command.output.path, params, *keys, rows->view(), options,
                             save_options(command.output, stop_on_signal.flag()));
  progress.clear();
  if (!ok) return unless_interrupted(without_operation(ok.error(), "build_file"));
  built.save_seconds = seconds_since(begin) - built.build_seconds;
  std::error_code failed;
  built.bytes = std::filesystem::file_size(command.output.path, failed);
  if (failed)
    return Error(ErrorCode::io_error, "stat " + command.output.path + ": " + failed.message());
  return built;
}

Exit run_build(const BuildCommand& command) {
  const auto built = build(command);
  if (!built) return report("build", built.error());
  if (command.flags.json) {
    print_json({{"vectors", built->vectors},
                {"dimensions", built->dimensions},
                {"seconds", built->build_seconds},
                {"bytes", built->bytes}});
    return Exit::ok;
  }
  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  const unsigned threads = command.settings.threads == 0 ? cores : command.settings.threads;
  const double rate = static_cast<double>(built->vectors) / std::max(built->build_seconds, 1e-9);
  remark(command.flags, "built  in " + human_seconds(built->build_seconds) + " with " +
                            std::to_string(threads) + (threads == 1 ? " thread (" : " threads (") +
                            with_commas(static_cast<std::uint64_t>(rate)) + " vectors/s)");
  remark(command.flags, "saved  " + command.output.path + ", " + human_bytes(built->bytes) +
                            ", in " + human_seconds(built->save_seconds));
  return Exit::ok;
}

}  // namespace

Run add_build(CLI::App& app) {
  auto command = std::make_shared<BuildCommand>();
  CLI::App* sub = app.add_subcommand("build", "Index the vectors of a file and save the index");
  sub->add_option("VECTORS", command->vectors, std::string("Vectors: ") + kVectorFiles)
      ->required()
      ->type_name("")
      ->check(vector_file_name());
  sub->add_option("-o,--output", command->output.path, "The index file to write")
      ->required()
      ->type_name("FILE");
  add_build_options(*sub, command->settings);
  sub->add_option(
         "--keys", command->keys,
         "Text file, line i is the key (u64) of row i, or - for standard input, or .npy; default: "
         "the row number")
      ->type_name("KEYS");
  sub->add_flag("--several-per-key", command->settings.params.several_per_key,
                "A key may have several vectors; results name it once, with the nearest");
  sub->add_flag("-f,--force", command->output.force, "Replace FILE if it exists");
  add_output_flags(*sub, command->flags);
  sub->footer(
      "Examples:\n"
      "  cairn build words.fbin -o words.cairn\n"
      "  cairn build photos.npy -o photos.cairn --metric l2sq --keys photo-ids.txt\n"
      "  cairn build photos.npy -o photos.cairn --scalar f16\n"
      "  cairn build chunks.npy -o pages.cairn --keys page-of-chunk.txt --several-per-key\n"
      "  make-vectors | cairn build - -o stream.cairn --force --json");
  sub->callback([command, sub] {
    check_standard_input(command->vectors, command->keys);
    read_build_options(*sub, command->settings);
  });
  return [command] { return run_build(*command); };
}

}  // namespace cairn::tools
