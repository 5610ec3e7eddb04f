// SPDX-License-Identifier: Apache-2.0
//
// Nearest neighbours by looking at every vector: what recall is measured against. Written
// independently of the library's own kernels, and slower.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include <cairn/types.h>

namespace cairn::tools {

// The distance that the metric defines, computed in double. cosine with a zero vector is 1. Spans
// of equal size; for hamming, of zeros and ones.
double exact_distance(Metric metric, std::span<const float> a, std::span<const float> b);

// For each query the distance of its k-th nearest row (of its farthest row if there are fewer than
// k). A result whose exact distance is not above it is as good as any true neighbour.
//   rows, queries   row-major, `dims` floats each; at least one row
//   ends            of the rows of each key, ascending, where keys have several: then the k-th
//                   nearest key is meant, whose distance is that of its nearest row; empty: each
//                   row is one
//   progress        may be empty; called from one thread with the queries done
std::vector<double> kth_distances(Metric metric, std::span<const float> rows,
                                  std::span<const float> queries, std::size_t dims, std::size_t k,
                                  unsigned threads,
                                  const std::function<void(std::size_t done)>& progress,
                                  std::span<const std::size_t> ends = {});

}  // namespace cairn::tools
