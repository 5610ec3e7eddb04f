// SPDX-License-Identifier: Apache-2.0
//
// The key table where a key may have several nodes: all of a key in order, and all gone at once.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "engine/store/change_sink.h"
#include "engine/store/key_table.h"
#include "format/bytes/coding.h"

namespace cairn {
namespace {

namespace bucket = format::bucket;

constexpr std::uint64_t kSeed = 42;
using Model = std::map<Key, std::vector<NodeId>>;

class ManyNodes : public testing::TestWithParam<std::uint64_t> {
 protected:
  ManyNodes() : hash_(region()), overflow_(region()), keys_(region()) {}

  void insert(Key key) {
    const NodeId node{next_++};
    const std::size_t end = (std::size_t{node.index} + 1) * sizeof(Key);
    if (keys_.size() < end) {
      ASSERT_TRUE(keys_.grow_anonymous(end));
    }
    format::store_u64(keys_.data(), node.index, key);
    ASSERT_TRUE(table_.insert(key, node));
    model_[key].push_back(node);
  }
  void replace(Key key) {
    const NodeId node{next_++};
    ASSERT_TRUE(keys_.grow_anonymous((std::size_t{node.index} + 1) * sizeof(Key)));
    format::store_u64(keys_.data(), node.index, key);
    ASSERT_TRUE(table_.check_take_out(key));
    ASSERT_EQ(table_.take_out(key, node), model_[key].size());
    model_[key] = {node};
  }
  void remove(Key key) {
    ASSERT_TRUE(table_.check_take_out(key));
    ASSERT_EQ(table_.take_out(key, std::nullopt), model_.count(key) != 0 ? model_[key].size() : 0);
    model_.erase(key);
  }
  std::vector<NodeId> nodes_of(Key key) const {
    std::vector<NodeId> nodes;
    table_.for_each_of(key, next_, [&](NodeId node) {
      nodes.push_back(node);
      return true;
    });
    return nodes;
  }
  void expect_same() const {
    std::size_t entries = 0;
    for (const auto& [key, nodes] : model_) {
      ASSERT_EQ(nodes_of(key), nodes) << key;
      ASSERT_EQ(table_.find(key, next_), nodes.front());
      entries += nodes.size();
    }
    ASSERT_EQ(table_.size(), entries);
    ASSERT_EQ(table_.key_count(), model_.size());
    const auto defect = table_.for_each(next_, [](NodeId) {});
    ASSERT_FALSE(defect) << *defect;
  }
  static format::Region region() {
    return format::Region::reserve(4096, std::size_t{64} << 20).value();
  }

  format::Region hash_;
  format::Region overflow_;
  format::Region keys_;
  KeyTable table_{&hash_, &overflow_, &keys_, KeyHash(kSeed), NodesOfKey::several};
  std::uint32_t next_ = 0;
  Model model_;
};

TEST_P(ManyNodes, AgreeWithAModel) {
  std::mt19937_64 random(GetParam());
  const Key keys = GetParam();
  for (int i = 0; i < 6000; ++i) {
    const Key key = random() % keys;
    const auto what = random() % 40;
    if (what == 0) {
      remove(key);
    } else if (what == 1 && model_.count(key) != 0) {
      replace(key);
    } else {
      insert(key);
    }
    if (HasFatalFailure()) return;
    if (i % 500 == 0) expect_same();
  }
  expect_same();
  // Every key is listed once, however many nodes it has.
  std::set<Key> listed;
  std::vector<Key> some(3);
  for (std::optional<std::uint64_t> from = 0; from;) {
    const auto found = table_.list(*from, next_, some);
    for (std::size_t i = 0; i < found.count; ++i) EXPECT_TRUE(listed.insert(some[i]).second);
    from = found.next;
  }
  EXPECT_EQ(listed.size(), model_.size());
  while (!model_.empty()) remove(model_.begin()->first);
  expect_same();
  EXPECT_EQ(table_.size(), 0u);
}
INSTANTIATE_TEST_SUITE_P(Keys, ManyNodes, testing::Values(1, 2, 7, 60, 1000));

using DamagedChain = ManyNodes;

TEST_P(DamagedChain, IsRefusedBeforeAnythingIsTakenOut) {
  for (int i = 0; i < 40; ++i) insert(5);
  ASSERT_GT(table_.overflow_used(), 1u);
  const std::uint32_t round = 1;
  std::memcpy(overflow_.data() + (table_.overflow_used() - 1) * bucket::kSize + bucket::kNext,
              &round, sizeof round);
  const auto checked = table_.check_take_out(5);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code(), ErrorCode::corrupt);
  EXPECT_FALSE(table_.insert(5, {0}));
  EXPECT_TRUE(table_.for_each(next_, [](NodeId) {}));
  // Looking it up ends, and sees no more than the buckets hold.
  EXPECT_LE(nodes_of(5).size(), (table_.overflow_used() + 1) * bucket::kEntries);
}

// A file that somebody else changes: the links that were followed need not be there any more.
TEST_P(DamagedChain, ThatIsCutWhileItIsClosedUpLosesWhatStoodBehind) {
  const KeyHash hash(kSeed);
  constexpr Key kTaken = 5;
  Key other = kTaken + 1;
  while ((hash(other) & 0xFF) != (hash(kTaken) & 0xFF)) ++other;
  insert(kTaken);
  for (int i = 0; i < 25; ++i) insert(other);  // in the same chain, behind it

  struct Cutter final : ChangeSink {
    explicit Cutter(format::Region& hash) : hash_(hash) {}
    // Once the first bucket has got an entry of the second.
    void changed(format::SectionId section, std::uint64_t offset, std::size_t) noexcept override {
      if (section != format::SectionId::hash || ++puts_ != bucket::kEntries) return;
      std::memset(hash_.data() + offset + bucket::kNext, 0, sizeof(std::uint32_t));
    }
    format::Region& hash_;
    std::size_t puts_ = 0;
  } cutter(hash_);
  ASSERT_TRUE(table_.check_take_out(kTaken));
  table_.report_to(&cutter);
  EXPECT_EQ(table_.take_out(kTaken, std::nullopt), 1u);
  table_.report_to(nullptr);
  ASSERT_GE(cutter.puts_, bucket::kEntries);
  EXPECT_EQ(nodes_of(other).size(), bucket::kEntries);
  EXPECT_TRUE(nodes_of(kTaken).empty());
}
INSTANTIATE_TEST_SUITE_P(Keys, DamagedChain, testing::Values(1));

}  // namespace
}  // namespace cairn
