// SPDX-License-Identifier: Apache-2.0
//
// The kinds of numbers that vector files hold, and their values as f32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace cairn::tools {

enum class ElementKind { f16, f32, f64, i8, i16, i32, i64, u8, u16, u32, u64, boolean };

struct Element {
  ElementKind kind = ElementKind::f32;
  bool swapped = false;  // big-endian in the file
};

// Of one element: 1, 2, 4 or 8.
std::size_t element_bytes(ElementKind kind);

// Where and why a value has no place in f32.
struct Misfit {
  std::size_t index;
  std::string what;  // "16777217 is no f32"
};

// The elements in `from` as floats, as many as `out` has. f64 is rounded to nearest; integers are
// exact; of booleans whatever is not 0 is 1. The first that f32 does not hold is told: an integer
// that is not exact, a finite f64 that becomes infinite. REQUIRES: from is out.size() elements.
std::optional<Misfit> to_f32(Element element, std::span<const std::byte> from,
                             std::span<float> out);

}  // namespace cairn::tools
