// SPDX-License-Identifier: Apache-2.0
#include <cairn/import.h>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/engine/transfer/foreign_files.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

using test::foreign_folder;

class Export : public testing::TestWithParam<Source> {
 protected:
  // What is exported and read again, of a file of tests/data/foreign.
  void round_trip(const std::string& name, const std::vector<Key>& removed = {}) {
    auto index = import_index(foreign_folder() / name);
    ASSERT_TRUE(index) << index.error().message();
    for (const Key key : removed) ASSERT_TRUE(index->remove(key));
    const auto path = folder_ / "exported";
    const auto exported = export_index(*index, path, GetParam());
    ASSERT_TRUE(exported) << exported.error().message();
    EXPECT_EQ(folder_.entries(), 1u);
    ImportOptions options;
    options.source = GetParam();
    if (GetParam() == Source::hnswlib) options.metric = index->params().metric;
    ImportReport report;
    const auto again = import_index(path, options, &report);
    ASSERT_TRUE(again) << again.error().message();
    EXPECT_EQ(again->size(), index->size());
    EXPECT_TRUE(report.graph_kept);
    EXPECT_EQ(report.skipped, 0u);
    EXPECT_EQ(report.links_dropped, 0u);
    if (index->params().metric == Metric::cosine) return;  // of norm 1 in hnswlib
    const test::ForeignContent content = test::foreign_content(name);
    std::vector<float> before(content.dims);
    std::vector<float> after(content.dims);
    for (const Key key : content.keys) {
      if (!index->get(key, before)) continue;
      ASSERT_TRUE(again->get(key, after)) << key;
      EXPECT_EQ(before, after) << key;
    }
  }

  test::TemporaryDirectory folder_;
};

TEST_P(Export, HasAllVectorsAndKeys) {
  round_trip("faiss-v1_15_1-idmap2-hnswflat-l2-n150-d8-m8.faiss");
}

TEST_P(Export, OfAnotherKindOfComponentHoldsTheSameNumbers) {
  round_trip("faiss-v1_15_1-sq4.faiss");
}

TEST_P(Export, LeavesRemovedVectorsOut) {
  round_trip("faiss-v1_15_1-hnswflat-l2-n100-d7-m8.faiss", {0, 5, 6, 7, 8, 50, 99});
}

TEST_P(Export, OfCosineKeepsTheGraph) { round_trip("usearch-v2_8_15-cos-f16-n100-d9-m8.usearch"); }

TEST_P(Export, OfAnEmptyIndexIsAnEmptyOne) {
  IndexParams params;
  params.dimensions = 4;
  params.metric = Metric::l2sq;
  const auto index = Index::create(params);
  ASSERT_TRUE(index);
  ASSERT_TRUE(export_index(*index, folder_ / "empty", GetParam()));
  ImportOptions options;
  options.source = GetParam();
  options.metric = Metric::l2sq;
  const auto again = import_index(folder_ / "empty", options);
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(again->size(), 0u);
}

std::string target_name(const testing::TestParamInfo<Source>& info) {
  return info.param == Source::hnswlib ? "hnswlib" : "usearch";
}
INSTANTIATE_TEST_SUITE_P(To, Export, testing::Values(Source::hnswlib, Source::usearch),
                         target_name);

TEST(ExportRefusals, NameWhatTheOtherLibraryLacks) {
  const test::TemporaryDirectory folder;
  const auto bits = import_index(foreign_folder() / "faiss-v1_15_1-binary.faiss");
  ASSERT_TRUE(bits);
  const auto refused = export_index(*bits, folder / "x", Source::hnswlib);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::unsupported);
  EXPECT_EQ(folder.entries(), 0u);
  EXPECT_TRUE(export_index(*bits, folder / "x", Source::usearch));
  EXPECT_EQ(import_index(folder / "x")->size(), 40u);
  EXPECT_FALSE(export_index(*bits, folder / "y", Source::faiss));

  IndexParams params;
  params.dimensions = 2;
  auto index = Index::create(params);
  ASSERT_TRUE(index);
  ASSERT_TRUE(index->add(~Key{0}, std::vector<float>{1, 2}));
  EXPECT_FALSE(export_index(*index, folder / "y", Source::usearch));
  EXPECT_TRUE(export_index(*index, folder / "y", Source::hnswlib));
}

Index of_one_vector() {
  Index index = Index::create({.dimensions = 2, .metric = Metric::l2sq}).value();
  EXPECT_TRUE(index.add(7, std::vector<float>{1, 2}));
  return index;
}

TEST(ExportTarget, WhatIsNoRegularFileStays) {
  const test::TemporaryDirectory folder;
  const auto pipe = folder / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  std::filesystem::create_directory(folder / "directory");
  for (const Source kind : {Source::hnswlib, Source::usearch}) {
    for (const auto& path : {pipe, folder / "directory"}) {
      const auto exported = export_index(of_one_vector(), path, kind);
      ASSERT_FALSE(exported);
      EXPECT_EQ(exported.error().code(), ErrorCode::invalid_argument);
    }
  }
  EXPECT_TRUE(std::filesystem::is_fifo(pipe));
  EXPECT_EQ(folder.entries(), 2u);
}

TEST(ExportTarget, AFileThatSomebodyWritesStays) {
  const test::TemporaryDirectory folder;
  const auto path = folder / "live.cairn";
  const auto live = Index::create(path, {.dimensions = 2});
  ASSERT_TRUE(live);
  const auto exported = export_index(of_one_vector(), path, Source::usearch);
  ASSERT_FALSE(exported);
  EXPECT_EQ(exported.error().code(), ErrorCode::path_in_use);
}

