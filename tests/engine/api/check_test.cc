// SPDX-License-Identifier: Apache-2.0
//
// OpenOptions::check: a page that is not what its checksum says ends the calls that meet it.
#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include <cairn/cairn.h>

#include "engine/api/index_parts.h"
#include "tests/support/file_image.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

using format::kPageSize;
using format::SectionId;
using test::TemporaryDirectory;
using test::Vectors;

constexpr std::size_t kDims = 16;
constexpr std::size_t kRows = 1500;

IndexParams params_of(Traversal traversal) {
  IndexParams params;
  params.dimensions = kDims;
  params.m = 4;
  params.ef_construction = 30;
  params.traversal = traversal;
  return params;
}

OpenOptions checking() {
  OpenOptions options;
  options.check = Check::on_first_use;
  return options;
}

// How many calls there were of each outcome.
struct Outcomes {
  std::size_t good = 0;
  std::size_t corrupt = 0;
  std::string message;  // of one that was corrupt
};

class CheckOnFirstUse : public testing::TestWithParam<Traversal> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(test::built(params_of(GetParam()), rows_).save(path()));
    bytes_ = test::read_bytes(path());
  }
  std::filesystem::path path() const { return directory_ / "a.cairn"; }

  void flip(std::uint64_t at) {
    std::fstream file(path(), std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(at));
    file.put(static_cast<char>(std::to_integer<int>(bytes_[at]) ^ 1));
    ASSERT_TRUE(file.good());
    bytes_[at] ^= std::byte{1};
  }
  void flip(SectionId section, std::uint64_t offset) {
    flip(test::place_of(bytes_, section, offset));
  }
  std::uint64_t bytes_of(SectionId section) const {
    std::uint64_t total = 0;
    for (const format::Extent& run : test::superblock_of(bytes_).extents) {
      if (run.section == static_cast<std::uint16_t>(section)) total += run.length;
    }
    return total;
  }

  template <class T>
  static void count(const Result<T>& result, Outcomes& outcomes) {
    if (result) {
      ++outcomes.good;
      return;
    }
    EXPECT_EQ(result.error().code(), ErrorCode::corrupt) << result.error().message();
    ++outcomes.corrupt;
    outcomes.message = result.error().message();
  }
  Outcomes search_all(const Index& index, std::size_t step = 1) const {
    Outcomes outcomes;
    std::vector<Match> out(5);
    for (std::size_t i = 0; i < kRows; i += step) {
      count(index.search(rows_.vector(i), {.k = 5, .ef = 20}, out), outcomes);
    }
    return outcomes;
  }
  Outcomes get_all(const Index& index) const {
    Outcomes outcomes;
    std::vector<float> vector(kDims);
    for (const Key key : rows_.keys) count(index.get(key, vector), outcomes);
    return outcomes;
  }
  // Good: keys that were listed, up to the first error.
  Outcomes list_all(const Index& index) const {
    Outcomes outcomes;
    std::vector<Key> some(64);
    for (KeyScan scan; !scan.done && outcomes.corrupt == 0;) {
      const auto listed = index.keys(scan, some);
      if (listed) outcomes.good += *listed;
      if (!listed) count(listed, outcomes);
    }
    return outcomes;
  }

  const Vectors rows_ = test::random_vectors(kRows, kDims, 3);
  TemporaryDirectory directory_;
  test::Bytes bytes_;
};

TEST_P(CheckOnFirstUse, OfASoundFileIsNoError) {
  const auto index = Index::open(path(), checking());
  ASSERT_TRUE(index) << index.error().message();
  EXPECT_EQ(search_all(*index).good, kRows);
  EXPECT_EQ(get_all(*index).good, kRows);
  EXPECT_EQ(list_all(*index).good, kRows);
}

