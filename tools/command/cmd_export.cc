// SPDX-License-Identifier: Apache-2.0
//
// cairn export: an index file as a file of another library.
#include <filesystem>
#include <memory>
#include <string>

#include <cairn/cairn.h>

#include "tools/command/command.h"

namespace cairn::tools {
namespace {

struct ExportCommand {
  std::string file;
  OutputFile output;
  std::string to;
  OutputFlags flags;
};

// By --to or, without it, by the suffix of the output.
Result<Source> export_kind(const ExportCommand& command) {
  const std::string to = command.to.empty()
                             ? std::filesystem::path(command.output.path).extension().string()
                             : command.to;
  if (to == "hnswlib" || to == ".hnswlib") return Source::hnswlib;
  if (to == "usearch" || to == ".usearch") return Source::usearch;
  return Error(ErrorCode::invalid_argument,
               command.output.path + ": say what to write, --to hnswlib or --to usearch");
}

Result<std::size_t> export_file(const ExportCommand& command) {
  const auto kind = export_kind(command);
  if (!kind) return kind.error();
  if (auto ok = check_output(command.output); !ok) return ok.error();
  std::error_code failed;
  if (std::filesystem::equivalent(command.file, command.output.path, failed) && !failed) {
    return Error(ErrorCode::invalid_argument, command.file + " is what is to be exported");
  }
  const auto index = Index::open(command.file);
  if (!index) return index.error();
  if (auto ok = export_index(*index, command.output.path, *kind); !ok) return ok.error();
  return index->size();
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
      app.add_subcommand("export", "Write an index as a file that another library loads");
  add_index_file(*sub, command->file);
  sub->add_option("-o,--output", command->output.path, "The file to write")
      ->required()
      ->type_name("OUT");
  sub->add_option("--to", command->to,
                  "hnswlib or usearch; default: the suffix of OUT, if it is one of them")
      ->type_name("NAME")
      ->check(CLI::IsMember({"hnswlib", "usearch"}));
  sub->add_flag("-f,--force", command->output.force, "Replace OUT if it exists");
  add_output_flags(*sub, command->flags);
  sub->footer(
      "Examples:\n"
      "  cairn export words.cairn -o words.usearch\n"
      "  cairn export words.cairn -o words.bin --to hnswlib");
  return [command] { return run_export(*command); };
}

}  // namespace cairn::tools
