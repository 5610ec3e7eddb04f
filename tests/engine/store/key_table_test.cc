// SPDX-License-Identifier: Apache-2.0
#include "engine/store/key_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <map>
#include <numeric>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "format/bytes/limits.h"
#include "format/bytes/record_layout.h"
#include "format/bytes/superblock_layout.h"
#include "tests/support/nodes.h"

namespace cairn {
namespace {

namespace bucket = format::bucket;

constexpr std::uint64_t kSeed = 42;

void put_entry(std::byte* at, std::size_t i, std::uint32_t entry) {
  format::store_u32(at + bucket::kEntry, i, entry);
}
void put_next(std::byte* at, std::uint32_t next) {
  std::memcpy(at + bucket::kNext, &next, sizeof next);
}
void put_tag(std::byte* at, std::size_t i, std::uint16_t tag) {
  format::store_u16(at + bucket::kTag, i, tag);
}
std::uint16_t tag_at(const std::byte* at, std::size_t i) {
  return format::load_u16(at + bucket::kTag, i);
}

// The table with its three regions and the node numbers an index would give out.
class World {
 public:
  explicit World(std::size_t capacity_bytes = std::size_t{64} << 20)
      : hash(region(capacity_bytes)), overflow(region(capacity_bytes)), keys(region(64 << 20)) {}

  // The next node gets this key, and an entry if that is possible.
  Result<void> insert(Key key) {
    const NodeId node{static_cast<std::uint32_t>(slots)};
    set_key(node, key);
    ++slots;
    return table.insert(key, node);
  }

  void set_key(NodeId node, Key key) {
    const std::size_t end = (std::size_t{node.index} + 1) * sizeof(Key);
    if (keys.size() < end) {
      ASSERT_TRUE(keys.grow_anonymous(end));
    }
    format::store_u64(keys.data(), node.index, key);
  }

  std::uint64_t bytes() const { return (table.buckets() + table.overflow_used()) * bucket::kSize; }

  std::optional<std::string> defect() const {
    return table.for_each(slots, [](NodeId) {});
  }

  // All that a file would hold of the table.
  std::string image() const {
    std::string text(reinterpret_cast<const char*>(hash.data()), table.buckets() * bucket::kSize);
    text.append(reinterpret_cast<const char*>(overflow.data()),
                table.overflow_used() * bucket::kSize);
    format::Counters counters{};
    table.store(counters);
    return text + "/" + std::to_string(counters.live) + "/" +
           std::to_string(counters.hash_buckets) + "/" + std::to_string(counters.overflow_used) +
           "/" + std::to_string(counters.overflow_free);
  }

  format::Region hash;
  format::Region overflow;
  format::Region keys;
  std::uint64_t slots = 0;
  KeyTable table{&hash, &overflow, &keys, kSeed};

