// SPDX-License-Identifier: Apache-2.0
//
// The contract of the public class where files come in: save, open, and what an opened index is.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <cairn/cairn.h>

#include "tests/support/file_image.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

using test::TemporaryDirectory;
using test::Vectors;

IndexParams some_params() {
  IndexParams params;
  params.dimensions = 10;
  params.metric = Metric::inner_product;
  params.m = 7;
  params.ef_construction = 31;
  params.seed = 0xFEDCBA9876543210u;
  return params;
}

OpenOptions loaded() {
  OpenOptions options;
  options.residency = Residency::load;
  return options;
}

void expect_same_results(const Index& a, const Index& b, const Vectors& queries) {
  for (std::size_t i = 0; i < queries.rows(); ++i) {
    const auto in_a = a.search(queries.vector(i), {20, 50});
    const auto in_b = b.search(queries.vector(i), {20, 50});
    ASSERT_TRUE(in_a && in_b);
    ASSERT_EQ(in_a->size(), in_b->size());
    for (std::size_t j = 0; j < in_a->size(); ++j) {
      EXPECT_EQ((*in_a)[j].key, (*in_b)[j].key);
      EXPECT_EQ((*in_a)[j].distance, (*in_b)[j].distance);
    }
  }
}

TEST(IndexFile, AnOpenedIndexAnswersLikeTheSavedOne) {
  const TemporaryDirectory directory;
  const Vectors vectors = test::random_vectors(800, 10, 1);
  const Vectors queries = test::random_vectors(30, 10, 2);
  for (const Traversal traversal : {Traversal::code, Traversal::exact}) {
    IndexParams params = some_params();
    params.traversal = traversal;
    for (const bool bulk : {true, false}) {
      const Index index = bulk ? test::built(params, vectors) : test::added(params, vectors);
      ASSERT_TRUE(index.save(directory / "a"));
      for (const OpenOptions& options : {OpenOptions{}, loaded()}) {
        const auto opened = Index::open(directory / "a", options);
        ASSERT_TRUE(opened) << opened.error().message();
        expect_same_results(index, *opened, queries);
        EXPECT_EQ(opened->size(), 800u);
        std::vector<float> out(10);
        ASSERT_TRUE(opened->get(vectors.keys[799], out));
        EXPECT_TRUE(std::equal(out.begin(), out.end(), vectors.row(799)));
        EXPECT_TRUE(opened->contains(vectors.keys[0]));
        EXPECT_FALSE(opened->contains(vectors.keys[0] + 1));
        EXPECT_EQ(opened->verify()->findings, std::vector<std::string>());
      }
    }
  }
}

TEST(IndexFile, ParametersAreKept) {
  const TemporaryDirectory directory;
  for (const Metric metric : {Metric::cosine, Metric::l2sq, Metric::inner_product}) {
    for (const Traversal traversal : {Traversal::code, Traversal::exact}) {
      IndexParams params = some_params();
      params.metric = metric;
      params.traversal = traversal;
      ASSERT_TRUE(Index::create(params)->save(directory / "a"));
      const auto opened = Index::open(directory / "a");
      ASSERT_TRUE(opened) << opened.error().message();
      EXPECT_EQ(opened->params().dimensions, params.dimensions);
      EXPECT_EQ(opened->params().metric, metric);
      EXPECT_EQ(opened->params().scalar, Scalar::f32);
      EXPECT_EQ(opened->params().m, params.m);
      EXPECT_EQ(opened->params().ef_construction, params.ef_construction);
      EXPECT_EQ(opened->params().seed, params.seed);
      EXPECT_EQ(opened->params().traversal, traversal);
    }
  }
}

TEST(IndexFile, AnEmptyIndexCanBeSavedOpenedSearchedAndVerified) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(Index::create(some_params())->save(directory / "a"));
  for (const OpenOptions& options : {OpenOptions{}, loaded()}) {
    const auto opened = Index::open(directory / "a", options);
    ASSERT_TRUE(opened);
    EXPECT_EQ(opened->size(), 0u);
    EXPECT_TRUE(opened->search(std::vector<float>(10))->empty());
    EXPECT_FALSE(opened->contains(0));
    EXPECT_TRUE(opened->verify()->ok());
    EXPECT_EQ(opened->stats().live, 0u);
  }
}

