// SPDX-License-Identifier: Apache-2.0
//
// How much slower a set is than one index of the same rows: batches on some threads, at equal
// recall, slices of both taking turns. bench/README.md, "A set of shards".
//
//   shards_bench BASE.fbin QUERY.fbin FOLDER [ROWS [SHARDS [THREADS [ROUNDS [K]]]]]
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include <sys/resource.h>

#include <cairn/cairn.h>

#include "bench/common/vector_file.h"

namespace {

using cairn::Key;
using cairn::Match;
using cairn::MatrixView;

constexpr std::size_t kQueries = 1000;

template <class T>
T checked(cairn::Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());
  return std::move(*result);
}
void checked(const cairn::Result<void>& result) {
  if (!result) throw std::runtime_error(result.error().message());
}

// Seconds of the processor, of all threads.
double processor_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Setup {
  bench::FloatMatrix base;
  bench::FloatMatrix queries;
  std::size_t k;
  std::vector<Match> truth;
  MatrixView view() const {
    return MatrixView::f32(queries.values.data(), queries.rows, queries.dims);
  }
};

using Batch = std::function<void(std::size_t ef, std::vector<Match>&, std::vector<std::size_t>&)>;

double recall(const Setup& setup, const std::vector<Match>& found) {
  std::size_t hits = 0;
  for (std::size_t i = 0; i < setup.queries.rows; ++i) {
    const Match* truth = setup.truth.data() + i * setup.k;
    for (std::size_t j = 0; j < setup.k; ++j)
      hits += found[i * setup.k + j].distance <= truth[setup.k - 1].distance ? 1u : 0u;
  }
  return static_cast<double>(hits) / static_cast<double>(setup.queries.rows * setup.k);
}

struct Point {
  double recall;
  double wall;       // seconds of a batch
  double processor;  // the same
};

Point measure(const Setup& setup, const Batch& batch, std::size_t ef) {
  std::vector<Match> out(setup.queries.rows * setup.k);
  std::vector<std::size_t> counts(setup.queries.rows);
  const auto begin = std::chrono::steady_clock::now();
  const double before = processor_seconds();
  batch(ef, out, counts);
  const double processor = processor_seconds() - before;
  const double wall =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return {recall(setup, out), wall, processor};
}

