// SPDX-License-Identifier: Apache-2.0
#include "format/bytes/checksum.h"

#include <cstring>

#include "format/bytes/coding.h"
#include "format/bytes/limits.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace cairn::format {
namespace {

Hash128 from(XXH128_hash_t hash) { return {hash.low64, hash.high64}; }

bool is_zero(const std::byte* page) {
  // Equal to itself one byte further on, and the first byte is 0.
  return page[0] == std::byte{0} && std::memcmp(page, page + 1, kPageSize - 1) == 0;
}

}  // namespace

std::array<std::uint8_t, 16> Hash128::bytes() const {
  std::array<std::uint8_t, 16> out;
  std::memcpy(out.data(), &low, sizeof low);
  std::memcpy(out.data() + sizeof low, &high, sizeof high);
  return out;
}

Hash128 Hash128::load(const std::byte* at) { return {load_u64(at, 0), load_u64(at, 1)}; }

void Hash128::store(std::byte* at) const {
  store_u64(at, 0, low);
  store_u64(at, 1, high);
}

Hash128 hash128(std::span<const std::byte> data) {
  return from(XXH3_128bits(data.data(), data.size()));
}

Hash128 hash128(std::span<const std::byte> first, std::span<const std::byte> second) {
  XXH3_state_t state;
  XXH3_128bits_reset(&state);
  XXH3_128bits_update(&state, first.data(), first.size());
  XXH3_128bits_update(&state, second.data(), second.size());
  return from(XXH3_128bits_digest(&state));
}

struct HashStream::State {
  XXH3_state_t xxh;
};

HashStream::HashStream() : state_(std::make_unique<State>()) { XXH3_128bits_reset(&state_->xxh); }
HashStream::~HashStream() = default;

void HashStream::add(std::span<const std::byte> piece) {
  XXH3_128bits_update(&state_->xxh, piece.data(), piece.size());
}

Hash128 HashStream::hash() const { return from(XXH3_128bits_digest(&state_->xxh)); }

std::uint64_t hash64(std::span<const std::byte> data) {
  return XXH3_64bits(data.data(), data.size());
}

std::uint64_t hash64(std::span<const std::byte> first, std::span<const std::byte> second) {
  XXH3_state_t state;
  XXH3_64bits_reset(&state);
  XXH3_64bits_update(&state, first.data(), first.size());
  XXH3_64bits_update(&state, second.data(), second.size());
  return XXH3_64bits_digest(&state);
}

std::uint64_t page_checksum(const std::byte* page) {
  if (page[0] == std::byte{0} && is_zero(page)) return 0;
  const std::uint64_t hash = XXH3_64bits(page, kPageSize);
  return hash != 0 ? hash : 1;
}

const char* hex(std::uint64_t value, std::array<char, 19>& buffer) {
  static constexpr char kDigits[] = "0123456789abcdef";
  buffer[0] = '0';
  buffer[1] = 'x';
  for (std::size_t i = 0; i < 16; ++i) buffer[17 - i] = kDigits[(value >> (4 * i)) & 15];
  buffer[18] = '\0';
  return buffer.data();
}

}  // namespace cairn::format
