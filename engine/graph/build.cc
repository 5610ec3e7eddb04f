// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/build.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/assert.h"
#include "engine/base/workers.h"
#include "engine/graph/insert.h"
#include "engine/graph/leaf_links.h"
#include "engine/graph/reachability.h"
#include "engine/graph/self_search.h"
#include "engine/search/admission.h"
#include "engine/store/level_generator.h"
#include "engine/vectors/components.h"
#include "format/bytes/checksum.h"

namespace cairn {

namespace {

// Nodes of one batch do not see each other while they choose their neighbors. So batches are small
// beside the graph that they are inserted into, and bounded; their size must not depend on the
// number of threads.
constexpr std::size_t kBatchShare = 128;
constexpr std::size_t kLargestBatch = 1024;

// Link lists of a batch are changed in parallel, each shard of targets by one worker.
constexpr std::size_t kShards = 128;

struct BackLink {
  NodeId target;
  std::uint32_t level;
  NodeId source;
};

// Rows are inserted in their order.
NodeId node_of_row(std::size_t i) { return {static_cast<std::uint32_t>(i)}; }

class Builder {
 public:
  Builder(NodeStore& store, KeyTable& table, std::span<const Key> keys, const RowReader& rows,
          const LinkLevel0& link_level_0, const BuildOptions& options)
      : store_(store),
        table_(table),
        keys_(keys),
        rows_(rows),
        link_level_0_(link_level_0),
        options_(options),
        linker_(store),
        workers_(options.threads),
        scratch_(workers_.size()),
        row_buffers_(workers_.size()),
        shards_(kShards) {}

  Result<void> run() {
    if (auto ok = check_rows(); !ok) return ok;
    if (auto ok = place_nodes(); !ok) return ok;
    if (auto ok = place_keys(); !ok) return ok;
    if (auto ok = link_nodes(); !ok) return ok;
    if (auto ok = link_strays(); !ok) return ok;
    if (auto ok = attach_unreachable(); !ok) return ok;
    store_.publish(static_cast<std::uint32_t>(keys_.size()), upper_records_, keys_.size());
    store_.publish_entry(view_.entry_point, view_.max_level);
    return {};
  }

 private:
  bool stopped() const {
    return options_.stop != nullptr && options_.stop->load(std::memory_order_relaxed);
  }
  static Error cancelled() { return Error(ErrorCode::cancelled, "build: stopped by the caller"); }

  template <class Look>
  Result<void> look_at_rows(std::size_t at_once, Look&& look);
  Error problem_of(std::size_t bad);
  Result<void> check_rows();
  Result<void> find_levels();
  Result<void> place_nodes();
  Result<void> place_keys();
  Result<void> link_nodes();
  Result<void> use_given_links();
  bool suits_leaves() const;
  std::size_t move_copies_back(std::vector<NodeId>& nodes);
  Result<void> link_leaves(std::span<const NodeId> nodes);
  Result<void> insert(std::span<const NodeId> nodes, std::size_t inserted);
  void link_batch(std::span<const NodeId> batch);
  void link_back(unsigned worker, std::vector<BackLink>& shard);
  Result<void> link_strays() {
    const Space space(store_.parameters(), view_);
    const auto go_on = [&](std::uint32_t) { return stopped() ? cancelled() : Result<void>(); };
    return link_all_strays(space, linker_, workers_, scratch_, go_on);
  }
  Result<void> attach_unreachable();
  bool attach(NodeId node, const Reachability& reachability, LinkScratch& scratch);

