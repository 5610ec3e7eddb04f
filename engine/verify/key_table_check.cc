// SPDX-License-Identifier: Apache-2.0
//
// What verify() finds wrong with a key table.
#include <algorithm>
#include <string>

#include "engine/store/key_bucket.h"
#include "engine/store/key_table.h"

namespace cairn {

namespace bucket = format::bucket;

std::string KeyTable::place(const std::byte* at, std::uint64_t home_index) const {
  std::string text = "bucket " + std::to_string(home_index);
  if (in_overflow(at)) {
    const std::byte* begin = overflow_->data();
    const auto index = static_cast<std::uint64_t>(at - begin) / bucket::kSize;
    text += ", overflow bucket " + std::to_string(index);
  }
  return text;
}

std::string KeyTable::place(const std::byte* at, std::uint64_t home_index, std::size_t i) const {
  return place(at, home_index) + ", entry " + std::to_string(i) + ": ";
}

void KeyTable::check_empty(const std::byte* at, std::uint64_t home_index, std::size_t i,
                           Walk& walk) const {
  const std::uint16_t tag = tag_at(at, i);
  if (walk.defect || tag == 0) return;
  walk.defect = place(at, home_index, i) + "empty, with tag " + std::to_string(tag);
}

// `node`: what stands there, or stood when it was read.
void KeyTable::check_entry(const std::byte* at, std::uint64_t home_index, std::size_t i,
                           NodeId node, Walk& walk) const {
  ++walk.entries;
  if (walk.defect) return;
  const auto defect = [&](const std::string& what) {
    walk.defect = place(at, home_index, i) + what;
  };
  if (i > 0 && entry_at(at, i - 1) == 0) return defect("stands behind an empty one");
  if (node >= walk.slots) {
    return defect("node " + std::to_string(node.index) + " of " + std::to_string(walk.slots));
  }
  const Key key = key_of(node);
  const std::uint64_t hash = hash_of_(key);
  if (home(hash) != home_index) {
    return defect("key " + std::to_string(key) + " of node " + std::to_string(node.index) +
                  " belongs in bucket " + std::to_string(home(hash)));
  }
  if (const std::uint16_t tag = tag_at(at, i); tag != tag_of(hash)) {
    return defect("tag " + std::to_string(tag) + ", the key's is " + std::to_string(tag_of(hash)));
  }
  walk.chain.push_back(key);
}

// False if it was seen before.
bool KeyTable::mark_seen(std::uint64_t index, Walk& walk) const {
  if (walk.seen.size() <= index) {
    walk.seen.resize(std::max<std::uint64_t>(index + 1, overflow_used_));
  }
  if (walk.seen[index]) return false;
  walk.seen[index] = true;
  return true;
}

const std::byte* KeyTable::check_next(const std::byte* at, std::uint64_t home_index,
                                      Walk& walk) const {
  // Read once: somebody else may be changing it.
  const std::uint32_t link = next_of(at);
  if (link == 0) return nullptr;
  const std::byte* next = linked(link);
  const char* problem = nullptr;
  if (next == nullptr) {
    problem = "link beyond the overflow buckets";
  } else if (!mark_seen(link - 1, walk)) {
    problem = "the bucket that follows is in a chain already: a cycle, or two share one";
    next = nullptr;
  } else if (used_in(at) != bucket::kEntries) {
    problem = "the chain goes on behind a bucket that is not full";
  } else if (entry_at(next, 0) == 0) {
    problem = "an empty overflow bucket follows";
  }
  if (problem != nullptr && !walk.defect) walk.defect = place(at, home_index) + ": " + problem;
  if (next != nullptr) ++walk.overflow_seen;
  return next;
}

// Equal keys have the same home, so duplicates meet in one chain.
void KeyTable::check_chain(std::uint64_t home_index, Walk& walk) const {
  std::sort(walk.chain.begin(), walk.chain.end());
  if (has_several_) {
    const auto end = std::unique(walk.chain.begin(), walk.chain.end());
    walk.keys += static_cast<std::uint64_t>(end - walk.chain.begin());
    walk.chain.clear();
    return;
  }
  const auto twice = std::adjacent_find(walk.chain.begin(), walk.chain.end());
  if (twice != walk.chain.end() && !walk.defect) {
    walk.defect = "bucket " + std::to_string(home_index) + ": key " + std::to_string(*twice) +
                  " stands there twice";
  }
  walk.chain.clear();
}

void KeyTable::check_end(Walk& walk) const {
  if (walk.defect) return;
  std::uint64_t free = 0;
  std::uint32_t index = overflow_free_;
  while (index != kNoBucket && free <= overflow_used_) {
    ++free;
    const std::byte* const at = overflow(index);
    const std::uint32_t next = next_of(at);
    const char* problem = nullptr;
    if (index < walk.seen.size() && walk.seen[index]) {
      problem = "it is in a chain of keys";
    } else if (used_in(at) != 0) {
      problem = "it has entries";
    } else if (next > overflow_used_) {
      problem = "link beyond the overflow buckets";
    }
    if (problem != nullptr) {
      walk.defect = "free overflow bucket " + std::to_string(index) + ": " + problem;
      return;
    }
    index = next - 1;  // 0 becomes kNoBucket
  }
  if (walk.overflow_seen + free != overflow_used_) {
    walk.defect = std::to_string(walk.overflow_seen) + " overflow buckets in chains and " +
                  std::to_string(free) + " free ones are not the " +
                  std::to_string(overflow_used_) + " there are";
  } else if (walk.entries != size_) {
    walk.defect =
        std::to_string(walk.entries) + " entries where " + std::to_string(size_) + " keys are live";
  } else if (has_several_ && walk.keys != key_count_) {
    walk.defect = std::to_string(walk.keys) + " different keys where " +
                  std::to_string(key_count_) + " are recorded";
  }
}

}  // namespace cairn
