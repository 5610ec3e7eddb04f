// SPDX-License-Identifier: Apache-2.0
//
// Older generations are removed, and nothing that somebody needs.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <cairn/cairn.h>

#include "engine/shards/set_folder.h"
#include "format/io/file.h"
#include "tests/engine/shards/shards.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

namespace fs = std::filesystem;
using test::StoredVectors;
using test::TemporaryDirectory;
using Generations = std::vector<std::uint64_t>;

IndexParams small_params() {
  IndexParams params;
  params.dimensions = 8;
  params.m = 4;
  params.ef_construction = 16;
  return params;
}

std::set<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename());
  return names;
}

// Of generation i the first shard is that of all others, and the second one its own.
ShardManifest publish_next(const fs::path& folder, std::size_t generation) {
  const StoredVectors rows = test::stored(Scalar::f32, test::random_vectors(60, 8, 1));
  const StoredVectors own = test::stored(Scalar::f32, test::random_vectors(60, 8, 1 + generation));
  const auto home = [&](std::size_t row) { return shard_of_key(rows.floats.keys[row], 0, 2); };
  ShardManifest manifest;
  manifest.params = small_params();
  manifest.generation = generation - 1;
  for (std::size_t shard = 0; shard < 2; ++shard) {
    const Index index = test::index_of(small_params(), shard == 0 ? rows : own,
                                       [&](std::size_t row) { return home(row) == shard; });
    manifest.shards.push_back(add_shard_file(folder, index).value());
  }
  if (!publish_shards(folder, manifest)) std::abort();
  return manifest;
}

std::vector<ShardManifest> publish_several(const fs::path& folder, std::size_t n) {
  std::vector<ShardManifest> made;
  for (std::size_t i = 1; i <= n; ++i) made.push_back(publish_next(folder, i));
  return made;
}

TEST(Prune, KeepsTheLastGenerationsAndWhatTheyName) {
  const TemporaryDirectory folder;
  const auto made = publish_several(folder.path(), 4);
  std::ofstream(folder / "unpublished.cairn") << "of a build that is under way";
  std::ofstream(folder / "manifest-5.json") << "was never current";
  const auto report = prune_shards(folder.path(), {.keep = 2});
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_EQ(report->removed, (Generations{2, 1}));
  EXPECT_TRUE(report->in_use.empty());
  EXPECT_EQ(report->files, 2u);
  EXPECT_EQ(report->bytes, made[0].shards[1].bytes + made[1].shards[1].bytes);
  EXPECT_EQ(names_in(folder.path()),
            (std::set<std::string>{"CURRENT", "LOCK", "manifest-3.json", "manifest-4.json",
                                   "manifest-5.json", "unpublished.cairn", made[0].shards[0].file,
                                   made[2].shards[1].file, made[3].shards[1].file}));
  EXPECT_TRUE(ShardSet::open(folder.path())->verify()->ok());
  EXPECT_TRUE(prune_shards(folder.path(), {.keep = 2})->removed.empty());
  EXPECT_EQ(prune_shards(folder.path(), {.keep = 1})->removed, Generations{3});
  EXPECT_TRUE(ShardSet::open(folder.path())->verify()->ok());
}

TEST(Prune, KeepsWhatIsNamedBesides) {
  const TemporaryDirectory folder;
  const auto made = publish_several(folder.path(), 4);
  EXPECT_EQ(prune_shards(folder.path(), {.keep = 1, .also = {2, 9}})->removed, (Generations{3, 1}));
  EXPECT_TRUE(fs::exists(folder / made[1].shards[1].file));
  EXPECT_TRUE(fs::exists(folder / "manifest-2.json"));
}

// Shards that no manifest names, of a publish that failed: they go once they are old enough.
TEST(Prune, RemovesWhatNoGenerationNamesIfThatIsAskedFor) {
  const TemporaryDirectory folder;
  const auto made = publish_several(folder.path(), 2);
  const StoredVectors rows = test::stored(Scalar::f32, test::random_vectors(60, 8, 77));
  const auto lost = add_shard_file(
      folder.path(), test::index_of(small_params(), rows, [](std::size_t) { return true; }));
  ASSERT_TRUE(lost);
  const std::string of_a_writer = "live-9-0.cairn";
  fs::copy_file(folder / lost->file, folder / of_a_writer);
  std::ofstream(folder / "of-somebody-else.cairn") << "x";
  std::ofstream(folder / "00000000000000000000000000000000.cairn") << "no file of ours";
  PruneOptions options;
  EXPECT_EQ(prune_shards(folder.path(), options)->files, 0u);
  options.unnamed_after = std::chrono::hours(1);
  EXPECT_EQ(prune_shards(folder.path(), options)->files, 0u);
  EXPECT_TRUE(fs::exists(folder / lost->file));

  options.unnamed_after = std::chrono::seconds(0);
  {
    // One that somebody writes to stays.
    OpenOptions writing;
    writing.mode = Mode::read_write;
    const auto index = Index::open(folder / of_a_writer, writing);
    ASSERT_TRUE(index);
    const auto report = prune_shards(folder.path(), options);
    ASSERT_TRUE(report) << report.error().message();
    EXPECT_EQ(report->files, 1u);
    EXPECT_EQ(report->unnamed, 1u);
    EXPECT_EQ(report->bytes, lost->bytes);
    EXPECT_TRUE(fs::exists(folder / of_a_writer));
  }
  EXPECT_EQ(prune_shards(folder.path(), options)->unnamed, 1u);
  EXPECT_EQ(names_in(folder.path()),
            (std::set<std::string>{"CURRENT", "LOCK", "manifest-1.json", "manifest-2.json",
                                   "of-somebody-else.cairn",
                                   "00000000000000000000000000000000.cairn", made[0].shards[0].file,
                                   made[0].shards[1].file, made[1].shards[1].file}));
  EXPECT_TRUE(ShardSet::open(folder.path())->verify()->ok());
  options.unnamed_after = std::chrono::seconds(-1);
  EXPECT_EQ(prune_shards(folder.path(), options).error().code(), ErrorCode::invalid_argument);
}

