// SPDX-License-Identifier: Apache-2.0
//
// The hashes of a key that files depend on (docs/format.md, "Hashes of a key").
#pragma once

#include <cstdint>
#include <optional>

#include <cairn/types.h>

namespace cairn {

// A bijection that mixes all bits: the finalizer of SplitMix64 (Steele, Lea & Flood 2014).
constexpr std::uint64_t mix64(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

// Whoever knows the seed, or one hash, knows which keys collide: for files without a hash seed.
constexpr std::uint64_t key_hash(Key key, std::uint64_t seed) { return mix64(key ^ mix64(seed)); }

// Two rounds with a secret before each: neither a key with its hash nor the places of keys in the
// table give the seed away.
inline constexpr std::uint64_t kSecondRound = 0x726F756E64320000u;
constexpr std::uint64_t seeded_key_hash(Key key, std::uint64_t hash_seed) {
  return mix64(key_hash(key, hash_seed) ^ mix64(hash_seed ^ kSecondRound));
}

// Where a key stands in a key table: one of the two. Both are bijections of keys.
class KeyHash {
 public:
  // `level_seed` is that of the index's parameters, and counts only without `hash_seed`.
  constexpr KeyHash(std::uint64_t level_seed, std::optional<std::uint64_t> hash_seed = {})
      : hash_seed_(hash_seed),
        first_(mix64(hash_seed.value_or(level_seed))),
        second_(mix64(hash_seed.value_or(0) ^ kSecondRound)) {}

  constexpr std::uint64_t operator()(Key key) const {
    const std::uint64_t once = mix64(key ^ first_);
    return hash_seed_ ? mix64(once ^ second_) : once;
  }
  constexpr std::optional<std::uint64_t> hash_seed() const { return hash_seed_; }

 private:
  std::optional<std::uint64_t> hash_seed_;
  std::uint64_t first_;
  std::uint64_t second_;
};

// What decides a key's level and its place in the insertion order of build(): independent of
// key_hash.
constexpr std::uint64_t level_hash(Key key, std::uint64_t seed) {
  return mix64(key_hash(key, seed) ^ 0x6C6576656C000000u);
}

}  // namespace cairn
