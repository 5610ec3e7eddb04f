// SPDX-License-Identifier: Apache-2.0
//
// Fixture of tests that run once for every compiled instruction set.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdlib>
#include <string>
#include <vector>

#include "simd/kernels.h"

namespace cairn::simd {

// The parameter is a position in choices(). What this machine cannot run is skipped, unless
// CAIRN_TEST_MIN_ISA names it or a better one: then it fails.
class EachIsa : public ::testing::TestWithParam<std::size_t> {
 protected:
  void SetUp() override {
    const Choices all = choices();
    if (all.data[GetParam()].available) return;
    const char* min_isa = std::getenv("CAIRN_TEST_MIN_ISA");
    if (min_isa != nullptr && *min_isa != '\0') {
      for (std::size_t i = GetParam(); i < all.size; ++i) {
        ASSERT_STRNE(all.data[i].table->name, min_isa)
            << all.data[GetParam()].table->name << " is required and not available";
      }
    }
    GTEST_SKIP() << all.data[GetParam()].table->name << " is not available";
  }

  static const KernelTable& kernels() { return *choices().data[GetParam()].table; }
  static const KernelTable& scalar() { return *choices().data[0].table; }
};

inline std::string isa_name(const ::testing::TestParamInfo<std::size_t>& info) {
  return choices().data[info.param].table->name;
}

#define CAIRN_FOR_EACH_ISA(suite)                                                           \
  INSTANTIATE_TEST_SUITE_P(All, suite,                                                      \
                           ::testing::Range(std::size_t{0}, ::cairn::simd::choices().size), \
                           ::cairn::simd::isa_name)

// Every length up to twice the widest step (64 components) and three more, then the usual
// dimensions and odd neighbours of powers of two.
inline std::vector<std::size_t> lengths() {
  std::vector<std::size_t> all;
  for (std::size_t n = 0; n <= 2 * 64 + 3; ++n) all.push_back(n);
  constexpr std::size_t longer[] = {199, 255, 256, 257, 383,  384,  385,  511,  513, 767,
                                    769, 783, 784, 785, 1023, 1025, 1279, 1535, 1536};
  for (const std::size_t n : longer) {
    all.push_back(n);
  }
  return all;
}

}  // namespace cairn::simd
