// SPDX-License-Identifier: Apache-2.0
//
// cairn import: an index of another library into an index file.
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

#include <cairn/cairn.h>

#include "tools/command/command.h"
#include "tools/command/import_run.h"
#include "tools/command/stop_on_signal.h"

namespace cairn::tools {
namespace {

struct ImportCommand {
  ImportRequest request;
  OutputFile output;
  OutputFlags flags;
};

struct Imported {
  ImportReport report;
  IndexParams params;
  double seconds = 0;
  std::uint64_t bytes = 0;
};

Error unless_import_interrupted(const Error& error) {
  if (error.code() != ErrorCode::cancelled) return error;
  return Error(ErrorCode::cancelled, "interrupted; no file was written");
}

Result<Imported> import_file(const ImportCommand& command) {
  if (auto ok = check_output(command.output); !ok) return ok.error();
  if (auto ok = check_apart(command.request.source, command.output.path); !ok) return ok.error();
  const StopOnSignal stop_on_signal;  // outlives the index, whose end may take a while
  Imported imported;
  const auto begin = std::chrono::steady_clock::now();
  const auto index = import_source(command.request, command.flags, stop_on_signal, imported.report);
  if (!index) return unless_import_interrupted(index.error());
  imported.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  imported.params = index->params();

  if (auto free = check_output(command.output); !free) return free.error();
  const auto saved = index->save(command.output.path, stop_on_signal.flag());
  if (!saved) return unless_import_interrupted(saved.error());
  std::error_code failed;
  imported.bytes = std::filesystem::file_size(command.output.path, failed);
  if (failed)
    return Error(ErrorCode::io_error, "stat " + command.output.path + ": " + failed.message());
  return imported;
}

// What is wrong with the foreign file is no matter of an index file of ours.
Exit report_import(const Error& error) {
  const Exit exit = report("import", error);
  return exit == Exit::corrupt ? Exit::failed : exit;
}

Exit run_import(const ImportCommand& command) {
  const auto imported = import_file(command);
  if (!imported) return report_import(imported.error());
  const ImportReport& report = imported->report;
  if (command.flags.json) {
    print_json({{"vectors", report.vectors},
                {"dimensions", imported->params.dimensions},
                {"skipped", report.skipped},
                {"graph_kept", report.graph_kept},
                {"links_kept", report.links_kept},
                {"links_dropped", report.links_dropped},
                {"notes", report.notes},
                {"seconds", imported->seconds},
                {"bytes", imported->bytes}});
    return Exit::ok;
  }
  remark_import(command.flags, report, imported->params.dimensions, imported->seconds);
  remark(command.flags, "saved    " + command.output.path + ", " + human_bytes(imported->bytes));
  return Exit::ok;
}

}  // namespace

Run add_import(CLI::App& app) {
  auto command = std::make_shared<ImportCommand>();
  CLI::App* sub =
      app.add_subcommand("import", "Turn an index of another library into an index file");
  sub->add_option("SOURCE", command->request.source,
                  "An index of hnswlib, USearch or faiss; of hnsw_rs either file of a dump or what "
                  "their names have in common")
      ->required()
      ->type_name("");
  sub->add_option("-o,--output", command->output.path, "The index file to write")
      ->required()
      ->type_name("FILE");
  add_import_options(*sub, command->request);
  sub->add_flag("-f,--force", command->output.force, "Replace FILE if it exists");
  add_output_flags(*sub, command->flags);
  sub->footer(
      "Examples:\n"
      "  cairn import old.hnsw.graph -o words.cairn\n"
      "  cairn import items.bin -o items.cairn --from hnswlib --metric cosine\n"
      "  cairn import index.faiss -o index.cairn --json");
  return [command] { return run_import(*command); };
}

}  // namespace cairn::tools
