// SPDX-License-Identifier: Apache-2.0
//
// Keys that a search has met or given.
//
// Thread-safety: none.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include <cairn/types.h>

#include "engine/base/hash.h"

namespace cairn {

// Each at most once; what it has allocated it keeps.
class KeysMet {
 public:
  bool has(Key key) const { return !table_.empty() && place(key).is_there; }
  // False if it was there.
  bool add(Key key) {
    reserve(1);
    const Place found = place(key);
    if (found.is_there) return false;
    if (key == kFree) {
      has_free_key_ = true;
    } else {
      table_[found.at] = key;
    }
    ++count_;
    return true;
  }
  // Room for so many more, which are then added without failing.
  void reserve(std::size_t more) {
    if (2 * (count_ + more) <= table_.size()) return;
    std::size_t size = std::max<std::size_t>(64, table_.size());
    while (2 * (count_ + more) > size) size *= 2;
    std::vector<Key> old(size, kFree);
    old.swap(table_);
    for (const Key one : old) {
      if (one != kFree) table_[place(one).at] = one;
    }
  }
  std::size_t size() const { return count_; }
  void clear() {
    // A table that one large search has left is not cleared for all small ones.
    if (table_.size() > 64 && table_.size() / 16 > count_) table_.resize(64);
    std::fill(table_.begin(), table_.end(), kFree);
    count_ = 0;
    has_free_key_ = false;
  }

 private:
  struct Place {
    std::size_t at;
    bool is_there;
  };
  Place place(Key key) const {
    const std::size_t mask = table_.size() - 1;
    std::size_t at = static_cast<std::size_t>(mix64(key)) & mask;
    while (table_[at] != kFree && table_[at] != key) at = (at + 1) & mask;
    return {at, key == kFree ? has_free_key_ : table_[at] == key};
  }

  static constexpr Key kFree = 0;
  std::vector<Key> table_;  // a power of two, half full at most
  std::size_t count_ = 0;
  bool has_free_key_ = false;  // the key whose number marks what is free
};

}  // namespace cairn
