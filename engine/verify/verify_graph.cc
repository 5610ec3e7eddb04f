// SPDX-License-Identifier: Apache-2.0
#include "engine/verify/verify_graph.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <string>
#include <vector>

#include "engine/base/workers.h"
#include "engine/graph/reachability.h"
#include "engine/store/level_generator.h"
#include "engine/vectors/codec.h"
#include "engine/vectors/components.h"

namespace cairn {

namespace {

// A damaged file can have a defect in every word; nobody reads more than this.
constexpr std::size_t kMostFindings = 1000;

constexpr std::uint8_t kStateFlags = format::hot::kFlagLive | format::hot::kFlagDeleted;

std::string text(std::uint64_t value) { return std::to_string(value); }

bool close(float a, float b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) == std::isnan(b);
  if (std::isinf(a) || std::isinf(b)) return a == b;
  return std::fabs(a - b) <= 1e-6f * std::max(std::fabs(a), std::fabs(b));
}

class GraphVerifier {
 public:
  GraphVerifier(const NodeStore& store, const KeyTable& table, VerifyReport& report)
      : parameters_(store.parameters()),
        graph_(store.view()),
        table_(table),
        generator_(parameters_.m, parameters_.seed),
        report_(report) {
    store.store(counters_);
  }

  Result<void> run(std::uint64_t live, const GraphVerifyOptions& options);

 private:
  // Working memory of one worker.
  struct Scratch {
    std::vector<NodeId> sorted;
    std::vector<float> floats;
    std::vector<std::int8_t> code;
    std::vector<std::byte> vector;
  };
  void check_node(NodeId node, Scratch& scratch);
  std::uint32_t level_by_hash(NodeId node, Scratch& scratch) const;
  // `stated`: the degree as it stands there.
  void check_list(NodeId node, std::uint32_t level, const LinkList& list, std::uint32_t stated,
                  std::vector<NodeId>& sorted);
  void check_vector(NodeId node, Scratch& scratch);
  void check_upper(NodeId node, std::uint32_t level, UpperIndex index, std::vector<NodeId>& sorted);
  void check_free_slot(NodeId node);
  void check_free_slots();
  void check_free_upper();
  void check_entry_point();
  void check_key_table(std::uint64_t live);
  void count_unreachable();
  void found(std::string finding);

  bool is_free(NodeId node) const { return (graph_.flags(node) & kStateFlags) == 0; }

  const format::Parameters& parameters_;
  GraphView graph_;
  format::Counters counters_{};  // what the store is in charge of
  const KeyTable& table_;
  LevelGenerator generator_;
  std::mutex mutex_;
  VerifyReport& report_;  // guarded by mutex_ while workers run
  std::atomic<std::uint32_t> highest_{0};
  std::atomic<std::uint64_t> live_{0};
  std::atomic<std::uint64_t> deleted_{0};
  std::atomic<std::uint64_t> free_{0};
  std::atomic<std::uint64_t> upper_in_use_{0};
};

void GraphVerifier::found(std::string finding) {
  const std::lock_guard lock(mutex_);
  if (report_.findings.size() == kMostFindings) {
    report_.findings.push_back("more than " + text(kMostFindings) +
                               " defects; the rest is not listed");
  }
  if (report_.findings.size() < kMostFindings) report_.findings.push_back(std::move(finding));
}

void GraphVerifier::check_list(NodeId node, std::uint32_t level, const LinkList& list,
                               std::uint32_t stated, std::vector<NodeId>& sorted) {
  const std::string where = "node " + text(node.index) + ", level " + text(level) + ": ";
  const std::uint32_t capacity = level == 0 ? graph_.m_max0 : graph_.m;
  if (stated > capacity) {
    found(where + "degree " + text(stated) + ", the list holds " + text(capacity));
  }
  sorted.clear();
  for (std::uint32_t i = 0; i < list.degree; ++i) {
    const NodeId link{list.unchecked(i)};
    if (link >= list.count) {
      found(where + "link " + text(i) + " is " + text(link.index) + ", there are " +
            text(graph_.count) + " nodes");
    } else if (link == node) {
      found(where + "link " + text(i) + " points to the node itself");
    } else if (level > 0 && graph_.level(link) < level) {
      found(where + "link " + text(i) + " points to node " + text(link.index) + " of level " +
            text(graph_.level(link)));
    } else if (is_free(link)) {
      found(where + "link " + text(i) + " points to the free slot " + text(link.index));
    } else {
      sorted.push_back(link);
    }
  }
  for (std::uint32_t i = list.degree; i < capacity; ++i) {
    if (list.unchecked(i) != 0) found(where + "unused link " + text(i) + " is not zero");
  }
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end()) found(where + "two links to node " + text(twice->index));
}