TEST(IndexFile, OneVectorCanBeSavedAndFound) {
  const TemporaryDirectory directory;
  Index index = Index::create(some_params()).value();
  ASSERT_TRUE(index.add(5, std::vector<float>(10, 1.0f)));
  ASSERT_TRUE(index.save(directory / "a"));
  const auto opened = Index::open(directory / "a");
  const auto matches = opened->search(std::vector<float>(10, 1.0f));
  ASSERT_EQ(matches->size(), 1u);
  EXPECT_EQ(matches->front().key, 5u);
  EXPECT_EQ(matches->front().distance, -9.0f);
}

TEST(IndexFile, AnOpenedIndexIsReadOnly) {
  const TemporaryDirectory directory;
  const Vectors vectors = test::random_vectors(20, 10, 3);
  ASSERT_TRUE(test::built(some_params(), vectors).save(directory / "a"));
  auto opened = Index::open(directory / "a");
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->add(1, vectors.vector(0)).error().code(), ErrorCode::read_only);
  EXPECT_EQ(opened->build(vectors.keys, vectors.matrix()).error().code(), ErrorCode::read_only);
  EXPECT_EQ(opened->size(), 20u);
  EXPECT_TRUE(opened->sync());
  EXPECT_TRUE(opened->warm());
  EXPECT_TRUE(opened->release());
  EXPECT_TRUE(opened->verify()->ok());
}

// What the process has in its memory of the file at `path`, and what it has mapped of it, but for
// the runtime block, a page that the process shares with writers and never gives back.
struct Mapped {
  std::size_t resident = 0;
  std::size_t bytes = 0;
  int mappings = 0;
  int advised_huge = 0;
};
Mapped mapped_from(const std::filesystem::path& path) {
  std::ifstream smaps("/proc/self/smaps");
  Mapped total;
  bool of_file = false;
  for (std::string line; std::getline(smaps, line);) {
    const bool first_of_mapping = line.find('-') < line.find(' ');
    if (first_of_mapping) {
      of_file = line.ends_with(path.string()) && line.find(" r--s 00030000 ") == std::string::npos;
    }
    std::size_t kilobytes = 0;
    if (!of_file) continue;
    if (std::sscanf(line.c_str(), "Rss: %zu kB", &kilobytes) == 1) total.resident += kilobytes;
    if (std::sscanf(line.c_str(), "Size: %zu kB", &kilobytes) == 1) total.bytes += kilobytes;
    total.mappings += first_of_mapping ? 1 : 0;
    total.advised_huge += line.starts_with("VmFlags:") && line.find(" hg") != line.npos ? 1 : 0;
  }
  total.resident *= 1024;
  total.bytes *= 1024;
  return total;
}

bool is_mapped(const std::filesystem::path& path) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.ends_with(path.string())) return true;
  }
  return false;
}

class Pages : public testing::TestWithParam<Traversal> {
 protected:
  Pages() {
    IndexParams params = some_params();
    params.dimensions = 64;
    params.traversal = GetParam();
    EXPECT_TRUE(test::built(params, vectors_).save(path_));
  }

  const TemporaryDirectory directory_;
  const std::filesystem::path path_ = directory_ / "a";
  const Vectors vectors_ = test::random_vectors(3000, 64, 21);
  const Vectors queries_ = test::random_vectors(40, 64, 22);
};

INSTANTIATE_TEST_SUITE_P(BothTraversals, Pages, testing::Values(Traversal::code, Traversal::exact));