 private:
  static format::Region region(std::size_t bytes) {
    auto reserved = format::Region::reserve(std::min<std::size_t>(bytes, 4096), bytes);
    if (!reserved) ADD_FAILURE() << reserved.error().message();
    return std::move(*reserved);
  }
};

// The key whose hash is the given one: mix64 undone step by step.
Key key_of_hash(std::uint64_t hash) {
  const auto unshift = [](std::uint64_t x, int by) {
    std::uint64_t y = x;
    for (int bits = by; bits < 64; bits += by) y = x ^ (y >> by);
    return y;
  };
  std::uint64_t x = unshift(hash, 31);
  x = unshift(x * 0x319642B2D24D8EC3u, 27);
  x = unshift(x * 0x96DE1B173F119089u, 30);
  return (x - 0x9E3779B97F4A7C15u) ^ mix64(kSeed);
}

void expect_sound(const World& world) {
  const auto defect = world.defect();
  EXPECT_FALSE(defect) << *defect;
}

enum class Pattern { sequential, random, one_bucket, one_tag };

std::vector<Key> keys_of(Pattern pattern, std::size_t count) {
  std::mt19937_64 random(7);
  std::set<Key> seen;
  std::vector<Key> keys;
  while (keys.size() < count) {
    Key key = 0;
    switch (pattern) {
      case Pattern::sequential: key = keys.size(); break;
      case Pattern::random: key = random(); break;
      case Pattern::one_bucket: key = key_of_hash(random() << 32); break;
      case Pattern::one_tag: key = key_of_hash(random() >> 16); break;
    }
    if (seen.insert(key).second) keys.push_back(key);
  }
  return keys;
}

class KeyTablePatterns : public testing::TestWithParam<Pattern> {};

TEST_P(KeyTablePatterns, AgreesWithAModelUnderInsertsAndErasures) {
  World world;
  const std::vector<Key> keys = keys_of(GetParam(), 3000);
  std::unordered_map<Key, NodeId> model;
  std::mt19937_64 random(11);
  for (std::size_t step = 0; step < 12000; ++step) {
    const Key key = keys[random() % keys.size()];
    const auto known = model.find(key);
    const auto found = world.table.find(key, world.slots);
    ASSERT_EQ(found.has_value(), known != model.end());
    if (found) {
      ASSERT_EQ(*found, known->second);
      // Grow for the first half, then churn, then shrink.
      if (step > 4000 && (step > 8000 || random() % 2 == 0)) {
        ASSERT_TRUE(world.table.erase(key, *found));
        ASSERT_FALSE(world.table.erase(key, *found));
        model.erase(known);
      }
    } else if (step < 8000) {
      model[key] = {static_cast<std::uint32_t>(world.slots)};
      ASSERT_TRUE(world.insert(key));
    }
    ASSERT_EQ(world.table.size(), model.size());
    if (step % 500 == 0) expect_sound(world);
  }
  expect_sound(world);
  std::map<NodeId, int> visits;
  EXPECT_FALSE(world.table.for_each(world.slots, [&](NodeId node) { ++visits[node]; }));
  EXPECT_EQ(visits.size(), model.size());
  for (const auto& [key, node] : model) {
    EXPECT_EQ(visits[node], 1);
    EXPECT_EQ(world.table.find(key, world.slots), node);
  }
}

TEST_P(KeyTablePatterns, EmptiedTableHasOnlyFreeOverflowBucketsAndUsesThemAgain) {
  World world;
  const std::vector<Key> keys = keys_of(GetParam(), 2000);
  for (const Key key : keys) ASSERT_TRUE(world.insert(key));
  const std::uint64_t buckets = world.table.buckets();
  const std::uint64_t overflow = world.table.overflow_used();
  for (const NodeId node : nodes_below(static_cast<std::uint32_t>(keys.size()))) {
    ASSERT_TRUE(world.table.erase(keys[node.index], node));
  }
  EXPECT_EQ(world.table.size(), 0u);
  expect_sound(world);
  for (const NodeId node : nodes_below(static_cast<std::uint32_t>(keys.size()))) {
    ASSERT_TRUE(world.table.insert(keys[node.index], node));
  }
  EXPECT_EQ(world.table.buckets(), buckets);
  EXPECT_LE(world.table.overflow_used(), overflow);
  expect_sound(world);
}

TEST_P(KeyTablePatterns, SameOperationsGiveSameBytes) {
  const std::vector<Key> keys = keys_of(GetParam(), 1500);
  const auto run = [&] {
    World world;
    for (const Key key : keys) EXPECT_TRUE(world.insert(key));
    for (std::uint32_t node = 0; node < keys.size(); node += 3) {
      EXPECT_TRUE(world.table.erase(keys[node], {node}));
    }
    return world.image();
  };
  EXPECT_EQ(run(), run());
}

TEST_P(KeyTablePatterns, ReserveMakesTheBucketsThatInsertingMakes) {
  for (const std::uint32_t count : {1u, 6u, 7u, 12u, 13u, 64u, 65u, 1000u}) {
    const std::vector<Key> keys = keys_of(GetParam(), count);
    World grown;
    World reserved;
    ASSERT_TRUE(reserved.table.reserve(count));
    const std::uint64_t buckets = reserved.table.buckets();
    for (const Key key : keys) {
      ASSERT_TRUE(grown.insert(key));
      ASSERT_TRUE(reserved.insert(key));
    }
    EXPECT_EQ(reserved.table.buckets(), buckets) << count;
    EXPECT_EQ(grown.table.buckets(), buckets) << count;
    expect_sound(reserved);
    for (const NodeId node : nodes_below(count)) {
      EXPECT_EQ(reserved.table.find(keys[node.index], count), node);
    }
  }
}

// All keys from `from` on, in the order of listing, with `room` keys at a time.
std::vector<Key> listed(const World& world, std::size_t room, std::uint64_t from = 0) {
  std::vector<Key> all;
  std::vector<Key> some(room);
  for (std::optional<std::uint64_t> next = from; next;) {
    const auto found = world.table.list(*next, world.slots, some);
    EXPECT_LE(found.count, room);
    all.insert(all.end(), some.begin(), some.begin() + static_cast<std::ptrdiff_t>(found.count));
    EXPECT_TRUE(!found.next || *found.next > *next);
    next = found.next;
  }
  return all;
}

TEST_P(KeyTablePatterns, ListingGivesEveryKeyOnceInOneOrderForAnyRoom) {
  World world;
  std::vector<Key> keys = keys_of(GetParam(), 3000);
  for (const Key key : keys) ASSERT_TRUE(world.insert(key));
  const auto before = [&](Key a, Key b) {
    const KeyHash& hash = world.table.key_hash();
    return KeyTable::place_of(hash(a)) < KeyTable::place_of(hash(b));
  };
  std::sort(keys.begin(), keys.end(), before);
  for (const std::size_t room : {1u, 7u, 64u, 128u, 5000u}) {
    EXPECT_EQ(listed(world, room), keys) << room;
  }
}

TEST_P(KeyTablePatterns, ListingBesideGrowthAndErasuresGivesEveryKeyThatStaysOnce) {
  const std::vector<Key> keys = keys_of(GetParam(), 4000);
  for (const std::size_t room : {1u, 5u, 100u}) {
    World world;
    for (std::size_t i = 0; i < 500; ++i) ASSERT_TRUE(world.insert(keys[i]));
    std::unordered_map<Key, int> seen;
    std::vector<Key> some(room);
    std::size_t added = 500;
    for (std::optional<std::uint64_t> next = 0; next;) {
      const auto found = world.table.list(*next, world.slots, some);
      for (std::size_t i = 0; i < found.count; ++i) ++seen[some[i]];
      next = found.next;
      // Every second one goes, and all later ones are new.
      for (std::size_t i = 0; i < 20 && added < keys.size(); ++i, ++added) {
        ASSERT_TRUE(world.insert(keys[added]));
        const NodeId gone{static_cast<std::uint32_t>((added - 500) * 2 + 1)};
        if (gone < 500) {
          ASSERT_TRUE(world.table.erase(keys[gone.index], gone));
        }
      }
    }
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (i < 500 && i % 2 == 0) {
        ASSERT_EQ(seen[keys[i]], 1) << i << ", room " << room;
      } else {
        ASSERT_LE(seen[keys[i]], 1) << i << ", room " << room;
      }
    }
  }
}

std::string pattern_name(const testing::TestParamInfo<Pattern>& info) {
  switch (info.param) {
    case Pattern::sequential: return "sequential";
    case Pattern::random: return "random";
    case Pattern::one_bucket: return "one_bucket";
    case Pattern::one_tag: return "one_tag";
  }
  return "";
}

INSTANTIATE_TEST_SUITE_P(Keys, KeyTablePatterns,
                         testing::Values(Pattern::sequential, Pattern::random, Pattern::one_bucket,
                                         Pattern::one_tag),
                         pattern_name);

TEST(KeyTable, EmptyFindsAndErasesNothing) {
  World world;
  EXPECT_FALSE(world.table.find(7, 0));
  EXPECT_FALSE(world.table.erase(7, 0_n));
  EXPECT_FALSE(world.table.erase(7, kNoNode));
  EXPECT_FALSE(world.defect());
  EXPECT_EQ(world.bytes(), 0u);
}

TEST(KeyTable, ListingOfAnEmptyTableEnds) {
  World world;
  std::array<Key, 2> out{};
  const auto found = world.table.list(0, 0, out);
  EXPECT_EQ(found.count, 0u);
  EXPECT_FALSE(found.next);
}

TEST(KeyTable, ListingIsOverBehindTheLastPlace) {
  World world;
  const Key last = key_of_hash(~std::uint64_t{0});
  ASSERT_TRUE(world.insert(last));
  std::array<Key, 1> out{};
  const auto found = world.table.list(~std::uint64_t{0}, 1, out);
  EXPECT_EQ(found.count, 1u);
  EXPECT_EQ(out[0], last);
  EXPECT_FALSE(found.next);
}

TEST(KeyTable, ListingOfADamagedChainGivesNoKeyTwiceAndEnds) {
  World world;
  for (Key key = 0; key < 200; ++key) ASSERT_TRUE(world.insert(key));
  // Every bucket is continued by itself or another one's chain, and names a node of another bucket.
  for (std::uint64_t i = 0; i < world.table.buckets(); ++i) {
    std::byte* at = world.hash.data() + i * bucket::kSize;
    put_entry(at, 9, static_cast<std::uint32_t>(i + 1));
    put_entry(at, 8, format::load_u32(at + bucket::kEntry, 0));
    put_next(at, world.table.overflow_used() == 0 ? 0 : 1);
  }
  const std::vector<Key> all = listed(world, 3);
  EXPECT_EQ(std::set<Key>(all.begin(), all.end()).size(), all.size());
  EXPECT_GT(all.size(), 0u);
}

TEST(KeyTable, ExtremeKeysAreKeys) {
  World world;
  for (const Key key : {Key{0}, ~Key{0}, Key{1} << 63}) ASSERT_TRUE(world.insert(key));
  EXPECT_EQ(world.table.find(0, 3), NodeId{0});
  EXPECT_EQ(world.table.find(~Key{0}, 3), NodeId{1});
  EXPECT_EQ(world.table.find(Key{1} << 63, 3), NodeId{2});
}

TEST(KeyTable, NodesAtOrAboveSlotsAreNotFound) {
  World world;
  for (Key key = 0; key < 5; ++key) ASSERT_TRUE(world.insert(key));
  EXPECT_TRUE(world.table.find(4, 5));
  EXPECT_FALSE(world.table.find(4, 4));
}

TEST(KeyTable, EraseNeedsTheRightNode) {
  World world;
  for (Key key = 0; key < 5; ++key) ASSERT_TRUE(world.insert(key));
  EXPECT_FALSE(world.table.erase(3, 4_n));  // in the same bucket, under another key
  EXPECT_TRUE(world.table.find(4, 5));
  EXPECT_FALSE(world.table.erase(3, 5_n));
  EXPECT_FALSE(world.table.erase(3, kNoNode));
  EXPECT_TRUE(world.table.erase(3, 3_n));
  EXPECT_FALSE(world.table.find(3, 5));
  EXPECT_EQ(world.table.size(), 4u);
}

TEST(KeyTable, BytesPerKeyStayBelowFourteen) {
  for (const Pattern pattern : {Pattern::sequential, Pattern::random}) {
    World world;
    std::uint64_t count = 0;
    for (const Key key : keys_of(pattern, 140000)) {
      ASSERT_TRUE(world.insert(key));
      ++count;
      // Several points of one doubling of the buckets: unsplit ones are fuller in between.
      if (count % 10000 == 0 && count >= 60000) {
        EXPECT_LE(static_cast<double>(world.bytes()) / static_cast<double>(count), 14.0) << count;
      }
    }
    expect_sound(world);
  }
}

TEST(KeyTable, NoRoomForAPrimaryBucketLeavesTheTableUnchanged) {
  const std::vector<Key> keys = keys_of(Pattern::random, 250000);
  World scout(format::kHugePage);
  std::size_t accepted = 0;
  while (accepted < keys.size() && scout.insert(keys[accepted])) ++accepted;
  ASSERT_LT(accepted, keys.size());
  ASSERT_EQ(scout.table.buckets(), scout.hash.capacity() / bucket::kSize);

  World world(format::kHugePage);
  for (std::size_t i = 0; i < accepted; ++i) ASSERT_TRUE(world.insert(keys[i]));
  const std::string before = world.image();
  const auto refused = world.insert(keys[accepted]);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::out_of_memory);
  EXPECT_EQ(world.image(), before);
  expect_sound(world);
  EXPECT_FALSE(world.table.find(keys[accepted], world.slots));
  // What was there can be erased, and then there is room again.
  ASSERT_TRUE(world.table.erase(keys[0], 0_n));
  EXPECT_TRUE(world.table.insert(keys[0], 0_n));
  EXPECT_EQ(world.table.find(keys[0], world.slots), NodeId{0});
}

