// SPDX-License-Identifier: Apache-2.0
//
// Which reader a file is for.
#include <string>
#include <utility>

#include "engine/transfer/graph_source.h"
#include "format/io/file.h"

namespace cairn {

namespace {

constexpr char kGraphSuffix[] = ".hnsw.graph";
constexpr char kDataSuffix[] = ".hnsw.data";

bool exists(const std::string& path) {
  return format::default_file_system().info(path).has_value();
}

// What both files of a dump have in common, if `path` means one.
std::optional<std::string> dump_name(const std::string& path, Source source) {
  for (const std::string suffix : {kGraphSuffix, kDataSuffix}) {
    if (path.ends_with(suffix)) return path.substr(0, path.size() - suffix.size());
  }
  if (source != Source::automatic && source != Source::hnsw_rs) return {};
  if (!exists(path) && (exists(path + kGraphSuffix) || exists(path + kDataSuffix))) return path;
  return {};
}

Result<GraphSource> open_dump(const std::string& name, const ImportOptions& options) {
  for (const std::string suffix : {kGraphSuffix, kDataSuffix}) {
    if (exists(name + suffix)) continue;
    return Error(ErrorCode::path_not_found,
                 name + suffix + ": not found; a dump of hnsw_rs is two files, NAME" +
                     kGraphSuffix + " and NAME" + kDataSuffix);
  }
  auto graph = MappedFile::open(name + kGraphSuffix);
  if (!graph) return graph.error();
  auto data = MappedFile::open(name + kDataSuffix);
  if (!data) return data.error();
  return read_hnsw_rs(std::move(*graph), std::move(*data), options);
}

Source source_of(std::span<const std::byte> file) {
  if (looks_like_hnsw_rs(file)) return Source::hnsw_rs;
  if (looks_like_usearch(file)) return Source::usearch;
  if (looks_like_faiss(file)) return Source::faiss;
  if (looks_like_hnswlib(file)) return Source::hnswlib;
  return Source::automatic;
}

}  // namespace

Result<GraphSource> open_source(const std::filesystem::path& path, const ImportOptions& options) {
  if (options.source > Source::faiss) {
    return Error(
        ErrorCode::invalid_argument,
        "source " + std::to_string(static_cast<unsigned>(options.source)) + " does not exist");
  }
  if (const auto name = dump_name(path.string(), options.source)) {
    if (options.source == Source::automatic || options.source == Source::hnsw_rs) {
      return open_dump(*name, options);
    }
  }
  auto file = MappedFile::open(path);
  if (!file) return file.error();
  if (file->bytes().empty()) {
    return Error(ErrorCode::truncated, path.string() + ": the file is empty");
  }
  const Source source =
      options.source == Source::automatic ? source_of(file->bytes()) : options.source;
  switch (source) {
    case Source::hnswlib: return read_hnswlib(std::move(*file), options);
    case Source::usearch: return read_usearch(std::move(*file));
    case Source::faiss: return read_faiss(std::move(*file));
    case Source::hnsw_rs:
      return Error(ErrorCode::invalid_argument, path.string() +
                                                    ": a dump of hnsw_rs is two files, NAME" +
                                                    kGraphSuffix + " and NAME" + kDataSuffix);
    case Source::automatic: break;
  }
  return Error(ErrorCode::unsupported,
               path.string() +
                   ": no index of hnsw_rs, hnswlib, USearch or faiss, or too damaged "
                   "to tell; say which (--from) to learn what is wrong with it");
}

}  // namespace cairn
