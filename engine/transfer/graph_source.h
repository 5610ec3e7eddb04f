// SPDX-License-Identifier: Apache-2.0
//
// What the readers of foreign files have in common: keys, vectors, removal marks and the links of
// level 0, each checked to lie within the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <cairn/error.h>
#include <cairn/import.h>

#include "engine/transfer/byte_reader.h"
#include "engine/transfer/mapped_file.h"
#include "engine/transfer/row_encoding.h"

namespace cairn {

struct GraphSource {
  std::vector<MappedFile> files;  // what the pointers below point into
  std::string format;             // "hnswlib"
  std::size_t rows = 0;
  EncodedRows vectors;
  std::optional<Metric> metric;  // none: the file does not say
  std::vector<Key> keys;         // empty: the row numbers
  std::vector<bool> removed;     // empty: none is
  // Of the lists; links is empty where there is no graph. A link that is no row is kNoNode or any
  // number from `rows` on.
  std::uint32_t m = 0;
  std::uint32_t m0 = 0;
  std::uint32_t ef_construction = 0;  // 0: the file does not say
  std::function<void(std::size_t row, std::vector<std::uint32_t>& out)> links;
  std::vector<std::string> notes;
};

// The file or, of hnsw_rs, the pair of files, as options.source says or as it looks. `options` for
// what the file does not say.
Result<GraphSource> open_source(const std::filesystem::path& path, const ImportOptions& options);

// One reader a format. The file that they are given becomes the source's.
Result<GraphSource> read_hnsw_rs(MappedFile graph, MappedFile data, const ImportOptions& options);
Result<GraphSource> read_hnswlib(MappedFile file, const ImportOptions& options);
Result<GraphSource> read_usearch(MappedFile file);
Result<GraphSource> read_faiss(MappedFile file);

// Whether a file looks like one of that format, from its first bytes or sizes.
bool looks_like_hnsw_rs(std::span<const std::byte> file);
bool looks_like_hnswlib(std::span<const std::byte> file);
bool looks_like_usearch(std::span<const std::byte> file);
bool looks_like_faiss(std::span<const std::byte> file);

}  // namespace cairn
