// SPDX-License-Identifier: Apache-2.0
//
// How far the answers of an index are those of another engine, or the exact ones.
#pragma once

#include <atomic>
#include <cstddef>
#include <span>
#include <vector>

#include <cairn/cairn.h>

#include "tools/command/stored_rows.h"
#include "tools/files/truth_file.h"

namespace cairn::tools {

// The least distance of all vectors that the key has, as searches rank keys. `vector` is of the
// index's dimensions, and is overwritten. key_not_found.
Result<double> distance_to_key(const Index& index, std::span<const float> query, Key key,
                               std::vector<float>& vector);

struct AllRows {
  std::vector<float> floats;
  std::vector<std::size_t> ends;  // of the rows of each key, ascending
};

// All vectors of the index, key by key.
Result<AllRows> all_rows(const Index& index);

struct Overlap {
  std::size_t queries = 0;
  double mean = 1;            // over queries, of the part of what is wanted that was found
  std::vector<double> parts;  // of each query
};

// A wanted key is found if it is among the first k results, or as near as the last of them: equally
// near vectors stand for each other. Ids of all ones, of either width, are what others write where
// they have found nothing, and are not wanted.
//
// The first k answers of each query. invalid_argument: the numbers of queries differ, or an answer
// has fewer than k columns; cancelled.
Result<Overlap> overlap_with(const Index& index, const StoredRows& queries,
                             const AnswerFile& answers, const SearchParams& params,
                             unsigned threads, const std::atomic<bool>* stop);

// The k nearest vectors of the index, or keys where these have several, found by comparing with all
// of them. Takes memory for them as floats.
Result<Overlap> overlap_with_exact(const Index& index, const StoredRows& queries,
                                   const SearchParams& params, unsigned threads,
                                   const std::atomic<bool>* stop);

}  // namespace cairn::tools
