// SPDX-License-Identifier: Apache-2.0
//
// Little-endian integers at named places of byte structs, and arithmetic that says when it
// overflows.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "engine/base/assert.h"

namespace cairn::format {

static_assert(std::endian::native == std::endian::little,
              "sections are used as they are mapped, so big-endian processors cannot read them");

// Where a field of a byte struct stands. The tables of docs/format.md hold the same numbers.
struct Field {
  std::size_t offset;
  std::size_t size;
};

template <std::size_t kSize>
using UintOfSize = std::conditional_t<
    kSize == 1, std::uint8_t,
    std::conditional_t<kSize == 2, std::uint16_t,
                       std::conditional_t<kSize == 4, std::uint32_t, std::uint64_t>>>;

// The integer in field kField of the struct that begins at `base`.
template <Field kField>
UintOfSize<kField.size> load(const std::byte* base) {
  static_assert(kField.size == 1 || kField.size == 2 || kField.size == 4 || kField.size == 8);
  UintOfSize<kField.size> value;
  std::memcpy(&value, base + kField.offset, sizeof value);
  return value;
}

template <Field kField>
void store(std::byte* base, std::type_identity_t<UintOfSize<kField.size>> value) {
  static_assert(kField.size == 1 || kField.size == 2 || kField.size == 4 || kField.size == 8);
  std::memcpy(base + kField.offset, &value, sizeof value);
}

// Element i of an array that begins at any address.
inline std::uint16_t load_u16(const std::byte* array, std::size_t i = 0) {
  return load<Field{0, 2}>(array + i * 2);
}
inline void store_u16(std::byte* array, std::size_t i, std::uint16_t value) {
  store<Field{0, 2}>(array + i * 2, value);
}
inline std::uint32_t load_u32(const std::byte* array, std::size_t i = 0) {
  return load<Field{0, 4}>(array + i * 4);
}
inline void store_u32(std::byte* array, std::size_t i, std::uint32_t value) {
  store<Field{0, 4}>(array + i * 4, value);
}
inline std::uint64_t load_u64(const std::byte* array, std::size_t i = 0) {
  return load<Field{0, 8}>(array + i * 8);
}
inline void store_u64(std::byte* array, std::size_t i, std::uint64_t value) {
  store<Field{0, 8}>(array + i * 8, value);
}

// REQUIRES: unit > 0 and value + unit - 1 does not overflow.
constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t unit) {
  CAIRN_ASSERT(unit > 0 && value <= UINT64_MAX - (unit - 1));
  return (value + unit - 1) / unit * unit;
}
constexpr std::uint64_t ceil_div(std::uint64_t value, std::uint64_t unit) {
  return value / unit + (value % unit != 0 ? 1 : 0);
}

// Whether [begin, begin + length) lies in [0, end), for any numbers.
constexpr bool fits(std::uint64_t begin, std::uint64_t length, std::uint64_t end) {
  return begin <= end && length <= end - begin;
}

}  // namespace cairn::format
