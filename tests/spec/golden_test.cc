// SPDX-License-Identifier: Apache-2.0
//
// The library and a reader written from docs/format.md alone see the same in a file.
#include <cairn/cairn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "format/container/container.h"
#include "tests/spec/second_reader.h"
#include "tests/support/file_image.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

using nlohmann::json;

constexpr std::size_t kQueries = 20;
constexpr std::size_t kNeighbors = 10;

std::vector<std::filesystem::path> golden_files() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(CAIRN_SOURCE_DIR "/tests/golden")) {
    if (entry.path().extension() == ".cairn") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

void write_fbin(const std::filesystem::path& path, const test::Vectors& vectors) {
  std::ofstream out(path, std::ios::binary);
  const auto header = {static_cast<std::uint32_t>(vectors.rows()),
                       static_cast<std::uint32_t>(vectors.dims)};
  out.write(reinterpret_cast<const char*>(header.begin()), 8);
  out.write(reinterpret_cast<const char*>(vectors.values.data()),
            static_cast<std::streamsize>(vectors.values.size() * sizeof(float)));
}

void expect_same_metadata(const std::filesystem::path& path, const json& seen) {
  const auto container =
      format::Container::open(format::default_file_system(), path, Residency::load, Verify::full);
  ASSERT_TRUE(container) << container.error().message();
  const format::Parameters& p = container->parameters();
  const json& q = seen["parameters"];
  EXPECT_EQ(q["dimensions"], p.dimensions);
  EXPECT_EQ(q["metric"], static_cast<int>(p.metric));
  EXPECT_EQ(q["scalar"], static_cast<int>(p.scalar));
  EXPECT_EQ(q["traversal"], static_cast<int>(p.traversal));
  EXPECT_EQ(q["several"], static_cast<int>(p.several_per_key));
  EXPECT_EQ(q["m"], p.m);
  EXPECT_EQ(q["m_max0"], p.m_max0);
  EXPECT_EQ(q["ef_construction"], p.ef_construction);
  EXPECT_EQ(q["seed"], p.seed);
  EXPECT_EQ(q["hot_stride"], p.hot_stride);
  EXPECT_EQ(q["hot_factor_offset"], p.hot_factor_offset);
  EXPECT_EQ(q["exact_stride"], p.exact_stride);
  EXPECT_EQ(q["upper_stride"], p.upper_stride);
  EXPECT_EQ(seen["generation"], container->generation());
  EXPECT_EQ(seen["file_size"], container->file_bytes());
  test::expect_same_counters(seen["counters"], container->counters());
}

void expect_same_vectors(const Index& index, const json& seen) {
  const std::size_t dims = index.params().dimensions;
  ASSERT_EQ(seen["keys"].size(), index.size());
  std::vector<float> vector(dims);
  std::map<Key, std::size_t> met;
  for (std::size_t i = 0; i < index.size(); ++i) {
    const Key key = seen["keys"][i];
    ASSERT_TRUE(index.contains(key));
    ASSERT_EQ(index.get(key, met[key]++, vector).value(), dims);
    for (std::size_t j = 0; j < dims; ++j) {
      EXPECT_EQ(seen["vectors"][i][j], std::bit_cast<std::uint32_t>(vector[j])) << key;
    }
  }
}

// With ef as large as the index a search is exhaustive, so both must find the same keys.
void expect_same_results(const Index& index, const test::StoredVectors& queries, const json& seen) {
  ASSERT_EQ(seen["results"].size(), queries.floats.rows());
  for (std::size_t i = 0; i < queries.floats.rows(); ++i) {
    const auto found =
        index.search(queries.vector(i),
                     {.k = kNeighbors, .ef = std::max<std::size_t>(index.size(), kNeighbors)});
    ASSERT_TRUE(found) << found.error().message();
    const json& expected = seen["results"][i];
    ASSERT_EQ(found->size(), expected.size());
    for (std::size_t j = 0; j < found->size(); ++j) {
      const double distance = expected[j][1];
      EXPECT_EQ((*found)[j].key, expected[j][0]) << "query " << i << " result " << j;
      EXPECT_NEAR((*found)[j].distance, distance, 1e-5 * std::max(1.0, std::abs(distance)));
    }
  }
}

void expect_agreement(const std::filesystem::path& path) {
  const auto index = Index::open(path, {.verify = Verify::full});
  ASSERT_TRUE(index) << index.error().message();
  const auto report = index->verify();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->findings, std::vector<std::string>{});
  if (!test::have_second_reader()) GTEST_SKIP() << "no Python with numpy";

  const test::TemporaryDirectory directory;
  const IndexParams& params = index->params();
  const auto queries =
      test::stored(params.scalar, test::random_vectors(kQueries, params.dimensions, 99));
  write_fbin(directory / "queries.fbin", queries.floats);
  const json seen =
      test::read_with_second_reader(path, "--queries '" + (directory / "queries.fbin").string() +
                                              "' -k " + std::to_string(kNeighbors));
  ASSERT_TRUE(seen.contains("parameters")) << seen.dump().substr(0, 300);
  expect_same_metadata(path, seen);
  expect_same_vectors(*index, seen);
  expect_same_results(*index, queries, seen);
}

