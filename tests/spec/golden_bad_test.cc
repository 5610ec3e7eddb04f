// SPDX-License-Identifier: Apache-2.0
//
// Every defect is refused or found, by the library and by the second reader, and none leads to more
// than a wrong answer before it is found.
#include <cairn/cairn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "tests/golden/defects.h"
#include "tests/spec/second_reader.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

using test::Bytes;
using test::Defect;

class GoldenBad : public testing::TestWithParam<Defect> {
 protected:
  void SetUp() override {
    Bytes file = test::read_bytes(std::filesystem::path(CAIRN_SOURCE_DIR "/tests/golden") /
                                  GetParam().golden);
    GetParam().apply(file);
    test::write_bytes(path(), file);
  }
  std::filesystem::path path() const { return directory_ / "bad.cairn"; }

 private:
  test::TemporaryDirectory directory_;
};

TEST_P(GoldenBad, IsRefusedOrFoundByTheLibrary) {
  const auto index = Index::open(path());
  if (GetParam().open_error) {
    ASSERT_FALSE(index);
    EXPECT_EQ(index.error().code(), *GetParam().open_error) << index.error().message();
    EXPECT_EQ(index.error().message().rfind("open " + path().string() + ": ", 0), 0u)
        << index.error().message();
    return;
  }
  ASSERT_TRUE(index) << index.error().message();
  const auto report = index->verify();
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_FALSE(report->findings.empty());
}

TEST_P(GoldenBad, IsSearchedSafely) {
  const auto index = Index::open(path());
  if (!index) return;
  const std::size_t dims = index->params().dimensions;
  const auto queries = test::stored(index->params().scalar, test::random_vectors(50, dims, 5));
  std::vector<float> vector(dims);
  for (std::size_t i = 0; i < queries.floats.rows(); ++i) {
    const auto found = index->search(queries.vector(i), {.k = 20, .ef = 400});
    ASSERT_TRUE(found) << found.error().message();
    EXPECT_LE(found->size(), 20u);
    std::set<Key> keys;
    for (const Match& match : *found) EXPECT_TRUE(keys.insert(match.key).second) << match.key;
  }
  for (Key key = 0; key < 4000; ++key) {
    if (index->contains(key)) {
      EXPECT_TRUE(index->get(key, vector)) << key;
    }
  }
}

TEST_P(GoldenBad, IsRefusedByTheSecondReader) {
  if (!test::have_second_reader()) GTEST_SKIP() << "no Python with numpy";
  const auto seen = test::read_with_second_reader(path());
  ASSERT_FALSE(seen.is_discarded());
  ASSERT_EQ(seen.contains("error"), !GetParam().is_harmless);
  if (GetParam().is_harmless) return;
  const ErrorCode expected = GetParam().open_error.value_or(ErrorCode::corrupt);
  EXPECT_EQ(seen["error"], error_name(expected)) << seen.dump();
}

std::string test_name(const testing::TestParamInfo<Defect>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Defects, GoldenBad,
                         testing::ValuesIn(test::defects().begin(), test::defects().end()),
                         test_name);

// The smallest of them are kept as files, as they are the ones that people really have.
TEST(GoldenBadFiles, AreWhatTheMakerMakes) {
  std::size_t files = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(CAIRN_SOURCE_DIR "/tests/golden_bad")) {
    if (entry.path().extension() != ".cairn") continue;
    ++files;
    const std::string name = entry.path().stem().string();
    const auto defect =
        std::find_if(test::defects().begin(), test::defects().end(),
                     [&](const Defect& candidate) { return candidate.name == name; });
    ASSERT_NE(defect, test::defects().end()) << name;
    Bytes file =
        test::read_bytes(std::filesystem::path(CAIRN_SOURCE_DIR "/tests/golden") / defect->golden);
    defect->apply(file);
    EXPECT_EQ(test::read_bytes(entry.path()), file) << name;
  }
  EXPECT_EQ(files, 3u);
}

TEST(GoldenBadFiles, KeysThatRepeatAreFoundWhereTheFileDeniesThem) {
  Bytes file = test::read_bytes(CAIRN_SOURCE_DIR "/tests/golden/sixty_several_l2sq_d5.cairn");
  file[format::header_at::kSeveralPerKey.offset] = std::byte{0};
  test::repair_header(file);
  format::Superblock block = test::superblock_of(file);
  block.feature_incompat &= ~format::kIncompatSeveral;
  test::set_superblock(file, block);
  const test::TemporaryDirectory directory;
  test::write_bytes(directory / "a", file);
  const auto index = Index::open(directory / "a");
  ASSERT_TRUE(index) << index.error().message();
  const auto report = index->verify();
  ASSERT_TRUE(report);
  const auto is_of_table = [](const std::string& finding) {
    return finding.find("stands there twice") != std::string::npos;
  };
  EXPECT_TRUE(std::any_of(report->findings.begin(), report->findings.end(), is_of_table));
}

}  // namespace
}  // namespace cairn