TEST(Prune, WhatASetHasOpenStays) {
  const TemporaryDirectory folder;
  const auto first = publish_next(folder.path(), 1);
  {
    const auto set = ShardSet::open(folder.path());
    ASSERT_TRUE(set);
    publish_next(folder.path(), 2);
    publish_next(folder.path(), 3);
    const auto report = prune_shards(folder.path(), {.keep = 1});
    ASSERT_TRUE(report);
    EXPECT_EQ(report->removed, Generations{2});
    EXPECT_EQ(report->in_use, Generations{1});
    EXPECT_TRUE(set->verify()->ok());
    EXPECT_TRUE(fs::exists(folder / first.shards[1].file));
  }
  const auto report = prune_shards(folder.path(), {.keep = 1});
  EXPECT_EQ(report->removed, Generations{1});
  EXPECT_FALSE(fs::exists(folder / first.shards[1].file));
}

TEST(Prune, WhatCannotBeReadEndsItBeforeAnythingIsRemoved) {
  const TemporaryDirectory folder;
  publish_several(folder.path(), 4);
  const auto before = names_in(folder.path());
  EXPECT_EQ(prune_shards(folder.path(), {.keep = 0}).error().code(), ErrorCode::invalid_argument);
  {
    const auto lock = SetLock::take(folder.path());
    ASSERT_TRUE(lock);
    EXPECT_EQ(prune_shards(folder.path()).error().code(), ErrorCode::path_in_use);
  }
  std::ofstream(folder / "manifest-2.json", std::ios::app) << "x";
  const auto damaged = prune_shards(folder.path(), {.keep = 1});
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code(), ErrorCode::corrupt);
  EXPECT_NE(damaged.error().message().find("manifest-2.json"), std::string::npos);
  EXPECT_EQ(names_in(folder.path()), before);
  const TemporaryDirectory none;
  EXPECT_EQ(prune_shards(none.path()).error().code(), ErrorCode::path_not_found);
  EXPECT_TRUE(names_in(none.path()).empty());
}

TEST(Prune, OneThatCannotGoOnIsMadeGoodByTheNext) {
  const TemporaryDirectory folder;
  publish_several(folder.path(), 4);
  for (std::uint64_t call = 0;; ++call) {
    ASSERT_LT(call, 500u);
    bool is_done = false;
    {
      test::FaultyFileSystem faulty(format::posix_file_system(),
                                    {.call = call, .lasts = test::Fault::Lasts::forever});
      const format::DefaultFileSystem in_place(faulty);
      is_done = prune_shards(folder.path(), {.keep = 1}).has_value();
    }
    const auto set = ShardSet::open(folder.path());
    ASSERT_TRUE(set) << set.error().message();
    EXPECT_TRUE(set->verify()->ok());
    if (is_done) break;
  }
  EXPECT_TRUE(prune_shards(folder.path(), {.keep = 1}));
  EXPECT_EQ(names_in(folder.path()).size(), 2u + 1 + 2);  // and two shards
}

// Whoever opens a set while others publish and prune opens a whole one.
TEST(Prune, ReadersBesideItMissNothing) {
  const TemporaryDirectory folder;
  publish_next(folder.path(), 1);
  std::atomic<bool> is_over{false};
  std::atomic<std::size_t> opened{0};
  std::vector<std::thread> readers;
  const StoredVectors rows = test::stored(Scalar::f32, test::random_vectors(60, 8, 1));
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      while (!is_over) {
        const auto set = ShardSet::open(folder.path());
        ASSERT_TRUE(set) << set.error().message();
        EXPECT_EQ(set->search(rows.vector(0))->size(), 10u);
        ++opened;
      }
    });
  }
  for (std::size_t generation = 2; generation < 14; ++generation) {
    publish_next(folder.path(), generation);
    const auto report = prune_shards(folder.path(), {.keep = 1});
    EXPECT_TRUE(report) << report.error().message();
    for (const std::size_t before = opened; opened < before + 3;) std::this_thread::yield();
  }
  is_over = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_TRUE(prune_shards(folder.path(), {.keep = 1}));
  EXPECT_EQ(names_in(folder.path()).size(), 2u + 1 + 2);
}

}  // namespace
}  // namespace cairn
