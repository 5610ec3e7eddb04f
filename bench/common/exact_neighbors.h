// SPDX-License-Identifier: Apache-2.0
//
// Exact nearest neighbors by brute force: a blocked f32 matrix product finds candidates, doubles
// rank them.
#pragma once

#include <cstddef>
#include <string_view>

#include "common/vector_file.h"

namespace bench {

enum class TruthMetric { cosine, l2 };

TruthMetric parse_metric(std::string_view name);  // "cosine" or "l2", else throws

// Row i: ids of the k rows of `base` nearest to query i, nearest first, ties by id. REQUIRES: k <=
// base.rows. Cosine: the zero vector has distance 1 to everything.
IdMatrix exact_neighbors(const FloatMatrix& base, const FloatMatrix& queries, TruthMetric metric,
                         std::size_t k, unsigned threads);

}  // namespace bench
