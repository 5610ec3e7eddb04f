// SPDX-License-Identifier: Apache-2.0
#include <exception>
#include <thread>

#include "compare.d/process.h"
#include "durability.d/common.h"

namespace bench {
namespace {

// Adds rows first, first + step, ...; microseconds of each call.
std::vector<double> add_rows(cairn::Index& index, const FloatMatrix& rows, std::size_t first,
                             std::size_t step, std::uint64_t first_key) {
  std::vector<double> micros;
  micros.reserve(rows.rows / step + 1);
  for (std::size_t i = first; i < rows.rows; i += step) {
    const auto start = Clock::now();
    checked(index.add(first_key + i, cairn::VectorView(rows.row(i), rows.dims)), "add");
    micros.push_back(seconds_since(start) * 1e6);
  }
  return micros;
}

}  // namespace

Json inserts_command(const Json& config) {
  const auto threads = config.at("threads").get<std::size_t>();
  const auto base = read_matrix<float>(config.at("base").get<std::string>(),
                                       config.at("rows").get<std::size_t>());
  const FloatMatrix rows = fresh_vectors(base, config.at("count").get<std::size_t>());
  cairn::Index index =
      open_for_writing(working_copy(config), config.at("durability").get<std::string>());
  std::vector<std::vector<double>> micros(threads);
  std::vector<std::exception_ptr> failures(threads);
  std::vector<std::thread> workers;

  const Json before = io_counters();
  const auto start = Clock::now();
  for (std::size_t t = 0; t < threads; ++t) {
    workers.emplace_back([&, t] {
      try {
        micros[t] = add_rows(index, rows, t, threads, base.rows);
      } catch (...) {
        failures[t] = std::current_exception();
      }
    });
  }
  for (std::thread& w : workers) w.join();
  const double seconds = seconds_since(start);
  for (const auto& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
  // With durability none the log may still be in memory: its bytes belong to the inserts.
  checked(index.sync(), "sync");
  const Json added = io_counters();
  const cairn::Stats stats = index.stats();
  checked(index.checkpoint(), "checkpoint");
  const Json checkpointed = io_counters();

  std::vector<double> all;
  for (const auto& some : micros) all.insert(all.end(), some.begin(), some.end());
  return {{"micros", tail_of(all)},
          {"per_second", static_cast<double>(all.size()) / seconds},
          {"log_io", difference(added, before)},
          {"checkpoint_io", difference(checkpointed, added)},
          {"automatic_checkpoints", stats.checkpoints},
          {"log_bytes", stats.log_bytes},
          {"dirty_pages", stats.dirty_pages}};
}

}  // namespace bench
