// SPDX-License-Identifier: Apache-2.0
//
// The byte kernels without vectors: what the others are compared with. See one_row() in
// kernels_impl.h for how an operation is used: Sum is one chain of additions, load_tail the last n
// - i < kStep bytes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/float_scalar.h"
#include "simd/group.h"
#include "simd/kernels.h"

namespace cairn::simd {
namespace {

struct BytesScalar {
  struct Sums {
    using Sum = std::uint32_t;
    struct Four {
      std::uint32_t value[4];
    };
    static Sum zero() noexcept { return 0; }
    static std::uint32_t bias(const std::byte*, std::size_t) noexcept { return 0; }
    static Four reduce4(Sum a, Sum b, Sum c, Sum d, std::uint32_t) noexcept {
      return {{a, b, c, d}};
    }
    static void store(Four four, std::uint32_t* out) noexcept {
      __builtin_memcpy(out, four.value, sizeof(four.value));
    }
  };

  struct Int8Sums : Sums {
    static constexpr std::size_t kStep = 1;
    static std::int32_t load(const std::byte* p) noexcept { return static_cast<std::int8_t>(*p); }
  };

  struct Dot : Int8Sums {
    static Sum step(Sum sum, std::int32_t row, std::int32_t query) noexcept {
      return sum + static_cast<std::uint32_t>(row * query);
    }
    // (c0 + k a dot) + w b, each operation rounded: every instruction set does these, so all scores
    // agree to the bit.
    static void score4(Four dots, const Group& group, const CodeQuery& query, float* out) noexcept {
      const std::byte* const row[4] = {group.row0, group.row1, group.row2, group.row3};
      for (std::size_t r = 0; r < 4; ++r) {
        float factor[2];
        __builtin_memcpy(factor, row[r] + query.factor_offset, sizeof(factor));
        const auto dot = static_cast<float>(static_cast<std::int32_t>(dots.value[r]));
        const float scaled = (query.k * factor[0]) * dot;
        out[r] = (query.c0 + scaled) + query.w * factor[1];
      }
    }
  };

  struct L2 : Int8Sums {
    static Sum step(Sum sum, std::int32_t row, std::int32_t query) noexcept {
      return sum + static_cast<std::uint32_t>((row - query) * (row - query));
    }
  };

  struct Hamming : Sums {
    static constexpr std::size_t kStep = 8;
    static std::uint64_t load(const std::byte* p) noexcept {
      std::uint64_t word;
      __builtin_memcpy(&word, p, sizeof(word));
      return word;
    }
    static std::uint64_t load_tail(const std::byte* p, std::size_t i, std::size_t n) noexcept {
      std::uint64_t word = 0;
      __builtin_memcpy(&word, p + i, n - i);
      return word;
    }
    static Sum step(Sum sum, std::uint64_t row, std::uint64_t query) noexcept {
      return sum + static_cast<std::uint32_t>(__builtin_popcountll(row ^ query));
    }
  };

  // What simd/panels.h asks of an instruction set: sums of kLanes queries side by side, to which
  // step() adds the products of one unit of a row with those of each query.
  struct Panels {
    using Sum = std::uint32_t;
    using Column = std::uint32_t;  // units of as many queries
    static constexpr std::size_t kLanes = 1;
    static constexpr std::size_t kRows = 4;     // that are scored together
    static constexpr std::size_t kVectors = 2;  // of sums, by each row
    static constexpr std::size_t kDepth = 4;    // components a unit
    static constexpr std::uint32_t kFlip = 0;   // of a row's unit
    static std::int32_t start(const std::int8_t*, std::size_t) noexcept { return 0; }
    static Sum load_sum(const std::int32_t* p) noexcept { return static_cast<Sum>(*p); }
    static Column load(const std::byte* p) noexcept {
      Column unit;
      __builtin_memcpy(&unit, p, sizeof(unit));
      return unit;
    }
    static Sum step(Sum sum, const std::byte* row, Column column) noexcept {
      const Column unit = load(row);
      for (int shift = 0; shift < 32; shift += 8) {
        sum += static_cast<Sum>(static_cast<std::int8_t>(unit >> shift) *
                                static_cast<std::int8_t>(column >> shift));
      }
      return sum;
    }
    static Lane<float> to_floats(Sum sum) noexcept {
      return Lane<float>(static_cast<float>(static_cast<std::int32_t>(sum)));
    }
  };

  static std::int32_t quantize(const float* v, float factor, std::size_t n,
                               std::int8_t* out) noexcept {
    // Adding 1.5 * 2^23 leaves no bits for a fraction, so the addition rounds to the nearest even
    // integer and leaves it in the low bits.
    constexpr float kShift = 12582912.0F;
    constexpr std::int32_t kShiftBits = 0x4B400000;
    std::int32_t sum = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const float shifted = v[i] * factor + kShift;
      std::int32_t bits;
      __builtin_memcpy(&bits, &shifted, sizeof(bits));
      const std::int32_t q = bits - kShiftBits;
      out[i] = static_cast<std::int8_t>(q);
      sum += q * q;
    }
    return sum;
  }
};

}  // namespace
}  // namespace cairn::simd
