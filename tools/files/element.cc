// SPDX-License-Identifier: Apache-2.0
#include "tools/files/element.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <type_traits>

namespace cairn::tools {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are copied as they stand");

template <class T>
T load(const std::byte* from, bool swapped) {
  std::array<std::byte, sizeof(T)> bytes;
  std::memcpy(bytes.data(), from, sizeof(T));
  if (swapped) std::reverse(bytes.begin(), bytes.end());
  return std::bit_cast<T>(bytes);
}

// IEEE 754 binary16: sign, 5 bits of exponent, 10 of fraction.
float half_value(std::uint16_t bits) {
  const bool negative = (bits & 0x8000u) != 0;
  const int exponent = bits >> 10 & 0x1F;
  const int fraction = bits & 0x3FF;
  float value = 0;
  if (exponent == 0x1F) {
    value = fraction == 0 ? std::numeric_limits<float>::infinity()
                          : std::numeric_limits<float>::quiet_NaN();
  } else if (exponent == 0) {
    value = std::ldexp(static_cast<float>(fraction), -24);
  } else {
    value = std::ldexp(static_cast<float>(fraction | 0x400), exponent - 25);
  }
  return negative ? -value : value;
}

template <class T>
bool is_exact(T value) {
  auto magnitude = static_cast<std::uint64_t>(value);
  if constexpr (std::is_signed_v<T>) {
    if (value < 0) magnitude = 0 - magnitude;
  }
  constexpr std::uint64_t kFractions = std::uint64_t{1} << 24;
  return magnitude < kFractions || (magnitude >> std::countr_zero(magnitude)) < kFractions;
}

template <class T>
std::optional<Misfit> widen(const std::byte* from, bool swapped, std::span<float> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    const T value = load<T>(from + i * sizeof(T), swapped);
    out[i] = static_cast<float>(value);
    if constexpr (std::is_integral_v<T> && sizeof(T) > 2) {
      if (!is_exact(value)) return Misfit{i, std::to_string(value) + " is no f32"};
    }
    if constexpr (std::is_same_v<T, double>) {
      if (std::isfinite(value) && !std::isfinite(out[i])) {
        std::array<char, 32> text;
        std::snprintf(text.data(), text.size(), "%g", value);
        return Misfit{i, std::string(text.data()) + " is beyond f32"};
      }
    }
  }
  return {};
}

}  // namespace

std::size_t element_bytes(ElementKind kind) {
  switch (kind) {
    case ElementKind::i8:
    case ElementKind::u8:
    case ElementKind::boolean: return 1;
    case ElementKind::f16:
    case ElementKind::i16:
    case ElementKind::u16: return 2;
    case ElementKind::f32:
    case ElementKind::i32:
    case ElementKind::u32: return 4;
    case ElementKind::f64:
    case ElementKind::i64:
    case ElementKind::u64: return 8;
  }
  return 0;
}

std::optional<Misfit> to_f32(Element element, std::span<const std::byte> from,
                             std::span<float> out) {
  const std::byte* at = from.data();
  switch (element.kind) {
    case ElementKind::f16:
      for (std::size_t i = 0; i < out.size(); ++i)
        out[i] = half_value(load<std::uint16_t>(at + 2 * i, element.swapped));
      return {};
    case ElementKind::boolean:
      for (std::size_t i = 0; i < out.size(); ++i) out[i] = at[i] == std::byte{0} ? 0.0f : 1.0f;
      return {};
    case ElementKind::f32: return widen<float>(at, element.swapped, out);
    case ElementKind::f64: return widen<double>(at, element.swapped, out);
    case ElementKind::i8: return widen<std::int8_t>(at, element.swapped, out);
    case ElementKind::i16: return widen<std::int16_t>(at, element.swapped, out);
    case ElementKind::i32: return widen<std::int32_t>(at, element.swapped, out);
    case ElementKind::i64: return widen<std::int64_t>(at, element.swapped, out);
    case ElementKind::u8: return widen<std::uint8_t>(at, element.swapped, out);
    case ElementKind::u16: return widen<std::uint16_t>(at, element.swapped, out);
    case ElementKind::u32: return widen<std::uint32_t>(at, element.swapped, out);
    case ElementKind::u64: return widen<std::uint64_t>(at, element.swapped, out);
  }
  return {};
}

}  // namespace cairn::tools
