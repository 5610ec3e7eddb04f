// SPDX-License-Identifier: Apache-2.0
//
// cairn export: an index file as a file of another library, or its vectors and keys.
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <cairn/cairn.h>

#include "tools/command/command.h"
#include "tools/command/progress.h"
#include "tools/command/stop_on_signal.h"
#include "tools/command/vector_export.h"

namespace cairn::tools {
namespace {

struct ExportCommand {
  std::string file;
  OutputFile output;
  std::string to;
  std::string keys_to;
  OutputFlags flags;
};

// What is written: a graph for another library, or rows.
struct ExportKind {
  Source source = Source::automatic;
  std::optional<RowFormat> rows;
};

// By --to or, without it, by the suffix of the output. Throws CLI::ValidationError if it tells
// nothing.
ExportKind export_kind(const ExportCommand& command) {
  const std::string to = command.to.empty()
                             ? std::filesystem::path(command.output.path).extension().string()
                             : command.to;
  if (to == "hnswlib" || to == ".hnswlib") return ExportKind{Source::hnswlib, {}};
  if (to == "usearch" || to == ".usearch") return ExportKind{Source::usearch, {}};
  if (const auto rows = row_format(to)) return ExportKind{Source::automatic, rows};
  if (to == ".parquet") {
    throw CLI::ValidationError("--output", command.output.path +
                                               ": the Python package writes .parquet, this command "
                                               "does not");
  }
  throw CLI::ValidationError(
      "--output",
      command.output.path + ": say what to write, --to fbin, fvecs, npy, hnswlib or usearch");
}

// What can be told from the words alone.
void check_export_words(const ExportCommand& command) {
  const ExportKind kind = export_kind(command);
  if (command.keys_to.empty() || kind.rows) return;
  throw CLI::ValidationError("--keys-to",
                             "it goes with fbin, fvecs and npy; the others have the keys in them");
}

// Neither of the outputs is the index, and they are two.
Result<void> check_outputs(const ExportCommand& command) {
  for (const std::string& path : {command.output.path, command.keys_to}) {
    if (path.empty()) continue;
    if (auto ok = check_output({path, command.output.force}); !ok) return ok;
    std::error_code failed;
    if (std::filesystem::equivalent(command.file, path, failed) && !failed) {
      return Error(ErrorCode::invalid_argument, command.file + " is what is to be exported");
    }
  }
  const auto absolute = [](const std::string& path) {
    std::error_code failed;
    return std::filesystem::weakly_canonical(path, failed);
  };
  if (!command.keys_to.empty() && absolute(command.keys_to) == absolute(command.output.path)) {
    return Error(ErrorCode::invalid_argument, command.keys_to + " cannot hold vectors and keys");
  }
  return {};
}

Result<std::size_t> export_file(const ExportCommand& command) {
  const ExportKind kind = export_kind(command);
  if (auto ok = check_outputs(command); !ok) return ok.error();
  const auto index = Index::open(command.file);
  if (!index) return index.error();
  if (!kind.rows) {
    if (auto ok = export_index(*index, command.output.path, kind.source); !ok) return ok.error();
    return index->size();
  }
  const StopOnSignal stop;
  Progress progress("export", "vectors",
                    progress_style(!command.flags.json && !command.flags.quiet));
  auto ok = export_rows(*index, {command.output.path, *kind.rows, command.keys_to}, stop.flag(),
                        [&](std::size_t done, std::size_t total) { progress.update(done, total); });
  progress.clear();
  return ok;
}

Exit run_export(const ExportCommand& command) {
  const auto vectors = export_file(command);
  if (!vectors) return report("export", vectors.error());
  std::error_code failed;
  const auto bytes = std::filesystem::file_size(command.output.path, failed);
  if (command.flags.json) {
    print_json({{"vectors", *vectors}, {"bytes", failed ? 0 : bytes}});
    return Exit::ok;
  }
  remark(command.flags, "exported " + with_commas(*vectors) + " vectors to " + command.output.path +
                            ", " + human_bytes(failed ? 0 : bytes));
  return Exit::ok;
}

}  // namespace

Run add_export(CLI::App& app) {
  auto command = std::make_shared<ExportCommand>();
  CLI::App* sub =
      app.add_subcommand("export", "Write vectors and keys, or a file that another library loads");
  add_index_file(*sub, command->file);
  sub->add_option("-o,--output", command->output.path, "The file to write")
      ->required()
      ->type_name("OUT");
  sub->add_option("--to", command->to,
                  "fbin, fvecs or npy (the vectors), hnswlib or usearch (the graph, too); default: "
                  "the suffix of OUT, if it is one of them")
      ->type_name("NAME")
      ->check(CLI::IsMember({"fbin", "fvecs", "npy", "hnswlib", "usearch"}));
  sub->add_option("--keys-to", command->keys_to,
                  "Write the keys of the vectors, too, a line each, or as .npy")
      ->type_name("KEYS");
  sub->add_flag("-f,--force", command->output.force, "Replace OUT and KEYS if they exist");
  add_output_flags(*sub, command->flags);
  sub->footer(
      "Examples:\n"
      "  cairn export words.cairn -o words.fbin --keys-to keys.txt\n"
      "  cairn export words.cairn -o words.usearch\n"
      "  cairn export words.cairn -o words.bin --to hnswlib");
  sub->callback([command] { check_export_words(*command); });
  return [command] { return run_export(*command); };
}

}  // namespace cairn::tools