TEST(KeyTable, NoRoomForAnOverflowBucketLeavesTheTableUnchanged) {
  World world(format::kHugePage);
  const std::vector<Key> keys = keys_of(Pattern::one_bucket, 14);
  ASSERT_TRUE(world.table.reserve(64));  // ten buckets: thirteen keys split nothing
  for (std::size_t i = 0; i < 10; ++i) ASSERT_TRUE(world.insert(keys[i]));
  // As if all overflow buckets that there can be belonged to chains of others.
  ASSERT_TRUE(world.overflow.grow_anonymous(world.overflow.capacity()));
  format::Counters counters{};
  world.table.store(counters);
  counters.overflow_used = world.overflow.capacity() / bucket::kSize;
  ASSERT_TRUE(world.table.attach(counters));
  const std::string before = world.image();
  const auto refused = world.insert(keys[10]);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::out_of_memory);
  EXPECT_EQ(world.image(), before);
  EXPECT_EQ(world.table.size(), 10u);
}

TEST(KeyTable, ReserveRefusesATableThatHasKeys) {
  World world;
  ASSERT_TRUE(world.insert(1));
  EXPECT_EQ(world.table.reserve(100).error().code(), ErrorCode::internal);
  EXPECT_EQ(world.table.buckets(), 1u);
}

