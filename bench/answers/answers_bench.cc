// SPDX-License-Identifier: Apache-2.0
//
// What a search costs that is none for the k nearest: ranges and pages, beside searches of the same
// index, and what filters take to prepare. Calls of one query take turns, and of each the least
// processor time of three counts. bench/README.md
#include <malloc.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <numeric>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <cairn/cairn.h>

#include "bench/common/vector_file.h"

namespace {

using bench::FloatMatrix;
using cairn::Index;
using cairn::Key;
using cairn::Match;
using cairn::VectorView;

constexpr int kTurns = 3;

template <class T>
T need(cairn::Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());
  return std::move(*result);
}

double thread_micros() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) * 1e-3;
}

template <class Call>
double micros_of(Call&& call) {
  const double start = thread_micros();
  call();
  return thread_micros() - start;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// The least of some turns of several calls, one after the other in each.
template <class... Calls>
std::vector<double> least_of_turns(Calls&&... calls) {
  std::vector<double> least;
  for (int turn = 0; turn < kTurns; ++turn) {
    const std::vector<double> micros = {micros_of(calls)...};
    if (least.empty()) least = micros;
    for (std::size_t i = 0; i < micros.size(); ++i) least[i] = std::min(least[i], micros[i]);
  }
  return least;
}

void ranges(const Index& index, const FloatMatrix& queries) {
  for (const std::size_t hits : {0U, 10U, 100U, 1000U}) {
    std::vector<double> range;
    std::vector<double> search;
    std::size_t found = 0;
    for (std::size_t i = 0; i < queries.rows; ++i) {
      const VectorView query(queries.row(i), queries.dims);
      const std::size_t k = std::max<std::size_t>(hits, 1);
      const auto true_ones = need(index.search(query, {.k = k, .plan = cairn::Plan::exact}));
      const float radius = hits == 0 ? true_ones.front().distance / 2 : true_ones.back().distance;
      std::size_t n = 0;
      const auto micros =
          least_of_turns([&] { n = need(index.search_range(query, radius)).size(); },
                         [&] { need(index.search(query, {.k = 10, .ef = 64})); });
      range.push_back(micros[0]);
      search.push_back(micros[1]);
      found += std::min(n, hits);
    }
    const double wanted = static_cast<double>(std::max<std::size_t>(hits, 1) * queries.rows);
    std::printf("range with %4zu hits: recall %.4f, %6.1f us; / search for 10 (ef 64) %.2f\n", hits,
                hits == 0 ? 1 : static_cast<double>(found) / wanted, median(range),
                median(range) / median(search));
  }
}

void pages(const Index& index, const FloatMatrix& queries) {
  std::vector<double> ratios;
  std::size_t given = 0;
  std::size_t right = 0;
  for (std::size_t i = 0; i < queries.rows; ++i) {
    const VectorView query(queries.row(i), queries.dims);
    const auto last = need(index.search(query, {.k = 200, .plan = cairn::Plan::exact})).back();
    std::vector<Match> all;
    const auto micros = least_of_turns(
        [&] {
          all.clear();
          auto cursor = need(index.open_cursor(query));
          Match page[10];
          for (int p = 0; p < 20; ++p) {
            const std::size_t n = need(cursor.next(page));
            all.insert(all.end(), page, page + n);
          }
        },
        [&] { need(index.search(query, {.k = 200, .ef = 200})); });
    ratios.push_back(micros[0] / micros[1]);
    given += all.size();
    right += static_cast<std::size_t>(std::count_if(
        all.begin(), all.end(), [&](const Match& m) { return m.distance <= last.distance; }));
  }
  std::printf("20 pages of 10: %zu given of %zu, recall %.4f; / search for 200: %.2f\n", given,
              200 * queries.rows,
              static_cast<double>(right) / static_cast<double>(200 * queries.rows), median(ratios));
}

void preparation(const Index& index) {
  const std::size_t all = index.stats().live;
  std::vector<Key> keys(all);
  std::iota(keys.begin(), keys.end(), Key{0});
  std::mt19937_64 random(1);
  std::shuffle(keys.begin(), keys.end(), random);
  const std::vector<std::uint64_t> words((all + 63) / 64, ~std::uint64_t{0});
  std::vector<double> only;
  std::vector<double> bits;
  for (int turn = 0; turn < kTurns; ++turn) {
    only.push_back(micros_of([&] { need(cairn::Filter::only(index, keys)); }));
    bits.push_back(micros_of([&] { need(cairn::Filter::bits(index, words)); }));
  }
  std::printf("preparing %zu keys: %.1f ms; as many bits: %.2f ms (medians)\n", all,
              median(only) / 1e3, median(bits) / 1e3);
  constexpr std::size_t kTenants = 1000;
  constexpr std::size_t kOfEach = 1000;
  const auto in_use = [] {
    const auto info = mallinfo2();
    return info.uordblks + info.hblkhd;
  };
  std::vector<cairn::Filter> tenants;
  tenants.reserve(kTenants);
  const std::size_t before = in_use();
  for (std::size_t i = 0; i < kTenants; ++i) {
    const std::size_t from = i * kOfEach % (all - std::min(all, kOfEach) + 1);
    const auto own = std::span(keys).subspan(from, std::min(all, kOfEach));
    tenants.push_back(need(cairn::Filter::only(index, own)));
  }
  std::printf("1,000 filters of 1,000 keys: %.1f MB\n",
              static_cast<double>(in_use() - before) / 1e6);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3 || argc > 4) {
    std::fprintf(stderr, "answers_bench INDEX query.fbin [QUERIES]\n");
    return 2;
  }
  try {
    const Index index = need(Index::open(argv[1]));
    const std::size_t some = argc > 3 ? std::strtoul(argv[3], nullptr, 10) : 100;
    const FloatMatrix queries = bench::read_matrix<float>(argv[2], some);
    ranges(index, queries);
    pages(index, queries);
    preparation(index);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "answers_bench: %s\n", error.what());
    return 1;
  }
  return 0;
}
