// SPDX-License-Identifier: Apache-2.0
//
// OpenOptions::guard: pages of a mapped file that are not there (any more) end the call that
// touches them, and nothing else.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <thread>
#include <vector>

#include <cairn/cairn.h>

#include "format/io/fault_guard.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

constexpr std::size_t kRows = 3000;
constexpr std::size_t kDims = 16;

// The host's handler was there first, and repairs what faults: a page of zeros takes its place.
std::atomic<int> repaired{0};

void repair(int /*signal*/, siginfo_t* info, void* /*context*/) {
  const auto page = reinterpret_cast<std::uintptr_t>(info->si_addr) & ~std::uintptr_t{4095};
  ++repaired;
  (void)mmap(reinterpret_cast<void*>(page), 4096, PROT_READ,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

const int host_handler = [] {
  struct sigaction action {};
  action.sa_sigaction = repair;
  action.sa_flags = SA_SIGINFO;
  return sigaction(SIGBUS, &action, nullptr);
}();

// Two pages of a file that ends before the first.
class MissingPages {
 public:
  MissingPages() {
    const int descriptor = memfd_create("cairn-test", MFD_CLOEXEC);
    bytes_ =
        static_cast<volatile std::byte*>(mmap(nullptr, 8192, PROT_READ, MAP_SHARED, descriptor, 0));
    close(descriptor);
  }
  MissingPages(const MissingPages&) = delete;
  MissingPages& operator=(const MissingPages&) = delete;
  ~MissingPages() { munmap(const_cast<std::byte*>(bytes_), 8192); }

  format::AddressRange page(std::size_t i) const {
    return {const_cast<std::byte*>(bytes_) + i * 4096, 4096};
  }
  void touch(std::size_t page) const { (void)bytes_[page * 4096]; }

 private:
  volatile std::byte* bytes_;
};

class Guard : public testing::Test {
 protected:
  Guard() {
    EXPECT_EQ(host_handler, 0);
    EXPECT_TRUE(format::install_fault_guard());
    repaired = 0;
  }
  MissingPages missing_;
};

TEST_F(Guard, AFaultInANamedRangeEndsTheCall) {
  const std::array ranges = {missing_.page(0)};
  bool went_on = false;
  EXPECT_FALSE(format::survives_faults(ranges, [&] {
    missing_.touch(0);
    went_on = true;
  }));
  EXPECT_FALSE(went_on);
  EXPECT_EQ(repaired, 0);
  EXPECT_TRUE(format::survives_faults(ranges, [&] { went_on = true; }));
  EXPECT_TRUE(went_on);
}

TEST_F(Guard, AFaultElsewhereIsTheHosts) {
  const std::array ranges = {missing_.page(0)};
  EXPECT_TRUE(format::survives_faults(ranges, [&] { missing_.touch(1); }));
  EXPECT_EQ(repaired, 1);
  missing_.touch(0);  // in no guarded call
  EXPECT_EQ(repaired, 2);
}

TEST_F(Guard, AFaultEndsTheCallThatNamesItAndThoseInside) {
  const std::array outer = {missing_.page(0)};
  const std::array inner = {missing_.page(1)};
  bool inner_survived = true;
  EXPECT_TRUE(format::survives_faults(
      outer, [&] { inner_survived = format::survives_faults(inner, [&] { missing_.touch(1); }); }));
  EXPECT_FALSE(inner_survived);
  bool inner_ended = false;
  EXPECT_FALSE(format::survives_faults(outer, [&] {
    (void)format::survives_faults(inner, [&] { missing_.touch(0); });
    inner_ended = true;
  }));
  EXPECT_FALSE(inner_ended);
  EXPECT_EQ(repaired, 0);
}

TEST_F(Guard, WhatTheBodyThrowsPasses) {
  const std::array ranges = {missing_.page(0)};
  EXPECT_THROW((void)format::survives_faults(ranges, [] { throw 1; }), int);
  missing_.touch(0);  // the call has ended
  EXPECT_EQ(repaired, 1);
}

TEST_F(Guard, SearchesOfAFileThatIsCutAreErrorsInFourThreads) {
  const test::TemporaryDirectory directory;
  IndexParams params;
  params.dimensions = kDims;
  const test::Vectors rows = test::random_vectors(kRows, kDims, 1);
  ASSERT_TRUE(test::built(params, rows).save(directory / "a.cairn"));
  OpenOptions options;
  options.guard = true;
  const auto index = Index::open(directory / "a.cairn", options);
  ASSERT_TRUE(index) << index.error().message();
  std::vector<float> row(kDims);
  ASSERT_TRUE(index->get(1000, row));
  const auto size = std::filesystem::file_size(directory / "a.cairn");
  std::atomic<int> failed{0};
  std::atomic<int> found{0};
  const auto search = [&](std::size_t first) {
    std::vector<Match> out(10);
    std::vector<float> got(kDims);
    for (std::size_t i = 0; i < 300; ++i) {
      const auto answer = index->search(rows.vector((first + i) % kRows), {10, 64}, out);
      if (!answer) {
        EXPECT_EQ(answer.error().code(), ErrorCode::io_error) << answer.error().message();
        ++failed;
      } else {
        ++found;
      }
      (void)index->get(1000 + 7 * i, got);
      (void)index->contains(1000 + 7 * i);
    }
  };
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < 4; ++i) threads.emplace_back(search, i * 700);
  while (found < 20) std::this_thread::yield();
  std::filesystem::resize_file(directory / "a.cairn", 262144);
  for (std::thread& thread : threads) thread.join();
  search(0);
  EXPECT_GE(failed, 300);
  EXPECT_EQ(repaired, 0);
  const auto got = index->get(1000, row);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code(), ErrorCode::io_error) << got.error().message();

  const auto report = index->verify();
  if (report) {
    EXPECT_FALSE(report->ok());
  }
  std::filesystem::resize_file(directory / "a.cairn", size);  // of zeros now, which is no fault
  search(0);
}