TEST(KeyTable, ReserveBeyondTheAddressSpaceChangesNothing) {
  World world(format::kHugePage);
  const auto reserved = world.table.reserve(1u << 20);
  ASSERT_FALSE(reserved);
  EXPECT_EQ(reserved.error().code(), ErrorCode::out_of_memory);
  EXPECT_EQ(world.table.buckets(), 0u);
  EXPECT_EQ(world.table.reserve(std::uint64_t{1} << 40).error().code(), ErrorCode::out_of_memory);
  EXPECT_TRUE(world.insert(1));
}

TEST(KeyTable, ClearGivesTheMemoryBack) {
  World world;
  for (Key key = 0; key < 1000; ++key) ASSERT_TRUE(world.insert(key));
  world.table.clear();
  EXPECT_EQ(world.table.size(), 0u);
  EXPECT_EQ(world.hash.size(), 0u);
  EXPECT_EQ(world.overflow.size(), 0u);
  EXPECT_FALSE(world.table.find(1, world.slots));
  world.slots = 0;
  for (Key key = 0; key < 1000; ++key) ASSERT_TRUE(world.insert(key));
  expect_sound(world);
}

TEST(KeyTable, AttachedTableIsTheStoredOne) {
  World world;
  const std::vector<Key> keys = keys_of(Pattern::random, 500);
  for (const Key key : keys) ASSERT_TRUE(world.insert(key));
  for (const NodeId node : nodes_below(100)) ASSERT_TRUE(world.table.erase(keys[node.index], node));
  format::Counters counters{};
  world.table.store(counters);
  KeyTable other(&world.hash, &world.overflow, &world.keys, kSeed);
  ASSERT_TRUE(other.attach(counters));
  EXPECT_EQ(other.size(), 400u);
  for (const NodeId node : nodes_below(static_cast<std::uint32_t>(keys.size()))) {
    EXPECT_EQ(other.find(keys[node.index], 500), world.table.find(keys[node.index], 500));
  }
  EXPECT_FALSE(other.for_each(500, [](NodeId) {}));
}

