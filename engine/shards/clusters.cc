// SPDX-License-Identifier: Apache-2.0
//
// Clusters as shards: many small ones by k-means, packed into shards of about the same size so that
// near ones come together, and some vectors at the borders in two shards. docs/decisions/0031.
//
// The same on every machine: searches are, sums are of doubles in the order of the rows, all else
// is whole numbers.
#include <cairn/shard_manifest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <string>
#include <utility>

#include <cairn/convert.h>

#include "engine/api/arguments.h"
#include "engine/base/guarded.h"
#include "engine/base/hash.h"
#include "engine/shards/cell_packing.h"
#include "engine/shards/manifest.h"
#include "engine/shards/router.h"
#include "engine/vectors/components.h"
#include "engine/vectors/exact_distance.h"

namespace cairn {

namespace {

constexpr const char* kCluster = "cluster_shards";
constexpr const char* kAssign = "assign_shards";
constexpr std::size_t kRounds = 8;     // of k-means: more change little
constexpr std::size_t kNearCells = 8;  // of a row, that are kept together if possible
constexpr std::size_t kClusteredAtOnce = 4096;
constexpr std::size_t kFirstLook = 16;  // centroids, among which most rows have those of two shards

IndexParams router_params(Metric metric, std::size_t dims) {
  IndexParams params;
  params.dimensions = dims;
  params.metric = metric;
  return params;
}

// Rows of any kind as f32.
Result<std::vector<float>> floats_of(const char* call, const MatrixView& rows) {
  std::vector<float> floats(rows.rows * rows.dims);
  for (std::size_t i = 0; i < rows.rows; ++i) {
    const auto out = std::span(floats).subspan(i * rows.dims, rows.dims);
    if (auto ok = convert(rows.row(i), out); !ok) return ok.error();
    // What has been read: the caller's memory may be changed meanwhile.
    const VectorView row = view_of(Scalar::f32, out.data(), rows.dims);
    if (!well_formed(row))
      return defect_of(row).with_context(std::string(call) + ": row " + std::to_string(i));
  }
  return floats;
}

// The k nearest centroids of each row. REQUIRES: there are as many
Result<std::vector<Match>> nearest_cells(const Index& cells, const MatrixView& rows, std::size_t k,
                                         Plan plan, unsigned threads,
                                         const std::atomic<bool>* stop) {
  SearchParams params;
  params.k = k;
  params.plan = plan;
  params.stop = stop;
  std::vector<Match> matches(rows.rows * k);
  std::vector<std::size_t> counts(rows.rows);
  SearchReport report;
  params.report = &report;
  if (auto ok = cells.search_batch(rows, params, matches, counts, threads); !ok) return ok.error();
  if (!report.complete) return Error(ErrorCode::cancelled, "stopped");
  for (const std::size_t count : counts) {
    if (count != k) return Error(ErrorCode::internal, "a search has missed a centroid");
  }
  return matches;
}

// One clustering: rows of the sample, and the cells that they are in.
class CellFinder {
 public:
  CellFinder(Metric metric, std::vector<float> rows, std::size_t dims,
             const ClusterOptions& options)
      : metric_(metric),
        rows_(std::move(rows)),
        dims_(dims),
        count_(rows_.size() / dims),
        cells_(options.shards * options.centroids),
        options_(options) {}

  MatrixView rows() const { return MatrixView::f32(rows_.data(), count_, dims_); }
  std::size_t size() const { return count_; }

