// SPDX-License-Identifier: Apache-2.0
#include "compare.d/passing_sets.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>
#include <stdexcept>

namespace bench {
namespace {

// The first `count` of all rows by `before`, which orders them.
template <class Before>
Words first_rows(std::vector<std::uint32_t> rows, std::size_t all, std::size_t count,
                 Before&& before) {
  count = std::min(count, rows.size());
  std::nth_element(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(count), rows.end(),
                   before);
  Words words((all + 63) / 64);
  for (std::size_t i = 0; i < count; ++i) words[rows[i] / 64] |= std::uint64_t{1} << rows[i] % 64;
  return words;
}

std::uint64_t mixed(std::uint64_t value) {
  value = (value ^ (value >> 33)) * 0xFF51AFD7ED558CCDU;
  value = (value ^ (value >> 33)) * 0xC4CEB9FE1A85EC53U;
  return value ^ (value >> 33);
}

}  // namespace

PassKind parse_kind(const std::string& name) {
  if (name == "U") return PassKind::random;
  if (name == "R") return PassKind::near;
  if (name == "NR") return PassKind::far;
  if (name == "NH") return PassKind::hole;
  if (name == "C") return PassKind::cluster;
  if (name == "all") return PassKind::all;
  throw std::runtime_error("unknown passing set '" + name + "'");
}

std::vector<float> distances_to_all(const FloatMatrix& rows, const float* query) {
  std::vector<float> out(rows.rows);
  for (std::size_t i = 0; i < rows.rows; ++i) {
    const float* row = rows.row(i);
    float sum = 0;
    for (std::size_t d = 0; d < rows.dims; ++d) {
      const float difference = row[d] - query[d];
      sum += difference * difference;
    }
    out[i] = sum;
  }
  return out;
}

Words passing_set(PassKind kind, std::size_t count, const FloatMatrix& rows,
                  const std::vector<float>& distances, std::uint64_t seed) {
  const std::size_t n = rows.rows;
  std::vector<std::uint32_t> all(n);
  std::iota(all.begin(), all.end(), 0U);
  const auto by_chance = [&](std::uint32_t a, std::uint32_t b) {
    return mixed(a ^ mixed(seed)) < mixed(b ^ mixed(seed));
  };
  const auto nearer = [&](std::uint32_t a, std::uint32_t b) { return distances[a] < distances[b]; };
  if (kind == PassKind::all) count = n;
  if (kind == PassKind::random || kind == PassKind::all)
    return first_rows(all, n, count, by_chance);
  if (kind == PassKind::near) return first_rows(all, n, count, nearer);
  std::nth_element(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(n / 2), all.end(),
                   nearer);
  const std::vector<std::uint32_t> farther(all.begin() + static_cast<std::ptrdiff_t>(n / 2),
                                           all.end());
  if (kind == PassKind::hole) return first_rows(farther, n, count, by_chance);
  std::mt19937_64 random(seed);
  const std::vector<float> around =
      distances_to_all(rows, rows.row(farther[random() % farther.size()]));
  return first_rows(all, n, count,
                    [&](std::uint32_t a, std::uint32_t b) { return around[a] < around[b]; });
}

Clusters::Clusters(const FloatMatrix& rows, std::size_t clusters)
    : centers_(rows.rows), of_row_(rows.rows) {
  std::iota(centers_.begin(), centers_.end(), 0U);
  std::shuffle(centers_.begin(), centers_.end(), std::mt19937_64(clusters));
  centers_.resize(clusters);
  std::vector<float> nearest(rows.rows, std::numeric_limits<float>::infinity());
  for (std::uint32_t c = 0; c < clusters; ++c) {
    const std::vector<float> distances = distances_to_all(rows, rows.row(centers_[c]));
    for (std::size_t i = 0; i < rows.rows; ++i) {
      if (!(distances[i] < nearest[i])) continue;
      nearest[i] = distances[i];
      of_row_[i] = c;
    }
  }
}

Words Clusters::another(const std::vector<float>& distances, std::uint64_t seed) const {
  const auto is_nearer = [&](std::uint32_t a, std::uint32_t b) {
    return distances[a] < distances[b];
  };
  const auto own = std::min_element(centers_.begin(), centers_.end(), is_nearer);
  const auto own_place = static_cast<std::uint64_t>(own - centers_.begin());
  std::uint64_t other = std::mt19937_64(seed)() % (centers_.size() - 1);
  if (other >= own_place) ++other;
  Words words((of_row_.size() + 63) / 64);
  for (std::size_t i = 0; i < of_row_.size(); ++i) {
    if (of_row_[i] == other) words[i / 64] |= std::uint64_t{1} << i % 64;
  }
  return words;
}

std::vector<std::uint32_t> nearest_passing(const Words& words, const std::vector<float>& distances,
                                           std::size_t k) {
  std::vector<std::uint32_t> rows;
  for (std::size_t i = 0; i < distances.size(); ++i) {
    if (passes(words, i)) rows.push_back(static_cast<std::uint32_t>(i));
  }
  const std::size_t count = std::min(k, rows.size());
  std::partial_sort(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(count), rows.end(),
                    [&](std::uint32_t a, std::uint32_t b) { return distances[a] < distances[b]; });
  rows.resize(count);
  return rows;
}

}  // namespace bench
