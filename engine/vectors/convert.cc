// SPDX-License-Identifier: Apache-2.0
#include <cairn/convert.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <new>
#include <string>

#include "engine/vectors/components.h"
#include "simd/kernels.h"

namespace cairn {

namespace {

// Symmetric, like the codes: negating a vector stays possible.
constexpr float kLargestI8 = 127.0f;

Error bad_component(ErrorCode code, std::size_t i, float value, const char* what) {
  std::array<char, 32> number;
  std::snprintf(number.data(), number.size(), "%.9g", double{value});
  return Error(code, "component " + std::to_string(i) + " is " + number.data() + ", " + what);
}

Result<void> to_half(std::span<const float> from, Scalar to, std::uint16_t* out) {
  const auto& kernels = simd::kernels();
  (to == Scalar::f16 ? kernels.f32_to_f16 : kernels.f32_to_bf16)(from.data(), from.size(), out);
  const VectorView view = to == Scalar::f16 ? VectorView::f16({out, from.size()})
                                            : VectorView::bf16({out, from.size()});
  if (well_formed(view)) return {};
  std::size_t i = 0;
  while (well_formed(to == Scalar::f16 ? VectorView::f16({out + i, 1})
                                       : VectorView::bf16({out + i, 1}))) {
    ++i;
  }
  return bad_component(ErrorCode::not_finite, i, from[i],
                       to == Scalar::f16 ? "too large for f16" : "too large for bf16");
}

Result<void> to_i8(std::span<const float> from, std::byte* out) {
  for (std::size_t i = 0; i < from.size(); ++i) {
    const float value = from[i];  // once: the caller's memory may be changed meanwhile
    if (!(std::fabs(value) <= kLargestI8)) {
      return bad_component(ErrorCode::invalid_argument, i, value, "outside [-127, 127] of i8");
    }
    out[i] = static_cast<std::byte>(static_cast<std::int8_t>(std::nearbyint(value)));
  }
  return {};
}

void to_b1(std::span<const float> from, std::byte* out) {
  std::memset(out, 0, vector_bytes(Scalar::b1, from.size()));
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (from[i] > 0) out[i / 8] |= std::byte{1} << (i % 8);
  }
}

}  // namespace

namespace {

Result<void> convert_checked(std::span<const float> from, Scalar to, std::span<std::byte> out) {
  const std::size_t bytes = vector_bytes(to, from.size());
  if (out.size() < bytes) {
    return Error(ErrorCode::invalid_argument, "convert: room for " + std::to_string(out.size()) +
                                                  " bytes, " + std::to_string(bytes) + " needed");
  }
  if (const VectorView view(from); !well_formed(view)) return defect_of(view);
  switch (to) {
    case Scalar::f32: std::memcpy(out.data(), from.data(), bytes); return {};
    case Scalar::f16:
    case Scalar::bf16:
      if (reinterpret_cast<std::uintptr_t>(out.data()) % alignof(std::uint16_t) != 0) {
        return Error(ErrorCode::invalid_argument, "convert: an odd address");
      }
      return to_half(from, to, reinterpret_cast<std::uint16_t*>(out.data()));
    case Scalar::i8: return to_i8(from, out.data());
    case Scalar::b1: to_b1(from, out.data()); return {};
  }
  return Error(ErrorCode::invalid_argument, "convert: an unknown scalar kind");
}

}  // namespace

Result<void> convert(std::span<const float> from, Scalar to, std::span<std::byte> out) {
  try {
    return convert_checked(from, to, out);
  } catch (const std::bad_alloc&) {
    return Error(ErrorCode::out_of_memory, "convert");
  }
}

Result<void> convert(VectorView from, std::span<float> out) {
  if (out.size() < from.dims()) {
    return Error(ErrorCode::invalid_argument, "convert: too little room");
  }
  to_floats(from.scalar(), from.data(), 0, from.dims(), out.data());
  return {};
}

}  // namespace cairn
