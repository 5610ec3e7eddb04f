// SPDX-License-Identifier: Apache-2.0
//
// The hashes of the file: XXH3 with seed 0. docs/format.md, "Conventions" and "Checksums".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace cairn::format {

struct Hash128 {
  std::uint64_t low = 0;
  std::uint64_t high = 0;

  // As it is stored: low, then high, little-endian.
  std::array<std::uint8_t, 16> bytes() const;
  static Hash128 load(const std::byte* at);
  void store(std::byte* at) const;

  friend bool operator==(const Hash128&, const Hash128&) = default;
};

Hash128 hash128(std::span<const std::byte> data);

// Of both pieces, one behind the other.
Hash128 hash128(std::span<const std::byte> first, std::span<const std::byte> second);

// The same of any number of pieces.
class HashStream {
 public:
  HashStream();
  HashStream(const HashStream&) = delete;
  HashStream& operator=(const HashStream&) = delete;
  ~HashStream();

  void add(std::span<const std::byte> piece);
  Hash128 hash() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// XXH3-64, of one piece or of two, one behind the other.
std::uint64_t hash64(std::span<const std::byte> data);
std::uint64_t hash64(std::span<const std::byte> first, std::span<const std::byte> second);

// 0 for a page of zeros, else XXH3-64 with 0 replaced by 1. REQUIRES: 4096 bytes.
std::uint64_t page_checksum(const std::byte* page);

// For messages: "0x0123456789abcdef".
const char* hex(std::uint64_t value, std::array<char, 19>& buffer);

}  // namespace cairn::format