TEST_P(CheckOnFirstUse, ADamagedPageEndsTheCallsThatMeetIt) {
  for (const SectionId section : {SectionId::hot, SectionId::exact, SectionId::key,
                                  SectionId::upper, SectionId::hash, SectionId::overflow}) {
    const std::uint64_t size = bytes_of(section);
    if (size == 0) continue;
    // The first page: the last one may hold little.
    flip(section, 77);
    const std::string name = format::section_name(static_cast<std::uint16_t>(section)) + " page 0 ";
    const bool is_table = section == SectionId::hash || section == SectionId::overflow;
    {
      const auto index = Index::open(path(), checking());
      ASSERT_TRUE(index) << index.error().message();
      const Outcomes searched = search_all(*index);
      EXPECT_EQ(searched.corrupt > 0, !is_table) << name;
      const Outcomes got = get_all(*index);
      if (section != SectionId::hot && section != SectionId::upper) {
        EXPECT_GT(got.corrupt, 0u) << name;
      }
      for (const Outcomes& outcomes : {searched, got}) {
        if (outcomes.corrupt == 0) continue;
        EXPECT_NE(outcomes.message.find(name), std::string::npos) << outcomes.message;
        EXPECT_NE(outcomes.message.find("checksum"), std::string::npos) << outcomes.message;
      }
      std::size_t found = 0;
      for (const Key key : rows_.keys) found += index->contains(key) ? 1u : 0u;
      if (is_table) {
        EXPECT_LT(found, kRows) << name;
      }
      // keys() reads the table and the keys, and nothing else.
      const Outcomes listed = list_all(*index);
      EXPECT_EQ(listed.corrupt > 0, is_table || section == SectionId::key) << name;
      if (listed.corrupt > 0) {
        EXPECT_NE(listed.message.find("keys: "), std::string::npos) << listed.message;
        EXPECT_NE(listed.message.find(name), std::string::npos) << listed.message;
      }
    }
    const auto unchecked = Index::open(path());
    ASSERT_TRUE(unchecked);
    EXPECT_EQ(search_all(*unchecked, 50).corrupt, 0u) << name;
    flip(section, 77);
  }
}

TEST_P(CheckOnFirstUse, WhatMeetsNoDamageGoesOn) {
  flip(SectionId::hot, bytes_of(SectionId::hot) / 2);
  const auto index = Index::open(path(), checking());
  ASSERT_TRUE(index);
  const Outcomes searched = search_all(*index);
  EXPECT_GT(searched.corrupt, 0u);
  EXPECT_GT(searched.good, 0u);
  std::vector<Match> out(5 * kRows);
  std::vector<std::size_t> counts(kRows);
  const auto batch = index->search_batch(rows_.matrix(), {.k = 5, .ef = 20}, out, counts, 2);
  ASSERT_FALSE(batch);
  EXPECT_EQ(batch.error().code(), ErrorCode::corrupt);
}

TEST_P(CheckOnFirstUse, APageIsReadOnce) {
  const auto index = Index::open(path(), checking());
  ASSERT_TRUE(index);
  EXPECT_EQ(search_all(*index).good, kRows);
  for (std::uint64_t at = 33; at < bytes_of(SectionId::hot); at += kPageSize) {
    flip(SectionId::hot, at);
  }
  EXPECT_EQ(search_all(*index).corrupt, 0u);
}

TEST_P(CheckOnFirstUse, ADamagedTreeOfChecksumsIsRefusedAtOpen) {
  std::uint64_t at = 0;
  for (const format::Extent& run : test::superblock_of(bytes_).extents) {
    if (run.section == format::kChecksumId) at = run.file_offset;
  }
  flip(at + 3);
  const auto index = Index::open(path(), checking());
  ASSERT_FALSE(index);
  EXPECT_EQ(index.error().code(), ErrorCode::corrupt);
  EXPECT_TRUE(Index::open(path()));
}

INSTANTIATE_TEST_SUITE_P(Traversals, CheckOnFirstUse,
                         testing::Values(Traversal::code, Traversal::exact));

// The table and all vectors of a key are read when the caller's own metric is asked.
class CheckOfSeveral : public testing::Test {
 protected:
  static constexpr std::size_t kOfAKey = 12;

  CheckOfSeveral() {
    IndexParams params = params_of(Traversal::code);
    params.several_per_key = true;
    Index index = Index::create(params).value();
    std::vector<Key> keys;
    for (std::size_t i = 0; i < kRows; ++i) keys.push_back(i % (kRows / kOfAKey));
    EXPECT_TRUE(index.build(keys, rows_.matrix()));
    EXPECT_TRUE(index.save(path()));
    bytes_ = test::read_bytes(path());
  }
  std::filesystem::path path() const { return directory_ / "a"; }
  void damage(SectionId section) {
    test::Bytes damaged = bytes_;
    for (std::uint64_t at = 77; at < bytes_of(section); at += kPageSize) {
      damaged[test::place_of(damaged, section, at)] ^= std::byte{1};
    }
    test::write_bytes(path(), damaged);
  }
  std::uint64_t bytes_of(SectionId section) const {
    std::uint64_t total = 0;
    for (const format::Extent& run : test::superblock_of(bytes_).extents) {
      if (run.section == static_cast<std::uint16_t>(section)) total += run.length;
    }
    return total;
  }

  const Vectors rows_ = test::random_vectors(kRows, kDims, 3);
  TemporaryDirectory directory_;
  test::Bytes bytes_;
};

