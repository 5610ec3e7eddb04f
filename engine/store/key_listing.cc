// SPDX-License-Identifier: Apache-2.0
//
// Keys in the order of their reversed hashes, so that it can be told with one number where a
// listing has come to: a table that grows splits stretches of that order and moves nothing else.
// Redis scans its tables in this order, bucket by bucket.
#include <algorithm>
#include <array>
#include <bit>
#include <limits>

#include "engine/store/key_bucket.h"
#include "engine/store/key_table.h"

namespace cairn {
namespace {

namespace bucket = format::bucket;

constexpr std::uint64_t kLastPlace = std::numeric_limits<std::uint64_t>::max();

constexpr std::uint64_t reversed(std::uint64_t x) {
  const auto exchange = [&x](std::uint64_t mask, int by) {
    x = ((x >> by) & mask) | ((x & mask) << by);
  };
  exchange(0x5555555555555555u, 1);
  exchange(0x3333333333333333u, 2);
  exchange(0x0F0F0F0F0F0F0F0Fu, 4);
  exchange(0x00FF00FF00FF00FFu, 8);
  exchange(0x0000FFFF0000FFFFu, 16);
  return x << 32 | x >> 32;
}
static_assert(reversed(1) == std::uint64_t{1} << 63 && reversed(0x26) == std::uint64_t{0x64} << 56);

struct Placed {
  std::uint64_t place;
  Key key;
  bool operator<(const Placed& other) const { return place < other.place; }
};

// Those with the lowest places, as many as there is room for: a chain may be as long as a file, or
// whoever chooses keys, makes it.
class Lowest {
 public:
  explicit Lowest(std::size_t room) : room_(room) {}

  void add(const Placed& placed) {
    if (count_ < room_) {
      found_[count_++] = placed;
      if (count_ == room_) std::make_heap(found_.begin(), end());
      return;
    }
    is_cut_ = true;
    if (!(placed < found_.front())) return;
    std::pop_heap(found_.begin(), end());
    found_[count_ - 1] = placed;
    std::push_heap(found_.begin(), end());
  }

  // Lowest first, each once, as a damaged table may have it twice.
  std::span<const Placed> sorted() {
    std::sort(found_.begin(), end());
    const auto same = [](const Placed& a, const Placed& b) { return a.place == b.place; };
    count_ = static_cast<std::size_t>(std::unique(found_.begin(), end(), same) - found_.begin());
    return {found_.data(), count_};
  }
  bool is_cut() const { return is_cut_; }

 private:
  using Found = std::array<Placed, KeyTable::kMostListed>;
  Found::iterator end() { return found_.begin() + static_cast<std::ptrdiff_t>(count_); }

  std::size_t room_;
  std::size_t count_ = 0;
  bool is_cut_ = false;
  Found found_;  // filled up to count_
};

}  // namespace

std::uint64_t KeyTable::place_of(std::uint64_t hash) { return reversed(hash); }

KeyTable::Listed KeyTable::list(std::uint64_t from, std::uint64_t slots, std::span<Key> out) const {
  const std::uint64_t buckets = buckets_;
  if (buckets == 0) return {};
  slots = usable_slots(slots);
  const std::uint64_t index = home(reversed(from));
  // Its hashes agree in so many bits: one more where the bucket that it is split into is there.
  const std::uint64_t low = std::bit_floor(buckets);
  const auto floor_bits = static_cast<unsigned>(std::countr_zero(low));
  const unsigned bits = floor_bits + (index >= low || index + low < buckets ? 1u : 0u);
  const std::uint64_t last = from | (kLastPlace >> bits);

  Lowest found(std::min(out.size(), kMostListed));
  const std::byte* at = primary(index);
  for (std::uint64_t steps = 0; at != nullptr && steps <= overflow_used_; ++steps) {
    for (std::size_t i = 0; i < bucket::kEntries; ++i) {
      const NodeId node = node_at(at, i);  // kNoNode is never < slots
      if (node >= slots) continue;
      const Key key = key_of(node);
      const std::uint64_t place = reversed(hash_of_(key));
      if (place >= from && place <= last) found.add({place, key});
    }
    at = following(at);
  }
  Listed listed;
  const auto sorted = found.sorted();
  for (const Placed& placed : sorted) out[listed.count++] = placed.key;
  const std::uint64_t end = found.is_cut() ? sorted.back().place : last;
  if (end != kLastPlace) listed.next = end + 1;
  return listed;
}

}  // namespace cairn
