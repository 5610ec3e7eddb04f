// SPDX-License-Identifier: Apache-2.0
//
// Every kernel on every available instruction set at the usual dimensions. "cached" rows stay in
// the first-level cache; "table" rows are random ones of a table much larger than all caches (256
// MiB, or CAIRN_BENCH_TABLE_MIB), as in a search. per_row is the time for one row or one candidate.
#include <benchmark/benchmark.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "simd/kernels.h"

namespace cairn::simd {
namespace {

constexpr std::size_t kDimensions[] = {100, 128, 384, 784, 1536};
constexpr std::size_t kHop = 16;     // neighbors of one expanded node that were not seen before
constexpr std::size_t kRerank = 24;  // rows whose exact distance is asked for at the end

void per_row(benchmark::State& state, std::size_t rows) {
  using Counter = benchmark::Counter;
  state.counters["per_row"] =
      Counter(static_cast<double>(rows), Counter::kIsIterationInvariantRate | Counter::kInvert);
}

// A large array of bytes that are valid small floats and any int8, in huge pages where the system
// allows; made once.
class Table {
 public:
  static const Table& get() {
    static const Table table;
    return table;
  }
  const std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }

 private:
  Table() {
    const char* mib = std::getenv("CAIRN_BENCH_TABLE_MIB");
    size_ = (mib != nullptr ? std::strtoull(mib, nullptr, 10) : 256) << 20;
    void* map = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) std::abort();
    madvise(map, size_, MADV_HUGEPAGE);
    auto* floats = static_cast<float*>(map);
    std::minstd_rand random(1);
    for (std::size_t i = 0; i < size_ / sizeof(float); ++i) {
      floats[i] = static_cast<float>(random() % 4096) / 2048.0F - 1.0F;
    }
    data_ = static_cast<const std::byte*>(map);
  }

  const std::byte* data_;
  std::size_t size_;
};

enum class Place { kCached, kTable };

// Row numbers for call after call: `call` of them each.
class RowNumbers {
 public:
  RowNumbers(Place place, std::size_t stride, std::size_t call)
      : call_(call), ids_(place == Place::kCached ? call : std::size_t{1} << 16) {
    const std::size_t rows = Table::get().size() / stride;
    std::mt19937 random(7);
    for (std::size_t i = 0; i < ids_.size(); ++i) {
      ids_[i] = static_cast<std::uint32_t>(place == Place::kCached ? i % 8 : random() % rows);
    }
  }
  const std::uint32_t* next() {
    const std::uint32_t* ids = ids_.data() + at_;
    at_ = at_ + 2 * call_ > ids_.size() ? 0 : at_ + call_;
    return ids;
  }

 private:
  std::size_t call_;
  std::size_t at_ = 0;
  std::vector<std::uint32_t> ids_;
};

template <class T>
std::vector<T> query_of(std::size_t dim) {
  std::vector<T> query(dim);
  std::memcpy(query.data(), Table::get().data() + 4096, dim * sizeof(T));
  return query;
}

template <class T, class Out>
void pair(benchmark::State& state, Out (*kernel)(const T*, const T*, std::size_t) noexcept,
          std::size_t dim) {
  const std::vector<T> a = query_of<T>(dim);
  std::vector<T> b = query_of<T>(dim);
  for (auto _ : state) {
    benchmark::DoNotOptimize(b.data());
    benchmark::ClobberMemory();
    benchmark::DoNotOptimize(kernel(a.data(), b.data(), dim));
  }
  per_row(state, 1);
}

template <class T, class Out>
void many(benchmark::State& state,
          void (*kernel)(const T*, Rows, const std::uint32_t*, std::size_t, std::size_t,
                         Out*) noexcept,
          std::size_t dim, Place place) {
  const std::size_t stride = dim * sizeof(T);
  const std::vector<T> query = query_of<T>(dim);
  RowNumbers ids(place, stride, kRerank);
  Out out[kRerank];
  for (auto _ : state) {
    kernel(query.data(), {Table::get().data(), stride}, ids.next(), kRerank, dim, out);
    benchmark::DoNotOptimize(out);
    benchmark::ClobberMemory();
  }
  per_row(state, kRerank);
}

// Hot records of 32 links behind the code and its two factors.
void codes(benchmark::State& state, const KernelTable& kernels, std::size_t dim, Place place,
           std::uint32_t ahead) {
  const std::size_t factor_offset = (dim + 3) / 4 * 4;
  const std::size_t stride = (factor_offset + 8 + 8 + 32 * 4 + 63) / 64 * 64;
  std::vector<std::int8_t> code = query_of<std::int8_t>(dim);
  for (auto& c : code) c = std::max<std::int8_t>(c, -127);
  const CodeQuery query{code.data(), dim, factor_offset, 1.0F, -0.001F, 0.0F, ahead};
  RowNumbers ids(place, stride, kHop);
  float out[kHop];
  for (auto _ : state) {
    kernels.score_codes(query, {Table::get().data(), stride}, ids.next(), kHop, out);
    benchmark::DoNotOptimize(out);
    benchmark::ClobberMemory();
  }
  per_row(state, kHop);
}

