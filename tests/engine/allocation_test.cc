// SPDX-License-Identifier: Apache-2.0
//
// A search into the caller's memory allocates nothing once it has run: counted by replacing the
// global operator new of this program.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <utility>
#include <vector>

#include <cairn/cairn.h>

#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace {

std::atomic<std::size_t> allocations{0};

void* counted(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return std::malloc(size == 0 ? 1 : size);
}

void* counted_or_throw(std::size_t size) {
  if (void* memory = counted(size)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t size) { return counted_or_throw(size); }
void* operator new[](std::size_t size) { return counted_or_throw(size); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return counted(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return counted(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }

namespace cairn {
namespace {

using test::Vectors;

// All queries once to warm up, then once more; returns what the second time allocated.
std::size_t allocations_once_warm(const Index& index, const Vectors& queries,
                                  const SearchParams& params) {
  std::vector<Match> out(params.k);
  std::size_t before = 0;
  for (int round = 0; round < 2; ++round) {
    before = allocations.load();
    for (std::size_t i = 0; i < queries.rows(); ++i) {
      if (!index.search(queries.vector(i), params, out)) std::abort();
    }
  }
  return allocations.load() - before;
}

TEST(Allocation, TheCounterCounts) {
  const std::size_t before = allocations.load();
  const std::vector<int> some(100);
  EXPECT_EQ(allocations.load(), before + 1);
}

TEST(Allocation, AWarmSearchAllocatesNothing) {
  const Vectors vectors = test::random_vectors(1000, 24, 1);
  const Vectors queries = test::random_vectors(50, 24, 2);
  for (const Metric metric : {Metric::cosine, Metric::l2sq, Metric::inner_product}) {
    for (const Traversal traversal : {Traversal::code, Traversal::exact}) {
      IndexParams params;
      params.dimensions = 24;
      params.metric = metric;
      params.traversal = traversal;
      params.ef_construction = 40;
      const Index index = test::built(params, vectors);
      EXPECT_EQ(allocations_once_warm(index, queries, {10, 64}), 0u);
      EXPECT_EQ(allocations_once_warm(index, queries, {100, 200}), 0u);
    }
  }
}

TEST(Allocation, AWarmSearchOfAMappedFileAllocatesNothing) {
  const test::TemporaryDirectory directory;
  const Vectors vectors = test::random_vectors(1000, 24, 3);
  IndexParams params;
  params.dimensions = 24;
  params.ef_construction = 40;
  ASSERT_TRUE(test::built(params, vectors).save(directory / "a"));
  const auto index = Index::open(directory / "a");
  ASSERT_TRUE(index);
  EXPECT_EQ(allocations_once_warm(*index, vectors, {10, 64}), 0u);
}

TEST(Allocation, LookingUpAllocatesNothing) {
  const Vectors vectors = test::random_vectors(100, 24, 4);
  IndexParams params;
  params.dimensions = 24;
  const Index index = test::built(params, vectors);
  std::vector<float> out(24);
  const std::size_t before = allocations.load();
  for (const Key key : vectors.keys) {
    if (!index.contains(key) || index.contains(key + 1) || !index.get(key, out)) std::abort();
  }
  EXPECT_EQ(index.size(), 100u);
  EXPECT_EQ(allocations.load(), before);
}

}  // namespace
}  // namespace cairn
