// SPDX-License-Identifier: Apache-2.0
//
// What the process around an index may be like: without standard descriptors, with many indexes or
// few addresses, without threads, with other rules for floating-point numbers.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include <cairn/cairn.h>

#include "tests/support/sanitizers.h"
#include "tests/support/temporary_directory.h"

namespace cairn {
namespace {

using test::TemporaryDirectory;

std::vector<float> vector_of(Key key) {
  return {static_cast<float>(key % 17) + 1, static_cast<float>(key % 5), 1, 0.25f};
}

// How a child that runs `body` and returns its number ended.
int in_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + status;
}

TEST(Process, WithoutStandardDescriptorsItsMessagesHarmNoFile) {
  const TemporaryDirectory directory;
  const int ended = in_child([&] {
    for (int fd = 0; fd < 3; ++fd) ::close(fd);
    const auto talk = [] {
      for (int fd = 0; fd < 3; ++fd) (void)!::write(fd, "a stray message\n", 16);
    };
    auto index = Index::create(directory / "a", {.dimensions = 4});
    if (!index) return 1;
    talk();
    for (Key key = 0; key < 20; ++key) {
      if (!index->add(key, vector_of(key))) return 2;
      talk();
    }
    if (!index->compact()) return 3;
    talk();
    const auto reader = Index::open(directory / "a");
    if (!reader || !index->backup(directory / "b")) return 4;
    for (int fd = 0; fd < 3; ++fd) {
      if (::fcntl(fd, F_GETFD) >= 0) return 5;
    }
    talk();
    return index->verify()->ok() && reader->verify()->ok() ? 0 : 6;
  });
  EXPECT_EQ(ended, 0);
  for (const char* name : {"a", "b"}) {
    auto index = Index::open(directory / name);
    ASSERT_TRUE(index) << index.error().message();
    EXPECT_TRUE(index->verify()->ok());
    EXPECT_EQ(index->size(), 20u);
  }
}

#if !CAIRN_TEST_SANITIZED
std::size_t address_bytes() {
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

TEST(Process, WithFewAddressesHasManyIndexesAndRoomForItself) {
  const TemporaryDirectory directory;
  const int ended = in_child([&] {
    constexpr std::size_t kLimit = std::size_t{8} << 30;
    const rlimit limit{kLimit, kLimit};
    if (::setrlimit(RLIMIT_AS, &limit) != 0) return 1;
    std::vector<Index> indexes;
    for (int i = 0; i < 20; ++i) {
      auto index = i % 2 == 0 ? Index::create({.dimensions = 4})
                              : Index::create(directory / std::to_string(i), {.dimensions = 4},
                                              {.durability = Durability::none});
      if (!index) return 2;
      indexes.push_back(std::move(*index));
    }
    if (address_bytes() > kLimit / 8) return 3;
    // Each still grows far beyond what it began with.
    for (Key key = 0; key < 2000; ++key) {
      std::vector<float> vector = vector_of(key);
      if (!indexes[key % 2].upsert(key, vector)) return 4;
    }
    return 0;
  });
  EXPECT_EQ(ended, 0);
}

TEST(Process, WithoutAddressesIsToldWhatWasAskedForAndTheLimit) {
  const int ended = in_child([] {
    const std::size_t bytes = address_bytes() + (std::size_t{64} << 20);
    const rlimit limit{bytes, bytes};
    if (::setrlimit(RLIMIT_AS, &limit) != 0) return 1;
    const auto index = Index::create({.dimensions = 4}, {.max_vectors = 10'000'000});
    if (index || index.error().code() != ErrorCode::out_of_memory) return 2;
    const std::string& message = index.error().message();
    if (message.find(std::to_string(bytes)) == std::string::npos) return 3;
    return message.find("reserve addresses for") != std::string::npos ? 0 : 4;
  });
  EXPECT_EQ(ended, 0);
}

TEST(Process, WithoutAnotherThreadCannotOpenAFileForWriting) {
  const TemporaryDirectory directory;
  const int ended = in_child([&] {
    pthread_attr_t attributes;
    ::pthread_attr_init(&attributes);
    // No thread has so large a stack.
    ::pthread_attr_setstacksize(&attributes, std::size_t{1} << 46);
    if (::pthread_setattr_default_np(&attributes) != 0) return 1;
    const auto index = Index::create(directory / "a", {.dimensions = 4});
    if (index || index.error().code() != ErrorCode::out_of_memory) return 2;
    const std::string& message = index.error().message();
    if (message.find((directory / "a").string()) == std::string::npos) return 3;
    if (message.find("cannot start a thread") == std::string::npos) return 4;
    return std::filesystem::exists(directory / "a") ? 5 : 0;
  });
  EXPECT_EQ(ended, 0);
}
#endif

// Behind the limit not even what is there can be written, and a write that fails there would
// poison.
TEST(Process, AFileThatIsLargerThanItMayWriteIsNotOpenedForWriting) {
  const TemporaryDirectory directory;
  const auto path = directory / "a";
  {
    auto index =
        Index::create(directory / "b", {.dimensions = 4}, {.durability = Durability::none});
    ASSERT_TRUE(index);
    for (int round = 0; round < 3; ++round) {
      for (Key key = 0; key < 400; ++key) ASSERT_TRUE(index->upsert(key, vector_of(key)));
      ASSERT_TRUE(index->checkpoint());
    }
    // With room between its sections, where a log may begin without making the file longer.
    std::filesystem::copy_file(directory / "b", path);
  }
  const std::uintmax_t size = std::filesystem::file_size(path);
  for (const std::uintmax_t most : {std::uintmax_t{4096}, size / 4, size / 2, size - 1}) {
    const int ended = in_child([&] {
      ::signal(SIGXFSZ, SIG_IGN);
      const rlimit limit{most, most};
      if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
      const auto index = Index::open(path, {.mode = Mode::read_write});
      if (index) return 2;
      if (index.error().code() != ErrorCode::no_space) return 3;
      if (index.error().message().find(path.string()) == std::string::npos) return 4;
      if (index.error().message().find("(ulimit -f)") == std::string::npos) return 5;
      return Index::open(path) ? 0 : 6;
    });
    EXPECT_EQ(ended, 0) << most;
    EXPECT_EQ(std::filesystem::file_size(path), size);
  }
}

TEST(Process, MaxVectorsBeyondWhatAnIndexHoldsIsRefused) {
  const auto index = Index::create({.dimensions = 4}, {.max_vectors = std::uint64_t{1} << 40});
  ASSERT_FALSE(index);
  EXPECT_EQ(index.error().code(), ErrorCode::invalid_argument);
}

#if defined(__SSE2__)
TEST(Process, ThatFlushesDenormalsToZeroGetsTheSameDistances) {
  auto index = Index::create({.dimensions = 4, .metric = Metric::l2sq});
  ASSERT_TRUE(index);
  for (Key key = 0; key < 30; ++key) {
    ASSERT_TRUE(index->add(key, std::vector<float>{static_cast<float>(key + 1) * 1e-20f, 0, 0, 0}));
  }
  const std::vector<float> query = {0, 0, 0, 0};
  const auto usual = index->search(query, {.k = 30}).value();
  ASSERT_EQ(usual.size(), 30u);
  ASSERT_GT(usual[0].distance, 0.0f);
  ASSERT_LT(usual[0].distance, 1e-38f);  // denormal
  const unsigned before = _mm_getcsr();
  _mm_setcsr(before | 0x8040);  // flush to zero, denormals are zero
  const auto flushed = index->search(query, {.k = 30});
  const unsigned after = _mm_getcsr();
  _mm_setcsr(before);
  EXPECT_EQ(after & 0x8040u, 0x8040u);  // the program keeps its own rules
  ASSERT_TRUE(flushed);
  ASSERT_EQ(flushed->size(), usual.size());
  for (std::size_t i = 0; i < usual.size(); ++i) {
    EXPECT_EQ((*flushed)[i].key, usual[i].key);
    EXPECT_EQ((*flushed)[i].distance, usual[i].distance);
  }
}
#endif

}  // namespace
}  // namespace cairn