void largest(benchmark::State& state, const KernelTable& kernels, std::size_t dim) {
  const std::vector<float> v = query_of<float>(dim);
  for (auto _ : state) {
    benchmark::ClobberMemory();
    benchmark::DoNotOptimize(kernels.max_abs(v.data(), dim));
  }
  per_row(state, 1);
}

void quantize(benchmark::State& state, const KernelTable& kernels, std::size_t dim) {
  const std::vector<float> v = query_of<float>(dim);
  std::vector<std::int8_t> code(dim);
  for (auto _ : state) {
    benchmark::DoNotOptimize(kernels.quantize_i8(v.data(), 127.0F, dim, code.data()));
    benchmark::ClobberMemory();
  }
  per_row(state, 1);
}

// The insertions of a search of `ef` hops that each find kHop candidates, at distances that shrink
// towards the last ones: most are refused, about `ef` and a few times more get in.
void pool(benchmark::State& state, const KernelTable& kernels, std::size_t ef) {
  constexpr std::size_t searches = 200;  // too many for the branch predictor to learn
  std::mt19937 random(3);
  std::uniform_real_distribution<float> uniform(0.0F, 1.0F);
  std::vector<float> distances(searches * ef * kHop);
  for (auto& d : distances) d = uniform(random);
  std::vector<std::uint32_t> ids(kHop, 1);
  std::vector<float> distance(ef + kPoolSlack);
  std::vector<std::uint32_t> id(ef + kPoolSlack);
  std::size_t search = 0;
  for (auto _ : state) {
    PoolView view{distance.data(), id.data(), 0, ef};
    const float* next = distances.data() + search * ef * kHop;
    for (std::size_t hop = 0; hop < ef; ++hop) {
      benchmark::DoNotOptimize(kernels.pool_insert(view, next + hop * kHop, ids.data(), kHop));
    }
    search = (search + 1) % searches;
  }
  per_row(state, ef * kHop);
}

template <class Function>
void add(const std::string& name, Function function) {
  benchmark::RegisterBenchmark(name.c_str(), function);
}

void add_dimension(const KernelTable& k, std::size_t dim) {
  const auto name = [&](const char* kernel, const char* place = "cached") {
    return std::string(kernel) + '/' + k.name + '/' + std::to_string(dim) + '/' + place;
  };
  add(name("dot_f32"), [&k, dim](auto& s) { pair(s, k.dot_f32, dim); });
  add(name("l2_f32"), [&k, dim](auto& s) { pair(s, k.l2_f32, dim); });
  add(name("dot_i8"), [&k, dim](auto& s) { pair(s, k.dot_i8, dim); });
  add(name("l2_i8"), [&k, dim](auto& s) { pair(s, k.l2_i8, dim); });
  add(name("hamming"), [&k, dim](auto& s) { pair(s, k.hamming, dim); });
  add(name("max_abs"), [&k, dim](auto& s) { largest(s, k, dim); });
  add(name("quantize_i8"), [&k, dim](auto& s) { quantize(s, k, dim); });
  for (const Place place : {Place::kCached, Place::kTable}) {
    const char* where = place == Place::kCached ? "cached" : "table";
    add(name("dot_f32_many", where),
        [&k, dim, place](auto& s) { many(s, k.dot_f32_many, dim, place); });
    add(name("l2_f32_many", where),
        [&k, dim, place](auto& s) { many(s, k.l2_f32_many, dim, place); });
    add(name("dot_i8_many", where),
        [&k, dim, place](auto& s) { many(s, k.dot_i8_many, dim, place); });
    add(name("l2_i8_many", where),
        [&k, dim, place](auto& s) { many(s, k.l2_i8_many, dim, place); });
    add(name("hamming_many", where),
        [&k, dim, place](auto& s) { many(s, k.hamming_many, dim, place); });
    for (const std::uint32_t ahead : {0U, 4U, 8U, 16U}) {
      if (place == Place::kCached && ahead == 16) continue;
      add(name("score_codes", where) + "/ahead:" + std::to_string(ahead),
          [&k, dim, place, ahead](auto& s) { codes(s, k, dim, place, ahead); });
    }
  }
}

void add_all() {
  const Choices all = choices();
  for (std::size_t i = 0; i < all.size; ++i) {
    if (!all.data[i].available) continue;
    const KernelTable& k = *all.data[i].table;
    for (const std::size_t dim : kDimensions) add_dimension(k, dim);
    for (const std::size_t ef : {10U, 50U, 100U, 200U, 500U, 2000U}) {
      add("pool_insert/" + std::string(k.name) + "/ef:" + std::to_string(ef),
          [&k, ef](auto& s) { pool(s, k, ef); });
    }
  }
}

}  // namespace
}  // namespace cairn::simd

int main(int argc, char** argv) {
  cairn::simd::add_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
