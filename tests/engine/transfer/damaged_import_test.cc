// SPDX-License-Identifier: Apache-2.0
//
// Foreign files that are cut off or have other bytes give an error or a sound index.
#include <cairn/import.h>

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "tests/engine/transfer/foreign_files.h"
#include "tests/support/temporary_directory.h"

namespace cairn {
namespace {

using test::Bytes;
using test::foreign_folder;
using test::read_bytes;
using test::write_bytes;

class DamagedImport : public testing::TestWithParam<const char*> {
 protected:
  // Of a dump `other` is the file that stays as it is.
  void SetUp() override {
    const std::string name = GetParam();
    bytes_ = read_bytes(foreign_folder() / name);
    ASSERT_FALSE(bytes_.empty());
    path_ = folder_ / name;
    for (const std::string suffix : {".hnsw.graph", ".hnsw.data"}) {
      if (!name.ends_with(suffix)) continue;
      const std::string other = suffix == ".hnsw.data" ? ".hnsw.graph" : ".hnsw.data";
      const std::string base = name.substr(0, name.size() - suffix.size());
      write_bytes(folder_ / (base + other), read_bytes(foreign_folder() / (base + other)));
    }
    options_.threads = 1;
    if (name.starts_with("hnswlib")) {
      options_.metric = Metric::l2sq;
      options_.source = Source::hnswlib;
    }
    if (name.starts_with("usearch")) options_.source = Source::usearch;
    if (name.starts_with("faiss")) options_.source = Source::faiss;
  }

  // Whether it was imported.
  bool import(const Bytes& bytes) {
    write_bytes(path_, bytes);
    const auto index = import_index(path_, options_);
    if (!index) {
      EXPECT_EQ(index.error().message().rfind("import: ", 0), 0u) << index.error().message();
      EXPECT_NE(index.error().code(), ErrorCode::internal) << index.error().message();
      return false;
    }
    const auto verified = index->verify();
    EXPECT_TRUE(verified);
    EXPECT_TRUE(verified->ok()) << verified->findings.front();
    return true;
  }

  test::TemporaryDirectory folder_;
  std::filesystem::path path_;
  ImportOptions options_;
  Bytes bytes_;
};

TEST_P(DamagedImport, EndsAnywhereWithAnError) {
  const std::size_t step = bytes_.size() / 80 + 1;
  for (std::size_t size = 0; size < bytes_.size(); size += step) {
    EXPECT_FALSE(import(Bytes(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(size))))
        << size;
  }
  EXPECT_TRUE(import(bytes_));
}

TEST_P(DamagedImport, WithOtherBytesIsAnErrorOrASoundIndex) {
  std::mt19937 random(7);
  for (int round = 0; round < 80; ++round) {
    Bytes bytes = bytes_;
    const std::size_t changes = 1 + random() % 3;
    for (std::size_t i = 0; i < changes; ++i) {
      // Half of them among the first bytes, where the counts are.
      const std::size_t end =
          random() % 2 == 0 ? std::min<std::size_t>(bytes.size(), 160) : bytes.size();
      const std::uint32_t values[] = {0, 1, 0x7F, 0x80, 0xFF, static_cast<std::uint32_t>(random())};
      bytes[random() % end] = static_cast<char>(values[random() % 6]);
    }
    import(bytes);
  }
}

TEST_P(DamagedImport, WithHugeNumbersIsAnErrorOrASoundIndex) {
  for (std::size_t at = 0; at + 8 <= std::min<std::size_t>(bytes_.size(), 400); at += 8) {
    for (const std::uint64_t number : {~std::uint64_t{0}, std::uint64_t{0x7FFFFFFF}}) {
      Bytes bytes = bytes_;
      std::memcpy(bytes.data() + at, &number, sizeof number);
      import(bytes);
    }
  }
}

std::string damaged_name(const testing::TestParamInfo<const char*>& info) {
  std::string name = info.param;
  for (char& c : name) {
    if (c == '.' || c == '-') c = '_';
  }
  return name;
}
INSTANTIATE_TEST_SUITE_P(Files, DamagedImport,
                         testing::Values("hnsw_rs-v0_3_5-l2-f32-n2-d4-m8-seq.hnsw.graph",
                                         "hnsw_rs-v0_3_5-l2-f32-n2-d4-m8-seq.hnsw.data",
                                         "hnsw_rs-v0_1_12-cosine-f32-n100-d5-m8-seq.hnsw.graph",
                                         "hnswlib-v0_8_0-l2-n2-d5-m16.hnswlib",
                                         "hnswlib-v0_8_0-l2-n60-d6-m8-capacity.hnswlib",
                                         "hnswlib-v0_8_0-l2-n50-d6-m8-brute.hnswlib",
                                         "usearch-v2_26_6-cos-f32-n2-d6-m16.usearch",
                                         "usearch-v2_8_15-l2sq-f64-n40-d5-m8.usearch",
                                         "faiss-v1_15_1-hnswflat-l2-n2-d5-m16.faiss",
                                         "faiss-v1_15_1-refine.faiss", "faiss-v1_15_1-norm.faiss",
                                         "faiss-v1_15_1-sq6.faiss", "faiss-v1_15_1-binary.faiss"),
                         damaged_name);

}  // namespace
}  // namespace cairn