TEST_P(Pages, AreAllThereAfterWarmAndGoneAfterRelease) {
  const auto opened = Index::open(path_);
  const auto in_memory = Index::open(path_, loaded());
  ASSERT_TRUE(opened && in_memory);
  const Mapped at_first = mapped_from(path_);
  if (at_first.bytes == 0) GTEST_SKIP() << "/proc/self/smaps does not tell";
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(opened->warm());
    const Mapped warm = mapped_from(path_);
    EXPECT_EQ(warm.resident, warm.bytes);
    EXPECT_GE(warm.bytes, 3000u * 64 * sizeof(float));
    expect_same_results(*opened, *in_memory, queries_);
    ASSERT_TRUE(opened->release());
    EXPECT_EQ(mapped_from(path_).resident, 0u);
    expect_same_results(*opened, *in_memory, queries_);  // they come back by themselves
    EXPECT_GT(mapped_from(path_).resident, 0u);
    EXPECT_LT(mapped_from(path_).resident, warm.bytes + 1);
  }
  EXPECT_TRUE(opened->verify()->ok());
}

TEST_P(Pages, OfAFileThatFitsIntoMemoryAreAdvisedToBeHuge) {
  if (!std::filesystem::exists("/sys/kernel/mm/transparent_hugepage")) {
    GTEST_SKIP() << "a kernel without transparent huge pages";
  }
  const auto opened = Index::open(path_);
  ASSERT_TRUE(opened);
  const Mapped mapped = mapped_from(path_);
  if (mapped.bytes == 0) GTEST_SKIP() << "/proc/self/smaps does not tell";
  EXPECT_GE(mapped.mappings, 3);
  EXPECT_EQ(mapped.advised_huge, mapped.mappings);
}

TEST_P(Pages, MayBeReleasedAndWarmedWhileOthersSearch) {
  const auto opened = Index::open(path_);
  const auto in_memory = Index::open(path_, loaded());
  ASSERT_TRUE(opened && in_memory);
  std::atomic<bool> done{false};
  std::atomic<int> rounds{0};
  std::thread other([&] {
    for (; !done; ++rounds) {
      EXPECT_TRUE(opened->release());
      if (rounds % 2 == 1) {
        EXPECT_TRUE(opened->warm());
      }
    }
  });
  for (int i = 0; i < 5 || rounds < 20; ++i) expect_same_results(*opened, *in_memory, queries_);
  done = true;
  other.join();
}

TEST_P(Pages, OfALoadedIndexAreItsOwnMemory) {
  const auto index = Index::open(path_, loaded());
  ASSERT_TRUE(index);
  const auto before = index->search(queries_.vector(0), {20, 50});
  EXPECT_TRUE(index->warm());
  EXPECT_TRUE(index->release());
  EXPECT_FALSE(is_mapped(path_));
  const auto after = index->search(queries_.vector(0), {20, 50});
  ASSERT_EQ(before->size(), after->size());
  for (std::size_t i = 0; i < before->size(); ++i) EXPECT_EQ((*before)[i].key, (*after)[i].key);
}

TEST_P(Pages, ThatTheFileHasNoLongerAreAnErrorOfWarm) {
  const auto opened = Index::open(path_);
  ASSERT_TRUE(opened);
  if (const Mapped at_first = mapped_from(path_); at_first.bytes == 0) {
    GTEST_SKIP() << "an emulator, which may not know MADV_POPULATE_READ";
  }
  std::filesystem::resize_file(path_, 8192);
  const auto warmed = opened->warm();
  ASSERT_FALSE(warmed);
  EXPECT_EQ(warmed.error().code(), ErrorCode::io_error);
  EXPECT_EQ(warmed.error().message().find("warm: " + path_.string() + ": section "), 0u);
}

