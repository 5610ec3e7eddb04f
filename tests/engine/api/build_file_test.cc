// SPDX-License-Identifier: Apache-2.0
//
// build_file: the file of build and save, also where the index is larger than the memory.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <functional>
#include <numeric>
#include <random>
#include <vector>

#include <cairn/cairn.h>

#include "tests/support/file_image.h"
#include "tests/support/sanitizers.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

using test::read_bytes;
using test::TemporaryDirectory;
using test::Vectors;

constexpr std::size_t kDims = 1536;
constexpr std::size_t kRows = 9000;
constexpr std::size_t kBytes = kRows * kDims * sizeof(float);

IndexParams params_of_large() { return {.dimensions = kDims, .metric = Metric::l2sq, .m = 8}; }

std::size_t files_in(const std::filesystem::path& folder) {
  std::size_t n = 0;
  for ([[maybe_unused]] const auto& file : std::filesystem::directory_iterator(folder)) ++n;
  return n;
}

// Rows in a file that is mapped, so that they are not this process's memory.
class MappedRows {
 public:
  explicit MappedRows(const std::filesystem::path& path)
      : descriptor_(::open(path.c_str(), O_RDWR | O_CREAT, 0600)), keys_(kRows) {
    if (::ftruncate(descriptor_, kBytes) != 0) return;
    void* const at = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_, 0);
    if (at == MAP_FAILED) return;
    rows_ = static_cast<float*>(at);
    std::minstd_rand random(7);
    for (std::size_t i = 0; i < kRows * kDims; ++i) {
      rows_[i] = static_cast<float>(random() % 1000) / 100 + static_cast<float>(i / kDims % 20);
    }
    std::iota(keys_.begin(), keys_.end(), Key{0});
  }
  MappedRows(const MappedRows&) = delete;
  MappedRows& operator=(const MappedRows&) = delete;
  ~MappedRows() {
    if (rows_ != nullptr) ::munmap(rows_, kBytes);
    ::close(descriptor_);
  }

  bool are_there() const { return rows_ != nullptr; }
  std::span<const Key> keys() const { return keys_; }
  MatrixView view() const { return MatrixView::f32(rows_, kRows, kDims); }

 private:
  int descriptor_;
  std::vector<Key> keys_;
  float* rows_ = nullptr;
};

// What a child answers that may have so much private memory.
int in_child(rlim_t bytes_of_data, const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit limit{bytes_of_data, bytes_of_data};
    if (::setrlimit(RLIMIT_DATA, &limit) != 0) ::_exit(99);
    ::_exit(body());
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + status;
}

TEST(BuildFile, IsWhatBuildAndSaveMake) {
  const TemporaryDirectory directory;
  const Vectors rows = test::random_vectors(500, 24, 1);
  for (const Scalar scalar : {Scalar::f32, Scalar::f16, Scalar::i8}) {
    const auto stored = test::stored(scalar, rows);
    const IndexParams params{.dimensions = 24, .scalar = scalar};
    Index index = Index::create(params).value();
    ASSERT_TRUE(index.build(rows.keys, stored.matrix()));
    ASSERT_TRUE(index.save(directory / "saved"));
    const auto built = build_file(directory / "built", params, rows.keys, stored.matrix());
    ASSERT_TRUE(built) << built.error().message();
    EXPECT_EQ(read_bytes(directory / "built"), read_bytes(directory / "saved"));
  }
  EXPECT_EQ(files_in(directory.path()), 2u);
}

TEST(BuildFile, NeedsAQuarterOfWhatTheVectorsTake) {
  if (CAIRN_TEST_SANITIZED) GTEST_SKIP() << "sanitizers take memory of their own";
  const TemporaryDirectory directory;
  const MappedRows rows(directory / "rows");
  ASSERT_TRUE(rows.are_there());
  const int ended = in_child(kBytes / 4, [&] {
    auto index = Index::create(params_of_large());
    if (!index) return 1;
    const auto refused = index->build(rows.keys(), rows.view());
    if (refused || refused.error().code() != ErrorCode::out_of_memory) return 2;
    const auto built = build_file(directory / "built", params_of_large(), rows.keys(), rows.view());
    if (!built) std::fputs(built.error().message().c_str(), stderr);
    return built ? 0 : 3;
  });
  ASSERT_EQ(ended, 0);
  ASSERT_TRUE(build_file(directory / "saved", params_of_large(), rows.keys(), rows.view()));
  EXPECT_EQ(read_bytes(directory / "built"), read_bytes(directory / "saved"));
  EXPECT_EQ(files_in(directory.path()), 3u);
}

// The disk ends where a file of the process may not grow any more.
TEST(BuildFile, LeavesNothingBehindOnAFullDisk) {
  if (CAIRN_TEST_SANITIZED) GTEST_SKIP() << "sanitizers take memory of their own";
  const TemporaryDirectory directory;
  const TemporaryDirectory elsewhere;
  const MappedRows rows(elsewhere / "rows");
  ASSERT_TRUE(rows.are_there());
  const int ended = in_child(kBytes / 4, [&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{kBytes / 2, kBytes / 2};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
    const auto built = build_file(directory / "built", params_of_large(), rows.keys(), rows.view());
    return built ? 2 : static_cast<int>(built.error().code());
  });
  EXPECT_EQ(ended, static_cast<int>(ErrorCode::no_space));
  EXPECT_EQ(files_in(directory.path()), 0u);
}

TEST(BuildFile, RefusesBeforeAnythingIsThere) {
  const TemporaryDirectory directory;
  Vectors rows = test::random_vectors(50, 4, 2);
  const IndexParams params{.dimensions = 4};
  const auto code = [&](const std::filesystem::path& path, std::span<const Key> keys,
                        const IndexParams& with, const BuildOptions& options = {},
                        const SaveOptions& save = {}) {
    const auto built = build_file(path, with, keys, rows.matrix(), options, save);
    EXPECT_FALSE(built);
    return built ? ErrorCode::internal : built.error().code();
  };
  const auto path = directory / "index";
  EXPECT_EQ(code(directory / "none" / "index", rows.keys, params), ErrorCode::path_not_found);
  EXPECT_EQ(code(path, rows.keys, {.dimensions = 0}), ErrorCode::invalid_argument);
  EXPECT_EQ(code(path, rows.keys, {.dimensions = 5}), ErrorCode::dimension_mismatch);
  EXPECT_EQ(code(path, std::span(rows.keys).first(49), params), ErrorCode::invalid_argument);
  std::vector<Key> twice = rows.keys;
  twice[7] = twice[6];
  EXPECT_EQ(code(path, twice, params), ErrorCode::key_exists);
  const std::atomic<bool> stop{true};
  EXPECT_EQ(code(path, rows.keys, params, {.stop = &stop}), ErrorCode::cancelled);
  rows.values[13] = std::nanf("");
  EXPECT_EQ(code(path, rows.keys, params), ErrorCode::not_finite);
  EXPECT_EQ(files_in(directory.path()), 0u);
  test::write_bytes(path, {});
  EXPECT_EQ(code(path, rows.keys, params, {}, {.existing = Existing::refuse}),
            ErrorCode::path_exists);
  EXPECT_EQ(files_in(directory.path()), 1u);
}

}  // namespace
}  // namespace cairn
