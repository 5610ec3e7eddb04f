// SPDX-License-Identifier: Apache-2.0
//
// Sets of rows that pass a filter, of a given size, and how they lie about a query.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "common/vector_file.h"

namespace bench {

using Words = std::vector<std::uint64_t>;  // one bit a row

inline bool passes(const Words& words, std::size_t row) {
  return (words[row / 64] >> row % 64 & 1) != 0;
}

// random: anywhere. near: a ball around the query. far: a ball around a row of the farther half.
// hole: anywhere in the farther half. cluster: one that is not the query's. all: every row.
enum class PassKind { random, near, far, hole, cluster, all };

PassKind parse_kind(const std::string& name);

// Distances, the smaller the nearer, from a query to all rows; rows and query of length 1 under
// cosine.
std::vector<float> distances_to_all(const FloatMatrix& rows, const float* query);

// Rows by the nearest of some that are drawn as centers.
class Clusters {
 public:
  // REQUIRES: 2 <= clusters <= rows.rows
  Clusters(const FloatMatrix& rows, std::size_t clusters);

  std::size_t size() const { return centers_.size(); }
  // All rows of a cluster that is not the one of the query whose distances these are.
  Words another(const std::vector<float>& distances, std::uint64_t seed) const;

 private:
  std::vector<std::uint32_t> centers_;  // rows
  std::vector<std::uint32_t> of_row_;   // which of them
};

// `count` rows for the query whose distances these are; a seed of its own for each query, one for
// all of a cell where the set does not depend on the query. Of clusters see there.
Words passing_set(PassKind kind, std::size_t count, const FloatMatrix& rows,
                  const std::vector<float>& distances, std::uint64_t seed);

// The k nearest that pass, nearest first.
std::vector<std::uint32_t> nearest_passing(const Words& words, const std::vector<float>& distances,
                                           std::size_t k);

}  // namespace bench
