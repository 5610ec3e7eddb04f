// SPDX-License-Identifier: Apache-2.0
//
// What adding to a full index costs, and what a second thread brings.
#include <cstdio>

#include "churn.d/setup.h"

namespace bench {

namespace {

// Microseconds an operation, and how often a thread slept for one (waiting for the mutex, as a
// rule).
struct Turn {
  double wall;
  double cpu;
  double sleeps;
};

struct Turns {
  std::vector<double> wall, cpu, sleeps;
  void add(const Turn& turn) {
    wall.push_back(turn.wall);
    cpu.push_back(turn.cpu);
    sleeps.push_back(turn.sleeps);
  }
};

Turn timed(unsigned threads, std::size_t n, const std::function<void(std::size_t)>& body) {
  const double cpu = process_cpu_seconds();
  const double sleeps = process_sleeps();
  const auto begin = Clock::now();
  on_threads(threads, n, body);
  const double count = static_cast<double>(n);
  return {seconds_since(begin) * 1e6 / count, (process_cpu_seconds() - cpu) * 1e6 / count,
          (process_sleeps() - sleeps) / count};
}

void print(const char* name, const std::vector<double>& values) {
  std::printf("%-44s %8.2f (%.2f ... %.2f)\n", name, quantile(values, 0.5), quantile(values, 0.1),
              quantile(values, 0.9));
}

}  // namespace

// Turns of one thread and of several alternate, so that what else happens on the machine meets
// both; ratios are those of neighbors in time. Searches take no lock: how much faster several
// threads are with them is what the machine had to give at that moment.
void measure_adds(const Options& options) {
  const FloatMatrix base = read_matrix<float>(options.base, options.rows);
  const std::size_t pair = 2 * options.slice;
  const std::size_t count = options.count / pair * pair;
  if (count == 0 || count >= base.rows) throw std::runtime_error("--count does not fit the rows");
  const std::size_t full = base.rows - count;
  const auto start = Clock::now();
  auto index = built(options, base, full);
  std::printf("built %zu vectors in %.1f s\n", full, seconds_since(start));
  std::fflush(stdout);

  Turns one, many;
  std::vector<double> adding, searching, share;
  for (std::size_t first = full; first < base.rows; first += pair) {
    const auto add = [&](unsigned threads, std::size_t from) {
      return timed(threads, options.slice, [&](std::size_t i) {
        checked(index.add(from + i, view_of(base, from + i)), "add");
      });
    };
    const auto search = [&](unsigned threads, std::size_t from) {
      return timed(threads, options.slice, [&](std::size_t i) {
        checked(index.search(view_of(base, from + i), {.k = 10, .ef = 400}), "search");
      });
    };
    const bool swapped = first / pair % 2 != 0;
    const unsigned threads[2] = {swapped ? options.threads : 1, swapped ? 1 : options.threads};
    Turn adds[2], searches[2];
    for (int t = 0; t < 2; ++t) {
      adds[t] = add(threads[t], first + static_cast<std::size_t>(t) * options.slice);
      searches[t] = search(threads[t], first);
    }
    one.add(adds[swapped]);
    many.add(adds[!swapped]);
    adding.push_back(adds[swapped].wall / adds[!swapped].wall);
    searching.push_back(searches[swapped].wall / searches[!swapped].wall);
    share.push_back(adding.back() / searching.back());
  }
  std::printf("%zu adds, turns of %zu; median (10 %% ... 90 %%)\n", count, options.slice);
  print("1 thread: us an add", one.wall);
  print("processor us an add", one.cpu);
  std::printf("%u threads:\n", options.threads);
  print("us an add", many.wall);
  print("processor us an add", many.cpu);
  print("sleeps an add", many.sleeps);
  print("adding, times as fast as 1 thread", adding);
  print("searching, times as fast as 1 thread", searching);
  print("adding / searching", share);
}

}  // namespace bench
