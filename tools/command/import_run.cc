// SPDX-License-Identifier: Apache-2.0
#include "tools/command/import_run.h"

#include <array>
#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

#include "tools/command/choice.h"
#include "tools/command/progress.h"
#include "tools/files/text_file.h"

namespace cairn::tools {

void add_import_options(CLI::App& sub, ImportRequest& request) {
  ImportOptions& options = request.options;
  add_choice<Source>(sub, "--from", "The library that wrote it: hnsw_rs, hnswlib, usearch or faiss",
                     {{"hnsw_rs", Source::hnsw_rs},
                      {"hnswlib", Source::hnswlib},
                      {"usearch", Source::usearch},
                      {"faiss", Source::faiss}},
                     [&options](Source source) { options.source = source; });
  add_choice<Metric>(sub, "--metric",
                     "cosine, l2sq, ip or hamming; needed where the file does not say it (hnswlib)",
                     {{"cosine", Metric::cosine},
                      {"l2sq", Metric::l2sq},
                      {"ip", Metric::inner_product},
                      {"inner_product", Metric::inner_product},
                      {"hamming", Metric::hamming}},
                     [&options](Metric metric) { options.metric = metric; });
  sub.add_option("--dimensions", options.dimensions,
                 "Where the file does not say it (hnswlib: f32 or, if it is the bytes of a vector, "
                 "u8)")
      ->type_name("N")
      ->check(whole_number(1, 65535));
  sub.add_option(
         "--keys", request.keys,
         "Text file, line i is the key (u64) of the file's i-th vector, or - for standard input, "
         "or .npy; default: its own")
      ->type_name("KEYS");
  sub.add_flag("--rebuild", options.rebuild, "Build the graph anew, whatever the file's is worth");
  sub.add_flag("--several-per-key", options.several_per_key,
               "Keep all vectors of a key, not the first alone");
  sub.add_option("--m", options.m, "Links a node on the upper levels; default: as the source needs")
      ->type_name("N")
      ->check(whole_number(2, 256));
  sub.add_option("--ef-construction", options.ef_construction,
                 "Candidates considered for each node; default: the source's, at least 200")
      ->type_name("N")
      ->check(whole_number(1, 65536));
  sub.add_option("--threads", options.threads, "Threads; 0 is one a core")
      ->type_name("N")
      ->check(whole_number(0, kMaxThreads))
      ->capture_default_str();
}

Result<Index> import_source(const ImportRequest& request, const OutputFlags& flags,
                            const StopOnSignal& stop, ImportReport& report) {
  Progress progress("import", "vectors", progress_style(!flags.json && !flags.quiet));
  ImportOptions options = request.options;
  options.stop = stop.flag();
  options.progress = [&](std::size_t done, std::size_t total) { progress.update(done, total); };
  std::vector<Key> keys;
  if (!request.keys.empty()) {
    auto read = read_keys(request.keys);
    if (!read) return read.error();
    if (read->empty()) {
      return Error(ErrorCode::invalid_argument,
                   input_name(request.keys) + ": there are no keys in it");
    }
    keys = std::move(*read);
    options.keys = keys;
  }
  auto index = import_index(request.source, options, &report);
  progress.clear();
  return index;
}

Result<void> check_apart(const std::string& source, const std::string& output) {
  constexpr std::array<std::string_view, 2> kHalves = {".hnsw.graph", ".hnsw.data"};
  std::string stem = source;  // what the names of both halves of a dump have in common
  for (const std::string_view half : kHalves) {
    if (!stem.ends_with(half)) continue;
    stem.resize(stem.size() - half.size());
    break;
  }
  std::vector<std::string> read = {source};
  for (const std::string_view half : kHalves) read.push_back(stem + std::string(half));
  for (const std::string& path : read) {
    std::error_code failed;
    const bool same = std::filesystem::equivalent(path, output, failed);
    if (failed || !same) continue;
    return Error(ErrorCode::invalid_argument,
                 output + " is what is to be imported; it is never written to");
  }
  return {};
}

void remark_import(const OutputFlags& flags, const ImportReport& report, std::size_t dimensions,
                   double seconds) {
  remark(flags, "imported " + with_commas(report.vectors) + " vectors of " +
                    std::to_string(dimensions) + " dimensions in " + human_seconds(seconds) +
                    ", skipped " + with_commas(report.skipped));
  if (report.graph_kept) {
    remark(flags, "kept     " + with_commas(report.links_kept) + " links, dropped " +
                      with_commas(report.links_dropped));
  }
  for (const std::string& note : report.notes) remark(flags, "note     " + note);
}

}  // namespace cairn::tools