  // k-means from rows that the seed chooses. `keys` of the index are the numbers of the cells.
  Result<Index> find() {
    order_.resize(count_);
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    std::sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) {
      const auto x = key_hash(a, options_.seed);
      const auto y = key_hash(b, options_.seed);
      return x != y ? x < y : a < b;
    });
    centroids_.resize(cells_ * dims_);
    for (std::size_t cell = 0; cell < cells_; ++cell) place(cell, order_[cell]);
    std::vector<Key> keys(cells_);
    std::iota(keys.begin(), keys.end(), Key{0});
    for (std::size_t round = 0;; ++round) {
      if (options_.progress) options_.progress(round, kRounds + 1);
      auto index = Index::create(router_params(metric_, dims_));
      if (!index) return index;
      BuildOptions build;
      build.threads = options_.threads;
      build.stop = options_.stop;
      const auto matrix = MatrixView::f32(centroids_.data(), cells_, dims_);
      if (auto ok = index->build(keys, matrix, build); !ok) return ok.error();
      if (round == kRounds) return index;
      const auto nearest =
          nearest_cells(*index, rows(), 1, Plan::walk, options_.threads, options_.stop);
      if (!nearest) return nearest.error();
      move_centroids(*nearest);
    }
  }

 private:
  void place(std::size_t cell, std::size_t row) {
    std::copy_n(rows_.begin() + static_cast<std::ptrdiff_t>(row * dims_), dims_,
                centroids_.begin() + static_cast<std::ptrdiff_t>(cell * dims_));
  }

  // To the mean of their rows; under cosine, of their directions. One without rows takes the place
  // of a row of the largest cell.
  void move_centroids(const std::vector<Match>& nearest) {
    std::vector<double> sums(cells_ * dims_);
    std::vector<std::size_t> counts(cells_);
    for (std::size_t i = 0; i < count_; ++i) {
      const auto cell = static_cast<std::size_t>(nearest[i].key);
      ++counts[cell];
      const float* row = rows_.data() + i * dims_;
      double length = 1;
      if (metric_ == Metric::cosine) length = std::sqrt(squared_length({Scalar::f32, row}, dims_));
      if (length == 0) continue;
      for (std::size_t d = 0; d < dims_; ++d) sums[cell * dims_ + d] += double{row[d]} / length;
    }
    for (std::size_t cell = 0; cell < cells_; ++cell) {
      for (std::size_t d = 0; d < dims_ && counts[cell] != 0; ++d) {
        centroids_[cell * dims_ + d] =
            static_cast<float>(sums[cell * dims_ + d] / static_cast<double>(counts[cell]));
      }
    }
    std::size_t next = 0;
    for (std::size_t cell = 0; cell < cells_; ++cell) {
      if (counts[cell] != 0) continue;
      const auto largest =
          static_cast<std::size_t>(std::max_element(counts.begin(), counts.end()) - counts.begin());
      while (next < count_ && nearest[order_[next]].key != largest) ++next;
      if (next == count_) return;  // as many cells as rows
      place(cell, order_[next++]);
      counts[cell] = counts[largest] / 2;
      counts[largest] -= counts[cell];
    }
  }

  const Metric metric_;
  const std::vector<float> rows_;
  const std::size_t dims_;
  const std::size_t count_;
  const std::size_t cells_;
  const ClusterOptions& options_;
  std::vector<std::size_t> order_;  // of rows, as the seed has it
  std::vector<float> centroids_;
};

// Rows and what lies between a row's cells, for the packing.
CellGraph graph_of(const std::vector<Match>& near, std::size_t k, std::size_t cells) {
  CellGraph graph(cells);
  for (std::size_t i = 0; i < near.size(); i += k) {
    const auto own = static_cast<std::uint32_t>(near[i].key);
    graph.add_row(own);
    for (std::size_t j = 1; j < k; ++j)
      graph.add_link(own, static_cast<std::uint32_t>(near[i + j].key), k - j);
  }
  return graph;
}

