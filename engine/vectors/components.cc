// SPDX-License-Identifier: Apache-2.0
#include "engine/vectors/components.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <string>

#include "engine/base/assert.h"
#include "engine/vectors/metric.h"
#include "simd/kernels.h"

namespace cairn {

namespace {

// All exponent bits are set in infinities and NaNs.
constexpr std::uint32_t kF32Exponent = 0x7F80'0000;
constexpr std::uint32_t kF32LowestOfExponent = 0x0080'0000;
constexpr std::uint16_t kF16Exponent = 0x7C00;
constexpr std::uint16_t kBf16Exponent = 0x7F80;

bool finite(const float* values, std::size_t n) {
  std::uint32_t carries = 0;  // the highest bit: from an exponent that is all ones
  for (std::size_t i = 0; i < n; ++i) {
    carries |= (std::bit_cast<std::uint32_t>(values[i]) & kF32Exponent) + kF32LowestOfExponent;
  }
  return carries >> 31 == 0;
}

bool finite(const std::uint16_t* bits, std::size_t n, std::uint16_t exponent) {
  bool all = true;
  for (std::size_t i = 0; i < n; ++i) all &= (bits[i] & exponent) != exponent;
  return all;
}

bool spare_bits_are_zero(const std::uint8_t* bytes, std::size_t dims) {
  return dims % 8 == 0 || bytes[dims / 8] >> (dims % 8) == 0;
}

}  // namespace

const char* name_of(Metric metric) { return exists(metric) ? row_of(metric).name : "unknown"; }

const char* name_of(Scalar scalar) {
  switch (scalar) {
    case Scalar::f32: return "f32";
    case Scalar::f16: return "f16";
    case Scalar::bf16: return "bf16";
    case Scalar::i8: return "i8";
    case Scalar::b1: return "b1";
  }
  return "unknown";
}

const char* name_of(Traversal traversal) {
  switch (traversal) {
    case Traversal::automatic: return "automatic";
    case Traversal::code: return "code";
    case Traversal::exact: return "exact";
  }
  return "unknown";
}

void to_floats(Scalar scalar, const void* vector, std::size_t begin, std::size_t n, float* out) {
  CAIRN_ASSERT(begin % 8 == 0);
  const auto& kernels = simd::kernels();
  switch (scalar) {
    case Scalar::f32: {
      const auto* values = static_cast<const float*>(vector) + begin;
      for (std::size_t i = 0; i < n; ++i) out[i] = values[i];
      return;
    }
    case Scalar::f16:
      kernels.f16_to_f32(static_cast<const std::uint16_t*>(vector) + begin, n, out);
      return;
    case Scalar::bf16:
      kernels.bf16_to_f32(static_cast<const std::uint16_t*>(vector) + begin, n, out);
      return;
    case Scalar::i8: {
      const auto* values = static_cast<const std::int8_t*>(vector) + begin;
      for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<float>(values[i]);
      return;
    }
    case Scalar::b1: {
      const auto* bytes = static_cast<const std::uint8_t*>(vector) + begin / 8;
      for (std::size_t i = 0; i < n; ++i) {
        out[i] = static_cast<float>(bytes[i / 8] >> (i % 8) & 1);
      }
      return;
    }
  }
}

const float* as_floats(Scalar scalar, const void* vector, std::size_t dims,
                       std::vector<float>& buffer) {
  if (scalar == Scalar::f32) return static_cast<const float*>(vector);
  buffer.resize(dims);
  to_floats(scalar, vector, 0, dims, buffer.data());
  return buffer.data();
}

bool well_formed(VectorView vector) {
  switch (vector.scalar()) {
    case Scalar::f32: return finite(static_cast<const float*>(vector.data()), vector.dims());
    case Scalar::f16:
      return finite(static_cast<const std::uint16_t*>(vector.data()), vector.dims(), kF16Exponent);
    case Scalar::bf16:
      return finite(static_cast<const std::uint16_t*>(vector.data()), vector.dims(), kBf16Exponent);
    case Scalar::i8: return true;
    case Scalar::b1:
      return spare_bits_are_zero(static_cast<const std::uint8_t*>(vector.data()), vector.dims());
  }
  return false;
}

Error defect_of(VectorView vector) {
  if (vector.scalar() == Scalar::b1) {
    return Error(ErrorCode::invalid_argument, "the last byte has bits set beyond the " +
                                                  std::to_string(vector.dims()) + " dimensions");
  }
  std::vector<float> buffer;
  const float* values = as_floats(vector.scalar(), vector.data(), vector.dims(), buffer);
  std::size_t i = 0;
  while (i < vector.dims() && std::isfinite(values[i])) ++i;
  return Error(ErrorCode::not_finite, "component " + std::to_string(i) + " is not finite");
}

}  // namespace cairn