TEST_F(CheckOfSeveral, ReranksAndDocumentsReadNoDamagedTable) {
  const std::function<float(Key, VectorView)> own = [](Key key, VectorView) {
    return static_cast<float>(key);
  };
  const auto code_of = [](const auto& result) {
    return result ? ErrorCode::internal : result.error().code();
  };
  {
    const Index sound = Index::open(path(), checking()).value();
    ASSERT_TRUE(sound.search(rows_.vector(0), {.k = 5, .ef = 20, .rerank = &own}));
    ASSERT_TRUE(sound.search_documents(rows_.matrix(), {.k = 5, .ef = 20}));
  }
  damage(SectionId::hash);
  const Index index = Index::open(path(), checking()).value();
  // A search alone does not look there.
  EXPECT_TRUE(index.search(rows_.vector(0), {.k = 5, .ef = 20}));
  EXPECT_EQ(code_of(index.search(rows_.vector(0), {.k = 5, .ef = 20, .rerank = &own})),
            ErrorCode::corrupt);
  EXPECT_EQ(code_of(index.search_range(rows_.vector(0), 1.0f, {.rerank = &own})),
            ErrorCode::corrupt);
  EXPECT_EQ(code_of(index.search_documents(rows_.matrix(), {.k = 5, .ef = 20})),
            ErrorCode::corrupt);
  auto cursor = index.open_cursor(rows_.vector(0), {.rerank = &own});
  std::vector<Match> page(5);
  EXPECT_EQ(code_of(cursor->next(page)), ErrorCode::corrupt);
}

// Of a key that is found by one vector the others are read, too.
TEST_F(CheckOfSeveral, ReranksReadNoDamagedVector) {
  const std::function<float(Key, VectorView)> own = [](Key, VectorView) { return 0.0f; };
  test::Bytes damaged = bytes_;
  const std::uint64_t at = bytes_of(SectionId::exact) - kPageSize - 77;
  damaged[test::place_of(damaged, SectionId::exact, at)] ^= std::byte{1};
  test::write_bytes(path(), damaged);
  std::size_t searched = 0;
  std::size_t reranked = 0;
  for (std::size_t i = 0; i < 100; ++i) {
    // Of a copy each, since pages are read once.
    const Index one = Index::open(path(), checking()).value();
    searched += one.search(rows_.vector(i), {.k = 1, .ef = 1}) ? 0u : 1u;
    const Index other = Index::open(path(), checking()).value();
    reranked += other.search(rows_.vector(i), {.k = 1, .ef = 1, .rerank = &own}) ? 0u : 1u;
  }
  EXPECT_GT(reranked, searched);
}

TEST(CheckOfReaders, IsForReadersAlone) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(Index::create(directory / "a", params_of(Traversal::code)));
  OpenOptions options = checking();
  options.mode = Mode::read_write;
  const auto index = Index::open(directory / "a", options);
  ASSERT_FALSE(index);
  EXPECT_EQ(index.error().code(), ErrorCode::invalid_argument);
}

// What a checkpoint has written in place is not what the checksums of before say, and no damage.
TEST(CheckOfReaders, BesideAWriterFindsNothing) {
  const TemporaryDirectory directory;
  const Vectors rows = test::random_vectors(1200, kDims, 8);
  format::WriteOptions small;
  small.segment_bytes = std::uint64_t{16} << 10;
  small.first_run_bytes = std::uint64_t{16} << 10;
  auto writer = IndexParts::create(directory / "a", params_of(Traversal::code), {}, small);
  ASSERT_TRUE(writer);
  const auto put = [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      ASSERT_TRUE(writer->upsert(rows.keys[i % 600], rows.vector(i)));
    }
    ASSERT_TRUE(writer->sync());
  };
  std::vector<Match> out(5);
  std::vector<float> vector(kDims);
  const auto look = [&](Index& reader) {
    for (std::size_t i = 0; i < 200; ++i) {
      const auto found = reader.search(rows.vector(3 * i), {.k = 5, .ef = 20}, out);
      ASSERT_TRUE(found) << found.error().message();
      const auto got = reader.get(rows.keys[i], vector);
      ASSERT_TRUE(got) << got.error().message();
    }
  };
  put(0, 600);
  ASSERT_TRUE(writer->checkpoint());
  put(600, 700);
  auto reader = Index::open(directory / "a", checking());  // has a log to replay
  ASSERT_TRUE(reader) << reader.error().message();
  ASSERT_TRUE(writer->checkpoint());  // writes what the reader has replayed: the view stays whole
  look(*reader);
  put(700, 800);
  ASSERT_TRUE(reader->refresh());
  look(*reader);
  for (std::size_t at = 800; at < 1200; at += 100) {
    put(at, at + 100);
    ASSERT_TRUE(writer->checkpoint());
    look(*reader);
  }
}

}  // namespace
}  // namespace cairn
