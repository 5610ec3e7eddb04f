// SPDX-License-Identifier: Apache-2.0
#include "tests/support/mixtures.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <random>
#include <vector>

namespace cairn::test {

Mixture mixture_of(std::uint64_t seed, std::size_t queries) {
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
  for (std::size_t i = 0; i < rows + queries; ++i) {
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

namespace {

Mixture groups_of(double spread, std::uint64_t seed, std::size_t queries) {
  constexpr std::size_t kDims[] = {2, 8, 32, 64, 200};
  constexpr std::size_t kSizes[] = {2, 10, 50, 300, 1};
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  const std::size_t dims = kDims[random() % 5];
  const std::size_t rows = 300 + random() % 3 * 300;
  const std::size_t size = kSizes[seed % 4];
  const bool is_mixed = random() % 3 == 0;  // sizes
  Mixture mixture{{dims, {}, {}}, {dims, {}, {}}};
  std::vector<std::vector<double>> centers;
  std::vector<float> row(dims);
  const auto put = [&](Vectors& to, const std::vector<double>& center, double noise) {
    for (std::size_t j = 0; j < dims; ++j) {
      row[j] = static_cast<float>(center[j] + noise * normal(random));
    }
    to.append(to.rows(), row);
  };
  while (mixture.vectors.rows() < rows) {
    auto& center = centers.emplace_back(dims);
    if (random() % 16 != 0) {  // else zeros
      for (double& value : center) value = normal(random);
    }
    const std::size_t members = is_mixed ? kSizes[random() % 5] : size;
    for (std::size_t i = 0; i < members; ++i) put(mixture.vectors, center, spread);
  }
  const std::vector<double> zero(dims);
  for (std::size_t i = 0; i < queries; ++i) {
    if (i % 2 == 0) {
      put(mixture.queries, centers[random() % centers.size()], spread);
    } else {
      put(mixture.queries, zero, 1);
    }
  }
  return mixture;
}

Mixture ties(std::uint64_t seed, std::size_t queries) {
  constexpr std::size_t kDims[] = {4, 8, 16, 64};
  std::mt19937_64 random(seed);
  const std::size_t dims = kDims[random() % 4];
  const std::size_t rows = 300 + random() % 3 * 300;
  const int most = 1 + static_cast<int>(random() % 3);
  std::uniform_int_distribution<int> whole(-most, most);
  Mixture mixture{{dims, {}, {}}, {dims, {}, {}}};
  std::vector<float> row(dims);
  for (std::size_t i = 0; i < rows + queries; ++i) {
    for (float& value : row) value = static_cast<float>(whole(random));
    (i < rows ? mixture.vectors : mixture.queries).append(i, row);
  }
  return mixture;
}

}  // namespace

const char* name_of(Family family) {
  constexpr const char* kNames[] = {"scales", "copies", "near_copies", "ties"};
  return kNames[static_cast<int>(family)];
}

Mixture mixture_of(Family family, std::uint64_t seed, std::size_t queries) {
  constexpr double kSpreads[] = {1e-2, 1e-3, 1e-4, 1e-6};
  switch (family) {
    case Family::scales: return mixture_of(seed, queries);
    case Family::copies: return groups_of(0, seed, queries);
    case Family::near_copies: return groups_of(kSpreads[seed / 4 % 4], seed, queries);
    case Family::ties: return ties(seed, queries);
  }
  return {};
}

}  // namespace cairn::test
