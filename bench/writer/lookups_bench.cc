// SPDX-License-Identifier: Apache-2.0
//
// How many vectors one thread adds while others look keys up (contains, get, size), of those that
// it adds while as many others search: what look-ups cost a change. Slices of both take turns, each
// on an index of its own; what counts is the median of the ratios. bench/README.md
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <random>
#include <stdexcept>
#include <thread>
#include <vector>

#include <cairn/cairn.h>

namespace {

using cairn::Index;
using cairn::Key;
using Clock = std::chrono::steady_clock;

struct Options {
  std::size_t threads = 8;
  std::size_t rounds = 10;
  std::size_t milliseconds = 500;  // a slice
  std::size_t dimensions = 16;
};

constexpr std::size_t kFirst = 1000;  // vectors before a slice begins

template <class T>
T need(cairn::Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());
  return std::move(*result);
}
void need(const cairn::Result<void>& result) {
  if (!result) throw std::runtime_error(result.error().message());
}

std::vector<float> vector_of(Key key, std::size_t dimensions) {
  std::minstd_rand random(static_cast<unsigned>(key) + 1);
  std::vector<float> vector(dimensions);
  for (float& value : vector) value = static_cast<float>(random() % 2001) / 1000.0f - 0.9995f;
  return vector;
}

struct Slice {
  std::size_t adds = 0;
  std::uint64_t calls = 0;     // of the others
  std::vector<double> micros;  // of each add, sorted
};

// Adds for a while beside threads that make `call` again and again.
Slice run(const Options& options, const std::function<void(const Index&, std::uint64_t)>& call) {
  Index index = [&] {
    Index made = need(Index::create({.dimensions = options.dimensions}));
    for (Key key = 0; key < kFirst; ++key) {
      need(made.add(key, vector_of(key, options.dimensions)));
    }
    return made;
  }();
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> calls{0};
  std::vector<std::thread> others;
  for (std::size_t t = 0; t < options.threads; ++t) {
    others.emplace_back([&, t] {
      std::uint64_t made = 0;
      while (!stop) call(index, t + 7 * made++);
      calls += made;
    });
  }
  Slice slice;
  const auto until = Clock::now() + std::chrono::milliseconds(options.milliseconds);
  for (Key key = kFirst; Clock::now() < until; ++key) {
    const auto vector = vector_of(key, options.dimensions);
    const auto begin = Clock::now();
    need(index.add(key, vector));
    slice.micros.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
  }
  stop = true;
  for (std::thread& other : others) other.join();
  std::sort(slice.micros.begin(), slice.micros.end());
  slice.adds = slice.micros.size();
  slice.calls = calls;
  return slice;
}

void print(const char* what, const std::vector<Slice>& slices) {
  std::vector<double> adds;
  std::vector<double> p99;
  std::vector<double> worst;
  for (const Slice& slice : slices) {
    adds.push_back(static_cast<double>(slice.adds));
    p99.push_back(slice.micros[slice.micros.size() * 99 / 100] / 1000);
    worst.push_back(slice.micros.back() / 1000);
  }
  for (auto* values : {&adds, &p99, &worst}) std::sort(values->begin(), values->end());
  std::printf("%-10s adds a slice %8.0f, p99 %6.2f ms; worst add: median %6.2f ms, most %6.2f ms\n",
              what, adds[adds.size() / 2], p99[p99.size() / 2], worst[worst.size() / 2],
              worst.back());
}

int measure(const Options& options) {
  const auto search = [&](const Index& index, std::uint64_t i) {
    std::vector<cairn::Match> found(10);
    (void)need(index.search(vector_of(i % kFirst, options.dimensions), {.k = 10}, found));
  };
  const auto look_up = [&](const Index& index, std::uint64_t i) {
    std::vector<float> vector(options.dimensions);
    switch (i % 3) {
      case 0: (void)index.contains(i % kFirst); break;
      case 1: (void)need(index.get(i % kFirst, vector)); break;
      default: (void)index.size(); break;
    }
  };
  std::vector<Slice> searched;
  std::vector<Slice> looked_up;
  std::vector<double> ratios;
  for (std::size_t round = 0; round < options.rounds; ++round) {
    searched.push_back(run(options, search));
    looked_up.push_back(run(options, look_up));
    ratios.push_back(static_cast<double>(looked_up.back().adds) /
                     static_cast<double>(searched.back().adds));
  }
  std::sort(ratios.begin(), ratios.end());
  print("searches", searched);
  print("look-ups", looked_up);
  std::printf("adds beside %zu threads of look-ups / of searches: median %.2f, %.2f to %.2f\n",
              options.threads, ratios[ratios.size() / 2], ratios.front(), ratios.back());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  std::size_t* const values[] = {&options.threads, &options.rounds, &options.milliseconds,
                                 &options.dimensions};
  if (argc > 5) {
    std::fprintf(stderr, "usage: lookups_bench [THREADS [ROUNDS [MILLISECONDS [DIMENSIONS]]]]\n");
    return 2;
  }
  for (int i = 1; i < argc; ++i) *values[i - 1] = std::strtoull(argv[i], nullptr, 10);
  try {
    return measure(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "lookups_bench: %s\n", error.what());
    return 1;
  }
}