TEST(KeyTable, AttachRefusesCountersBeyondTheRegions) {
  World world;
  for (const Key key : keys_of(Pattern::random, 500)) ASSERT_TRUE(world.insert(key));
  format::Counters good{};
  world.table.store(good);
  const auto refused = [&](auto change) {
    format::Counters counters = good;
    change(counters);
    KeyTable other(&world.hash, &world.overflow, &world.keys, kSeed);
    const auto attached = other.attach(counters);
    return !attached && attached.error().code() == ErrorCode::corrupt && other.buckets() == 0;
  };
  EXPECT_FALSE(refused([](format::Counters&) {}));
  EXPECT_TRUE(refused([&](auto& c) { c.hash_buckets = world.hash.size() / 64 + 1; }));
  EXPECT_TRUE(refused([](auto& c) { c.hash_buckets = std::uint64_t{1} << 58; }));
  EXPECT_TRUE(refused([&](auto& c) { c.overflow_used = world.overflow.size() / 64 + 1; }));
  EXPECT_TRUE(refused([](auto& c) { c.overflow_used = ~std::uint64_t{0}; }));
  EXPECT_TRUE(
      refused([](auto& c) { c.overflow_free = static_cast<std::uint32_t>(c.overflow_used); }));
  EXPECT_TRUE(refused([](auto& c) { c.live = (c.hash_buckets + c.overflow_used) * 10 + 1; }));
  EXPECT_TRUE(refused([](auto& c) { c.hash_buckets = 0; }));
}

