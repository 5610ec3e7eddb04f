// SPDX-License-Identifier: Apache-2.0
//
// The level of a node is a function of its key and the index's seed, and of its vector where a key
// may have several, so that building is deterministic and does not depend on the order of
// insertion. Malkov & Yashunin 2018, section 4.1, with m_L = 1 / ln(M): a node reaches level l with
// probability M^-l. Compared as integers, so that every processor draws the same levels.
#pragma once

#include <array>
#include <cstdint>

#include "engine/base/hash.h"
#include "format/bytes/checksum.h"
#include "format/bytes/limits.h"
#include "format/bytes/parameters.h"

namespace cairn {

// What decides a node's level and its place in the insertion order of build(). `vector`: as given.
inline std::uint64_t level_hash_of(const format::Parameters& parameters, Key key,
                                   const void* vector) {
  const std::uint64_t hash = level_hash(key, parameters.seed);
  if (!parameters.several_per_key) return hash;
  const std::size_t bytes = vector_bytes(parameters.scalar, parameters.dimensions);
  return mix64(hash ^ format::hash64({static_cast<const std::byte*>(vector), bytes}));
}

class LevelGenerator {
 public:
  LevelGenerator(std::uint32_t m, std::uint64_t seed) : seed_(seed) {
    // floor(2^64 / m) from 2^64 - 1; dividing that again loses nothing.
    constexpr std::uint64_t kLast = ~std::uint64_t{0};
    std::uint64_t threshold = kLast / m + (kLast % m == m - 1 ? 1 : 0);
    for (auto& t : thresholds_) {
      t = threshold;
      threshold /= m;
    }
  }

  std::uint32_t level(Key key) const { return level_of(level_hash(key, seed_)); }

  // Of a hash as level_hash_of() gives it.
  std::uint32_t level_of(std::uint64_t hash) const {
    std::uint32_t level = 0;
    while (level < thresholds_.size() && hash < thresholds_[level]) ++level;
    return level;
  }

 private:
  std::uint64_t seed_;
  std::array<std::uint64_t, format::kMaxLevels - 1> thresholds_{};  // [l - 1]: floor(2^64 / m^l)
};

}  // namespace cairn
