// SPDX-License-Identifier: Apache-2.0
#include "tests/support/mixtures.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <random>
#include <vector>

namespace cairn::test {

Mixture mixture_of(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto pick = [&](std::initializer_list<double> values) {
    return *(values.begin() + static_cast<std::ptrdiff_t>(random() % values.size()));
  };
  const bool large = random() % 12 == 0;
  const auto dims = static_cast<std::size_t>(large ? pick({16, 768, 1536})
                                                   : pick({1, 2, 8, 17, 64, 64, 128, 384}));
  const auto rows =
      static_cast<std::size_t>(large ? (dims == 16 ? 5000 : 300) : pick({1, 30, 400, 700, 1000}));
  const std::size_t centers = 1 + random() % 12;
  const double spread = pick({1, 1, 0.1, 1e-2, 1e-3});
  const double offset = pick({0, 0, 30, 150, 300});
  const double apart = pick({0, 0, 100, 150, 250});
  const double apart_spread = pick({0, 1, 5});
  const double share = pick({0.1, 0.5, 1});     // of the rows that have the component apart
  const double scale = pick({1, 1, 1e-3, 64});  // what f16 can hold
  const double copies = pick({0, 0, 0, 0.5});   // share of rows that are near an earlier one
  const double copy_noise = pick({0, 1e-6, 1e-4, 1e-3});
  const bool whole = random() % 8 == 0;  // numbers: many ties
  const bool tails = random() % 4 == 0;
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform;
  const auto component = [&] {
    return tails ? normal(random) / std::max(0.05, std::fabs(normal(random))) : normal(random);
  };
  std::vector<double> center(centers * dims);
  for (double& value : center) value = component();
  Mixture mixture{{dims, {}, {}}, {dims, {}, {}}};
  std::vector<float> row(dims);
  for (std::size_t i = 0; i < rows + 25; ++i) {
    const std::size_t from = random() % centers * dims;
    for (std::size_t j = 0; j < dims; ++j) {
      row[j] = static_cast<float>(scale * (offset + center[from + j] + spread * component()));
    }
    if (apart > 0 && uniform(random) < share) {
      row[0] = static_cast<float>(scale * (apart + apart_spread * normal(random)));
    }
    if (whole) {
      for (float& value : row) value = std::round(value);
    }
    if (i > 0 && i < rows && uniform(random) < copies) {
      const float* other = mixture.vectors.row(random() % i);
      for (std::size_t j = 0; j < dims; ++j) {
        row[j] = static_cast<float>(other[j] * (1 + copy_noise * normal(random)));
      }
    }
    (i < rows ? mixture.vectors : mixture.queries).append(i, row);
  }
  return mixture;
}

}  // namespace cairn::test