TEST(ExportTarget, ALinkIsFollowedAndPermissionsStay) {
  const test::TemporaryDirectory folder;
  std::ofstream(folder / "old") << "old";
  ASSERT_EQ(::chmod((folder / "old").c_str(), 0640), 0);
  std::filesystem::create_symlink("old", folder / "link");
  ASSERT_TRUE(export_index(of_one_vector(), folder / "link", Source::usearch));
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "link"));
  EXPECT_EQ(import_index(folder / "old").value().size(), 1u);
  EXPECT_EQ(std::filesystem::status(folder / "old").permissions(),
            static_cast<std::filesystem::perms>(0640));
  EXPECT_EQ(folder.entries(), 2u);
}

// Three keys with two vectors each.
Index with_several() {
  IndexParams params{.dimensions = 2, .metric = Metric::l2sq};
  params.several_per_key = true;
  Index index = Index::create(params).value();
  for (Key i = 0; i < 6; ++i) {
    const std::vector<float> vector = {static_cast<float>(i), 1};
    EXPECT_TRUE(index.add(i % 3, vector));
  }
  return index;
}

TEST(ExportOfSeveralVectorsAKey, ComesBackFromUsearch) {
  const test::TemporaryDirectory folder;
  const Index index = with_several();
  ASSERT_TRUE(export_index(index, folder / "a", Source::usearch));
  ImportOptions options;
  options.several_per_key = true;
  ImportReport report;
  const auto again = import_index(folder / "a", options, &report);
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_TRUE(again->params().several_per_key);
  EXPECT_EQ(report.vectors, 6u);
  EXPECT_EQ(report.skipped, 0u);
  EXPECT_TRUE(report.graph_kept);
  for (Key key = 0; key < 3; ++key) {
    ASSERT_EQ(again->count(key), 2u);
    std::vector<float> vector(2);
    for (std::size_t i = 0; i < 2; ++i) {
      ASSERT_TRUE(again->get(key, i, vector));
      EXPECT_EQ(vector[0], static_cast<float>(key + 3 * i));
    }
  }
  EXPECT_EQ(again->verify().value().findings, std::vector<std::string>{});
  // Without the option the first of each key stays.
  options.several_per_key = false;
  const auto first = import_index(folder / "a", options, &report);
  ASSERT_TRUE(first) << first.error().message();
  EXPECT_FALSE(first->params().several_per_key);
  EXPECT_EQ(first->size(), 3u);
  EXPECT_EQ(report.skipped, 3u);
}

TEST(ExportOfSeveralVectorsAKey, IsRefusedForHnswlib) {
  const test::TemporaryDirectory folder;
  const auto exported = export_index(with_several(), folder / "a", Source::hnswlib);
  ASSERT_FALSE(exported);
  EXPECT_EQ(exported.error().code(), ErrorCode::unsupported);
  EXPECT_EQ(folder.entries(), 0u);
}

// An hnswlib file, whose elements begin with a list: a count, and the rows.
class HnswlibLists {
 public:
  explicit HnswlibLists(const std::filesystem::path& path) : bytes(test::read_bytes(path)) {}
  template <class T>
  T at(std::size_t place) const {
    T number;
    std::memcpy(&number, bytes.data() + place, sizeof number);
    return number;
  }
  std::size_t rows() const { return at<std::uint64_t>(16); }
  std::size_t list(std::size_t row) const { return 96 + row * at<std::uint64_t>(24); }
  std::size_t degree(std::size_t row) const { return at<std::uint16_t>(list(row)); }
  std::size_t link(std::size_t row, std::size_t i) const {
    return at<std::uint32_t>(list(row) + 4 + 4 * i);
  }
  bool has(std::size_t row, std::size_t to) const {
    for (std::size_t i = 0; i < degree(row); ++i) {
      if (link(row, i) == to) return true;
    }
    return false;
  }

  test::Bytes bytes;
};

// More rows than one thread takes at once.
TEST(ImportOfOneWayLinks, GoBothWaysWhereThereIsRoomForAnyNumberOfThreads) {
  const test::TemporaryDirectory folder;
  IndexParams params;
  params.dimensions = 8;
  params.metric = Metric::l2sq;
  params.m = 4;
  auto index = Index::create(params);
  ASSERT_TRUE(index);
  const test::Vectors vectors = test::random_vectors(700, 8, 11);
  ASSERT_TRUE(index->build(vectors.keys, vectors.matrix()));
  ASSERT_TRUE(export_index(*index, folder / "whole", Source::hnswlib));
  HnswlibLists lists(folder / "whole");
  for (std::size_t row = 0; row < lists.rows(); row += 2) {
    const auto half = static_cast<std::uint16_t>((lists.degree(row) + 1) / 2);
    std::memcpy(lists.bytes.data() + lists.list(row), &half, sizeof half);
  }
  test::write_bytes(folder / "one-way", lists.bytes);
  for (const unsigned threads : {1u, 3u}) {
    ImportOptions options;
    options.metric = Metric::l2sq;
    options.threads = threads;
    ImportReport report;
    const auto again = import_index(folder / "one-way", options, &report);
    ASSERT_TRUE(again) << again.error().message();
    EXPECT_TRUE(report.graph_kept);
    ASSERT_TRUE(export_index(*again, folder / std::to_string(threads), Source::hnswlib));
  }
  const HnswlibLists done(folder / "1");
  EXPECT_EQ(done.bytes, test::read_bytes(folder / "3"));
  const std::size_t room = done.at<std::uint64_t>(64);
  std::size_t one_way = 0;
  for (std::size_t row = 0; row < done.rows(); ++row) {
    for (std::size_t i = 0; i < done.degree(row); ++i) {
      const std::size_t to = done.link(row, i);
      if (done.degree(to) < room && !done.has(to, row)) ++one_way;
    }
  }
  EXPECT_EQ(one_way, 0u);
}

}  // namespace
}  // namespace cairn
