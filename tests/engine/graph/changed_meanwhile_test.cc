// SPDX-License-Identifier: Apache-2.0
//
// What is read of memory that others may change, rows that are given and pages of a mapped file, is
// read once, or compared with what it was: the outcome is an error or a sound index.
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include <cairn/cairn.h>

#include "engine/base/commit_mutex.h"
#include "engine/base/epochs.h"
#include "engine/base/table_mutex.h"
#include "engine/change/writer.h"
#include "engine/graph/build.h"
#include "engine/graph/compact.h"
#include "engine/store/change_sink.h"
#include "engine/store/key_table.h"
#include "engine/store/node_store.h"
#include "engine/transfer/live_graph.h"
#include "engine/verify/verify_graph.h"
#include "tests/engine/graph/tiny_graph.h"
#include "tests/support/nodes.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

struct Parts {
  explicit Parts(bool several, std::size_t dims = 4)
      : store(NodeStore::create(NodeStore::layout(params(several, dims))).value()),
        hash(region()),
        overflow(region()),
        table(&hash, &overflow, store.key_region(), KeyHash(7),
              several ? NodesOfKey::several : NodesOfKey::one) {}

  static IndexParams params(bool several, std::size_t dims) {
    IndexParams params;
    params.dimensions = dims;
    params.metric = Metric::l2sq;
    params.several_per_key = several;
    return params;
  }
  static format::Region region() {
    return format::Region::reserve(4096, std::size_t{64} << 20).value();
  }
  std::atomic_ref<std::uint8_t> flags(NodeId node) {
    const format::Parameters& p = store.parameters();
    std::byte* const at = store.section(format::SectionId::hot).data() + node.index * p.hot_stride +
                          p.hot_factor_offset + format::hot::kFlags;
    return std::atomic_ref<std::uint8_t>(*reinterpret_cast<std::uint8_t*>(at));
  }

  NodeStore store;
  format::Region hash;
  format::Region overflow;
  KeyTable table;
};

// --- rows of a build

// Rows of which one is another one after it has been read so many times.
class ChangingRows {
 public:
  ChangingRows(const test::Vectors& vectors, std::size_t row, int reads, std::vector<float> then)
      : vectors_(vectors), row_(row), left_(reads), then_(std::move(then)) {}

  RowReader reader() {
    return [this](std::size_t i, std::vector<std::byte>&) -> Result<VectorView> {
      if (i != row_ || left_-- > 0) return vectors_.vector(i);
      if (then_.empty()) return Error(ErrorCode::unsupported, "the row is gone");
      return VectorView(then_);
    };
  }

 private:
  const test::Vectors& vectors_;
  std::size_t row_;
  std::atomic<int> left_;
  std::vector<float> then_;
};

// What a build of 50 rows says if one of them is that after so many reads, and leaves nothing.
ErrorCode outcome(bool several, int reads, const std::vector<float>& then) {
  const test::Vectors vectors = test::random_vectors(50, 4, 3);
  Parts parts(several);
  ChangingRows rows(vectors, 20, reads, then);
  const auto built =
      build_graph(parts.store, parts.table, vectors.keys, rows.reader(), {}, {.threads = 1});
  EXPECT_EQ(parts.store.count(), built ? 50u : 0u);
  EXPECT_EQ(parts.table.size(), built ? 50u : 0u);
  return built ? ErrorCode() : built.error().code();
}

TEST(BuildOfChangingRows, EndsWithAnErrorWhereOneBecomesNoNumber) {
  for (const bool several : {false, true}) {
    for (int reads = 0; reads < 3 + several; ++reads) {
      const ErrorCode code = outcome(several, reads, {1, kNaN, 2, 3});
      // Whoever looks for the problem may find none, as that was read last.
      if (reads < 2 + several) {
        EXPECT_EQ(code, ErrorCode::not_finite) << reads;
      }
    }
  }
}

TEST(BuildOfChangingRows, EndsWithItsErrorWhereOneCannotBeReadAnyMore) {
  for (const bool several : {false, true}) {
    for (int reads = 0; reads < 2 + several; ++reads) {
      EXPECT_EQ(outcome(several, reads, {}), ErrorCode::unsupported) << reads;
    }
  }
}