TEST(IndexFile, EveryPageIsCheckedWhenItIsLoadedToBeWritten) {
  const TemporaryDirectory directory;
  const Vectors vectors = test::random_vectors(300, 10, 1);
  ASSERT_TRUE(test::built(some_params(), vectors).save(directory / "a"));
  OpenOptions options = loaded();
  options.mode = Mode::read_write;
  {
    const auto opened = Index::open(directory / "a", options);
    ASSERT_TRUE(opened) << opened.error().message();
  }
  auto bytes = test::read_bytes(directory / "a");
  const auto row = std::as_bytes(std::span(vectors.row(200), 10));
  const auto at = std::search(bytes.begin(), bytes.end(), row.begin(), row.end());
  ASSERT_NE(at, bytes.end());
  *at ^= std::byte{4};
  test::write_bytes(directory / "a", bytes);
  const auto opened = Index::open(directory / "a", options);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code(), ErrorCode::corrupt);
}

TEST(IndexFile, AMissingPathIsNamed) {
  const TemporaryDirectory directory;
  const auto opened = Index::open(directory / "nothing.cairn");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code(), ErrorCode::path_not_found);
  EXPECT_NE(opened.error().message().find("nothing.cairn"), std::string::npos);

  const auto saved = Index::create(some_params())->save(directory / "no" / "where.cairn");
  ASSERT_FALSE(saved);
  EXPECT_EQ(saved.error().code(), ErrorCode::path_not_found);
  EXPECT_NE(saved.error().message().find("where.cairn"), std::string::npos);
  EXPECT_EQ(directory.entries(), 0u);
}

TEST(IndexFile, WhatIsNoCairnFileIsRefused) {
  const TemporaryDirectory directory;
  std::ofstream(directory / "text") << std::string(300000, 'x');
  std::ofstream(directory / "empty").flush();
  for (const char* name : {"text", "empty"}) {
    const auto opened = Index::open(directory / name);
    ASSERT_FALSE(opened) << name;
    EXPECT_EQ(opened.error().code(), ErrorCode::not_a_cairn_file) << opened.error().message();
  }
  EXPECT_EQ(Index::open(directory.path()).error().code(), ErrorCode::invalid_argument);
}

TEST(IndexFile, SavingReplacesAFileAndLeavesNothingBeside) {
  const TemporaryDirectory directory;
  const Vectors first = test::random_vectors(200, 10, 4);
  const Vectors second = test::random_vectors(50, 10, 5);
  ASSERT_TRUE(test::built(some_params(), first).save(directory / "a"));
  const auto old = Index::open(directory / "a");
  ASSERT_TRUE(test::built(some_params(), second).save(directory / "a"));
  EXPECT_EQ(directory.entries(), 1u);
  EXPECT_EQ(Index::open(directory / "a")->size(), 50u);
  // Who has the old file open keeps it.
  EXPECT_EQ(old->size(), 200u);
  const auto matches = old->search(first.vector(0), {1, 64});
  ASSERT_TRUE(matches);
  EXPECT_EQ(matches->size(), 1u);
  EXPECT_TRUE(old->verify()->ok());
}

TEST(IndexFile, AnOpenedIndexSavedAgainHasTheSameBytes) {
  const TemporaryDirectory directory;
  const Vectors vectors = test::random_vectors(300, 10, 6);
  ASSERT_TRUE(test::built(some_params(), vectors).save(directory / "a"));
  const test::Bytes before = test::read_bytes(directory / "a");
  const auto opened = Index::open(directory / "a");
  ASSERT_TRUE(opened);
  ASSERT_TRUE(opened->save(directory / "b"));
  EXPECT_TRUE(test::read_bytes(directory / "b") == before);
  ASSERT_TRUE(opened->save(directory / "a"));  // over the file it is mapped from
  EXPECT_TRUE(test::read_bytes(directory / "a") == before);
  EXPECT_EQ(opened->search(vectors.vector(7), {1, 64})->size(), 1u);
}