  NodeStore& store_;
  KeyTable& table_;
  std::span<const Key> keys_;
  const RowReader& rows_;
  const LinkLevel0& link_level_0_;
  const BuildOptions& options_;
  Linker linker_;
  Workers workers_;
  std::vector<LinkScratch> scratch_;                 // one a worker
  std::vector<std::vector<std::byte>> row_buffers_;  // the same
  std::vector<std::vector<BackLink>> shards_;        // of one batch
  std::vector<std::uint64_t> level_hashes_;          // by row, as level_hash_of() gives them
  std::vector<std::uint8_t> levels_;
  std::uint32_t upper_records_ = 0;
  std::uint32_t lowest_ = 0;           // level that is linked by searching
  bool leaves_follow_ = false;         // which will tell of progress
  std::map<NodeId, NodeId> attached_;  // nearest reached node -> last one attached there
  GraphView view_{};                   // all nodes; only those inserted have links to them
};

// Calls look(row, worker) for all rows; the problem of the first of those that it is false for.
template <class Look>
Result<void> Builder::look_at_rows(std::size_t at_once, Look&& look) {
  const std::size_t n = keys_.size();
  std::atomic<std::size_t> first_bad{n};
  workers_.run(n, at_once, [&](unsigned worker, std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      if (look(i, worker)) continue;
      std::size_t least = first_bad.load();
      while (i < least && !first_bad.compare_exchange_weak(least, i)) {
      }
      return;
    }
  });
  const std::size_t bad = first_bad.load();
  return bad == n ? Result<void>() : problem_of(bad);
}

Error Builder::problem_of(std::size_t bad) {
  const auto row = rows_(bad, row_buffers_[0]);
  if (!row) return row.error();
  const std::string where = "build: row " + std::to_string(bad);
  // It may have become good again, or never have been bad: rows may stand in a mapped file.
  if (well_formed(*row)) return Error(ErrorCode::busy, where + " was changed while it was read");
  const Error defect = defect_of(*row);
  return Error(defect.code(), where + ", " + defect.message());
}

Result<void> Builder::check_rows() {
  return look_at_rows(1024, [&](std::size_t i, unsigned worker) {
    const auto row = rows_(i, row_buffers_[worker]);
    return row && well_formed(*row);
  });
}

Result<void> Builder::find_levels() {
  const format::Parameters& parameters = store_.parameters();
  level_hashes_.resize(keys_.size());
  return look_at_rows(4096, [&](std::size_t i, unsigned worker) {
    if (!parameters.several_per_key) {
      level_hashes_[i] = level_hash(keys_[i], parameters.seed);
      return true;
    }
    const auto row = rows_(i, row_buffers_[worker]);
    if (row) level_hashes_[i] = level_hash_of(parameters, keys_[i], row->data());
    return row.has_value();
  });
}

// What is read of a row here is what the index has of it. If that is not what it was before, the
// build ends: levels would not fit.
Result<void> Builder::place_nodes() {
  if (auto ok = find_levels(); !ok) return ok;
  const std::size_t n = keys_.size();
  const format::Parameters& parameters = store_.parameters();
  const LevelGenerator generator(parameters.m, parameters.seed);
  levels_.resize(n);
  std::vector<std::uint32_t> upper(n);
  for (std::size_t i = 0; i < n; ++i) {
    levels_[i] = static_cast<std::uint8_t>(generator.level_of(level_hashes_[i]));
    upper[i] = levels_[i] > 0 ? upper_records_ : kNoUpper;
    upper_records_ += levels_[i];
  }
  if (auto room = store_.reserve(n, upper_records_); !room) return room;
  const GraphView written = store_.view();
  return look_at_rows(512, [&](std::size_t i, unsigned worker) {
    const NodeId node = node_of_row(i);
    const auto row = rows_(i, row_buffers_[worker]);
    return row &&
           linker_.write_node(node, keys_[i], levels_[i], upper[i], row->data(),
                              scratch_[worker].search.query) &&
           level_hash_of(parameters, written.key(node), written.vector(node)) == level_hashes_[i];
  });
}

Result<void> Builder::place_keys() {
  if (auto room = table_.reserve(keys_.size()); !room) return room;
  const bool has_several = store_.parameters().several_per_key;
  const GraphView written = store_.view();
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    const Key key = written.key(node_of_row(i));
    const auto other = has_several ? std::nullopt : table_.find(key, i);
    if (other) {
      return Error(ErrorCode::key_exists, "build: row " + std::to_string(i) + ": key " +
                                              std::to_string(key) + " is already that of row " +
                                              std::to_string(other->index));
    }
    if (auto ok = table_.insert(key, node_of_row(i)); !ok) return ok;
  }
  return {};
}

Result<void> Builder::link_nodes() {
  // High levels first, so that the upper levels are complete before most nodes descend through
  // them; within a level in an order that has nothing to do with the caller's, which may be sorted
  // by content.
  std::vector<std::pair<std::uint64_t, NodeId>> order(keys_.size());
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    order[i] = {level_hashes_[i], node_of_row(i)};
  }
  std::sort(order.begin(), order.end());  // a level is a bound on the same hash: small means high
  std::vector<NodeId> nodes(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) nodes[i] = order[i].second;

  view_ = store_.view();
  view_.count = static_cast<std::uint32_t>(nodes.size());
  view_.upper_count = upper_records_;
  view_.entry_point = nodes.front();
  view_.max_level = levels_[nodes.front().index];

  if (auto ok = use_given_links(); !ok) return ok;
  const bool by_leaves = lowest_ == 0 && suits_leaves();
  std::span<const NodeId> first = nodes;
  if (lowest_ == 1 || by_leaves) {  // those of a higher level stand first
    first = first.first(static_cast<std::size_t>(
        std::partition_point(nodes.begin(), nodes.end(),
                             [&](NodeId node) { return levels_[node.index] > 0; }) -
        nodes.begin()));
  }
  if (!by_leaves) return insert(first, 1);
  lowest_ = 1;
  leaves_follow_ = true;
  if (auto ok = insert(first, 1); !ok) return ok;
  lowest_ = 0;
  leaves_follow_ = false;
  const std::size_t copies = move_copies_back(nodes);
  const std::span<const NodeId> different(nodes.data(), nodes.size() - copies);
  if (auto ok = link_leaves(different); !ok) return ok;
  return insert(nodes, different.size());
}