TEST(BuildOfChangingRows, EndsWhereALevelWouldNotFit) {
  EXPECT_EQ(outcome(true, 2, {1, 2, 3, 4}), ErrorCode::busy);
  // Where keys alone decide on levels, the last look is what counts.
  EXPECT_EQ(outcome(false, 1, {1, 2, 3, 4}), ErrorCode());
}

// --- rows that are added

// The vector of the caller becomes another one when room is made for it.
struct ChangingVector final : ChangeSink {
  Result<void> grow(format::SectionId, format::Region& region, std::uint64_t bytes) override {
    vector[1] = kNaN;
    return region.grow_anonymous(bytes);
  }
  void changed(format::SectionId, std::uint64_t, std::size_t) noexcept override {}

  std::vector<float> vector = {1, 2, 3, 4};
};

TEST(AddOfAChangingVector, StoresWhatItHasChecked) {
  Parts parts(false);
  CommitMutex commit;
  TableMutex table_mutex;
  Epochs epochs;
  Writer writer(parts.store, parts.table, commit, table_mutex, epochs);
  ChangingVector sink;
  parts.store.report_to(&sink);
  ASSERT_TRUE(writer.add(9, sink.vector.data()));
  parts.store.report_to(nullptr);
  ASSERT_TRUE(std::isnan(sink.vector[1]));
  float stored[4];
  std::memcpy(stored, parts.store.view().vector(0_n), sizeof stored);
  EXPECT_EQ(stored[1], 2.0f);
  EXPECT_FALSE(writer.add(10, sink.vector.data()));
}

// --- nodes that are copied

// Compacts, and changes flags once nodes have been numbered.
void expect_sound_copy(Parts& parts, NodeId node, std::uint8_t flags) {
  const std::uint32_t count = parts.store.count();
  int calls = 0;
  const auto step = [&](std::uint64_t done) -> Result<void> {
    if (done == count && ++calls == 2) parts.flags(node) = flags;
    return {};
  };
  auto copy = compact_copy(parts.store, parts.table, {}, 1, step);
  ASSERT_TRUE(copy) << copy.error().message();
  ASSERT_GE(calls, 2);
  KeyTable table(&copy->hash, &copy->overflow, copy->store.key_region(), parts.table.key_hash(),
                 nodes_of_key(parts.store.parameters()));
  ASSERT_TRUE(table.attach(copy->table));
  EXPECT_EQ(copy->store.live(), table.size());
  VerifyReport report;
  GraphVerifyOptions options;
  options.threads = 1;
  ASSERT_TRUE(verify_graph(copy->store, table, table.size(), options, report));
  EXPECT_EQ(report.findings, std::vector<std::string>());
}

TEST(CompactOfChangingFlags, CopiesEachNodeAsItWasNumbered) {
  const test::Vectors vectors = test::random_vectors(60, 4, 5);
  for (const bool several : {false, true}) {
    Parts parts(several);
    ASSERT_TRUE(build_graph(parts.store, parts.table, vectors.keys, vectors.matrix(), {}));
    expect_sound_copy(parts, 30_n, format::hot::kFlagDeleted);
  }
}

TEST(CompactOfChangingFlags, LeavesOutASlotThatComesToLife) {
  const test::Vectors vectors = test::random_vectors(60, 4, 5);
  for (const bool several : {false, true}) {
    Parts parts(several);
    ASSERT_TRUE(build_graph(parts.store, parts.table, vectors.keys, vectors.matrix(), {}));
    ASSERT_TRUE(parts.store.reserve_place(0));
    const NodeId slot = parts.store.allocate(0).node;
    expect_sound_copy(parts, slot, format::hot::kFlagLive);
    parts.flags(slot) = 0;
    parts.store.release_pending(slot);
  }
}

// --- nodes that are written to foreign files

TEST(LiveGraph, KeepsItsLevelsWhateverTheFileSaysLater) {
  test::TinyGraph graph;
  graph.add_line(3);
  graph.add(7, 0, 2);
  graph.link_both(2_n, 3_n);
  NodeStore& store = graph.store();
  const LiveGraph live(store.view());
  ASSERT_EQ(live.level(3), 2u);
  store.section(format::SectionId::hot)
      .data()[3 * store.parameters().hot_stride + store.parameters().hot_factor_offset +
              format::hot::kLevel] = std::byte{0};
  EXPECT_EQ(live.level(3), 2u);
  EXPECT_EQ(live.max_level(), 2u);
}

}  // namespace
}  // namespace cairn
