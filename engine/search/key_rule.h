// SPDX-License-Identifier: Apache-2.0
//
// Which keys a filter lets pass.
//
// Thread-safety: constant once made; the caller's function may be called by several threads at
// once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include <cairn/types.h>

#include "engine/base/hash.h"

namespace cairn {

// A set of keys: open addressing at a load of at most two thirds.
class KeySet {
 public:
  KeySet(std::span<const Key> keys, const KeyHash& hash) : hash_(hash) {
    places_.assign(keys.size() + keys.size() / 2 + 4, kNone);
    for (const Key key : keys) insert(key);
  }

  bool has(Key key) const {
    if (key == kNone) return has_none_;
    for (std::size_t at = home(key);; at = next(at)) {
      const Key there = places_[at];
      if (there == key) return true;
      if (there == kNone) return false;
    }
  }
  // How many different keys.
  std::size_t size() const { return size_; }

  template <class Visit>
  void for_each(Visit&& visit) const {
    if (has_none_) visit(kNone);
    for (const Key key : places_) {
      if (key != kNone) visit(key);
    }
  }

 private:
  static constexpr Key kNone = ~Key{0};  // a free place; that key itself is kept apart

  std::size_t home(Key key) const { return hash_(key) % places_.size(); }
  std::size_t next(std::size_t at) const { return at + 1 == places_.size() ? 0 : at + 1; }

  void insert(Key key) {
    if (key == kNone) {
      size_ += has_none_ ? 0 : 1;
      has_none_ = true;
      return;
    }
    for (std::size_t at = home(key);; at = next(at)) {
      Key& there = places_[at];
      if (there == key) return;
      if (there != kNone) continue;
      there = key;
      ++size_;
      return;
    }
  }

  KeyHash hash_;
  std::vector<Key> places_;
  std::size_t size_ = 0;
  bool has_none_ = false;
};

class KeyRule {
 public:
  using Wanted = std::function<bool(Key)>;

  static KeyRule only(KeySet keys) { return {Kind::only, std::move(keys)}; }
  static KeyRule except(KeySet keys) { return {Kind::except, std::move(keys)}; }
  // Bit i of the words is key first + i; those beyond do not pass.
  static KeyRule bits(std::span<const std::uint64_t> words, Key first) {
    KeyRule rule(Kind::bits, KeySet({}, KeyHash(0)));
    rule.words_.assign(words.begin(), words.end());
    rule.first_ = first;
    return rule;
  }
  static KeyRule where(Wanted wanted) {
    KeyRule rule(Kind::where, KeySet({}, KeyHash(0)));
    rule.wanted_ = std::move(wanted);
    return rule;
  }

  bool wants(Key key) const {
    switch (kind_) {
      case Kind::only: return keys_.has(key);
      case Kind::except: return !keys_.has(key);
      case Kind::bits: {
        if (key < first_) return false;  // bits beyond the greatest key are nobody's
        const Key at = key - first_;
        return at / 64 < words_.size() && (words_[at / 64] >> at % 64 & 1) != 0;
      }
      case Kind::where: return wanted_(key);
    }
    return false;
  }

  // All that can pass, if they are known.
  const KeySet* listed() const { return kind_ == Kind::only ? &keys_ : nullptr; }

 private:
  enum class Kind { only, except, bits, where };
  KeyRule(Kind kind, KeySet keys) : kind_(kind), keys_(std::move(keys)) {}

  Kind kind_;
  KeySet keys_;
  std::vector<std::uint64_t> words_;
  Key first_ = 0;
  Wanted wanted_;
};

}  // namespace cairn
