// SPDX-License-Identifier: Apache-2.0
//
// The two hashes of a key that files depend on (docs/format.md, "Hashes of a key").
#pragma once

#include <cstdint>

#include <cairn/types.h>

namespace cairn {

// A bijection that mixes all bits: the finalizer of SplitMix64 (Steele, Lea & Flood 2014).
constexpr std::uint64_t mix64(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

// Where a key stands in the key table. Seeded, so that one set of bad keys does not fit all
// indexes.
constexpr std::uint64_t key_hash(Key key, std::uint64_t seed) { return mix64(key ^ mix64(seed)); }

// What decides a key's level and its place in the insertion order of build(): independent of
// key_hash.
constexpr std::uint64_t level_hash(Key key, std::uint64_t seed) {
  return mix64(key_hash(key, seed) ^ 0x6C6576656C000000u);
}

}  // namespace cairn