// Seconds at the recall: their logarithm is linear in it between two points.
double at(double wanted, const std::vector<Point>& points, double Point::*seconds) {
  for (std::size_t i = 1; i < points.size(); ++i) {
    const Point& a = points[i - 1];
    const Point& b = points[i];
    if (wanted > b.recall && i + 1 < points.size()) continue;
    const double part = (wanted - a.recall) / std::max(1e-9, b.recall - a.recall);
    return std::exp(std::log(a.*seconds) + part * (std::log(b.*seconds) - std::log(a.*seconds)));
  }
  return points.front().*seconds;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

cairn::Index index_of(const Setup& setup, const std::function<bool(std::size_t)>& wanted) {
  cairn::IndexParams params;
  params.dimensions = setup.base.dims;
  auto index = checked(cairn::Index::create(params));
  std::vector<Key> keys;
  std::vector<float> rows;
  for (std::size_t i = 0; i < setup.base.rows; ++i) {
    if (!wanted(i)) continue;
    keys.push_back(i);
    rows.insert(rows.end(), setup.base.row(i), setup.base.row(i) + setup.base.dims);
  }
  checked(index.build(keys, MatrixView::f32(rows.data(), keys.size(), setup.base.dims)));
  return index;
}

void run(const std::vector<std::string>& words) {
  const auto number = [&](std::size_t i, std::size_t otherwise) {
    return words.size() > i ? std::strtoul(words[i].c_str(), nullptr, 10) : otherwise;
  };
  const std::filesystem::path folder = words[2];
  const std::size_t shards = number(4, 8);
  const auto threads = static_cast<unsigned>(number(5, 2));
  const std::size_t rounds = number(6, 7);
  Setup setup{bench::read_matrix<float>(words[0], number(3, 0)),
              bench::read_matrix<float>(words[1], kQueries),
              number(7, 10),
              {}};

  std::filesystem::create_directories(folder);
  const std::filesystem::path whole = folder / "one.cairn";
  checked(index_of(setup, [](std::size_t) { return true; }).save(whole));
  cairn::ShardManifest manifest;
  manifest.params = checked(cairn::Index::open(whole)).params();
  for (std::size_t shard = 0; shard < shards; ++shard) {
    const auto index = index_of(
        setup, [&](std::size_t row) { return cairn::shard_of_key(row, 0, shards) == shard; });
    manifest.shards.push_back(checked(cairn::add_shard_file(folder / "set", index)));
  }
  const auto before = cairn::read_shard_manifest(folder / "set");
  if (before) manifest.generation = before->generation;
  checked(cairn::publish_shards(folder / "set", manifest));
  const auto one = checked(cairn::Index::open(whole));
  cairn::ShardOptions options;
  options.threads = threads;
  const auto set = checked(cairn::ShardSet::open(folder / "set", options));
  checked(one.warm());
  checked(set.warm());

  std::vector<std::size_t> counts(setup.queries.rows);
  setup.truth.resize(setup.queries.rows * setup.k);
  cairn::SearchParams params;
  params.k = setup.k;
  params.plan = cairn::Plan::exact;
  checked(one.search_batch(setup.view(), params, setup.truth, counts, 0));
  params.plan = cairn::Plan::automatic;
  const Batch of_one = [&](std::size_t ef, std::vector<Match>& out, std::vector<std::size_t>& n) {
    auto mine = params;
    mine.ef = ef;
    checked(one.search_batch(setup.view(), mine, out, n, threads));
  };
  const Batch of_set = [&](std::size_t ef, std::vector<Match>& out, std::vector<std::size_t>& n) {
    auto mine = params;
    mine.ef = ef;
    checked(set.search_batch(setup.view(), mine, out, n));
  };
  std::vector<std::size_t> efs_of_one = {20, 40, 80, 160, 320, 640};
  std::vector<std::size_t> efs_of_set = {4, 6, 8, 10, 12, 16, 24, 40, 80, 160};
  if (setup.k > 10) {
    const auto times = [&](std::size_t tenths) { return setup.k * tenths / 10; };
    efs_of_one = {times(10), times(14), times(20), times(30), times(50), times(80)};
    efs_of_set = {times(1), times(2), times(3), times(4), times(6), times(10), times(16)};
  }
  for (const double wanted : {0.90, 0.95, 0.98}) {
    std::vector<double> wall;
    std::vector<double> processor;
    for (std::size_t round = 0; round < rounds; ++round) {
      std::vector<Point> a;
      std::vector<Point> b;
      for (const std::size_t ef : efs_of_one) a.push_back(measure(setup, of_one, ef));
      for (const std::size_t ef : efs_of_set) b.push_back(measure(setup, of_set, ef));
      if (round == 0 && wanted == 0.90) {
        for (std::size_t i = 0; i < a.size(); ++i)
          std::printf("one index, ef %zu: recall %.4f, %.0f QPS\n", efs_of_one[i], a[i].recall,
                      static_cast<double>(setup.queries.rows) / a[i].wall);
        for (std::size_t i = 0; i < b.size(); ++i)
          std::printf("%zu shards, ef %zu: recall %.4f, %.0f QPS\n", shards, efs_of_set[i],
                      b[i].recall, static_cast<double>(setup.queries.rows) / b[i].wall);
      }
      wall.push_back(at(wanted, a, &Point::wall) / at(wanted, b, &Point::wall));
      processor.push_back(at(wanted, a, &Point::processor) / at(wanted, b, &Point::processor));
    }
    std::printf(
        "recall %.2f: QPS of the set over that of one index: %.3f by wall clock, %.3f by "
        "processor time\n",
        wanted, median(wall), median(processor));
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(
        stderr,
        "shards_bench BASE.fbin QUERY.fbin FOLDER [ROWS [SHARDS [THREADS [ROUNDS [K]]]]]\n");
    return 2;
  }
  try {
    run({argv + 1, argv + argc});
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "shards_bench: %s\n", error.what());
    return 1;
  }
}
