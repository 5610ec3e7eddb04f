// SPDX-License-Identifier: Apache-2.0
//
// Readers of a file that is written meanwhile, by this process and by others that are killed: every
// answer is of one point in time.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <cairn/cairn.h>

#include "tests/support/sanitizers.h"
#include "tests/support/temporary_directory.h"

namespace cairn {
namespace {

using test::TemporaryDirectory;

constexpr std::size_t kDims = 4;
constexpr std::uint32_t kKeys = 24;

// Writers that are killed: 500 in tests/long.
std::uint32_t kills() {
  const char* const wanted = std::getenv("CAIRN_TEST_KILLS");
  if (wanted != nullptr) return static_cast<std::uint32_t>(std::strtoul(wanted, nullptr, 10));
  return CAIRN_TEST_SANITIZED ? 40 : 120;
}

// Change number n, from 1, gives key n mod kKeys the vector (n, 0, ...). So after change n the keys
// have the vectors of the last kKeys changes, and no other mixture was ever true.
std::vector<float> vector_of(std::uint32_t change) {
  std::vector<float> vector(kDims);
  vector[0] = static_cast<float>(change);
  return vector;
}

Result<void> change(Index& index, std::uint32_t number) {
  return index.upsert(number % kKeys, vector_of(number));
}

OpenOptions to_write() {
  OpenOptions options;
  options.mode = Mode::read_write;
  options.durability = Durability::sync;
  return options;
}

Index create(const std::filesystem::path& path) {
  IndexParams params;
  params.dimensions = kDims;
  params.metric = Metric::l2sq;
  params.m = 8;
  Index index = Index::create(path, params).value();
  for (std::uint32_t n = 1; n <= kKeys; ++n) EXPECT_TRUE(change(index, n));
  return index;
}

struct Seen {
  std::uint32_t change = 0;  // the last one
  std::string problem;
};

Seen all_of(std::vector<std::uint32_t> changes) {
  std::sort(changes.begin(), changes.end());
  if (changes.size() != kKeys) return {0, std::to_string(changes.size()) + " keys were found"};
  if (changes.back() - changes.front() != kKeys - 1) {
    return {0, "changes " + std::to_string(changes.front()) + " and " +
                   std::to_string(changes.back()) + " in one answer"};
  }
  return {changes.back(), ""};
}

// What one search for all vectors sees.
Seen search_all(const Index& index) {
  const auto found = index.search(std::vector<float>(kDims), {.k = kKeys, .ef = 4 * kKeys});
  if (!found) return {0, found.error().message()};
  std::vector<std::uint32_t> changes;
  for (const Match& match : *found) {
    changes.push_back(static_cast<std::uint32_t>(std::lround(std::sqrt(match.distance))));
    if (changes.back() % kKeys != match.key) return {0, "a key with the vector of another"};
  }
  return all_of(std::move(changes));
}

TEST(Readers, SeeOneMomentAfterACheckpointHasChangedTheirPages) {
  const TemporaryDirectory directory;
  Index writer = create(directory / "a");
  auto reader = Index::open(directory / "a");
  ASSERT_TRUE(reader) << reader.error().message();
  std::uint32_t number = kKeys;
  for (int round = 0; round < 60; ++round) {
    const std::uint32_t before = search_all(*reader).change;
    for (int i = 0; i <= round % 5; ++i) ASSERT_TRUE(change(writer, ++number));
    const Seen unchanged = search_all(*reader);
    EXPECT_EQ(unchanged.problem, "");
    EXPECT_EQ(unchanged.change, before);
    ASSERT_TRUE(writer.checkpoint());
    const Seen after = search_all(*reader);
    ASSERT_EQ(after.problem, "") << "round " << round;
    EXPECT_EQ(after.change, number);
    EXPECT_EQ(reader->size(), kKeys);
    EXPECT_TRUE(reader->contains(3));
    std::vector<float> stored(kDims);
    ASSERT_TRUE(reader->get(number % kKeys, stored));
    EXPECT_EQ(stored, vector_of(number));
  }
}

TEST(Readers, FollowTheWriterByRefreshing) {
  const TemporaryDirectory directory;
  Index writer = create(directory / "a");
  auto reader = Index::open(directory / "a");
  ASSERT_TRUE(reader);
  std::uint32_t number = kKeys;
  for (int round = 0; round < 100; ++round) {
    ASSERT_TRUE(change(writer, ++number));
    ASSERT_TRUE(writer.set_applied_up_to(number));
    if (round % 17 == 5) {
      ASSERT_TRUE(writer.checkpoint());
    }
    if (round % 23 == 7) {
      ASSERT_TRUE(writer.checkpoint());
      ASSERT_TRUE(writer.checkpoint());
    }
    if (round == 50) {
      ASSERT_TRUE(writer.compact());
    }
    if (round % 3 == 0) continue;
    const auto refreshed = reader->refresh();
    ASSERT_TRUE(refreshed) << refreshed.error().message();
    const Seen seen = search_all(*reader);
    ASSERT_EQ(seen.problem, "") << "round " << round;
    ASSERT_EQ(seen.change, number);
    EXPECT_EQ(reader->applied_up_to().value(), number);
  }
}

TEST(Readers, SaveWhatTheySeeWhateverTheWriterHasDoneToItsFile) {
  const TemporaryDirectory directory;
  Index writer = create(directory / "a");
  auto reader = Index::open(directory / "a");
  ASSERT_TRUE(reader);
  std::uint32_t number = kKeys;
  const auto saved = [&] {
    const auto done = reader->save(directory / "copy");
    ASSERT_TRUE(done) << done.error().message();
    const auto copy = Index::open(directory / "copy");
    ASSERT_TRUE(copy) << copy.error().message();
    EXPECT_EQ(search_all(*copy).problem, "");
    EXPECT_TRUE(copy->verify()->ok());
  };
  for (int round = 0; round < 12; ++round) {
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(change(writer, ++number));
    if (round % 2 == 0) {
      ASSERT_TRUE(reader->refresh());
    }
    if (round % 3 != 0) {
      ASSERT_TRUE(writer.checkpoint());
    }
    if (round % 4 == 3) {
      ASSERT_TRUE(writer.compact());
    }
    saved();
  }
}

TEST(Readers, ThreadsSearchWhileOneWriterMakesCheckpoints) {
  const TemporaryDirectory directory;
  Index writer = create(directory / "a");
  auto reader = Index::open(directory / "a");
  ASSERT_TRUE(reader);
  std::atomic<bool> stop{false};
  std::vector<std::string> problems(3);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < problems.size(); ++t) {
    threads.emplace_back([&, t] {
      std::uint32_t last = 0;
      while (!stop && problems[t].empty()) {
        if (t == 0 && !reader->refresh()) problems[t] = "refresh failed";
        const Seen seen = search_all(*reader);
        if (!seen.problem.empty()) problems[t] = seen.problem;
        if (seen.change < last) problems[t] = "time went back";
        last = seen.change;
      }
    });
  }
  std::uint32_t number = kKeys;
  for (int round = 0; round < 150; ++round) {
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(change(writer, ++number));
    if (round % 2 == 0) {
      EXPECT_TRUE(writer.checkpoint());
    }
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(problems, std::vector<std::string>(3));
}

// --- processes

using Flag = std::atomic<std::uint32_t>;
struct Shared {
  Flag stop{0};
  Flag looks[2] = {0, 0};
};

[[noreturn]] void read_on(const std::filesystem::path& path, Shared& shared, std::size_t me) {
  auto reader = Index::open(path);
  if (!reader) ::_exit(10);
  std::uint32_t last = 0;
  while (shared.stop == 0) {
    if (shared.looks[me] % 3 == me) {
      const auto refreshed = reader->refresh();
      if (!refreshed && refreshed.error().code() != ErrorCode::busy) ::_exit(11);
    }
    const auto found = reader->search(std::vector<float>(kDims), {.k = kKeys, .ef = 4 * kKeys});
    if (!found && found.error().code() == ErrorCode::busy) continue;
    const Seen seen = search_all(*reader);
    if (!seen.problem.empty()) {
      std::fprintf(stderr, "reader %zu: %s\n", me, seen.problem.c_str());
      ::_exit(12);
    }
    if (seen.change < last) ::_exit(13);
    last = seen.change;
    ++shared.looks[me];
  }
  ::_exit(0);
}

[[noreturn]] void write_on(const std::filesystem::path& path, std::uint32_t number,
                           int acknowledge) {
  auto writer = Index::open(path, to_write());
  if (!writer) ::_exit(1);
  for (std::uint32_t i = 1;; ++i) {
    if (!change(*writer, ++number)) ::_exit(2);
    if (::write(acknowledge, &number, sizeof number) != sizeof number) ::_exit(3);
    if (i % 4 == 0 && !writer->checkpoint()) ::_exit(4);
  }
}

// Kills a writer after so many acknowledged changes, at whatever it does then; returns the last
// one.
std::uint32_t kill_a_writer(const std::filesystem::path& path, std::uint32_t number,
                            std::uint32_t changes) {
  int acknowledged[2];
  EXPECT_EQ(::pipe(acknowledged), 0);
  const pid_t writer = ::fork();
  if (writer == 0) write_on(path, number, acknowledged[1]);
  ::close(acknowledged[1]);
  std::uint32_t last = number;
  const std::uint32_t until = number + changes;
  while (last < until && ::read(acknowledged[0], &last, sizeof last) == sizeof last) {
  }
  ::kill(writer, SIGKILL);
  int status = 0;
  EXPECT_EQ(::waitpid(writer, &status, 0), writer);
  EXPECT_TRUE(WIFSIGNALED(status)) << "the writer ended with " << WEXITSTATUS(status);
  while (::read(acknowledged[0], &last, sizeof last) == sizeof last) {
  }
  ::close(acknowledged[0]);
  return last;
}

TEST(Readers, NeverSeeATornAnswerWhileWritersAreKilled) {
  const TemporaryDirectory directory;
  const auto path = directory / "a";
  { create(path); }
  void* const memory =
      ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto& shared = *new (memory) Shared;
  pid_t readers[2];
  for (std::size_t i = 0; i < 2; ++i) {
    readers[i] = ::fork();
    if (readers[i] == 0) read_on(path, shared, i);
  }
  std::uint32_t number = kKeys;
  for (std::uint32_t kill = 0; kill < kills() && !HasFailure(); ++kill) {
    const bool stopped = kill % 5 == 0;
    if (stopped) ::kill(readers[kill % 2], SIGSTOP);
    number = kill_a_writer(path, number, 1 + kill % 13);
    if (stopped) ::kill(readers[kill % 2], SIGCONT);
    auto index = Index::open(path);
    ASSERT_TRUE(index) << index.error().message();
    const Seen seen = search_all(*index);
    EXPECT_EQ(seen.problem, "");
    // The change that was under way may be there or not.
    EXPECT_TRUE(seen.change == number || seen.change == number + 1)
        << seen.change << " after " << number;
    number = seen.change;
    const auto copy = directory / "copy";
    std::filesystem::copy_file(path, copy, std::filesystem::copy_options::overwrite_existing);
    const auto copied = Index::open(copy);
    ASSERT_TRUE(copied) << copied.error().message();
    EXPECT_EQ(search_all(*copied).change, number);
  }
  shared.stop = 1;
  for (std::size_t i = 0; i < 2; ++i) {
    int status = 0;
    EXPECT_EQ(::waitpid(readers[i], &status, 0), readers[i]);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "reader " << i << ": " << status;
    EXPECT_GT(shared.looks[i], kills() / 10);
  }
  ::munmap(memory, sizeof(Shared));
}

}  // namespace
}  // namespace cairn
