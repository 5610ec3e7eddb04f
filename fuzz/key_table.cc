// SPDX-License-Identifier: Apache-2.0
//
// The key table. First byte even: operations, compared with std::map. Odd: the bytes are the
// buckets themselves, any operation may give a wrong answer, but within bounds.
#include "engine/store/key_table.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "format/bytes/limits.h"
#include "format/bytes/record_layout.h"
#include "format/bytes/superblock_layout.h"
#include "fuzz/input.h"

namespace cairn::fuzz {
namespace {

namespace bucket = format::bucket;

constexpr std::uint32_t kSlots = 4096;

format::Region region(std::size_t bytes) {
  auto reserved = format::Region::reserve(bytes, std::size_t{4} << 20);
  require(reserved.has_value(), "addresses can be reserved");
  require(reserved->grow_anonymous(bytes).has_value(), "memory can be had");
  return std::move(*reserved);
}

// Regions as large as their contents would be in a file, in pages.
struct World {
  World(std::size_t hash_bytes, std::size_t overflow_bytes)
      : hash(region(hash_bytes)),
        overflow(region(overflow_bytes)),
        keys(region(kSlots * sizeof(Key))) {}

  format::Region hash;
  format::Region overflow;
  format::Region keys;
  KeyTable table{&hash, &overflow, &keys, 42};
};

// Few keys, so that they meet again; half of them share their bucket while it does not split.
Key key_of(std::uint16_t number) { return number % 512; }

// Calls visit(key) for all keys that are listed, in the order of that.
template <class Visit>
void list_all(const KeyTable& table, std::uint64_t slots, Visit&& visit) {
  std::array<Key, 5> some{};
  for (std::optional<std::uint64_t> next = 0; next;) {
    const auto listed = table.list(*next, slots, some);
    require(listed.count <= some.size(), "a listing keeps to its room");
    for (std::size_t i = 0; i < listed.count; ++i) visit(some[i]);
    require(!listed.next || *listed.next > *next, "a listing goes on");
    next = listed.next;
  }
}

void against_model(Input& input) {
  World world(4096, 4096);
  std::map<Key, NodeId> model;
  NodeId next{0};
  if (input.u8() % 4 == 0) {
    const std::uint64_t count = input.below(1000);
    require(world.table.reserve(count).has_value(), "reserve");
  }
  while (!input.empty() && next < kSlots) {
    const unsigned operation = input.u8();
    const Key key = key_of(input.u16());
    const auto known = model.find(key);
    const auto found = world.table.find(key, kSlots);
    require(found.has_value() == (known != model.end()), "find agrees with the model");
    if (found) {
      require(*found == known->second, "find gives the right node");
      require(!world.table.erase(key, NodeId{found->index + 1}), "erase wants the right node");
      if (operation % 2 == 0) {
        require(world.table.erase(key, *found), "erase finds what find finds");
        model.erase(known);
      }
    } else {
      format::store_u64(world.keys.data(), next.index, key);
      require(world.table.insert(key, next).has_value(), "insert");
      model[key] = {next.index++};
    }
  }
  std::size_t visits = 0;
  const auto defect = world.table.for_each(kSlots, [&](NodeId node) {
    const auto known = model.find(format::load_u64(world.keys.data(), node.index));
    require(known != model.end() && known->second == node, "every entry is in the model");
    ++visits;
  });
  require(!defect, "the structure is sound:", defect.value_or(""));
  require(visits == model.size() && world.table.size() == model.size(), "every key has its entry");
  list_all(world.table, kSlots, [&](Key key) {
    require(model.erase(key) == 1, "every key is listed once, and no other");
  });
  require(model.empty(), "every key is listed");
}

void hostile(Input& input) {
  const std::size_t buckets = 1 + input.below(24);
  const std::size_t overflows = input.below(24);
  const std::uint32_t slots = static_cast<std::uint32_t>(input.below(kSlots));
  format::Counters counters{};
  counters.live = input.u16();
  counters.hash_buckets = input.u8() % 8 == 0 ? input.u64() : buckets;
  counters.overflow_used = input.u8() % 8 == 0 ? input.u64() : overflows;
  counters.overflow_free = input.u8() % 2 == 0 ? format::kNoNode : input.u8();
  World world(buckets * bucket::kSize, (overflows + 1) * bucket::kSize);
  for (std::uint32_t node = 0; node < kSlots; ++node) {
    format::store_u64(world.keys.data(), node, node % 512);
  }
  for (format::Region* section : {&world.hash, &world.overflow}) {
    const std::size_t used = (section == &world.hash ? buckets : overflows) * bucket::kSize;
    const auto bytes = input.bytes(std::min(used, input.left() * 2 / 3));
    if (!bytes.empty()) std::memcpy(section->data(), bytes.data(), bytes.size());
  }
  if (!world.table.attach(counters)) return;
  const std::uint64_t most =
      (world.table.buckets() + world.table.overflow_used()) * bucket::kEntries;
  std::uint64_t visits = 0;
  (void)world.table.for_each(slots, [&](NodeId node) {
    require(node < slots, "for_each gives nodes below slots");
    ++visits;
  });
  require(visits <= most, "for_each ends");
  std::uint64_t last = 0;
  bool is_first = true;
  list_all(world.table, slots, [&](Key key) {
    const std::uint64_t place = KeyTable::place_of(world.table.key_hash()(key));
    require(is_first || place > last, "keys are listed in their order, none twice");
    last = place;
    is_first = false;
  });
  while (!input.empty()) {
    const Key key = key_of(input.u16());
    const auto found = world.table.find(key, slots);
    require(!found || *found < slots, "find gives nodes below slots");
    if (found) {
      world.table.erase(key, *found);
    } else if (slots != 0) {
      (void)world.table.insert(key, NodeId{static_cast<std::uint32_t>(key % slots)}).has_value();
    }
  }
}

}  // namespace
}  // namespace cairn::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  cairn::fuzz::Input input(data, size);
  if (input.u8() % 2 == 0) {
    cairn::fuzz::against_model(input);
  } else {
    cairn::fuzz::hostile(input);
  }
  return 0;
}
