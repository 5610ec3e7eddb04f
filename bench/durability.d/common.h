// SPDX-License-Identifier: Apache-2.0
//
// What the measurements of a file that is written in place share. Errors are exceptions: this is a
// program, not the library.
#pragma once

#include <cairn/cairn.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "compare.d/engine.h"
#include "compare.d/race.h"

namespace bench {

template <class T>
T checked(cairn::Result<T> result, const char* what) {
  if (!result) throw std::runtime_error(std::string(what) + ": " + result.error().message());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

// `count` vectors that are in no index yet, like those that are: each halfway between two rows.
inline FloatMatrix fresh_vectors(const FloatMatrix& base, std::size_t count) {
  FloatMatrix out{count, base.dims, std::vector<float>(count * base.dims)};
  std::mt19937 random(20260102);
  std::uniform_int_distribution<std::size_t> pick(0, base.rows - 1);
  for (std::size_t i = 0; i < count; ++i) {
    const float* a = base.row(pick(random));
    const float* b = base.row(pick(random));
    for (std::size_t d = 0; d < base.dims; ++d) out.row(i)[d] = (a[d] + b[d]) / 2;
  }
  return out;
}

// The index of `config` as a file of its own, in the page cache.
inline std::string working_copy(const Json& config) {
  const auto path = config.at("work").get<std::string>();
  std::filesystem::copy_file(config.at("index").get<std::string>(), path,
                             std::filesystem::copy_options::overwrite_existing);
  return path;
}

inline cairn::Index open_for_writing(const std::string& path, const std::string& durability) {
  cairn::OpenOptions options;
  options.mode = cairn::Mode::read_write;
  options.durability = durability == "sync"    ? cairn::Durability::sync
                       : durability == "group" ? cairn::Durability::group
                                               : cairn::Durability::none;
  options.group_ms = 5;
  auto index = checked(cairn::Index::open(path, options), "open");
  checked(index.warm(), "warm");
  return index;
}

// p50, p99, the worst and how many; only "count" if there is none.
inline Json tail_of(const std::vector<double>& values) {
  if (values.empty()) return {{"count", 0}};
  return {{"count", values.size()},
          {"p50", quantile(values, 0.5)},
          {"p99", quantile(values, 0.99)},
          {"max", *std::max_element(values.begin(), values.end())}};
}

// Inserts into a copy of "index". {"index", "work", "base", "rows", "durability", "threads",
// "count"}
Json inserts_command(const Json& config);

// Searches and inserts beside checkpoints. {"index", "work", "base", "rows", "queries", "ef",
// "process", "rounds", "count"}; process: "same" or "other".
Json readers_command(const Json& config);

// Opens a file whose writer ended without closing it. {"index", "work", "log_mib", "mode", "runs"}
Json recovery_command(const Json& config);

// Adds "count" vectors to a full index and makes them durable. {"spec", "index", "work", "base",
// "rows", "count"}
Json checkpoint_command(const Json& config);

}  // namespace bench
