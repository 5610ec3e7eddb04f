// SPDX-License-Identifier: Apache-2.0
//
// Timing in turns. A machine's clock may change twofold within minutes, so systems are timed in
// slices of about a hundred queries, one after the other, and only what happened within one round
// is compared.
#pragma once

#include <cstddef>
#include <vector>

#include "compare.d/recall.h"

namespace bench {

struct Lane {
  Contestant* who = nullptr;
  std::size_t ef = 0;
};

struct RaceRules {
  std::size_t slice = 100;  // timed queries of one turn
  std::size_t warm = 10;    // untimed queries before them
  std::size_t rounds = 50;
  std::size_t min_rounds = 20;  // even if it takes longer than that:
  double max_seconds = 120;
};

struct LaneTimes {
  std::vector<double> qps;    // one a round
  std::vector<float> micros;  // one a query
};

// In each round every lane answers a slice of queries of its own, no two lanes the same, in an
// order that changes from round to round. One thread.
std::vector<LaneTimes> race(const std::vector<Lane>& lanes, const RaceRules& rules);

// The value below which the share `p` of the values lies. REQUIRES: not empty
double quantile(std::vector<double> values, double p);

// Median and 10 % and 90 % quantiles.
Json spread(const std::vector<double>& values);

}  // namespace bench