// One defect each in a table of one bucket and two overflow buckets, 21 to 30 entries.
class DefectiveKeyTable : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(world_.hash.grow_anonymous(bucket::kSize));
    ASSERT_TRUE(world_.overflow.grow_anonymous(3 * bucket::kSize));
    std::uint32_t entry = 1;
    for (std::byte* at : {world_.hash.data(), overflow(0), overflow(1)}) {
      for (std::size_t i = 0; i < bucket::kEntries && entry <= 25; ++i, ++entry) {
        const Key key = 1000 + entry;
        world_.set_key({entry - 1}, key);
        put_entry(at, i, entry);
        put_tag(at, i, static_cast<std::uint16_t>(key_hash(key, kSeed) >> 48));
      }
    }
    put_next(world_.hash.data(), 1);
    put_next(overflow(0), 2);
    world_.slots = 25;
    counters_.live = 25;
    counters_.hash_buckets = 1;
    counters_.overflow_used = 3;
    counters_.overflow_free = 2;
  }

  std::byte* overflow(std::size_t i) { return world_.overflow.data() + i * bucket::kSize; }

  std::string defect() {
    EXPECT_TRUE(world_.table.attach(counters_));
    return world_.defect().value_or("none");
  }

  World world_;
  format::Counters counters_{};
};

TEST_F(DefectiveKeyTable, HasNoneBeforeTheDamage) { EXPECT_EQ(defect(), "none"); }

TEST_F(DefectiveKeyTable, LinkBeyondTheOverflowBuckets) {
  put_next(overflow(1), 4);
  EXPECT_EQ(defect(), "bucket 0, overflow bucket 1: link beyond the overflow buckets");
}

TEST_F(DefectiveKeyTable, Cycle) {
  for (std::size_t i = 5; i < bucket::kEntries; ++i) put_entry(overflow(1), i, 1);
  put_next(overflow(1), 1);
  EXPECT_NE(defect(), "none");
  EXPECT_EQ(world_.table.find(1005, 25), NodeId{4});
  EXPECT_FALSE(world_.table.find(999, 25));
  world_.set_key(25_n, 999);
  EXPECT_EQ(world_.table.insert(999, 25_n).error().code(), ErrorCode::corrupt);
}

