// SPDX-License-Identifier: Apache-2.0
//
// Lists of matches, one a shard, each nearest first, become one: by distance, ties by key, a key
// once. An index ranks by distances in double and reports them rounded: where rounded ones of
// several shards are equal, their vectors decide, so that the order is that of one index.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <cairn/index.h>
#include <cairn/params.h>
#include <cairn/types.h>

namespace cairn {

// Keys that have been given: open addressing, emptied by counting up.
class GivenKeys {
 public:
  // Room for `most` of them without growing.
  void begin(std::size_t most);
  // False: it was there.
  bool insert(Key key);
  std::size_t size() const { return size_; }

 private:
  struct Place {
    Key key = 0;
    std::uint64_t round = 0;
  };
  void grow(std::size_t places);

  std::vector<Place> places_;  // a power of two of them, at most half taken
  std::uint64_t round_ = 0;
  std::size_t size_ = 0;
};

// What is left of the answer of a shard.
struct MatchList {
  const Index* index;
  std::span<const Match> left;
  std::optional<double> exact;  // of the first, once it has been asked for
  std::size_t size = 0;         // at the beginning
};

// A match that was taken, and whose it was.
struct Taken {
  Match match;
  const Index* index;
  double exact = 0;
};

// Memory of a merge.
struct MergeScratch {
  std::vector<MatchList> lists;
  GivenKeys given;
  std::vector<float> vector;      // a stored one
  std::vector<std::byte> stored;  // the same in the kind of the index
};

class Merge {
 public:
  // `reported`: distances are those of the metric, not of the caller's own. What it is given must
  // outlive it; the lists are those of `scratch`.
  Merge(VectorView query, const IndexParams& params, bool reported, MergeScratch& scratch);

  // The list whose first match is the nearest; nothing if all are empty.
  std::optional<std::size_t> nearest();
  // Takes the first match of it.
  Match take(std::size_t list);
  // The next ones of all lists, each key once; returns how many. REQUIRES: scratch.given has begun.
  std::size_t take(std::span<Match> out);

  // Puts what was taken in the order of one index, also where a list has given something late.
  void sort(std::span<Taken> taken);
  // The vector that the shard has of the match, until the next call; nothing if it has none any
  // more.
  std::optional<VectorView> vector_of(const Taken& taken);

 private:
  bool is_nearer(MatchList& a, MatchList& b);
  double exact(MatchList& list);
  // Infinite if the vector is not there any more.
  double exact(const Index& index, Key key);
  std::optional<VectorView> vector_of(const Index& index, Key key);

  VectorView query_;
  const IndexParams& params_;
  bool by_vectors_;
  MergeScratch& scratch_;
};

}  // namespace cairn
