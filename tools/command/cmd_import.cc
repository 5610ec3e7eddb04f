// SPDX-License-Identifier: Apache-2.0
//
// cairn import: an index of another library into an index file.
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <cairn/cairn.h>

#include "tools/command/command.h"
#include "tools/command/progress.h"
#include "tools/command/stop_on_signal.h"
#include "tools/files/text_file.h"

namespace cairn::tools {
namespace {

struct ImportCommand {
  std::string source;
  OutputFile output;
  std::string keys;
  ImportOptions options;
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

// The output is not one of the files that are read.
Result<void> check_apart(const ImportCommand& command) {
  for (const char* suffix : {"", ".hnsw.graph", ".hnsw.data"}) {
    std::error_code failed;
    const bool same =
        std::filesystem::equivalent(command.source + suffix, command.output.path, failed);
    if (failed || !same) continue;
    return Error(ErrorCode::invalid_argument,
                 command.output.path + " is what is to be imported; it is never written to");
  }
  return {};
}

Result<Imported> import_file(const ImportCommand& command) {
  if (auto ok = check_output(command.output); !ok) return ok.error();
  if (auto ok = check_apart(command); !ok) return ok.error();
  const StopOnSignal stop_on_signal;  // outlives the index, whose end may take a while
  Progress progress("import", "vectors",
                    progress_style(!command.flags.json && !command.flags.quiet));
  ImportOptions options = command.options;
  options.stop = stop_on_signal.flag();
  options.progress = [&](std::size_t done, std::size_t total) { progress.update(done, total); };
  std::vector<Key> keys;
  if (!command.keys.empty()) {
    auto read = read_keys(command.keys);
    if (!read) return read.error();
    if (read->empty()) {
      return Error(ErrorCode::invalid_argument, command.keys + ": there are no keys in it");
    }
    keys = std::move(*read);
    options.keys = keys;
  }
  Imported imported;
  const auto begin = std::chrono::steady_clock::now();
  const auto index = import_index(command.source, options, &imported.report);
  progress.clear();
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
  remark(command.flags, "imported " + with_commas(report.vectors) + " vectors of " +
                            std::to_string(imported->params.dimensions) + " dimensions in " +
                            human_seconds(imported->seconds) + ", skipped " +
                            with_commas(report.skipped));
  if (report.graph_kept) {
    remark(command.flags, "kept     " + with_commas(report.links_kept) + " links, dropped " +
                              with_commas(report.links_dropped));
  }
  for (const std::string& note : report.notes) remark(command.flags, "note     " + note);
  remark(command.flags, "saved    " + command.output.path + ", " + human_bytes(imported->bytes));
  return Exit::ok;
}

// An option whose value is one of a few names.
template <class Value, class Set>
void add_named(CLI::App& sub, const std::string& name, const std::string& description,
               const std::map<std::string, Value>& choices, const Set& set) {
  sub.add_option_function<std::string>(
         name,
         [name, choices, set](const std::string& text) {
           const auto found = choices.find(text);
           if (found != choices.end()) return set(found->second);
           std::string known;
           for (const auto& [choice, value] : choices)
             known += (known.empty() ? "" : ", ") + choice;
           throw CLI::ValidationError(name, "'" + text + "' is none of: " + known);
         },
         description)
      ->type_name("NAME");
}

}  // namespace

Run add_import(CLI::App& app) {
  auto command = std::make_shared<ImportCommand>();
  ImportOptions& options = command->options;
  CLI::App* sub =
      app.add_subcommand("import", "Turn an index of another library into an index file");
  sub->add_option("SOURCE", command->source,
                  "An index of hnswlib, USearch or faiss; of hnsw_rs either file of a dump or what "
                  "their names have in common")
      ->required()
      ->type_name("");
  sub->add_option("-o,--output", command->output.path, "The index file to write")
      ->required()
      ->type_name("FILE");
  add_named<Source>(*sub, "--from", "The library that wrote it: hnsw_rs, hnswlib, usearch or faiss",
                    {{"hnsw_rs", Source::hnsw_rs},
                     {"hnswlib", Source::hnswlib},
                     {"usearch", Source::usearch},
                     {"faiss", Source::faiss}},
                    [&options](Source source) { options.source = source; });
  add_named<Metric>(*sub, "--metric",
                    "cosine, l2sq, ip or hamming; needed where the file does not say it (hnswlib)",
                    {{"cosine", Metric::cosine},
                     {"l2sq", Metric::l2sq},
                     {"ip", Metric::inner_product},
                     {"inner_product", Metric::inner_product},
                     {"hamming", Metric::hamming}},
                    [&options](Metric metric) { options.metric = metric; });
  sub->add_option(
         "--dimensions", options.dimensions,
         "Where the file does not say it (hnswlib: f32 or, if it is the bytes of a vector, "
         "u8)")
      ->type_name("N")
      ->check(whole_number(1, 65535));
  sub->add_option(
         "--keys", command->keys,
         "Text file, line i is the key (u64) of the file's i-th vector, or - for standard input, "
         "or .npy; default: its own")
      ->type_name("KEYS");
  sub->add_flag("--rebuild", options.rebuild, "Build the graph anew, whatever the file's is worth");
  sub->add_flag("--several-per-key", options.several_per_key,
                "Keep all vectors of a key, not the first alone");
  sub->add_option("--m", options.m,
                  "Links a node on the upper levels; default: as the source needs")
      ->type_name("N")
      ->check(whole_number(2, 256));
  sub->add_option("--ef-construction", options.ef_construction,
                  "Candidates considered for each node; default: the source's, at least 200")
      ->type_name("N")
      ->check(whole_number(1, 65536));
  sub->add_option("--threads", options.threads, "Threads; 0 is one a core")
      ->type_name("N")
      ->check(whole_number(0, kMaxThreads))
      ->capture_default_str();
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
