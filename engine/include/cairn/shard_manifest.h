// SPDX-License-Identifier: Apache-2.0
//
// What a set of shards is made of, and how one is built: docs/shards.md. A set is a folder of index
// files and a manifest that names them. Each shard is built by itself, here or elsewhere, now or
// again after a failure, with the same bytes; then the manifest is published in one step.
//
//   cairn::ShardManifest set;                           // of hash shards
//   set.params = params;
//   for (const auto& part : parts) {                    // keys by shard_of_key()
//     auto index = cairn::Index::create(params);
//     index->build(part.keys, part.rows).value();
//     set.shards.push_back(cairn::add_shard_file("words", *index).value());
//   }
//   cairn::publish_shards("words", set).value();
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <cairn/error.h>
#include <cairn/export.h>
#include <cairn/index.h>
#include <cairn/params.h>
#include <cairn/types.h>

namespace cairn {

// How vectors are spread over shards. hash: by their keys. clusters: near ones together, and a
// router tells where; of cosine and l2sq alone. rows: anyhow.
enum class Partition : std::uint8_t { hash = 0, clusters = 1, rows = 2 };

// A file of a set.
struct ShardFile {
  std::string file;           // its name in the folder
  std::uint64_t vectors = 0;  // that it held when it was published
  std::uint64_t bytes = 0;    // its size then
  bool sealed = true;         // it never changes; false: it has a writer, or may get one
  std::string xxh3 = {};      // XXH3-128 of the whole file, 32 hexadecimal digits, if sealed
};

// A set on disk, as of one generation.
struct ShardManifest {
  std::uint64_t generation = 0;  // 0: not published yet
  IndexParams params;  // metric, kind and dimensions of all shards, and what to build with
  Partition partition = Partition::hash;  // how vectors are spread
  std::uint64_t seed = 0;                 // of hash
  std::vector<float> gaps =
      {};  // of clusters, one a shard: docs/shards.md, "Which shard has a key"
  std::vector<ShardFile> shards = {};    // 1 to 65,536
  std::optional<ShardFile> router = {};  // of clusters
  std::optional<ShardFile> fresh = {};   // searched with every query; not of hash
};

// The manifest that CURRENT names, checked. path_not_found (the folder, CURRENT, or what it names),
// not_a_cairn_file, version_unsupported, feature_unsupported, corrupt (with file and place),
// io_error, out_of_memory.
CAIRN_EXPORT Result<ShardManifest> read_shard_manifest(const std::filesystem::path& folder);
// The same of a text; `name` is what errors call it.
CAIRN_EXPORT Result<ShardManifest> parse_shard_manifest(std::string_view text,
                                                        const std::string& name = "manifest");
// The text of a manifest, with its checksum. invalid_argument: what parse_shard_manifest() would
// refuse.
CAIRN_EXPORT Result<std::string> shard_manifest_text(const ShardManifest& manifest);

// Makes `manifest` the one that holds, in one step: its generation, which is the one that it
// replaces (0: there is none), is one more afterwards. All of its files are in the folder.
// path_in_use: somebody else publishes, or has published since; path_not_found: a file is not
// there; corrupt: a sealed one has another size; no_space, io_error, permission_denied. After an
// error the generation before holds.
CAIRN_EXPORT Result<void> publish_shards(const std::filesystem::path& folder,
                                         ShardManifest& manifest);

// What prune_shards() is to leave.
struct PruneOptions {
  std::size_t keep = 2;                  // so many generations, with the one that holds; at least 1
  std::vector<std::uint64_t> also = {};  // others: what actors elsewhere serve, for example
  // Files of shards that no manifest names go, too, if they came to the folder so long ago: longer
  // than whoever builds takes to publish. none: they stay.
  std::optional<std::chrono::seconds> unnamed_after = {};
};

// What it has done.
struct PruneReport {
  std::vector<std::uint64_t> removed = {};  // generations that are gone, the latest first
  std::vector<std::uint64_t> in_use = {};   // those that stay because a set is open that has them
  std::size_t files = 0;                    // shards and routers that were removed
  std::uint64_t bytes = 0;                  // of them
  std::size_t unnamed = 0;                  // of the files: those that no manifest named
};

// Removes older generations of a set: their manifests, and the files that no generation which stays
// names. What a set has open, here or in another process of this machine, stays; what no manifest
// names stays, too, for a build may be about to publish it, unless unnamed_after says how old it
// must be. invalid_argument; path_in_use: somebody
// publishes or changes the set; errors of read_shard_manifest() for each manifest, and then nothing
// is removed; io_error, permission_denied: another call goes on.
CAIRN_EXPORT Result<PruneReport> prune_shards(const std::filesystem::path& folder,
                                              const PruneOptions& options = {});

// Saves an index in the folder, named by its contents, and tells how it is to be named in the
// manifest. The folder is made if it is not there. What stands there under that name already has
// the same bytes. Errors of Index::save().
CAIRN_EXPORT Result<ShardFile> add_shard_file(const std::filesystem::path& folder,
                                              const Index& index,
                                              const std::atomic<bool>* stop = nullptr);
// Builds an index of rows as such a file, as build_file() does: one that is larger than half of the
// memory is kept on the folder's disk meanwhile. The file is that of add_shard_file(), byte for
// byte. Errors of build_file().
CAIRN_EXPORT Result<ShardFile> build_shard_file(const std::filesystem::path& folder,
                                                const IndexParams& params,
                                                std::span<const Key> keys, MatrixView rows,
                                                const BuildOptions& options = {});
// The same of a file that lies elsewhere or came from elsewhere: what it is called in a manifest.
// It is read whole. Errors of Index::open().
CAIRN_EXPORT Result<ShardFile> describe_shard_file(const std::filesystem::path& file,
                                                   const std::atomic<bool>* stop = nullptr);

// The shard that has a key, of `shards` by hash. REQUIRES: shards > 0
CAIRN_EXPORT std::size_t shard_of_key(Key key, std::uint64_t seed, std::size_t shards) noexcept;

// How vectors are to be clustered.
struct ClusterOptions {
  std::size_t shards = 1;       // 1 to 65,536
  std::size_t centroids = 128;  // of the router for each shard; 1 to 4,096
  double copies = 0;            // part of the vectors that a second shard has, too: 0 to 1
  double largest = 1.05;        // the largest shard of the sample over the mean, at most; above 1
  std::uint64_t seed = 42;      // of where clustering begins
  unsigned threads = 0;         // 0: all cores; the result does not depend on it
  std::function<void(std::size_t done, std::size_t total)> progress = {};  // as in BuildOptions
  const std::atomic<bool>* stop = nullptr;  // set it to end the call with `cancelled`
};

// Where vectors go.
struct Clusters {
  Index router;             // to be added to the folder by add_shard_file()
  std::vector<float> gaps;  // of the manifest
};

// Clusters a sample of the vectors, all of them or some tens of thousands drawn at random: balanced
// k-means, the same for the same rows and options on every machine. invalid_argument (fewer rows
// than centroids, options out of range), unsupported (metric), not_finite, out_of_memory,
// cancelled.
CAIRN_EXPORT Result<Clusters> cluster_shards(Metric metric, MatrixView sample,
                                             const ClusterOptions& options);

// The shards of vectors: shard first[i] has row i, and second[i] a copy; kNoShard: none has one.
inline constexpr std::uint32_t kNoShard = 0xFFFFFFFF;
// Each row by itself, so rows may be given in parts. `first` and `second` have rows.rows elements.
CAIRN_EXPORT Result<void> assign_shards(const Index& router, std::span<const float> gaps,
                                        MatrixView rows, std::span<std::uint32_t> first,
                                        std::span<std::uint32_t> second, unsigned threads = 0);

}  // namespace cairn
