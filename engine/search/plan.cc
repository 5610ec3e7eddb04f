// SPDX-License-Identifier: Apache-2.0
#include "engine/search/plan.h"

#include <algorithm>
#include <cmath>

#include "engine/search/effort.h"
#include "simd/kernels.h"

namespace cairn {

namespace {

// Of a few vectors nobody would rather walk a graph.
constexpr std::size_t kAlwaysScanned = 2048;

// Costs in sixteenths of a nanosecond of one machine; what counts is how they compare. A walk waits
// for memory where a scan knows what comes next (docs/decisions/0023).
struct Costs {
  std::uint64_t distance;  // of a walk
  std::uint64_t list;      // a neighbor list
  std::uint64_t row;       // a distance of a scan
  std::uint64_t word;      // 64 bits of a set
};
Costs costs_of(std::uint64_t row_bytes) {
  const std::uint64_t distance = 250 + row_bytes / 5;
  return {distance, 4 * distance, 8 + row_bytes * 5 / 4, 8};
}

// Rounded down; exact, and so the same everywhere, up to 2^52.
std::uint64_t square_root(std::uint64_t n) {
  return static_cast<std::uint64_t>(std::sqrt(static_cast<double>(n)));
}

// No wider than the graph, whatever is asked for: so no cost is beyond what integers hold.
std::uint64_t window_of(const GraphView& graph, std::size_t k, std::size_t ef) {
  return std::min<std::uint64_t>(std::max(k, ef), graph.count);
}

std::uint64_t count_of(const SlotSet& slots) { return std::max<std::uint64_t>(slots.count(), 1); }

std::uint64_t cost_of_scan(const SlotSet& slots, const Costs& costs) {
  return count_of(slots) * costs.row + slots.words() * costs.word;
}

// A hop computes the distances of the neighbors that are new, three in four; and reads as many
// lists as lie between one passing node and the next, which grow with the root of how rare they
// are. Before it has filled its window, a walk makes as many hops as there are nodes to one that
// passes.
std::uint64_t cost_of_walk(const GraphView& graph, const SlotSet& slots, std::size_t window,
                           const Costs& costs) {
  const std::uint64_t passing = count_of(slots);
  const std::uint64_t all = std::max<std::uint64_t>(graph.live, passing);
  const std::uint64_t distances = graph.m_max0 * 3 / 4;
  const std::uint64_t tenths_of_lists = 14 * square_root(100 * all / passing) / 10;
  const std::uint64_t hops = window + all / passing;
  return hops * (distances * costs.distance + tenths_of_lists * costs.list / 10);
}

}  // namespace

SearchPlan::SearchPlan(const GraphView& graph, const SlotSet& slots, std::size_t k,
                       std::size_t ef) {
  const Costs costs = costs_of(graph.header);
  scan_work_ = cost_of_scan(slots, costs) / costs.distance;
  // Of a few the scan costs less than it takes to tell what a walk would.
  const std::size_t results = std::min<std::size_t>(k, graph.count);
  walks_ = slots.count() > std::max<std::size_t>(2 * results, kAlwaysScanned) &&
           is_walk_worth(graph, slots, window_of(graph, k, ef));
}

bool is_walk_worth(const GraphView& graph, const SlotSet& slots, std::size_t window) {
  const Costs costs = costs_of(graph.header);
  return 3 * cost_of_walk(graph, slots, window, costs) < 2 * cost_of_scan(slots, costs);
}

// The fewer pass, the less of the nearest a window finds from afar: measured on GloVe with half and
// a tenth passing.
std::size_t window_from_afar(const GraphView& graph, const SlotSet& slots, std::size_t window) {
  constexpr std::size_t kWidest = 4;
  const std::uint64_t quarters = square_root(16 * std::uint64_t{graph.live} / count_of(slots));
  return std::min(window * std::max<std::uint64_t>(quarters, 4) / 4, kWidest * window);
}

// Measured at 100, 784 and 1,536 dimensions on 100 to 4,000 rows (docs/decisions/0047), in tenths
// of a nanosecond of one machine: what a row of a scan costs, what all of it costs beyond that of a
// walk, and what a walk costs for each place of its list. Longer rows than those of 784 cost no
// more.
bool is_query_best_scanned(const GraphView& graph, std::size_t k, std::size_t ef) {
  const std::uint64_t row_bytes = std::min<std::uint64_t>(graph.header, 784);
  const std::uint64_t scan = graph.count * (2 + row_bytes / 2) + 30'000 + 60 * row_bytes;
  const std::uint64_t place = 2200 - row_bytes / 2;
  return scan < window_of(graph, k, ef) * place;
}

// Measured at 100 and 784 dimensions on 3,000 to 100,000 rows (docs/decisions/0045): a query costs
// as much by itself as some thousand rows do, for what may be among its nearest is ranked; a walk
// computes 22 ef + 200 distances where it is hard, fewer where rows are long and near ones easy to
// find. There a scan is often misled, and made again.
bool is_batch_best_scanned(const GraphView& graph, std::size_t queries, std::size_t k,
                           std::size_t ef) {
  constexpr std::size_t kFewest = 16;
  if (queries < kFewest) return false;
  const std::uint64_t row_bytes = graph.header;
  const std::size_t panels = (queries + simd::kPanelColumns - 1) / simd::kPanelColumns;
  const std::uint64_t pair = row_bytes <= 90 ? 8 : row_bytes * 2 / 9 - 12;
  const std::uint64_t row = pair * panels * simd::kPanelColumns / queries;
  const std::uint64_t scan = graph.count * row + 120'000 + 300 * row_bytes;
  const std::uint64_t distance = 190 + row_bytes / 12;
  const std::uint64_t walk = (22 * window_of(graph, k, ef) + 200) * distance;
  return scan < walk;
}

}  // namespace cairn