TEST_F(DefectiveKeyTable, FreeChainThatLeadsIntoABucketInUse) {
  counters_.overflow_free = 1;  // and bucket 2 is lost: the counts agree
  EXPECT_EQ(defect(), "free overflow bucket 1: it is in a chain of keys");
}

// The chain is given up, and what it led to stays what it was.
TEST_F(DefectiveKeyTable, FreeChainThatLeadsIntoABucketInUseLosesNoKey) {
  counters_.overflow_free = 1;
  ASSERT_TRUE(world_.table.attach(counters_));
  for (const NodeId node : nodes_from(25, 90)) {
    const Key key = 1001 + node.index;
    world_.set_key(node, key);
    world_.slots = node.index + 1;
    ASSERT_TRUE(world_.table.insert(key, node));
    for (const NodeId old : nodes_below(node.index + 1)) {
      ASSERT_EQ(world_.table.find(1001 + old.index, 90), old) << "after node " << node;
    }
  }
}

TEST_F(DefectiveKeyTable, FreeBucketThatIsNotEmpty) {
  put_entry(overflow(2), 0, 1);
  EXPECT_EQ(defect(), "free overflow bucket 2: it has entries");
}

TEST_F(DefectiveKeyTable, HoleAmongEntries) {
  put_entry(world_.hash.data(), 3, 0);
  put_tag(world_.hash.data(), 3, 0);
  EXPECT_EQ(defect(), "bucket 0, entry 4: stands behind an empty one");
}

TEST_F(DefectiveKeyTable, TagOfAnEmptyEntry) {
  put_tag(overflow(1), 7, 5);
  EXPECT_EQ(defect(), "bucket 0, overflow bucket 1, entry 7: empty, with tag 5");
}

TEST_F(DefectiveKeyTable, NodeBeyondTheSlots) {
  put_entry(world_.hash.data(), 3, 26);
  EXPECT_EQ(defect(), "bucket 0, entry 3: node 25 of 25");
}

TEST_F(DefectiveKeyTable, WrongTag) {
  const std::uint16_t tag = tag_at(overflow(0), 0);
  put_tag(overflow(0), 0, static_cast<std::uint16_t>(tag ^ 1));
  EXPECT_NE(defect().find("bucket 0, overflow bucket 0, entry 0: tag "), std::string::npos);
}

TEST_F(DefectiveKeyTable, KeyThatStandsTwice) {
  world_.set_key(24_n, 1001);
  put_tag(overflow(1), 4, tag_at(world_.hash.data(), 0));
  EXPECT_EQ(defect(), "bucket 0: key 1001 stands there twice");
}

TEST_F(DefectiveKeyTable, NodeThatStandsTwice) {
  put_entry(overflow(1), 4, 24);
  put_tag(overflow(1), 4, tag_at(overflow(1), 3));
  EXPECT_EQ(defect(), "bucket 0: key 1024 stands there twice");
}

TEST_F(DefectiveKeyTable, EntryInTheWrongBucket) {
  counters_.hash_buckets = 2;
  EXPECT_NE(defect().find("belongs in bucket 1"), std::string::npos);
}

TEST_F(DefectiveKeyTable, ChainBehindABucketThatIsNotFull) {
  put_entry(world_.hash.data(), 9, 0);
  put_tag(world_.hash.data(), 9, 0);
  EXPECT_EQ(defect(), "bucket 0: the chain goes on behind a bucket that is not full");
}

TEST_F(DefectiveKeyTable, EmptyOverflowBucketInAChain) {
  std::memset(overflow(1), 0, bucket::kSize);
  EXPECT_EQ(defect(), "bucket 0, overflow bucket 0: an empty overflow bucket follows");
}

TEST_F(DefectiveKeyTable, LostOverflowBucket) {
  counters_.overflow_free = kNoBucket;
  EXPECT_EQ(defect(), "2 overflow buckets in chains and 0 free ones are not the 3 there are");
}

TEST_F(DefectiveKeyTable, FreeChainBeyondTheOverflowBuckets) {
  put_next(overflow(2), 9);
  EXPECT_EQ(defect(), "free overflow bucket 2: link beyond the overflow buckets");
}

