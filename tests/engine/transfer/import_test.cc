// SPDX-License-Identifier: Apache-2.0
#include <cairn/import.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstddef>
#include <string>

#include <cairn/c.h>

#include "engine/vectors/components.h"
#include "tests/engine/transfer/foreign_files.h"
#include "tests/support/temporary_directory.h"

namespace cairn {
namespace {

using test::foreign_content;
using test::foreign_folder;
using test::ForeignContent;
using test::ForeignFile;
using test::read_bytes;
using test::write_bytes;

bool has_note(const ImportReport& report, const std::string& word) {
  return std::any_of(report.notes.begin(), report.notes.end(),
                     [&](const std::string& note) { return note.find(word) != std::string::npos; });
}

class ForeignIndex : public testing::TestWithParam<ForeignFile> {};

TEST_P(ForeignIndex, BecomesWhatItsLibrarySaysIsInIt) {
  const ForeignFile& file = GetParam();
  ImportOptions options;
  options.threads = 2;
  if (file.metric_given != "-") options.metric = test::metric_named(file.metric_given);
  const bool is_empty_dump = file.graph == "empty" && file.name.starts_with("hnsw_rs");
  if (is_empty_dump) options.dimensions = 4;
  ImportReport report;
  const auto before = read_bytes(foreign_folder() / file.name);
  const auto index = import_index(foreign_folder() / file.name, options, &report);
  EXPECT_EQ(read_bytes(foreign_folder() / file.name), before);
  if (file.refused()) {
    ASSERT_FALSE(index);
    EXPECT_EQ(error_name(index.error().code()), file.scalar) << index.error().message();
    EXPECT_NE(index.error().message().find(file.word), std::string::npos)
        << index.error().message();
    return;
  }
  ASSERT_TRUE(index) << index.error().message();
  EXPECT_EQ(index->params().metric, test::metric_named(file.metric));
  EXPECT_EQ(name_of(index->params().scalar), file.scalar);
  EXPECT_EQ(index->size(), file.vectors);
  EXPECT_EQ(report.vectors, file.vectors);
  EXPECT_EQ(report.skipped, file.skipped);
  EXPECT_EQ(report.graph_kept, file.graph == "kept");
  EXPECT_EQ(has_note(report, "The graph is built anew: "), file.graph == "rebuilt");

  const ForeignContent content = foreign_content(file.name);
  ASSERT_EQ(index->params().dimensions, content.dims);
  ASSERT_EQ(content.rows, file.vectors);
  std::vector<float> vector(content.dims);
  for (std::uint32_t i = 0; i < content.rows; ++i) {
    ASSERT_TRUE(index->get(content.keys[i], vector)) << "key " << content.keys[i];
    EXPECT_EQ(0, std::memcmp(vector.data(), content.values.data() + std::size_t{i} * content.dims,
                             vector.size() * sizeof(float)))
        << "key " << content.keys[i];
  }
  const auto verified = index->verify();
  ASSERT_TRUE(verified);
  EXPECT_TRUE(verified->ok()) << verified->findings.front();
  EXPECT_EQ(verified->unreachable, 0u);
}

TEST_P(ForeignIndex, FindsItsOwnVectors) {
  const ForeignFile& file = GetParam();
  if (file.refused() || file.vectors == 0) return;
  ImportOptions options;
  if (file.metric_given != "-") options.metric = test::metric_named(file.metric_given);
  const auto index = import_index(foreign_folder() / file.name, options);
  ASSERT_TRUE(index) << index.error().message();
  if (index->params().metric == Metric::inner_product) return;  // others may be nearer
  const ForeignContent content = foreign_content(file.name);
  const Scalar scalar = index->params().scalar;
  std::vector<std::byte> query(vector_bytes(scalar, content.dims));
  for (std::uint32_t i = 0; i < content.rows; ++i) {
    const std::span row(content.values.data() + std::size_t{i} * content.dims, content.dims);
    ASSERT_TRUE(convert(row, scalar, query));
    const auto found = index->search(view_of(scalar, query.data(), content.dims), {.k = 1});
    ASSERT_TRUE(found);
    ASSERT_EQ(found->size(), 1u);
    EXPECT_NEAR(found->front().distance, 0, 1e-5) << "key " << content.keys[i];
  }
}

std::string test_name(const testing::TestParamInfo<ForeignFile>& info) {
  std::string name = info.param.name;
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}
INSTANTIATE_TEST_SUITE_P(Files, ForeignIndex, testing::ValuesIn(test::foreign_files()), test_name);

class Import : public testing::Test {
 protected:
  static Error error_of(const std::filesystem::path& path, const ImportOptions& options = {}) {
    const auto index = import_index(path, options);
    EXPECT_FALSE(index);
    return index ? Error(ErrorCode::internal, "") : index.error();
  }
  std::filesystem::path changed(const std::string& name, std::size_t at, const void* value,
                                std::size_t size) {
    test::Bytes bytes = read_bytes(foreign_folder() / name);
    EXPECT_LE(at + size, bytes.size());
    std::memcpy(bytes.data() + at, value, size);
    write_bytes(folder_ / name, bytes);
    return folder_ / name;
  }
  static void expect(const Error& error, ErrorCode code, const std::string& word) {
    EXPECT_EQ(error.code(), code) << error.message();
    EXPECT_NE(error.message().find(word), std::string::npos) << error.message();
  }