class Golden : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(Golden, LibraryAndSecondReaderAgree) { expect_agreement(GetParam()); }

std::string test_name(const testing::TestParamInfo<std::filesystem::path>& info) {
  return info.param.stem().string();
}
INSTANTIATE_TEST_SUITE_P(Files, Golden, testing::ValuesIn(golden_files()), test_name);

struct Fresh {
  const char* name;
  IndexParams params;
  std::size_t rows;
};

// Small enough to be made on the spot, so that no file needs to be kept for each combination.
TEST(FreshFiles, LibraryAndSecondReaderAgree) {
  const Fresh cases[] = {
      {"empty", {.dimensions = 5}, 0},
      {"inner product", {.dimensions = 33, .metric = Metric::inner_product}, 700},
      {"cosine, m 2", {.dimensions = 7, .m = 2}, 200},
      {"bf16", {.dimensions = 33, .metric = Metric::l2sq, .scalar = Scalar::bf16}, 300},
      {"i8", {.dimensions = 33, .metric = Metric::inner_product, .scalar = Scalar::i8}, 300},
      {"b1", {.dimensions = 64, .metric = Metric::hamming, .scalar = Scalar::b1}, 300},
      {"l2sq, one dimension", {.dimensions = 1, .metric = Metric::l2sq, .m = 3}, 50},
  };
  const test::TemporaryDirectory directory;
  for (const Fresh& fresh : cases) {
    SCOPED_TRACE(fresh.name);
    auto index = Index::create(fresh.params);
    ASSERT_TRUE(index) << index.error().message();
    const auto vectors = test::stored(fresh.params.scalar,
                                      test::random_vectors(fresh.rows, fresh.params.dimensions, 3));
    const std::vector<Key>& keys = vectors.floats.keys;
    // Half of them at once, the rest one by one.
    const std::size_t half = fresh.rows / 2;
    if (half > 0) {
      MatrixView rows = vectors.matrix();
      rows.rows = half;
      ASSERT_TRUE(index->build(std::span(keys).first(half), rows));
    }
    for (std::size_t i = half; i < fresh.rows; ++i) {
      ASSERT_TRUE(index->add(keys[i], vectors.vector(i)));
    }
    ASSERT_TRUE(index->save(directory / "fresh.cairn"));
    expect_agreement(directory / "fresh.cairn");
    // With free slots, and with tombstones.
    for (std::size_t i = 0; i < fresh.rows; i += 2) ASSERT_TRUE(index->remove(keys[i]));
    for (std::size_t i = 1; i < 8 && i < fresh.rows; i += 2) {
      ASSERT_TRUE(index->remove(keys[i]));
    }
    ASSERT_TRUE(index->save(directory / "changed.cairn"));
    expect_agreement(directory / "changed.cairn");
  }
}

}  // namespace
}  // namespace cairn