TEST(IndexFile, AnIndexGoesOnAfterItWasSaved) {
  const TemporaryDirectory directory;
  const Vectors vectors = test::random_vectors(100, 10, 7);
  Index index = Index::create(some_params()).value();
  for (std::size_t i = 0; i < vectors.rows(); ++i) {
    ASSERT_TRUE(index.add(vectors.keys[i], vectors.vector(i)));
    if (i % 25 == 24) {
      ASSERT_TRUE(index.save(directory / std::to_string(i)));
    }
  }
  for (const std::size_t i : {24u, 49u, 74u, 99u}) {
    const auto opened = Index::open(directory / std::to_string(i));
    ASSERT_TRUE(opened);
    EXPECT_EQ(opened->size(), i + 1);
    EXPECT_TRUE(opened->verify()->ok());
  }
}

TEST(IndexFile, StatsTellTheFile) {
  const TemporaryDirectory directory;
  const Vectors vectors = test::random_vectors(500, 10, 8);
  const Index index = test::built(some_params(), vectors);
  ASSERT_TRUE(index.save(directory / "a"));
  const auto opened = Index::open(directory / "a");
  const Stats stats = opened->stats();
  EXPECT_EQ(stats.live, 500u);
  EXPECT_EQ(stats.deleted, 0u);
  EXPECT_EQ(stats.generation, 1u);
  EXPECT_EQ(stats.file_bytes, std::filesystem::file_size(directory / "a"));
  EXPECT_EQ(stats.private_bytes, 0u);
  EXPECT_GT(stats.open_ns, 0u);
  EXPECT_EQ(stats.max_level, index.stats().max_level);
  EXPECT_EQ(stats.hot_bytes, index.stats().hot_bytes);
  EXPECT_EQ(stats.exact_bytes, index.stats().exact_bytes);

  const auto in_memory = Index::open(directory / "a", loaded());
  EXPECT_GE(in_memory->stats().private_bytes, stats.hot_bytes);
}

TEST(IndexFile, FullVerificationRefusesADamagedPage) {
  const TemporaryDirectory directory;
  const Vectors vectors = test::random_vectors(200, 10, 9);
  ASSERT_TRUE(test::built(some_params(), vectors).save(directory / "a"));
  test::Bytes file = test::read_bytes(directory / "a");
  file[test::place_of(file, format::SectionId::exact, 100)] ^= std::byte{1};
  test::write_bytes(directory / "a", file);
  OpenOptions full;
  full.verify = Verify::full;
  for (const OpenOptions& options : {full, loaded()}) {
    const auto opened = Index::open(directory / "a", options);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code(), ErrorCode::corrupt) << opened.error().message();
    EXPECT_NE(opened.error().message().find("EXACT"), std::string::npos);
  }
  EXPECT_TRUE(Index::open(directory / "a"));  // nobody has looked at that page
}

TEST(IndexFile, ADamagedPageGetsNoNewChecksumInACopy) {
  const TemporaryDirectory directory;
  const Vectors vectors = test::random_vectors(200, 10, 9);
  ASSERT_TRUE(test::built(some_params(), vectors).save(directory / "a"));
  test::Bytes file = test::read_bytes(directory / "a");
  const test::Bytes whole = file;
  file[test::place_of(file, format::SectionId::exact, 100)] ^= std::byte{1};
  test::write_bytes(directory / "a", file);
  test::write_bytes(directory / "there", whole);
  const auto expect_corrupt = [](const Result<void>& done) {
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code(), ErrorCode::corrupt) << done.error().message();
    EXPECT_NE(done.error().message().find("EXACT page 0"), std::string::npos);
  };
  OpenOptions to_write;
  to_write.mode = Mode::read_write;
  for (const OpenOptions& options : {OpenOptions(), to_write}) {
    auto index = Index::open(directory / "a", options);
    ASSERT_TRUE(index) << index.error().message();
    expect_corrupt(index->save(directory / "new"));
    expect_corrupt(index->backup(directory / "there"));
    if (options.mode == Mode::read_write) expect_corrupt(index->compact());
    EXPECT_EQ(directory.entries(), 2u);
    EXPECT_EQ(test::read_bytes(directory / "there"), whole);
    EXPECT_EQ(index->size(), 200u);
    EXPECT_EQ(index->verify()->findings.size(), 1u);
  }
}

}  // namespace
}  // namespace cairn
