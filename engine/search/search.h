// SPDX-License-Identifier: Apache-2.0
//
// K-NN-SEARCH (Malkov & Yashunin 2018, Algorithm 5), with candidates found on codes and reranked on
// the vectors.
#pragma once

#include <cstddef>
#include <span>

#include <cairn/params.h>

#include "engine/search/search_scratch.h"
#include "engine/vectors/distance.h"

namespace cairn {

// Writes the nearest min(k, out.size(), live nodes found) to `out`, nearest first, ties by key;
// returns how many. REQUIRES: `query` fits the index, see
// Space::prepare; k, ef >= 1.
std::size_t knn_search(const Space& space, VectorView query, const SearchParams& params,
                       SearchScratch& scratch, std::span<Match> out);

}  // namespace cairn