  const std::string hnswlib_ = "hnswlib-v0_8_0-l2-n60-d6-m8-capacity.hnswlib";
  const std::string cosine_ = "hnswlib-v0_8_0-cosine-n100-d9-m5.hnswlib";
  const std::string usearch_ = "usearch-v2_26_6-l2sq-f32-n100-d7-m8.usearch";
  const std::string faiss_ = "faiss-v1_15_1-hnswflat-l2-n100-d7-m8.faiss";
  const std::string dump_ = "hnsw_rs-v0_3_5-l2-f32-n100-d7-m12-seq";
  test::TemporaryDirectory folder_;
};

TEST_F(Import, EitherFileOfADumpOrTheirCommonNameWillDo) {
  for (const char* suffix : {"", ".hnsw.graph", ".hnsw.data"}) {
    const auto index = import_index(foreign_folder() / (dump_ + suffix));
    ASSERT_TRUE(index) << index.error().message();
    EXPECT_EQ(index->size(), 100u);
  }
}

TEST_F(Import, HalfADumpNamesTheOtherHalf) {
  const auto graph = read_bytes(foreign_folder() / (dump_ + ".hnsw.graph"));
  write_bytes(folder_ / "half.hnsw.graph", graph);
  expect(error_of(folder_ / "half.hnsw.graph"), ErrorCode::path_not_found, "half.hnsw.data");
  expect(error_of(folder_ / "half"), ErrorCode::path_not_found, "half.hnsw.data");
  write_bytes(folder_ / "renamed", graph);
  expect(error_of(folder_ / "renamed"), ErrorCode::invalid_argument, "NAME.hnsw.data");
  write_bytes(folder_ / "half.hnsw.data", {});
  expect(error_of(folder_ / "half"), ErrorCode::truncated, "half.hnsw.data: byte 0");
}

TEST_F(Import, WhatIsNoIndexIsRefused) {
  expect(error_of(folder_.path()), ErrorCode::invalid_argument, "is a directory");
  expect(error_of(folder_ / "nothing"), ErrorCode::path_not_found, "nothing");
  write_bytes(folder_ / "empty", {});
  expect(error_of(folder_ / "empty"), ErrorCode::truncated, "empty");
  write_bytes(folder_ / "text", test::Bytes(500, 'a'));
  expect(error_of(folder_ / "text"), ErrorCode::unsupported, "hnswlib");
  for (const Source source : {Source::hnswlib, Source::usearch, Source::faiss}) {
    ImportOptions options;
    options.source = source;
    options.metric = Metric::l2sq;
    EXPECT_NE(error_of(folder_ / "text", options).message().find("text: "), std::string::npos);
  }
}

TEST_F(Import, AMetricThatTheFileDoesNotSayMustBeGiven) {
  expect(error_of(foreign_folder() / hnswlib_), ErrorCode::invalid_argument, "--metric");
}

TEST_F(Import, AnotherMetricThanTheFilesIsRefusedUnlessTheOrderIsTheSame) {
  ImportOptions options;
  options.metric = Metric::cosine;
  expect(error_of(foreign_folder() / usearch_, options), ErrorCode::invalid_argument, "l2sq");
  options.metric = Metric::hamming;
  expect(error_of(foreign_folder() / usearch_, options), ErrorCode::invalid_argument, "hamming");
  options.metric = Metric::cosine;
  ImportReport report;
  const std::string unit = "hnsw_rs-v0_2_1-dot-f32-n100-d6-m10-par-unit.hnsw.graph";
  const auto index = import_index(foreign_folder() / unit, options, &report);
  ASSERT_TRUE(index) << index.error().message();
  EXPECT_TRUE(report.graph_kept);
  EXPECT_EQ(index->params().metric, Metric::cosine);
}

TEST_F(Import, AGraphOfHnswlibThatCannotBeThatOfItsMetricIsBuiltAnew) {
  ImportOptions options;
  options.metric = Metric::cosine;
  ImportReport report;
  ASSERT_TRUE(import_index(foreign_folder() / hnswlib_, options, &report));
  EXPECT_FALSE(report.graph_kept);
  EXPECT_TRUE(has_note(report, "norm 1"));
}

TEST_F(Import, DimensionsMustFit) {
  ImportOptions options;
  options.metric = Metric::l2sq;
  options.dimensions = 7;
  expect(error_of(foreign_folder() / hnswlib_, options), ErrorCode::dimension_mismatch, "24 bytes");
  options.dimensions = 24;  // of u8
  const auto bytes = import_index(foreign_folder() / hnswlib_, options);
  ASSERT_TRUE(bytes);
  EXPECT_EQ(bytes->params().dimensions, 24u);
  options.dimensions = 6;
  ASSERT_TRUE(import_index(foreign_folder() / hnswlib_, options));
  expect(error_of(foreign_folder() / faiss_, options), ErrorCode::dimension_mismatch, "7");
  const std::string empty = "hnsw_rs-v0_3_5-l2-f32-n0-d4-m8-seq.hnsw.graph";
  expect(error_of(foreign_folder() / empty), ErrorCode::invalid_argument, "--dimensions");
}

TEST_F(Import, ANumberThatIsNoneIsNamedWithKeyAndPlace) {
  const float nan = std::nanf("");
  const std::size_t second_row = 8 + 7 * 4;
  const auto path = changed(usearch_, second_row + 8, &nan, 4);
  const Error error = error_of(path);
  expect(error, ErrorCode::not_finite, "byte " + std::to_string(second_row));
  expect(error, ErrorCode::not_finite, "component 2");
}

TEST_F(Import, ANumberThatIsNoneIsNamedInEachFormat) {
  const float infinity = INFINITY;
  const std::size_t in_row_3 = 4 + 4 * 16 + 3 * (4 + 4 * 16 + 24 + 8);  // behind the header
  ImportOptions l2sq;
  l2sq.metric = Metric::l2sq;
  expect(error_of(changed(hnswlib_, 96 + in_row_3 + 4, &infinity, 4), l2sq), ErrorCode::not_finite,
         "byte " + std::to_string(96 + in_row_3));
  const std::size_t faiss_bytes = read_bytes(foreign_folder() / faiss_).size();
  const std::size_t last_row = faiss_bytes - 7 * 4;
  expect(error_of(changed(faiss_, last_row + 8, &infinity, 4)), ErrorCode::not_finite,
         "byte " + std::to_string(last_row));
  expect(error_of(changed(faiss_, last_row + 8, &infinity, 4)), ErrorCode::not_finite,
         "component 2");
  write_bytes(folder_ / (dump_ + ".hnsw.graph"),
              read_bytes(foreign_folder() / (dump_ + ".hnsw.graph")));
  const std::size_t second = 32 + 20 + 7 * 4;
  expect(error_of(changed(dump_ + ".hnsw.data", second + 12, &infinity, 4)), ErrorCode::not_finite,
         "byte " + std::to_string(second));
}

TEST_F(Import, KeysThatAreGivenTwiceAreSkippedAndCounted) {
  std::vector<Key> keys(100, 7);
  for (std::size_t i = 0; i < 98; ++i) keys[i] = 100 + i;
  ImportOptions options;
  options.keys = keys;
  ImportReport report;
  const auto index = import_index(foreign_folder() / faiss_, options, &report);
  ASSERT_TRUE(index) << index.error().message();
  EXPECT_EQ(index->size(), 99u);
  EXPECT_EQ(report.skipped, 1u);
  EXPECT_TRUE(has_note(report, "has their key"));
}

TEST_F(Import, AnIntegerThatF32DoesNotHoldIsRefused) {
  const std::string name = "hnsw_rs-v0_3_5-l2-i32-n100-d5-m8-seq.hnsw";
  const std::int32_t large = (1 << 24) + 1;
  const std::int32_t round = 1 << 25;
  write_bytes(folder_ / (name + ".graph"), read_bytes(foreign_folder() / (name + ".graph")));
  expect(error_of(changed(name + ".data", 12 + 20, &large, 4)), ErrorCode::unsupported, "i32");
  EXPECT_TRUE(import_index(changed(name + ".data", 12 + 20, &round, 4)));
}

TEST_F(Import, AnotherByteOrderIsNamed) {
  test::Bytes dump = read_bytes(foreign_folder() / (dump_ + ".hnsw.graph"));
  std::reverse(dump.begin(), dump.begin() + 4);
  write_bytes(folder_ / "big.hnsw.graph", dump);
  write_bytes(folder_ / "big.hnsw.data", read_bytes(foreign_folder() / (dump_ + ".hnsw.data")));
  expect(error_of(folder_ / "big"), ErrorCode::unsupported, "byte order");
  expect(error_of(changed(faiss_, 0, "fNHI", 4)), ErrorCode::unsupported, "byte order");
  test::Bytes graph = read_bytes(foreign_folder() / hnswlib_);
  for (std::size_t at = 0; at < 96; at += 8) {
    if (at != 48)
      std::reverse(graph.begin() + static_cast<std::ptrdiff_t>(at),
                   graph.begin() + static_cast<std::ptrdiff_t>(at) + 8);
  }
  write_bytes(folder_ / "big.hnswlib", graph);
  expect(error_of(folder_ / "big.hnswlib"), ErrorCode::unsupported, "byte order");
  const std::size_t head = 8 + 100 * 7 * 4;
  expect(error_of(changed(usearch_, head + 7, "\0\2", 2)), ErrorCode::unsupported, "byte order");
}

TEST_F(Import, ADamagedCountIsNamedWithItsByte) {
  const std::uint64_t huge = ~std::uint64_t{0};
  ImportOptions options;
  options.metric = Metric::l2sq;
  options.source = Source::hnswlib;
  expect(error_of(changed(hnswlib_, 16, &huge, 8), options), ErrorCode::corrupt, "byte 16");
  const std::size_t graph = 8 + 100 * 7 * 4 + 64;
  expect(error_of(changed(usearch_, graph, &huge, 8)), ErrorCode::corrupt,
         "byte " + std::to_string(graph));
  expect(error_of(changed(faiss_, 37, &huge, 8)), ErrorCode::truncated, "assign_probas");
}

TEST_F(Import, GraphsWithManyDamagedLinksAreBuiltAnew) {
  test::Bytes bytes = read_bytes(foreign_folder() / hnswlib_);
  const std::size_t stride = 4 + 4 * 16 + 24 + 8;
  const std::uint32_t nowhere = 1000;
  for (std::size_t i = 0; i < 60; ++i) std::memcpy(bytes.data() + 96 + i * stride + 4, &nowhere, 4);
  write_bytes(folder_ / hnswlib_, bytes);
  ImportOptions options;
  options.metric = Metric::l2sq;
  ImportReport report;
  const auto index = import_index(folder_ / hnswlib_, options, &report);
  ASSERT_TRUE(index);
  EXPECT_FALSE(report.graph_kept);
  EXPECT_TRUE(has_note(report, "lead nowhere"));
}

TEST_F(Import, GraphsThatHaveFallenApartAreBuiltAnew) {
  test::Bytes bytes = read_bytes(foreign_folder() / hnswlib_);
  const std::size_t stride = 4 + 4 * 16 + 24 + 8;
  for (std::size_t i = 0; i < 60; ++i) std::memset(bytes.data() + 96 + i * stride, 0, 2);
  write_bytes(folder_ / hnswlib_, bytes);
  ImportOptions options;
  options.metric = Metric::l2sq;
  ImportReport report;
  ASSERT_TRUE(import_index(folder_ / hnswlib_, options, &report));
  EXPECT_FALSE(report.graph_kept);
  EXPECT_TRUE(has_note(report, "cannot be reached"));
}

TEST_F(Import, RebuildingIsBuildingOfTheSameRows) {
  ImportOptions options;
  options.rebuild = true;
  const auto imported = import_index(foreign_folder() / faiss_, options);
  ASSERT_TRUE(imported);
  const ForeignContent content = foreign_content(faiss_);
  auto built = Index::create(imported->params());
  ASSERT_TRUE(built);
  ASSERT_TRUE(built->build(content.keys,
                           MatrixView::f32(content.values.data(), content.rows, content.dims)));
  ASSERT_TRUE(imported->save(folder_ / "imported"));
  ASSERT_TRUE(built->save(folder_ / "built"));
  EXPECT_EQ(read_bytes(folder_ / "imported"), read_bytes(folder_ / "built"));
}

TEST_F(Import, TheResultDoesNotDependOnTheNumberOfThreads) {
  for (const unsigned threads : {1u, 3u}) {
    ImportOptions options;
    options.threads = threads;
    const auto index = import_index(foreign_folder() / faiss_, options);
    ASSERT_TRUE(index);
    ASSERT_TRUE(index->save(folder_ / std::to_string(threads)));
  }
  EXPECT_EQ(read_bytes(folder_ / "1"), read_bytes(folder_ / "3"));
}

TEST_F(Import, FurtherVectorsCanBeAdded) {
  auto index = import_index(foreign_folder() / usearch_);
  ASSERT_TRUE(index);
  for (Key key = 1; key <= 50; ++key) {
    const std::vector<float> vector(7, static_cast<float>(key) / 10);
    ASSERT_TRUE(index->upsert(~key, vector));
  }
  EXPECT_EQ(index->size(), 150u);
  const auto verified = index->verify();
  ASSERT_TRUE(verified);
  EXPECT_TRUE(verified->ok()) << verified->findings.front();
}

TEST_F(Import, OtherKeysCanTakeTheirPlace) {
  std::vector<Key> keys(100);
  for (std::size_t i = 0; i < keys.size(); ++i) keys[i] = 5000 + i;
  ImportOptions options;
  options.keys = keys;
  const auto index = import_index(foreign_folder() / faiss_, options);
  ASSERT_TRUE(index) << index.error().message();
  EXPECT_TRUE(index->contains(5099));
  EXPECT_FALSE(index->contains(99));
  options.keys = std::span(keys).first(99);
  expect(error_of(foreign_folder() / faiss_, options), ErrorCode::invalid_argument, "99 keys");
}

TEST_F(Import, ListsAreAsLongAsTheSourceNeedsUnlessSaidOtherwise) {
  ImportReport report;
  const auto index = import_index(foreign_folder() / (dump_ + ".hnsw.graph"), {}, &report);
  ASSERT_TRUE(index);
  EXPECT_EQ(index->params().m, 12u);
  EXPECT_EQ(report.links_dropped, 0u);
  ImportOptions options;
  options.m = 2;
  options.ef_construction = 50;
  const auto narrow = import_index(foreign_folder() / (dump_ + ".hnsw.graph"), options, &report);
  ASSERT_TRUE(narrow);
  EXPECT_EQ(narrow->params().m, 2u);
  EXPECT_EQ(narrow->params().ef_construction, 50u);
}

TEST_F(Import, TheCInterfaceTakesOptionsOfAnySizeAndReports) {
  const std::string hnswlib = (foreign_folder() / hnswlib_).string();
  cairn_index* index = nullptr;
  EXPECT_EQ(cairn_import(hnswlib.c_str(), nullptr, &index, nullptr), 1);
  EXPECT_EQ(index, nullptr);
  EXPECT_NE(std::string(cairn_last_error()).find("--metric"), std::string::npos);

  cairn_import_options options{};
  cairn_import_report report{};
  EXPECT_EQ(cairn_import(hnswlib.c_str(), &options, &index, nullptr), 1);  // no size
  options.size = offsetof(cairn_import_options, rebuild);
  options.metric = 2;
  options.rebuild = 1;  // which a caller of that size does not know
  EXPECT_EQ(cairn_import(hnswlib.c_str(), &options, &index, &report), 1);
  report.size = sizeof report;
  ASSERT_EQ(cairn_import(hnswlib.c_str(), &options, &index, &report), 0) << cairn_last_error();
  EXPECT_EQ(cairn_size(index), 60u);
  EXPECT_EQ(report.size, sizeof report);
  EXPECT_EQ(report.vectors, 60u);
  EXPECT_EQ(report.graph_kept, 1u);
  cairn_close(index);
  options.size = sizeof options;
  ASSERT_EQ(cairn_import(hnswlib.c_str(), &options, &index, &report), 0);
  EXPECT_EQ(report.graph_kept, 0u);
  cairn_close(index);
  options.metric = 5;
  EXPECT_EQ(cairn_import(hnswlib.c_str(), &options, &index, &report), 1);
  EXPECT_EQ(index, nullptr);
}

TEST_F(Import, AStopEndsIt) {
  const std::atomic<bool> stop{true};
  ImportOptions options;
  options.stop = &stop;
  EXPECT_EQ(error_of(foreign_folder() / faiss_, options).code(), ErrorCode::cancelled);
}

TEST_F(Import, SeveralVectorsAKeyMayBeAskedForWhereEachHasOne) {
  ImportOptions options;
  options.several_per_key = true;
  const auto index = import_index(foreign_folder() / usearch_, options);
  ASSERT_TRUE(index) << index.error().message();
  EXPECT_TRUE(index->params().several_per_key);
  EXPECT_EQ(index->stats().keys, index->size());
}

}  // namespace
}  // namespace cairn
