// SPDX-License-Identifier: Apache-2.0
#include "engine/transfer/row_encoding.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "engine/transfer/byte_reader.h"

namespace cairn {

namespace {

// A float of fewer bits: sign, exponent, mantissa. In e5m2 the highest exponent means infinity and
// NaN, in e4m3 all ones mean NaN, the others have neither.
float small_float(unsigned bits, int exponent_bits, int mantissa_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const unsigned mantissa = bits & ((1u << mantissa_bits) - 1);
  const int exponent = static_cast<int>(bits >> mantissa_bits & ((1u << exponent_bits) - 1));
  const bool negative = (bits >> (exponent_bits + mantissa_bits) & 1) != 0;
  constexpr float kNone = std::numeric_limits<float>::quiet_NaN();
  if (exponent_bits == 5 && exponent == 31) return kNone;
  if (exponent_bits == 4 && exponent == 15 && mantissa == 7) return kNone;
  const auto value =
      static_cast<float>(exponent == 0 ? mantissa : mantissa + (1u << mantissa_bits));
  const int shift = (exponent == 0 ? 1 : exponent) - bias - mantissa_bits;
  return std::ldexp(negative ? -value : value, shift);
}

template <class T>
std::optional<std::size_t> widen(const std::byte* from, std::size_t n, float* out) {
  for (std::size_t i = 0; i < n; ++i) {
    const T value = load<T>(from + i * sizeof(T));
    out[i] = static_cast<float>(value);
    // A long double holds all integers of 64 bits.
    constexpr bool kMayNotFit = sizeof(T) >= 4 && std::numeric_limits<T>::is_integer;
    if (kMayNotFit && static_cast<long double>(out[i]) != static_cast<long double>(value)) return i;
  }
  return std::nullopt;
}

unsigned code_at(const std::byte* from, std::size_t i, Encoding encoding) {
  const auto byte = [&](std::size_t at) { return std::to_integer<unsigned>(from[at]); };
  switch (encoding) {
    case Encoding::sq6: {
      const std::size_t at = i / 4 * 3;
      switch (i % 4) {
        case 0: return byte(at) & 63;
        case 1: return byte(at) >> 6 | (byte(at + 1) & 15) << 2;
        case 2: return byte(at + 1) >> 4 | (byte(at + 2) & 3) << 4;
        default: return byte(at + 2) >> 2;
      }
    }
    case Encoding::sq4:
    case Encoding::sq4_uniform: return byte(i / 2) >> (i % 2 * 4) & 15;
    default: return byte(i);
  }
}

void dequantise(const EncodedRows& rows, const std::byte* from, float* out) {
  const bool uniform =
      rows.encoding == Encoding::sq8_uniform || rows.encoding == Encoding::sq4_uniform;
  const bool four = rows.encoding == Encoding::sq4 || rows.encoding == Encoding::sq4_uniform;
  const float steps = four ? 15.0f : rows.encoding == Encoding::sq6 ? 63.0f : 255.0f;
  const std::size_t n = rows.dimensions;
  // faiss on x86 and ARM takes eight components at a time where it can, and rounds once there.
  const bool fused = n % 8 == 0;
  for (std::size_t i = 0; i < n; ++i) {
    const float least = load<float>(rows.trained + (uniform ? 0 : i) * sizeof(float));
    const float width = load<float>(rows.trained + (uniform ? 1 : n + i) * sizeof(float));
    const float part = (static_cast<float>(code_at(from, i, rows.encoding)) + 0.5f) / steps;
    out[i] = fused ? std::fma(part, width, least) : least + part * width;
  }
}

void reverse_bits(const std::byte* from, std::size_t bytes, std::byte* out) {
  for (std::size_t i = 0; i < bytes; ++i) {
    auto bits = std::to_integer<unsigned>(from[i]);
    bits = (bits & 0x0F) << 4 | bits >> 4;
    bits = (bits & 0x33) << 2 | (bits >> 2 & 0x33);
    bits = (bits & 0x55) << 1 | (bits >> 1 & 0x55);
    out[i] = static_cast<std::byte>(bits);
  }
}

void widen_bytes(Encoding encoding, const std::byte* from, std::size_t n, float* out) {
  for (std::size_t i = 0; i < n; ++i) {
    const auto bits = std::to_integer<unsigned>(from[i]);
    switch (encoding) {
      case Encoding::u8_minus_128: out[i] = static_cast<float>(static_cast<int>(bits) - 128); break;
      case Encoding::e5m2: out[i] = small_float(bits, 5, 2); break;
      case Encoding::e4m3: out[i] = small_float(bits, 4, 3); break;
      case Encoding::e3m2: out[i] = small_float(bits, 3, 2); break;
      case Encoding::e2m3: out[i] = small_float(bits, 2, 3); break;
      default: out[i] = static_cast<float>(bits);
    }
  }
}

}  // namespace

const char* name_of(Encoding encoding) {
  switch (encoding) {
    case Encoding::f32: return "f32";
    case Encoding::f16: return "f16";
    case Encoding::bf16: return "bf16";
    case Encoding::i8: return "i8";
    case Encoding::b1:
    case Encoding::b1_highest_first: return "b1";
    case Encoding::f64: return "f64";
    case Encoding::u8: return "u8";
    case Encoding::i16: return "i16";
    case Encoding::u16: return "u16";
    case Encoding::i32: return "i32";
    case Encoding::u32: return "u32";
    case Encoding::i64: return "i64";
    case Encoding::u64: return "u64";
    case Encoding::u8_minus_128: return "8bit_direct_signed";
    case Encoding::e5m2: return "e5m2";
    case Encoding::e4m3: return "e4m3";
    case Encoding::e3m2: return "e3m2";
    case Encoding::e2m3: return "e2m3";
    case Encoding::sq8: return "8bit";
    case Encoding::sq8_uniform: return "8bit_uniform";
    case Encoding::sq6: return "6bit";
    case Encoding::sq4: return "4bit";
    case Encoding::sq4_uniform: return "4bit_uniform";
  }
  return "";
}

std::size_t encoded_bytes(Encoding encoding, std::size_t dimensions) {
  switch (encoding) {
    case Encoding::f64:
    case Encoding::i64:
    case Encoding::u64: return dimensions * 8;
    case Encoding::f32:
    case Encoding::i32:
    case Encoding::u32: return dimensions * 4;
    case Encoding::f16:
    case Encoding::bf16:
    case Encoding::i16:
    case Encoding::u16: return dimensions * 2;
    case Encoding::b1:
    case Encoding::b1_highest_first: return (dimensions + 7) / 8;
    case Encoding::sq6: return (dimensions * 6 + 7) / 8;
    case Encoding::sq4:
    case Encoding::sq4_uniform: return (dimensions + 1) / 2;
    default: return dimensions;
  }
}

Scalar stored_as(Encoding encoding) {
  switch (encoding) {
    case Encoding::f16: return Scalar::f16;
    case Encoding::bf16: return Scalar::bf16;
    case Encoding::i8: return Scalar::i8;
    case Encoding::b1:
    case Encoding::b1_highest_first: return Scalar::b1;
    default: return Scalar::f32;
  }
}

bool is_widened(Encoding encoding) {
  return stored_as(encoding) == Scalar::f32 && encoding != Encoding::f32;
}

bool is_rounded(Encoding encoding) { return encoding == Encoding::f64; }

std::optional<std::size_t> decode_row(const EncodedRows& rows, std::size_t row, std::byte* out) {
  const std::byte* from = rows.first + row * rows.stride;
  const std::size_t n = rows.dimensions;
  auto* floats = reinterpret_cast<float*>(out);
  switch (rows.encoding) {
    case Encoding::f32:
    case Encoding::f16:
    case Encoding::bf16:
    case Encoding::i8:
    case Encoding::b1: std::memcpy(out, from, encoded_bytes(rows.encoding, n)); return {};
    case Encoding::b1_highest_first: reverse_bits(from, (n + 7) / 8, out); return {};
    case Encoding::f64: return widen<double>(from, n, floats);
    case Encoding::i16: return widen<std::int16_t>(from, n, floats);
    case Encoding::u16: return widen<std::uint16_t>(from, n, floats);
    case Encoding::i32: return widen<std::int32_t>(from, n, floats);
    case Encoding::u32: return widen<std::uint32_t>(from, n, floats);
    case Encoding::i64: return widen<std::int64_t>(from, n, floats);
    case Encoding::u64: return widen<std::uint64_t>(from, n, floats);
    case Encoding::u8:
    case Encoding::u8_minus_128:
    case Encoding::e5m2:
    case Encoding::e4m3:
    case Encoding::e3m2:
    case Encoding::e2m3: widen_bytes(rows.encoding, from, n, floats); return {};
    default: dequantise(rows, from, floats); return {};
  }
}

}  // namespace cairn
