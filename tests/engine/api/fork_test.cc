// SPDX-License-Identifier: Apache-2.0
//
// What becomes of an index when the process forks.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <functional>
#include <memory>
#include <shared_mutex>
#include <thread>
#include <vector>

#include <cairn/cairn.h>

#include "engine/api/index_impl.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

using test::TemporaryDirectory;

constexpr std::size_t kDims = 8;

std::vector<float> vector_of(Key key) {
  std::vector<float> vector(kDims);
  for (std::size_t i = 0; i < kDims; ++i) {
    vector[i] = static_cast<float>((key * 31 + i * 7) % 101) + 0.5f;
  }
  return vector;
}

Index filled(const std::filesystem::path& path, Durability durability = Durability::sync) {
  auto index = Index::create(path, {.dimensions = kDims}, {.durability = durability}).value();
  for (Key key = 0; key < 50; ++key) EXPECT_TRUE(index.add(key, vector_of(key)));
  return index;
}

OpenOptions to_write() {
  OpenOptions options;
  options.mode = Mode::read_write;
  return options;
}

// 0 if `body` returned true in a child; the signal or something else if not. A child that hangs is
// killed.
int in_child(const std::function<bool()>& body) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(20);
    ::_exit(body() ? 0 : 1);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return status;
}

template <class T>
bool is_unsupported(const Result<T>& result) {
  return !result && result.error().code() == ErrorCode::unsupported;
}

TEST(Fork, AChildChangesNothingOfAFileThatItsParentWrites) {
  const TemporaryDirectory directory;
  Index index = filled(directory / "a");
  EXPECT_EQ(in_child([&] {
              const auto refused = index.add(1000, vector_of(1000));
              return is_unsupported(refused) &&
                     refused.error().message().find("forked") != std::string::npos &&
                     is_unsupported(index.upsert(1, vector_of(2))) &&
                     is_unsupported(index.remove(1)) && is_unsupported(index.build({}, {})) &&
                     is_unsupported(index.sync()) && is_unsupported(index.checkpoint()) &&
                     is_unsupported(index.compact()) &&
                     is_unsupported(index.set_applied_up_to(3)) &&
                     is_unsupported(index.applied_up_to()) && is_unsupported(index.verify()) &&
                     is_unsupported(index.save(directory / "b")) &&
                     is_unsupported(index.search(vector_of(1))) && !index.contains(1) &&
                     index.size() == 0 && index.stats().live == 0;
            }),
            0);
  ASSERT_TRUE(index.add(1000, vector_of(1000)));
  EXPECT_TRUE(index.verify()->ok());
}

TEST(Fork, WhatTheParentAcknowledgesAfterAChildHasEndedIsKept) {
  for (const Durability durability : {Durability::sync, Durability::group, Durability::none}) {
    const TemporaryDirectory directory;
    const int status = in_child([&] {
      auto index = std::make_unique<Index>(filled(directory / "a", durability));
      const pid_t grandchild = ::fork();
      if (grandchild == 0) {
        ::alarm(20);
        index.reset();
        ::_exit(0);
      }
      int ended = 0;
      if (::waitpid(grandchild, &ended, 0) != grandchild || ended != 0) return false;
      for (Key key = 50; key < 100; ++key) {
        if (!index->add(key, vector_of(key))) return false;
      }
      return static_cast<bool>(index->sync());  // and ends without closing
    });
    ASSERT_EQ(status, 0);
    auto reopened = Index::open(directory / "a", to_write());
    ASSERT_TRUE(reopened) << reopened.error().message();
    EXPECT_EQ(reopened->size(), 100u);
    EXPECT_TRUE(reopened->verify()->ok());
  }
}

TEST(Fork, TheLockStaysTheParentsAndGoesWithIt) {
  const TemporaryDirectory directory;
  auto index = std::make_unique<Index>(filled(directory / "a"));
  EXPECT_EQ(in_child([&] {
              index.reset();
              const auto second = Index::open(directory / "a", to_write());
              return !second && second.error().code() == ErrorCode::path_in_use;
            }),
            0);
  // A child that lives on keeps nobody out once the parent has closed.
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    char byte;
    ::close(ready[1]);
    ::alarm(20);
    ::_exit(::read(ready[0], &byte, 1) == 0 ? 0 : 1);
  }
  index.reset();
  EXPECT_TRUE(Index::open(directory / "a", to_write()));
  ::close(ready[0]);
  ::close(ready[1]);
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(Fork, ReadingGoesOnInParentAndChild) {
  const TemporaryDirectory directory;
  Index writer = filled(directory / "a");
  auto reader = Index::open(directory / "a");
  ASSERT_TRUE(reader);
  std::atomic<bool> stop{false};
  std::atomic<int> warm{0};
  std::vector<std::thread> threads;  // so that some are within a search when the process forks
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      // None within malloc: the locks of a sanitizer's stay locked in a child.
      const auto query = vector_of(3);
      std::array<Match, 1> out;
      for (int turn = 0; !stop; ++turn) {
        (void)reader->search(query, {.k = 1}, out);
        (void)reader->contains(3);
        if (turn == 2) ++warm;
      }
    });
  }
  while (warm != 2) std::this_thread::yield();
  for (int round = 0; round < 5; ++round) {
    const Key added = 100 + static_cast<Key>(round);
    const auto finds = [&](Key key) {
      const auto found = reader->search(vector_of(key), {.k = 1});
      return found && found->size() == 1 && reader->contains(key) && reader->refresh();
    };
    EXPECT_EQ(in_child([&] {
                // The parent adds and makes a checkpoint meanwhile.
                for (int i = 0; i < 2000 && !reader->contains(added); ++i) {
                  if (!finds(3)) return false;
                }
                return finds(3) && reader->verify().has_value();
              }),
              0);
    ASSERT_TRUE(writer.add(added, vector_of(added)));
    ASSERT_TRUE(writer.checkpoint());
    EXPECT_TRUE(finds(3));
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
}

// The threads that were looking up when the process was forked never leave in the child.
TEST(Fork, AChildDoesNotWaitForLookUpsOfThreadsThatItDoesNotHave) {
  auto index = Index::create({.dimensions = kDims}).value();
  for (Key key = 0; key < 50; ++key) ASSERT_TRUE(index.add(key, vector_of(key)));
  std::atomic<int> inside{0};
  std::atomic<bool> leave{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      const std::shared_lock lock(IndexParts::of(index).table_mutex);
      ++inside;
      while (!leave) std::this_thread::yield();
    });
  }
  while (inside != 3) std::this_thread::yield();
  EXPECT_EQ(in_child([&] { return index.compact() && index.size() == 50 && index.contains(7); }),
            0);
  leave = true;
  for (std::thread& thread : threads) thread.join();
}

TEST(Fork, AnIndexInMemoryGoesOnInTheChildByItself) {
  auto index = Index::create({.dimensions = kDims});
  for (Key key = 0; key < 50; ++key) ASSERT_TRUE(index->add(key, vector_of(key)));
  EXPECT_EQ(in_child([&] {
              return index->add(1000, vector_of(1000)) && index->remove(1) && index->compact() &&
                     index->size() == 50 && index->verify()->ok();
            }),
            0);
  EXPECT_EQ(index->size(), 50u);
  EXPECT_FALSE(index->contains(1000));
}

}  // namespace
}  // namespace cairn