// Leaves are for many rows; and inner products gather around what is long, not what is near.
bool Builder::suits_leaves() const {
  return keys_.size() >= kFewestForLeaves && store_.parameters().metric != Metric::inner_product;
}

// Moves the nodes of level 0 whose vector is that of an earlier one behind all others, both in
// their order; how many they are. To each other copies are the nearest, and would see nothing else
// in any leaf.
std::size_t Builder::move_copies_back(std::vector<NodeId>& nodes) {
  const std::size_t bytes =
      vector_bytes(store_.parameters().scalar, store_.parameters().dimensions);
  std::vector<std::pair<std::uint64_t, std::size_t>> hashes(nodes.size());  // and places in `nodes`
  workers_.run(nodes.size(), 1024, [&](unsigned, std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      hashes[i] = {format::hash64({view_.vector(nodes[i]), bytes}), i};
    }
  });
  std::sort(hashes.begin(), hashes.end());
  const Space space(store_.parameters(), view_);
  std::vector<std::uint8_t> is_copy(nodes.size());
  std::size_t copies = 0;
  for (std::size_t i = 1, first = 0; i < hashes.size(); ++i) {
    if (hashes[i].first != hashes[first].first) {
      first = i;
      continue;
    }
    const NodeId node = nodes[hashes[i].second];
    if (levels_[node.index] > 0 || !space.same_vector(node, nodes[hashes[first].second])) continue;
    is_copy[hashes[i].second] = 1;
    ++copies;
  }
  std::vector<NodeId> behind;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (is_copy[i] != 0) {
      behind.push_back(nodes[i]);
    } else {
      nodes[kept++] = nodes[i];
    }
  }
  std::copy(behind.begin(), behind.end(), nodes.begin() + static_cast<std::ptrdiff_t>(kept));
  return copies;
}

Result<void> Builder::link_leaves(std::span<const NodeId> nodes) {
  LeafLinker leaves(store_, view_, linker_, workers_, scratch_);
  return leaves.link(nodes, [&](double done) -> Result<void> {
    if (stopped()) return cancelled();
    const auto linked = static_cast<std::size_t>(done * static_cast<double>(nodes.size()));
    if (options_.progress) options_.progress(linked, keys_.size());
    return {};
  });
}

// All behind the first `inserted` nodes, which have their links.
Result<void> Builder::insert(std::span<const NodeId> nodes, std::size_t inserted) {
  if (stopped()) return cancelled();
  const auto report = [&] {
    if (options_.progress && !leaves_follow_) options_.progress(inserted, nodes.size());
  };
  if (inserted == nodes.size()) report();
  while (inserted < nodes.size()) {
    if (stopped()) return cancelled();
    const std::size_t size = std::min(
        {std::max<std::size_t>(1, inserted / kBatchShare), kLargestBatch, nodes.size() - inserted});
    link_batch(nodes.subspan(inserted, size));
    inserted += size;
    report();
  }
  return {};
}

// Level 0 has the links that it is given, or none.
Result<void> Builder::use_given_links() {
  if (!link_level_0_) return {};
  const auto usable = link_level_0_(store_, view_);
  if (!usable) return usable.error();
  if (*usable) {
    lowest_ = 1;
    return {};
  }
  for (const NodeId node : nodes_below(view_.count)) store_.set_links(node, 0, {});
  return {};
}

void Builder::link_batch(std::span<const NodeId> batch) {
  const Space space(store_.parameters(), view_);
  workers_.run(batch.size(), 8, [&](unsigned worker, std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      const std::uint32_t level = levels_[batch[i].index];
      const Choice choice =
          linker_.choose_neighbors(space, batch[i], level, scratch_[worker], lowest_);
      linker_.write_lists(batch[i], level, choice, lowest_);
    }
  });

  for (auto& shard : shards_) shard.clear();
  for (const NodeId node : batch) {
    for (std::uint32_t level = lowest_; level <= levels_[node.index]; ++level) {
      for (const NodeId target : view_.links_on(node, level)) {
        shards_[target.index % kShards].push_back({target, level, node});
      }
    }
  }
  workers_.run(kShards, 1, [&](unsigned worker, std::size_t begin, std::size_t end) {
    for (std::size_t shard = begin; shard < end; ++shard) link_back(worker, shards_[shard]);
  });
}