Result<void> check_options(Metric metric, const MatrixView& sample, const ClusterOptions& options) {
  const auto invalid = [](const std::string& problem) {
    return Error(ErrorCode::invalid_argument, std::string(kCluster) + ": " + problem);
  };
  if (metric != Metric::cosine && metric != Metric::l2sq) {
    return Error(ErrorCode::unsupported,
                 std::string(kCluster) + ": no clusters of metric " + name_of(metric));
  }
  IndexParams params = router_params(metric, sample.dims);
  params.scalar = sample.scalar;
  if (auto ok = check_params(params); !ok) return ok;
  if (auto ok = check_matrix(kCluster, sample, params, Purpose::store); !ok) return ok;
  if (options.shards == 0 || options.shards > kMaxShards)
    return invalid("shards is " + std::to_string(options.shards) + ", must be 1 to 65,536");
  if (options.centroids == 0 || options.centroids > 4096)
    return invalid("centroids is " + std::to_string(options.centroids) + ", must be 1 to 4,096");
  if (!(options.copies >= 0 && options.copies <= 1)) return invalid("copies is not in [0, 1]");
  if (!(options.largest > 1 && options.largest <= 2)) return invalid("largest is not in (1, 2]");
  if (sample.rows >= options.shards * options.centroids) return {};
  return invalid(std::to_string(sample.rows) + " rows for " +
                 std::to_string(options.shards * options.centroids) + " centroids");
}

// A router whose keys name the shards.
Result<Index> router_of(const Index& cells, const std::vector<std::uint32_t>& shard_of_cell,
                        unsigned threads) {
  const IndexParams params = cells.params();
  std::vector<Key> keys;
  std::vector<float> rows(shard_of_cell.size() * params.dimensions);
  for (std::size_t cell = 0; cell < shard_of_cell.size(); ++cell) {
    keys.push_back(centroid_key(shard_of_cell[cell], cell));
    const auto out = std::span(rows).subspan(cell * params.dimensions, params.dimensions);
    if (auto got = cells.get(cell, out); !got) return got.error();
  }
  auto router = Index::create(params);
  if (!router) return router;
  BuildOptions build;
  build.threads = threads;
  const auto matrix = MatrixView::f32(rows.data(), keys.size(), params.dimensions);
  if (auto ok = router->build(keys, matrix, build); !ok) return ok.error();
  return router;
}

// Where a row goes first, where its copy would, and how much farther that is.
struct TwoShards {
  std::uint32_t first = kNoShard;
  std::uint32_t second = kNoShard;
  float gap = 0;
};

// False: more centroids have to be looked at.
bool find_two(std::span<const Match> near, TwoShards& two) {
  two = {static_cast<std::uint32_t>(shard_of_centroid(near[0].key)), kNoShard, 0};
  for (const Match& match : near) {
    const auto shard = static_cast<std::uint32_t>(shard_of_centroid(match.key));
    if (shard == two.first) continue;
    two.second = shard;
    two.gap = match.distance - near[0].distance;
    return true;
  }
  return false;
}

// `rows` are f32.
Result<std::vector<TwoShards>> two_shards_of(const Index& router, const MatrixView& rows,
                                             unsigned threads, const std::atomic<bool>* stop) {
  std::vector<TwoShards> result(rows.rows);
  const std::size_t all = router.size();
  const std::size_t few = std::min(kFirstLook, all);
  for (std::size_t begin = 0; begin < rows.rows; begin += kClusteredAtOnce) {
    MatrixView some = rows;
    some.data = rows.row(begin).data();
    some.rows = std::min(kClusteredAtOnce, rows.rows - begin);
    const auto near = nearest_cells(router, some, few, Plan::exact, threads, stop);
    if (!near) return near.error();
    for (std::size_t i = 0; i < some.rows; ++i) {
      TwoShards& two = result[begin + i];
      if (find_two(std::span(*near).subspan(i * few, few), two) || few == all) continue;
      MatrixView one = rows;
      one.data = rows.row(begin + i).data();
      one.rows = 1;
      const auto more = nearest_cells(router, one, all, Plan::exact, 1, stop);
      if (!more) return more.error();
      (void)find_two(*more, two);
    }
  }
  return result;
}