void GraphVerifier::check_upper(NodeId node, std::uint32_t level, UpperIndex index,
                                std::vector<NodeId>& sorted) {
  const GraphView::UpperHead head = graph_.upper_head(index);
  if (head.owner != node || head.level != level) {
    found("upper record " + text(index.value()) + " is that of node " + text(head.owner.index) +
          ", level " + text(head.level) + "; node " + text(node.index) +
          " takes it for its level " + text(level));
  }
  check_list(node, level, graph_.upper_links(index), head.degree, sorted);
}

void GraphVerifier::check_vector(NodeId node, Scratch& scratch) {
  const std::string where = "node " + text(node.index) + ": ";
  const std::size_t dims = parameters_.dimensions;
  // What is checked must not change while it is.
  const std::byte* stored = graph_.vector(node);
  scratch.vector.assign(stored, stored + vector_bytes(parameters_.scalar, parameters_.dimensions));
  const VectorView vector = view_of(parameters_.scalar, scratch.vector.data(), dims);
  if (!well_formed(vector)) {
    found(where + defect_of(vector).message());
    return;
  }
  scratch.code.resize(dims);
  const Code right = factors_of(parameters_, vector.data(), scratch.floats, scratch.code.data());
  if (parameters_.traversal == Traversal::code &&
      std::memcmp(scratch.code.data(), graph_.code(node), dims) != 0) {
    found(where + "the code does not belong to the vector");
  }
  if (!close(right.a, graph_.factor_a(node)) || !close(right.b, graph_.factor_b(node)) ||
      right.usable != ((graph_.flags(node) & format::hot::kFlagNoCode) == 0)) {
    found(where + "the factors do not belong to the vector");
  }
}

std::uint32_t GraphVerifier::level_by_hash(NodeId node, Scratch& scratch) const {
  if (!parameters_.several_per_key) return generator_.level(graph_.key(node));
  // What is hashed must not change meanwhile.
  const std::byte* stored = graph_.vector(node);
  scratch.vector.assign(stored, stored + vector_bytes(parameters_.scalar, parameters_.dimensions));
  return generator_.level_of(level_hash_of(parameters_, graph_.key(node), scratch.vector.data()));
}

void GraphVerifier::check_node(NodeId node, Scratch& scratch) {
  const std::string where = "node " + text(node.index) + ": ";
  const std::uint8_t flags = graph_.flags(node);
  if (is_free(node)) return check_free_slot(node);
  const bool live = (flags & format::hot::kFlagLive) != 0;
  const bool deleted = (flags & format::hot::kFlagDeleted) != 0;
  if (live == deleted || (flags & ~7u) != 0) found(where + "flags " + text(flags));
  (live ? live_ : deleted_).fetch_add(1, std::memory_order_relaxed);

  // Each number is read once: a writer elsewhere may change it at any moment.
  const std::uint32_t level = graph_.level(node);
  const std::uint64_t first = graph_.stated_upper(node);
  const std::uint32_t right_level = level_by_hash(node, scratch);
  if (level != right_level) {
    found(where + "level " + text(level) + ", its key has level " + text(right_level));
  } else if (level == 0 ? first != kNoUpper : first + level > graph_.upper_count) {
    found(where + "upper records at " + text(first) + ", there are " + text(graph_.upper_count));
  } else {
    for (std::uint32_t l = 1; l <= level; ++l) {
      if (const auto index = graph_.upper_index(first + l - 1)) {
        check_upper(node, l, *index, scratch.sorted);
      }
    }
    upper_in_use_.fetch_add(level, std::memory_order_relaxed);
    std::uint32_t highest = highest_.load(std::memory_order_relaxed);
    while (live && level > highest && !highest_.compare_exchange_weak(highest, level)) {
    }
  }
  check_list(node, 0, graph_.links(node), graph_.stated_degree(node), scratch.sorted);
  check_vector(node, scratch);
}

// Zero but for the generation and the chain.
void GraphVerifier::check_free_slot(NodeId node) {
  free_.fetch_add(1, std::memory_order_relaxed);
  if (!graph_.is_zero_slot(node)) found("free slot " + text(node.index) + " is not zero");
}

// The chain holds every free slot once.
void GraphVerifier::check_free_slots() {
  std::uint64_t chained = 0;
  NodeId node{counters_.slot_free};
  while (node != kNoNode && chained <= graph_.count) {
    if (node >= graph_.count || !is_free(node)) {
      found("chain of free slots: slot " + text(node.index) + " is not free");
      return;
    }
    ++chained;
    node = {graph_.stated_upper(node)};
  }
  if (chained != free_) {
    found("chain of free slots: " + text(chained) + " slots, there are " + text(free_));
  }
  if (deleted_ != counters_.deleted) {
    found(text(counters_.deleted) + " deleted nodes recorded, " + text(deleted_) + " counted");
  }
}