// Wherever it is cut: what reads the file instead of its mapping, or checks it first, needs no
// guard.
TEST(FilesThatAreCut, AreErrorsOrFindingsOfCallsThatReadThemAsAWhole) {
  const test::TemporaryDirectory directory;
  IndexParams params;
  params.dimensions = 4;
  const auto built = test::built(params, test::random_vectors(300, 4, 1));
  for (const std::uintmax_t size : {0u, 1u, 4096u, 100000u, 131072u, 196607u, 196608u, 200000u}) {
    SCOPED_TRACE(size);
    ASSERT_TRUE(built.save(directory / "a.cairn"));
    auto index = Index::open(directory / "a.cairn");
    ASSERT_TRUE(index) << index.error().message();
    repaired = 0;
    std::filesystem::resize_file(directory / "a.cairn", size);
    const auto report = index->verify();
    EXPECT_FALSE(report && report->ok());
    const auto is_told = [](const Result<void>& done) {
      ASSERT_FALSE(done);
      const ErrorCode code = done.error().code();
      EXPECT_TRUE(code == ErrorCode::truncated || code == ErrorCode::io_error ||
                  code == ErrorCode::not_a_cairn_file)
          << done.error().message();
      EXPECT_NE(done.error().message().find("a.cairn"), std::string::npos)
          << done.error().message();
    };
    is_told(index->save(directory / "b.cairn"));
    is_told(index->backup(directory / "b.cairn"));
    is_told(index->warm());
    is_told(export_index(*index, directory / "b.hnswlib", Source::hnswlib));
    // There is no news in a file whose superblocks are as they were.
    if (const auto refreshed = index->refresh(); !refreshed) is_told(refreshed);
    EXPECT_EQ(repaired, 0);
  }
}

}  // namespace
}  // namespace cairn
