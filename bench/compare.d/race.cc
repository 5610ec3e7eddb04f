// SPDX-License-Identifier: Apache-2.0
#include "compare.d/race.h"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <random>
#include <stdexcept>

#include "compare.d/process.h"

namespace bench {
namespace {

// Answers queries first ... first + count - 1, cyclically; returns the seconds it took.
double run_slice(const Lane& lane, std::size_t first, std::size_t count,
                 std::vector<float>* micros) {
  const FloatMatrix& rows = lane.who->rows();
  Engine& engine = lane.who->engine();
  std::uint32_t found[128];
  const auto start = Clock::now();
  auto before = start;
  for (std::size_t i = 0; i < count; ++i) {
    engine.search(rows.row((first + i) % rows.rows), lane.who->k(), 0, found);
    const auto now = Clock::now();
    if (micros) micros->push_back(std::chrono::duration<float, std::micro>(now - before).count());
    before = now;
  }
  return std::chrono::duration<double>(before - start).count();
}

}  // namespace

std::vector<LaneTimes> race(const std::vector<Lane>& lanes, const RaceRules& rules) {
  std::vector<LaneTimes> times(lanes.size());
  if (lanes.empty()) return times;
  const std::size_t queries = lanes.front().who->rows().rows;
  const std::size_t blocks = queries / rules.slice;
  if (blocks == 0) throw std::runtime_error("fewer queries than one slice");
  std::vector<std::size_t> order(lanes.size()), block(blocks);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::iota(block.begin(), block.end(), std::size_t{0});
  std::mt19937 random(20260101);
  std::shuffle(block.begin(), block.end(), random);
  const std::size_t step = std::max<std::size_t>(1, blocks / lanes.size());
  const auto start = Clock::now();
  for (std::size_t round = 0; round < rules.rounds; ++round) {
    if (round >= rules.min_rounds && seconds_since(start) > rules.max_seconds) break;
    std::shuffle(order.begin(), order.end(), random);
    for (std::size_t i : order) {
      const std::size_t first = block[(round + i * step) % blocks] * rules.slice;
      lanes[i].who->engine().set_ef(lanes[i].ef);
      run_slice(lanes[i], first + queries - rules.warm, rules.warm, nullptr);
      const double seconds = run_slice(lanes[i], first, rules.slice, &times[i].micros);
      times[i].qps.push_back(static_cast<double>(rules.slice) / seconds);
    }
  }
  return times;
}

double quantile(std::vector<double> values, double p) {
  const double at = p * static_cast<double>(values.size() - 1);
  std::sort(values.begin(), values.end());
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (at - static_cast<double>(below)) * (values[above] - values[below]);
}

Json spread(const std::vector<double>& values) {
  return {{"median", quantile(values, 0.5)},
          {"p10", quantile(values, 0.1)},
          {"p90", quantile(values, 0.9)},
          {"rounds", values.size()}};
}

}  // namespace bench