TEST_F(DefectiveKeyTable, FreeChainThatIsACycle) {
  put_next(overflow(2), 3);
  EXPECT_EQ(defect(), "2 overflow buckets in chains and 4 free ones are not the 3 there are");
}

TEST_F(DefectiveKeyTable, EntriesThatAreNotTheLiveOnes) {
  counters_.live = 24;
  EXPECT_EQ(defect(), "25 entries where 24 keys are live");
}

// A file that somebody else changes: a link is bounded as it was read.
TEST_F(DefectiveKeyTable, LinkThatChangesWhileItIsFollowed) {
  ASSERT_TRUE(world_.table.attach(counters_));
  std::atomic<bool> stop{false};
  std::atomic<int> changes{0};
  std::thread other([&] {
    const std::atomic_ref<std::uint32_t> link(
        *reinterpret_cast<std::uint32_t*>(world_.hash.data() + bucket::kNext));
    while (!stop) {
      for (const std::uint32_t next : {1u, 0u, 1u, 0xFFFFFFFFu, 2u, 0x7FFFFFFFu}) link = next;
      ++changes;
    }
  });
  for (int i = 0; i < 500'000 || changes < 500'000; ++i) {
    std::uint64_t visits = 0;
    (void)world_.table.for_each(world_.slots, [&](NodeId) { ++visits; });
    ASSERT_GE(visits, bucket::kEntries);
  }
  stop = true;
  other.join();
}

// Whatever the bytes: no read outside the regions (under the sanitizers), no endless loop, for_each
// bounded.
TEST(KeyTable, RandomBytesGiveWrongAnswersAtWorst) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 300; ++round) {
    World world(1 << 16);
    const std::size_t buckets = 1 + random() % 40;
    const std::size_t overflows = random() % 40;
    ASSERT_TRUE(world.hash.grow_anonymous(buckets * bucket::kSize));
    ASSERT_TRUE(world.overflow.grow_anonymous((overflows + 1) * bucket::kSize));
    const std::uint32_t slots = static_cast<std::uint32_t>(1 + random() % 300);
    for (const NodeId node : nodes_below(slots)) world.set_key(node, random() % 1000);
    world.slots = slots;
    const std::uint64_t range = round % 3 == 0 ? ~std::uint64_t{0} : overflows + 2;
    for (auto* region : {&world.hash, &world.overflow}) {
      const std::size_t count = region == &world.hash ? buckets : overflows;
      for (std::size_t b = 0; b < count; ++b) {
        std::byte* at = region->data() + b * bucket::kSize;
        for (std::size_t i = 0; i < bucket::kEntries; ++i) {
          put_entry(at, i, static_cast<std::uint32_t>(random() % (slots + 2)));
          put_tag(at, i, static_cast<std::uint16_t>(random()));
        }
        put_next(at, static_cast<std::uint32_t>(random() % range));
      }
    }
    format::Counters counters{};
    counters.live = random() % (buckets * 10);
    counters.hash_buckets = buckets;
    counters.overflow_used = overflows;
    counters.overflow_free =
        overflows == 0 ? kNoBucket : static_cast<std::uint32_t>(random() % overflows);
    ASSERT_TRUE(world.table.attach(counters));
    std::uint64_t visits = 0;
    EXPECT_TRUE(world.table.for_each(slots, [&](NodeId node) {
      ++visits;
      EXPECT_LT(node, slots);
    }));
    EXPECT_LE(visits, (buckets + overflows) * bucket::kEntries);
    for (int step = 0; step < 400; ++step) {
      const Key key = random() % 1000;
      const auto found = world.table.find(key, slots);
      if (found) {
        EXPECT_LT(*found, slots);
        world.table.erase(key, *found);
      } else {
        const NodeId node{static_cast<std::uint32_t>(random() % slots)};
        world.set_key(node, key);
        (void)world.table.insert(key, node).has_value();
      }
    }
  }
}

}  // namespace
}  // namespace cairn
