// SPDX-License-Identifier: Apache-2.0
//
// A system in the comparison together with its questions, and how much of the truth it finds.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>

#include "common/vector_file.h"
#include "compare.d/engine.h"

namespace bench {

// Scales every row to length 1; zero rows stay.
void normalize(FloatMatrix& m);

struct QuerySet {
  FloatMatrix raw;
  FloatMatrix unit;  // empty unless the metric is cosine
  IdMatrix truth;

  static QuerySet read(const std::string& queries, const std::string& truth,
                       const std::string& metric);
  const FloatMatrix& rows_for(const Engine& engine) const {
    return engine.wants_unit_rows() ? unit : raw;
  }
};

// Share of the k nearest that are among the k found, over all queries.
double measure_recall(Engine& engine, const QuerySet& queries, std::size_t k, std::size_t ef,
                      unsigned threads);

// Two neighboring ef around a wanted recall.
struct Bracket {
  enum class State {
    ok,
    exceeded,
    never
  };  // exceeded: already at the smallest ef; never: not at the largest
  State state = State::ok;
  std::size_t low = 0, high = 0;
  double recall_low = 0, recall_high = 0;

  // Queries a second at `target`, log-linear in recall.
  double interpolate(double target, double qps_low, double qps_high) const;
};

class Contestant {
 public:
  Contestant(std::string name, std::unique_ptr<Engine> engine, const QuerySet& queries,
             std::size_t k);

  const std::string& name() const { return name_; }
  Engine& engine() { return *engine_; }
  const FloatMatrix& rows() const { return queries_.rows_for(*engine_); }
  std::size_t k() const { return k_; }

  double recall(std::size_t ef);  // remembered
  void remember(std::size_t ef, double recall) { recalls_[ef] = recall; }
  const std::map<std::size_t, double>& recalls() const { return recalls_; }

  // `efs` ascending: the grid to start from.
  Bracket bracket(double target, const std::vector<std::size_t>& efs);

 private:
  std::string name_;
  std::unique_ptr<Engine> engine_;
  const QuerySet& queries_;
  std::size_t k_;
  std::map<std::size_t, double> recalls_;
};

}  // namespace bench
