// SPDX-License-Identifier: Apache-2.0
//
// Indexes that other libraries have written, as one of ours, and back: docs/cli.md, "import" and
// "export".
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <cairn/error.h>
#include <cairn/export.h>
#include <cairn/index.h>
#include <cairn/types.h>

namespace cairn {

// The library that wrote a file, or is to read it.
enum class Source : std::uint8_t {
  automatic = 0,
  hnsw_rs = 1,
  hnswlib = 2,
  usearch = 3,
  faiss = 4
};

// What of a file is taken, and how.
struct ImportOptions {
  Source source = Source::automatic;  // automatic: what the file looks like
  // Needed where the file does not say it (hnswlib). It may differ from what the file says only
  // where the order of the answers is the same: cosine over vectors of norm 1.
  std::optional<Metric> metric;
  // Of hnswlib, whose files have a size in bytes alone: that size means bytes (u8), a quarter of it
  // floats; 0: floats. Of an empty hnsw_rs dump, which has none. Elsewhere it must be what the file
  // says, or 0.
  std::size_t dimensions = 0;
  bool rebuild = false;          // builds the graph anew, whatever the file's is worth
  bool several_per_key = false;  // IndexParams::several_per_key; else of a key the first stays
  // Instead of the file's, one for each of its vectors in file order, removed ones too; empty: the
  // file's. Where the file has none (faiss without an id map), those are the row numbers.
  std::span<const Key> keys = {};
  // Not given: m follows from the source's lists, so that all links fit; ef_construction is the
  // source's, at least 200.
  std::optional<std::uint32_t> m;                // 2 ... 256
  std::optional<std::uint32_t> ef_construction;  // 1 ... 65,536
  unsigned threads = 0;                          // 0: all cores; the result does not depend on it
  // As in BuildOptions; the total is that of the part of the work that is under way.
  std::function<void(std::size_t done, std::size_t total)> progress = {};
  const std::atomic<bool>* stop = nullptr;  // set it to end the call with `cancelled`
};

// What has become of it.
struct ImportReport {
  std::size_t vectors = 0;        // in the index
  std::size_t links_kept = 0;     // of the source's level 0
  std::size_t links_dropped = 0;  // of it: to removed or missing vectors, twice, to itself, no room
  std::size_t skipped = 0;  // vectors of the file that are not in the index: removed, or key taken
  bool graph_kept = false;  // false: built anew, and a note says why
  std::vector<std::string> notes;  // what is not as it was, a sentence each
};

// An index in memory with the keys and vectors of a file of hnsw_rs (either file of the dump, or
// the name that both have in common), hnswlib, USearch or faiss. Components keep their kind and
// bits; integers and kinds that an index does not store become f32, which is noted. The links of
// level 0 are kept where they are worth it; levels are those of the keys, as everywhere. The file
// is only read, through a mapping: nobody may shorten it meanwhile.
//
// path_not_found (half a dump, too), permission_denied, io_error, invalid_argument (a directory;
// metric or dimensions missing or wrong), dimension_mismatch, not_finite, truncated and corrupt
// (with file, byte and field), unsupported (no such file format; a kind of index, metric or scalar
// without a counterpart, by name), out_of_memory, cancelled. `report` is filled in
// on success.
CAIRN_EXPORT Result<Index> import_index(const std::filesystem::path& path,
                                        const ImportOptions& options = {},
                                        ImportReport* report = nullptr);

// The index as a file that hnswlib or USearch loads, with all keys and links; removed vectors are
// left out. For hnswlib components become f32, and vectors of a cosine index get norm 1, as its own
// have. A file at `path` is replaced in one step. Changes wait meanwhile, searches do not.
// unsupported: another kind; bits for hnswlib; key 2^64 - 1 for USearch. busy: another process
// changes the file. Errors of writing: as Index::save().
CAIRN_EXPORT Result<void> export_index(const Index& index, const std::filesystem::path& path,
                                       Source kind);

}  // namespace cairn
