// SPDX-License-Identifier: Apache-2.0
//
// Replaces every vector of an index, several times, and sees what that does to the graph.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <numeric>
#include <random>

#include "churn.d/setup.h"
#include "common/exact_neighbors.h"

namespace bench {

namespace {

// The index, and which row each key has at present.
struct Present {
  cairn::Index index;
  std::vector<std::uint32_t> row_of;
};

struct Quality {
  double recall;
  double self_found;  // share of the live vectors that find themselves, or an equal one
  std::uint64_t unreachable;
  std::size_t findings;
};

class Experiment {
 public:
  explicit Experiment(const Options& options)
      : options_(options),
        base_(read_matrix<float>(options.base, options.rows)),
        queries_(read_matrix<float>(options.queries, options.query_rows)),
        truth_(exact_neighbors(base_, queries_, parse_metric(options.metric), 10, options.threads)),
        random_(options.seed) {}

  void run();

 private:
  Present fresh() const {
    Present present{built(options_, base_, base_.rows), {}};
    present.row_of.resize(base_.rows);
    std::iota(present.row_of.begin(), present.row_of.end(), 0U);
    return present;
  }
  double replace_all(Present& present);
  Quality quality(const Present& present) const;
  double recall(const Present& present) const;
  double self_found(const Present& present) const;
  std::uintmax_t file_bytes(const cairn::Index& index) const;
  void print(const std::string& name, const Present& present, double micros) const;
  bool same_row(std::uint32_t a, std::uint32_t b) const {
    return std::memcmp(base_.row(a), base_.row(b), base_.dims * sizeof(float)) == 0;
  }

  const Options& options_;
  FloatMatrix base_;
  FloatMatrix queries_;
  IdMatrix truth_;
  std::mt19937_64 random_;
};

// Each key gets the vector of another one, in random order: one half of them by upsert, the other
// by remove and, a little later, add. So after a round the index holds the same vectors, in other
// nodes, and what is true of the queries is true still. Returns microseconds a vector.
double Experiment::replace_all(Present& present) {
  const std::size_t n = base_.rows;
  std::vector<std::uint32_t> next(n), order(n);
  std::iota(next.begin(), next.end(), 0U);
  std::iota(order.begin(), order.end(), 0U);
  std::shuffle(next.begin(), next.end(), random_);
  std::shuffle(order.begin(), order.end(), random_);
  const auto start = Clock::now();
  // A block of keys is removed or moved, then those that were removed come back.
  constexpr std::size_t kBlock = 1000;
  for (std::size_t first = 0; first < n; first += kBlock) {
    const std::size_t size = std::min(kBlock, n - first);
    on_threads(options_.threads, size, [&](std::size_t i) {
      const std::uint32_t key = order[first + i];
      if (i % 2 == 0) {
        checked(present.index.remove(key), "remove");
      } else {
        checked(present.index.upsert(key, view_of(base_, next[key])), "upsert");
      }
    });
    on_threads(options_.threads, size, [&](std::size_t i) {
      const std::uint32_t key = order[first + i];
      if (i % 2 == 0) checked(present.index.add(key, view_of(base_, next[key])), "add");
    });
  }
  present.row_of = std::move(next);
  return seconds_since(start) * 1e6 / static_cast<double>(n);
}

double Experiment::recall(const Present& present) const {
  std::atomic<std::size_t> hits{0};
  on_threads(options_.threads, queries_.rows, [&](std::size_t q) {
    cairn::Match found[10];
    const auto n =
        checked(present.index.search(view_of(queries_, q), {10, options_.ef}, found), "search");
    for (std::size_t i = 0; i < n; ++i) {
      const std::uint32_t row = present.row_of[found[i].key];
      hits += std::count(truth_.row(q), truth_.row(q) + 10, row) > 0 ? 1 : 0;
    }
  });
  return static_cast<double>(hits) / (10.0 * static_cast<double>(queries_.rows));
}

double Experiment::self_found(const Present& present) const {
  std::atomic<std::size_t> found{0};
  on_threads(options_.threads, base_.rows, [&](std::size_t key) {
    cairn::Match match[1];
    const std::uint32_t row = present.row_of[key];
    const auto n = checked(present.index.search(view_of(base_, row), {1, 64}, match), "search");
    if (n == 1 && same_row(present.row_of[match[0].key], row)) ++found;
  });
  return static_cast<double>(found) / static_cast<double>(base_.rows);
}

Quality Experiment::quality(const Present& present) const {
  cairn::BuildOptions options;
  options.threads = options_.threads;
  const auto report = checked(present.index.verify(options), "verify");
  return {recall(present), self_found(present), report.unreachable, report.findings.size()};
}

std::uintmax_t Experiment::file_bytes(const cairn::Index& index) const {
  const auto path = std::filesystem::path(options_.folder) / "churn.cairn";
  checked(index.save(path), "save");
  const auto bytes = std::filesystem::file_size(path);
  std::filesystem::remove(path);
  return bytes;
}

void Experiment::print(const std::string& name, const Present& present, double micros) const {
  const Quality q = quality(present);
  const cairn::Stats stats = present.index.stats();
  std::printf(
      "%-10s %8.1f us  recall@10 %.4f  self-found %.5f  unreachable %llu  findings %zu  "
      "slots/live %.3f  tombstones %zu\n",
      name.c_str(), micros, q.recall, q.self_found, static_cast<unsigned long long>(q.unreachable),
      q.findings, static_cast<double>(stats.slots) / static_cast<double>(stats.live),
      static_cast<std::size_t>(stats.deleted));
  std::fflush(stdout);
}

void Experiment::run() {
  std::printf("%zu vectors, ef %zu, %u threads; us: a replaced vector, by the clock\n", base_.rows,
              options_.ef, options_.threads);
  Present present = fresh();
  const auto fresh_bytes = file_bytes(present.index);
  print("fresh", present, 0);
  for (std::size_t round = 1; round <= options_.rounds; ++round) {
    const double micros = replace_all(present);
    print("round " + std::to_string(round), present, micros);
  }
  checked(present.index.compact(), "compact");
  print("compacted", present, 0);
  const auto bytes = file_bytes(present.index);
  std::printf("file after compact / fresh: %.4f (%ju / %ju bytes)\n",
              static_cast<double>(bytes) / static_cast<double>(fresh_bytes), bytes, fresh_bytes);
}

}  // namespace

void measure_replacing(const Options& options) { Experiment(options).run(); }

}  // namespace bench
