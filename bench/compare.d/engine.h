// SPDX-License-Identifier: Apache-2.0
//
// One face for all systems that are compared. Errors are exceptions: these are programs, not the
// library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "common/vector_file.h"
#include "compare.d/passing_sets.h"

namespace bench {

using Json = nlohmann::json;

// What an index is made with. As JSON: {"engine", "m", "ef_construction", "metric", "traversal",
// "seed"}.
struct Spec {
  std::string engine;  // cairn, hnswlib, usearch-f32, usearch-i8
  std::string metric;  // cosine, l2
  std::size_t m = 16;
  std::size_t ef_construction = 200;
  std::string traversal = "automatic";  // Cairn's: automatic, code, exact
  std::uint64_t seed = 42;              // Cairn's
};

Spec parse_spec(const Json& json);

// How a saved index comes into the process. map: Cairn's and USearch's mapped file. load: read into
// memory.
enum class Residency { map, load };

Residency parse_residency(const std::string& name);

class Engine {
 public:
  virtual ~Engine() = default;

  // Rows must be of length 1 under cosine (hnswlib knows inner products only); the caller
  // normalizes, untimed.
  virtual bool wants_unit_rows() const { return false; }

  virtual void build(const FloatMatrix& base, unsigned threads) = 0;  // keys are row numbers
  virtual void save(const std::string& path) = 0;
  // `spare`: how many vectors add() must be able to take.
  virtual void open(const std::string& path, Residency residency, std::size_t spare) = 0;
  virtual void add(std::uint64_t key, const float* row) = 0;

  virtual void set_ef(std::size_t ef) = 0;
  // At most k keys, nearest first, into `out`; returns how many. Concurrent calls have different
  // `thread` < 64.
  virtual std::size_t search(const float* query, std::size_t k, unsigned thread,
                             std::uint32_t* out) = 0;

  // The same of rows that pass only. The filter, which refers to the words, is made beforehand. ef
  // 0: Cairn's exact plan.
  struct Prepared {
    virtual ~Prepared() = default;
  };
  virtual std::unique_ptr<Prepared> prepare(const Words& passing) = 0;
  virtual std::size_t search_filtered(const float* query, std::size_t k, const Prepared& filter,
                                      std::uint32_t* out) = 0;

  // What the engine says of itself: "isa", "hot_bytes" (all that graph traversal touches), "size".
  virtual Json facts() const = 0;
};

std::unique_ptr<Engine> make_engine(const Spec& spec, std::size_t dims);

std::unique_ptr<Engine> make_cairn(const Spec& spec, std::size_t dims);
std::unique_ptr<Engine> make_hnswlib(const Spec& spec, std::size_t dims);
std::unique_ptr<Engine> make_usearch(const Spec& spec, std::size_t dims);

}  // namespace bench
