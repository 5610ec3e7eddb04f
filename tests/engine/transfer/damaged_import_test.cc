// SPDX-License-Identifier: Apache-2.0
//
// Foreign files that are cut off or have other bytes give an error or a sound index.
#include <cairn/import.h>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "engine/transfer/graph_source.h"
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

// What has been looked at when the file was opened is bounded again when it is used.
TEST_P(DamagedImport, ThatIsChangedOnceItIsOpenGivesNoLinksBeyondTheFile) {
  for (const int byte : {0xFF, 0x7F, 0x01}) {
    write_bytes(path_, bytes_);
    const auto source = open_source(path_, options_);
    ASSERT_TRUE(source) << source.error().message();
    if (!source->links) return;
    {
      std::fstream file(path_, std::ios::binary | std::ios::in | std::ios::out);
      const Bytes other(bytes_.size(), static_cast<char>(byte));
      file.write(other.data(), static_cast<std::streamsize>(other.size()));
    }
    std::size_t links = 0;
    for (std::size_t row = 0; row < source->rows; ++row) {
      std::vector<std::uint32_t> list;
      source->links(row, list);
      links += list.size();
    }
    EXPECT_LE(links, bytes_.size());
  }
}

// Its counts go to and fro while it is read.
TEST(ChangingImport, OfBruteForceHasAsManyRowsAsTheFileHolds) {
  const test::TemporaryDirectory folder;
  const auto path = folder / "changing.hnswlib";
  struct {
    std::uint64_t capacity = 2;
    std::uint64_t stride = 16;
    std::uint64_t rows = 2;
    float vectors[8] = {};
  } content;
  Bytes bytes(sizeof content);
  std::memcpy(bytes.data(), &content, sizeof content);
  write_bytes(path, bytes);
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(descriptor, 0);
  void* const mapped =
      ::mmap(nullptr, sizeof content, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  ::close(descriptor);
  ASSERT_NE(mapped, MAP_FAILED);
  std::atomic<bool> stop{false};
  std::thread other([&] {
    auto* const words = static_cast<std::uint64_t*>(mapped);
    const std::atomic_ref<std::uint64_t> rows(words[2]);
    while (!stop) {
      for (const std::uint64_t number : {std::uint64_t{2}, std::uint64_t{1} << 40}) rows = number;
    }
  });
  ImportOptions options;
  options.source = Source::hnswlib;
  std::size_t read = 0;
  for (int i = 0; i < 20'000; ++i) {
    const auto source = open_source(path, options);
    if (!source) continue;
    ++read;
    ASSERT_LE(source->rows, 2u);
  }
  stop = true;
  other.join();
  ::munmap(mapped, sizeof content);
  EXPECT_GT(read, 0u);
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