// Up to which gap rows are copied, so that every shard has `target` rows with its copies.
std::vector<float> gaps_for(const std::vector<TwoShards>& rows, std::size_t shards,
                            std::size_t target) {
  std::vector<std::size_t> counts(shards);
  std::vector<std::vector<float>> candidates(shards);
  for (const TwoShards& row : rows) {
    ++counts[row.first];
    if (row.second != kNoShard) candidates[row.second].push_back(row.gap);
  }
  std::vector<float> gaps(shards);
  for (std::size_t shard = 0; shard < shards; ++shard) {
    std::vector<float>& some = candidates[shard];
    const std::size_t wanted = counts[shard] < target ? target - counts[shard] : 0;
    if (wanted == 0 || some.empty()) continue;
    std::sort(some.begin(), some.end());
    gaps[shard] = wanted < some.size()
                      ? some[wanted]
                      : std::nextafter(some.back(), std::numeric_limits<float>::max());
  }
  return gaps;
}

}  // namespace

Result<Clusters> cluster_shards(Metric metric, MatrixView sample, const ClusterOptions& options) {
  return guarded(kCluster, [&]() -> Result<Clusters> {
    if (auto ok = check_options(metric, sample, options); !ok) return ok.error();
    auto floats = floats_of(kCluster, sample);
    if (!floats) return floats.error();
    CellFinder finder(metric, *std::move(floats), sample.dims, options);
    const auto cells = finder.find();
    if (!cells) return cells.error();
    const std::size_t k = std::min(kNearCells, cells->size());
    const auto near =
        nearest_cells(*cells, finder.rows(), k, Plan::walk, options.threads, options.stop);
    if (!near) return near.error();
    const auto packed =
        pack_cells(graph_of(*near, k, cells->size()), options.shards, options.largest);
    auto router = router_of(*cells, packed, options.threads);
    if (!router) return router.error();
    const auto rows = two_shards_of(*router, finder.rows(), options.threads, options.stop);
    if (!rows) return rows.error();
    std::vector<float> gaps(options.shards);
    if (options.copies > 0) {
      const double all = static_cast<double>(finder.size()) * (1 + options.copies);
      gaps = gaps_for(*rows, options.shards,
                      static_cast<std::size_t>(all / static_cast<double>(options.shards)));
    }
    return Clusters{*std::move(router), std::move(gaps)};
  });
}

Result<void> assign_shards(const Index& router, std::span<const float> gaps, MatrixView rows,
                           std::span<std::uint32_t> first, std::span<std::uint32_t> second,
                           unsigned threads) {
  return guarded(kAssign, [&]() -> Result<void> {
    // What rows of their kind may be; how the router is walked is another matter.
    IndexParams params = router_params(router.params().metric, router.params().dimensions);
    params.scalar = rows.scalar;
    if (auto ok = check_params(params); !ok) return ok;
    if (auto ok = check_matrix(kAssign, rows, params, Purpose::store); !ok) return ok;
    if (first.size() < rows.rows || second.size() < rows.rows) {
      return Error(ErrorCode::invalid_argument,
                   std::string(kAssign) + ": there is no room for the shards of all rows");
    }
    if (auto ok = check_router(router, gaps.size(), kAssign); !ok) return ok;
    for (std::size_t begin = 0; begin < rows.rows; begin += kClusteredAtOnce) {
      MatrixView some = rows;
      some.data = rows.row(begin).data();
      some.rows = std::min(kClusteredAtOnce, rows.rows - begin);
      const auto floats = floats_of(kAssign, some);
      if (!floats) return floats.error();
      const auto view = MatrixView::f32(floats->data(), some.rows, some.dims);
      const auto two = two_shards_of(router, view, threads, nullptr);
      if (!two) return two.error();
      for (std::size_t i = 0; i < some.rows; ++i) {
        const TwoShards& row = (*two)[i];
        first[begin + i] = row.first;
        const bool is_copied = row.second != kNoShard && row.gap < gaps[row.second];
        second[begin + i] = is_copied ? row.second : kNoShard;
      }
    }
    return {};
  });
}

}  // namespace cairn