void Builder::link_back(unsigned worker, std::vector<BackLink>& shard) {
  std::stable_sort(shard.begin(), shard.end(), [](const BackLink& a, const BackLink& b) {
    return a.target != b.target ? a.target < b.target : a.level < b.level;
  });
  const Space space(store_.parameters(), view_);
  LinkScratch& scratch = scratch_[worker];
  std::vector<NodeId> sources;
  for (std::size_t begin = 0; begin < shard.size();) {
    const BackLink& first = shard[begin];
    std::size_t end = begin;
    sources.clear();
    while (end < shard.size() && shard[end].target == first.target &&
           shard[end].level == first.level) {
      sources.push_back(shard[end++].source);
    }
    linker_.link_back(space, first.target, first.level, sources, scratch);
    begin = end;
  }
}

// Selecting can drop the last link to a node. Each node that the entry point does not reach is
// linked from a near one that it does reach.
Result<void> Builder::attach_unreachable() {
  Reachability reachability(view_);
  std::uint64_t reached = reachability.mark_from(view_.entry_point);
  for (const NodeId node : nodes_below(view_.count)) {
    if (reached == view_.count) break;
    if (reachability.reached(node)) continue;
    if (stopped()) return cancelled();  // nearly all nodes come here if they are copies of one
    if (attach(node, reachability, scratch_[0])) reached += reachability.mark_from(node);
  }
  return {};
}

// Links `node` from a reached node that has room: one of the nearest; or, where many equal vectors
// have filled the lists of all those, the one that was attached beside the same nearest node last;
// or any that the search has met.
bool Builder::attach(NodeId node, const Reachability& reachability, LinkScratch& scratch) {
  // Nodes that are not reached are mostly near copies, which codes do not order.
  const Space space = Space(store_.parameters(), view_).on_vectors();
  const Query query = space.prepare(node, scratch.search.query);
  const std::size_t ef = store_.parameters().m_max0;
  // Begun at a reached node, a search of level 0 meets no others; but upper levels know nodes,
  // perhaps this very one, that level 0 does not reach.
  Nearest begin = descend(space, query, 0, scratch.search);
  if (!reachability.reached(begin.node)) {
    begin.node = view_.entry_point;
    space.distances(query, &begin.node, 1, &begin.distance);
  }
  search_from(space, query, 0, begin, ef, ef, AdmitLive{view_, ef}, scratch.search);

  const NeighborPool& found = scratch.search.pool;
  const VisitedSet& met = scratch.search.visited;
  NodeId& last = attached_.try_emplace(found.id(0), found.id(0)).first->second;
  const auto link_from = [&](NodeId host) { return linker_.append_if_room(host, 0, node); };
  bool linked = false;
  for (std::size_t i = 0; i < found.size() && !linked; ++i) linked = link_from(found.id(i));
  linked = linked || link_from(last);
  for (std::size_t i = 0; i < met.met() && !linked; ++i) linked = link_from(met.list()[i]);
  if (linked) last = node;
  return linked;
}

}  // namespace

RowReader rows_of(const MatrixView& rows) {
  return
      [rows](std::size_t i, std::vector<std::byte>&) -> Result<VectorView> { return rows.row(i); };
}

Result<void> build_graph(NodeStore& store, KeyTable& table, std::span<const Key> keys,
                         const MatrixView& rows, const BuildOptions& options) {
  CAIRN_ASSERT(keys.size() == rows.rows && rows.scalar == store.parameters().scalar);
  CAIRN_ASSERT(keys.empty() || rows.dims == store.parameters().dimensions);
  return build_graph(store, table, keys, rows_of(rows), {}, options);
}

Result<void> build_graph(NodeStore& store, KeyTable& table, std::span<const Key> keys,
                         const RowReader& rows, const LinkLevel0& link_level_0,
                         const BuildOptions& options) {
  if (keys.empty()) return {};
  const auto give_up = [&](Error error) {
    store.clear();
    table.clear();
    return error;
  };
  try {
    Builder builder(store, table, keys, rows, link_level_0, options);
    if (auto built = builder.run(); !built) return give_up(built.error());
  } catch (...) {
    (void)give_up(Error(ErrorCode::internal, ""));
    throw;
  }
  return {};
}

}  // namespace cairn
