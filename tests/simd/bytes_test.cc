// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "simd/kernels.h"
#include "tests/simd/each_isa.h"
#include "tests/simd/guarded.h"

namespace cairn::simd {
namespace {

using Bytes = EachIsa;
CAIRN_FOR_EACH_ISA(Bytes);

std::int64_t reference_dot(const std::int8_t* a, const std::int8_t* b, std::size_t n) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += std::int64_t{a[i]} * b[i];
  return sum;
}

std::int64_t reference_l2(const std::int8_t* a, const std::int8_t* b, std::size_t n) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += std::int64_t{a[i] - b[i]} * (a[i] - b[i]);
  return sum;
}

std::int64_t reference_hamming(const std::int8_t* a, const std::int8_t* b, std::size_t n) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < n; ++i) {
    sum += std::popcount(static_cast<std::uint8_t>(a[i] ^ b[i]));
  }
  return sum;
}

const std::uint8_t* bits(const std::int8_t* v) {
  return static_cast<const std::uint8_t*>(static_cast<const void*>(v));
}

void expect_exact(const KernelTable& k, const std::int8_t* a, const std::int8_t* b, std::size_t n) {
  EXPECT_EQ(std::int64_t{k.dot_i8(a, b, n)}, reference_dot(a, b, n)) << n;
  EXPECT_EQ(std::int64_t{k.l2_i8(a, b, n)}, reference_l2(a, b, n)) << n;
  EXPECT_EQ(std::int64_t{k.hamming(bits(a), bits(b), n)}, reference_hamming(a, b, n)) << n;
}

// All byte values, the ends of the range more often than their share.
void fill(std::int8_t* v, std::size_t n, std::mt19937& random) {
  for (std::size_t i = 0; i < n; ++i) {
    const auto r = random();
    const int value = static_cast<int>(r & 0xFF) - 128;
    v[i] = static_cast<std::int8_t>((r >> 8) % 4 != 0 ? value : value < 0 ? -128 : 127);
  }
}

TEST_P(Bytes, PairsOfEveryLengthAreExactAndReadNothingOutside) {
  std::mt19937 random(1);
  for (const Flush flush : {Flush::kEnd, Flush::kBegin}) {
    for (const std::size_t n : lengths()) {
      const Guarded<std::int8_t> a(n, flush);
      const Guarded<std::int8_t> b(n, flush);
      fill(a.data(), n, random);
      fill(b.data(), n, random);
      expect_exact(kernels(), a.data(), b.data(), n);
    }
  }
}

TEST_P(Bytes, EveryMisalignmentOfEitherVectorIsExact) {
  std::mt19937 random(2);
  alignas(64) std::int8_t a[320];
  alignas(64) std::int8_t b[320];
  fill(a, sizeof(a), random);
  fill(b, sizeof(b), random);
  for (const std::size_t n : {std::size_t{15}, std::size_t{100}, std::size_t{129}}) {
    for (std::size_t at = 0; at < 64; ++at) {
      expect_exact(kernels(), a + at, b, n);
      expect_exact(kernels(), a, b + at, n);
      expect_exact(kernels(), a + at, b + (at * 7) % 64, n);
    }
  }
}

TEST_P(Bytes, ExtremeValuesAreExactAtTheLargestLength) {
  for (const std::size_t n : {std::size_t{65535}, std::size_t{65536}}) {
    for (const int x : {-128, -127, 127}) {
      for (const int y : {-128, -127, 127}) {
        const std::vector<std::int8_t> a(n, static_cast<std::int8_t>(x));
        const std::vector<std::int8_t> b(n, static_cast<std::int8_t>(y));
        expect_exact(kernels(), a.data(), b.data(), n);
      }
    }
  }
}

TEST_P(Bytes, EveryPairOfValuesIsExact) {
  for (int x = -128; x <= 127; ++x) {
    for (int y = -128; y <= 127; ++y) {
      const auto a = static_cast<std::int8_t>(x);
      const auto b = static_cast<std::int8_t>(y);
      ASSERT_EQ(kernels().dot_i8(&a, &b, 1), x * y);
      ASSERT_EQ(kernels().l2_i8(&a, &b, 1), static_cast<std::uint32_t>((x - y) * (x - y)));
    }
  }
}

TEST_P(Bytes, ListsGiveThePairsInOrderOfIdsAndReadNothingOutside) {
  std::mt19937 random(3);
  constexpr std::size_t row_count = 9;
  for (const std::size_t dim : lengths()) {
    for (const std::size_t padding : {std::size_t{0}, std::size_t{5}}) {
      SCOPED_TRACE(dim);
      const std::size_t stride = dim + padding;
      const Guarded<std::int8_t> table(row_count * stride - padding);
      const Guarded<std::int8_t> query(dim);
      fill(table.data(), table.size(), random);
      fill(query.data(), dim, random);
      const Rows rows{static_cast<const std::byte*>(static_cast<const void*>(table.data())),
                      stride};
      for (std::size_t n = 0; n <= 14; ++n) {
        const Guarded<std::uint32_t> ids(n);
        for (auto& id : ids) id = static_cast<std::uint32_t>(random() % row_count);
        if (n != 0) ids[n / 2] = row_count - 1;  // the one at the guard
        const Guarded<std::int32_t> dot(n);
        const Guarded<std::uint32_t> l2(n);
        const Guarded<std::uint32_t> hamming(n);
        kernels().dot_i8_many(query.data(), rows, ids.data(), n, dim, dot.data());
        kernels().l2_i8_many(query.data(), rows, ids.data(), n, dim, l2.data());
        kernels().hamming_many(bits(query.data()), rows, ids.data(), n, dim, hamming.data());
        for (std::size_t i = 0; i < n; ++i) {
          const std::int8_t* row = table.data() + ids[i] * stride;
          EXPECT_EQ(std::int64_t{dot[i]}, reference_dot(query.data(), row, dim));
          EXPECT_EQ(std::int64_t{l2[i]}, reference_l2(query.data(), row, dim));
          EXPECT_EQ(std::int64_t{hamming[i]}, reference_hamming(query.data(), row, dim));
        }
      }
    }
  }
}

TEST_P(Bytes, EveryMisalignmentOfRowsInAListIsExact) {
  std::mt19937 random(4);
  constexpr std::size_t dim = 100;
  std::vector<std::int8_t> table(64 + 5 * dim);
  std::vector<std::int8_t> query(dim);
  fill(table.data(), table.size(), random);
  fill(query.data(), dim, random);
  const std::vector<std::uint32_t> ids = {4, 0, 2, 3, 1};
  for (std::size_t at = 0; at < 64; ++at) {
    const Rows rows{static_cast<const std::byte*>(static_cast<const void*>(table.data() + at)),
                    dim};
    std::vector<std::int32_t> dot(ids.size());
    kernels().dot_i8_many(query.data(), rows, ids.data(), ids.size(), dim, dot.data());
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const std::int8_t* row = table.data() + at + ids[i] * dim;
      EXPECT_EQ(std::int64_t{dot[i]}, reference_dot(query.data(), row, dim));
    }
  }
}

}  // namespace
}  // namespace cairn::simd