// With those that nodes own, the blocks of the chains are all records. No two can overlap then, as
// the owned ones name their node and level.
void GraphVerifier::check_free_upper() {
  std::uint64_t records = upper_in_use_;
  for (std::uint32_t level = 1; level < format::kMaxLevels; ++level) {
    std::uint64_t first = counters_.upper_free[level];
    while (first != kNoUpper && records <= graph_.upper_count) {
      const std::string where = "free upper block " + text(first) + ": ";
      const auto index = graph_.upper_index(first);
      if (!index || first + level > graph_.upper_count) {
        found(where + "there are " + text(graph_.upper_count) + " records");
        return;
      }
      const GraphView::UpperHead head = graph_.upper_head(*index);
      if (head.owner != kNoNode || head.level != level) {
        found(where + "size " + text(head.level) + " in the chain of those of " + text(level));
        return;
      }
      if (!graph_.is_zero_block(*index, level)) found(where + "it is not zero");
      records += level;
      first = graph_.next_free_upper(*index);
    }
  }
  if (records != graph_.upper_count) {
    found(text(records) + " upper records in use or free, there are " + text(graph_.upper_count));
  }
}

void GraphVerifier::check_entry_point() {
  const NodeId entry{counters_.entry_point};  // as the file has it, not as it is bounded
  if (entry == kNoNode) {
    if (live_ != 0) found("no entry point, there are " + text(live_) + " live nodes");
  } else if (graph_.count == 0) {
    found("entry point " + text(entry.index) + " of an empty index");
  } else if (entry >= graph_.count) {
    found("entry point " + text(entry.index) + ", there are " + text(graph_.count) + " nodes");
  } else if (is_free(entry)) {
    found("entry point " + text(entry.index) + " is a free slot");
  } else if (counters_.max_level != graph_.level(entry) || counters_.max_level < highest_ ||
             (graph_.is_live(entry) && counters_.max_level != highest_)) {
    found("entry point " + text(entry.index) + " of level " + text(graph_.level(entry)) +
          ", recorded " + text(counters_.max_level) + ", highest " + text(highest_));
  }
}

// One walk over the table, not a look-up per node, which would take quadratic time in a file whose
// keys all share a bucket.
void GraphVerifier::check_key_table(std::uint64_t live) {
  std::vector<bool> listed(graph_.count);
  const auto defect = table_.for_each(graph_.count, [&](NodeId node) {
    // Where a key has one node, the table has told of a key that stands twice.
    if (listed[node.index] && parameters_.several_per_key) {
      found("node " + text(node.index) + " stands in the key table twice");
    }
    listed[node.index] = true;
  });
  if (defect) found("key table: " + *defect);
  for (const NodeId node : nodes_below(graph_.count)) {
    const bool is_live = (graph_.flags(node) & format::hot::kFlagLive) != 0;
    if (is_live == listed[node.index]) continue;
    found(
        "node " + text(node.index) + ": key " + text(graph_.key(node)) +
        (is_live ? " is not in the key table" : " is in the key table, but the node is not live"));
  }
  if (live_ != live) {
    found(text(live) + " live nodes recorded, " + text(live_) + " counted");
  }
}

void GraphVerifier::count_unreachable() {
  Reachability reachability(graph_);
  reachability.mark_from(graph_.entry_point);
  for (const NodeId node : nodes_below(graph_.count)) {
    const bool live = (graph_.flags(node) & format::hot::kFlagLive) != 0;
    report_.unreachable += live && !reachability.reached(node);
  }
  // A live entry point reaches itself, and a removed one has an heir.
  if (graph_.entry_point != kNoNode && live_ != 0 && report_.unreachable == live_) {
    found("entry point " + text(graph_.entry_point.index) + " leads to none of the " + text(live_) +
          " live nodes");
  }
}

Result<void> GraphVerifier::run(std::uint64_t live, const GraphVerifyOptions& options) {
  Workers workers(options.threads);
  std::atomic<std::uint64_t> done{0};
  std::mutex progress;
  workers.run(graph_.count, 4096, [&](unsigned, std::size_t begin, std::size_t end) {
    if (options.stop != nullptr && options.stop->load(std::memory_order_relaxed)) return;
    Scratch scratch;
    for (std::size_t i = begin; i < end; ++i) check_node({static_cast<std::uint32_t>(i)}, scratch);
    const std::lock_guard lock(progress);
    const std::uint64_t now = done.fetch_add(end - begin) + (end - begin);
    if (options.progress) options.progress(now);
  });
  if (done != graph_.count) return Error(ErrorCode::cancelled, "verify: stopped by the caller");
  report_.nodes_checked = graph_.count;
  check_free_slots();
  check_free_upper();
  check_entry_point();
  check_key_table(live);
  count_unreachable();
  return {};
}

}  // namespace

Result<void> verify_graph(const NodeStore& store, const KeyTable& table, std::uint64_t live,
                          const GraphVerifyOptions& options, VerifyReport& report) {
  return GraphVerifier(store, table, report).run(live, options);
}

}  // namespace cairn
