// SPDX-License-Identifier: Apache-2.0
//
// Sets on disk: publishing, opening, changing, and what goes wrong with each.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <cairn/cairn.h>

#include "engine/shards/set_folder.h"
#include "tests/engine/shards/shards.h"
#include "tests/support/failing_disk.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/forwarding_file_system.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

namespace fs = std::filesystem;
using test::StoredVectors;
using test::TemporaryDirectory;

IndexParams small_params() {
  IndexParams params;
  params.dimensions = 12;
  params.metric = Metric::l2sq;
  params.m = 8;
  params.ef_construction = 40;
  return params;
}

StoredVectors rows_of(std::size_t n, std::uint64_t seed = 1) {
  return test::stored(Scalar::f32, test::random_vectors(n, 12, seed));
}

std::string read_text(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::set<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename());
  return names;
}

TEST(SetFolder, AnswersAsOneIndex) {
  const TemporaryDirectory folder;
  const StoredVectors rows = rows_of(500);
  const ShardManifest manifest = test::publish_hash_set(folder.path(), small_params(), rows, 4);
  EXPECT_EQ(manifest.generation, 1u);
  EXPECT_EQ(read_text(folder / "CURRENT"), "manifest-1.json\n");
  const auto set = ShardSet::open(folder.path());
  ASSERT_TRUE(set) << set.error().message();
  EXPECT_EQ(set->size(), 500u);
  EXPECT_EQ(set->stats().generation, 1u);
  const Index one = test::index_of(small_params(), rows, [](std::size_t) { return true; });
  SearchParams params;
  params.plan = Plan::exact;
  for (std::size_t i = 0; i < 20; ++i) {
    const auto all = set->search(rows.vector(i), params);
    const auto wanted = one.search(rows.vector(i), params);
    ASSERT_TRUE(all && wanted);
    for (std::size_t m = 0; m < 10; ++m) EXPECT_EQ((*all)[m].key, (*wanted)[m].key);
    EXPECT_TRUE(set->contains(rows.floats.keys[i]));
  }
  EXPECT_TRUE(set->verify()->ok());
}

TEST(SetFolder, ShardsThatAreNotWantedAreNeitherAskedNorMissing) {
  const TemporaryDirectory folder;
  const StoredVectors rows = rows_of(500);
  const ShardManifest manifest = test::publish_hash_set(folder.path(), small_params(), rows, 4);
  ASSERT_TRUE(fs::remove(folder / manifest.shards[0].file));  // nobody looks
  ShardOptions options;
  options.only = {3, 1, 3};
  const auto set = ShardSet::open(folder.path(), options);
  ASSERT_TRUE(set) << set.error().message();
  EXPECT_EQ(set->shards(), 4u);
  EXPECT_EQ(set->shard(2), nullptr);
  EXPECT_TRUE(set->problems().empty());
  EXPECT_EQ(set->size(), manifest.shards[1].vectors + manifest.shards[3].vectors);
  EXPECT_TRUE(set->verify()->ok());
  const auto home = [&](Key key) { return shard_of_key(key, 0, 4); };
  const Index part = test::index_of(
      small_params(), rows, [&](std::size_t row) { return home(rows.floats.keys[row]) % 2 == 1; });
  const auto keys_of = [](std::span<const Match> matches) {
    std::vector<Key> keys;
    for (const Match& match : matches) keys.push_back(match.key);
    return keys;
  };
  ShardReport report;
  for (const Plan plan : {Plan::exact, Plan::walk}) {
    SearchParams params;
    params.plan = plan;
    params.ef = 500;
    std::vector<Match> out(20 * 10);
    std::vector<std::size_t> counts(20);
    MatrixView some = rows.matrix();
    some.rows = 20;
    ASSERT_TRUE(set->search_batch(some, params, out, counts, {.report = &report}));
    EXPECT_EQ(report.shards_asked, 40u);
    EXPECT_EQ(report.shards_answered, 40u);
    EXPECT_TRUE(report.missing.empty());
    for (std::size_t i = 0; i < 20; ++i) {
      const auto wanted = part.search(rows.vector(i), params);
      const auto found = set->search(rows.vector(i), params, {.report = &report});
      ASSERT_TRUE(wanted && found);
      EXPECT_EQ(report.shards_asked, 2u);
      EXPECT_EQ(report.shards_answered, 2u);
      EXPECT_TRUE(report.missing.empty());
      EXPECT_EQ(keys_of(*found), keys_of(*wanted));
      EXPECT_EQ(keys_of({out.data() + i * 10, counts[i]}), keys_of(*wanted));
    }
  }
  ASSERT_TRUE(set->search_range(rows.vector(0), 1.0f, {}, {.report = &report}));
  EXPECT_EQ(report.shards_asked, 2u);
  ASSERT_TRUE(set->open_cursor(rows.vector(0), {}, Order::relaxed, {.report = &report}));
  EXPECT_EQ(report.shards_asked, 2u);
  for (std::size_t i = 0; i < 100; ++i) {
    const Key key = rows.floats.keys[i];
    EXPECT_EQ(set->contains(key), home(key) % 2 == 1);
  }

  options.only = {4};
  const auto none = ShardSet::open(folder.path(), options);
  EXPECT_EQ(none.error().code(), ErrorCode::invalid_argument);
  EXPECT_NE(none.error().message().find("shard 4 of"), std::string::npos);
  options.only = {0};
  EXPECT_EQ(ShardSet::open(folder.path(), options).error().code(), ErrorCode::path_not_found);
  options.only = {1};
  options.open.mode = Mode::read_write;
  EXPECT_EQ(ShardSet::open(folder.path(), options).error().code(), ErrorCode::invalid_argument);
}

// Walks ask each shard for a part of the results at first.
TEST(SetFolder, NeighborsThatLieInOneShardAreAllFound) {
  const TemporaryDirectory folder;
  StoredVectors rows = rows_of(800);
  // The first 60 rows are near each other, and their keys all belong to shard 2.
  Key key = 0;
  for (std::size_t i = 0; i < 60; ++i) {
    do {
      ++key;
    } while (shard_of_key(key, 0, 8) != 2);
    rows.floats.keys[i] = key;
    for (std::size_t d = 0; d < 12; ++d)
      rows.floats.values[i * 12 + d] = 0.01f * rows.floats.values[i * 12 + d] + 5.0f;
  }
  std::memcpy(rows.bytes.data(), rows.floats.values.data(), rows.bytes.size());
  test::publish_hash_set(folder.path(), small_params(), rows, 8);
  const auto set = ShardSet::open(folder.path());
  ASSERT_TRUE(set);
  const Index one = test::index_of(small_params(), rows, [](std::size_t) { return true; });
  SearchParams params;
  params.k = 50;
  params.ef = 800;
  params.plan = Plan::walk;
  std::vector<Match> out(60 * 50);
  std::vector<std::size_t> counts(60);
  MatrixView some = rows.matrix();
  some.rows = 60;
  ShardReport report;
  ASSERT_TRUE(set->search_batch(some, params, out, counts, {.report = &report}));
  EXPECT_EQ(report.shards_asked, 60u * 8);
  for (std::size_t i = 0; i < 60; ++i) {
    const auto all = set->search(rows.vector(i), params, {.report = &report});
    const auto wanted = one.search(rows.vector(i), params);
    ASSERT_TRUE(all && wanted);
    EXPECT_EQ(report.shards_asked, 8u);
    ASSERT_EQ(all->size(), 50u);
    ASSERT_EQ(counts[i], 50u);
    for (std::size_t m = 0; m < 50; ++m) {
      EXPECT_EQ((*all)[m].key, (*wanted)[m].key);
      EXPECT_EQ(out[i * 50 + m].key, (*wanted)[m].key);
    }
  }
}

TEST(SetFolder, AShardIsNamedByItsBytesAndARetryHasTheSame) {
  const TemporaryDirectory folder;
  const StoredVectors rows = rows_of(300);
  const auto build = [&] {
    const Index index = test::index_of(small_params(), rows, [](std::size_t) { return true; });
    return add_shard_file(folder.path(), index).value();
  };
  const ShardFile first = build();
  const ShardFile second = build();
  EXPECT_EQ(first.file, second.file);
  EXPECT_EQ(first.xxh3 + ".cairn", first.file);
  EXPECT_EQ(first.vectors, 300u);
  EXPECT_EQ(first.bytes, fs::file_size(folder / first.file));
  EXPECT_EQ(names_in(folder.path()), std::set<std::string>{first.file});
  EXPECT_EQ(describe_shard_file(folder / first.file)->xxh3, first.xxh3);
}

TEST(SetFolder, AShardThatIsBuiltIntoItsFileHasTheSameBytes) {
  const TemporaryDirectory folder;
  for (const std::size_t n : {0u, 1u, 300u}) {
    const StoredVectors rows = rows_of(n);
    const Index index = test::index_of(small_params(), rows, [](std::size_t) { return true; });
    const auto added = add_shard_file(folder / "added", index);
    const auto built =
        build_shard_file(folder / "built", small_params(), rows.floats.keys, rows.matrix());
    ASSERT_TRUE(added && built) << built.error().message();
    EXPECT_EQ(built->file, added->file);
    EXPECT_EQ(read_text(folder / "built" / built->file), read_text(folder / "added" / added->file));
    EXPECT_EQ(built->vectors, n);
  }
  std::vector<Key> twice = {4, 4};
  StoredVectors rows = rows_of(2);
  const auto names = names_in(folder / "built");
  EXPECT_EQ(build_shard_file(folder / "built", small_params(), twice, rows.matrix()).error().code(),
            ErrorCode::key_exists);
  EXPECT_EQ(names_in(folder / "built"), names);
}

TEST(SetFolder, AShardThatCouldNotBeMadeDurableLeavesNoTemporaryFile) {
  const TemporaryDirectory folder;
  const auto index = test::index_of(small_params(), rows_of(20), [](std::size_t) { return true; });
  int failures = 0;
  for (std::uint64_t call = 0;; ++call) {
    test::FaultyFileSystem raw(format::posix_file_system(), {call, EIO, test::Fault::Lasts::once});
    {
      const format::DefaultFileSystem in_place(raw);
      failures += add_shard_file(folder.path(), index) ? 0 : 1;
    }
    for (const std::string& name : names_in(folder.path())) {
      EXPECT_FALSE(name.ends_with(".tmp")) << call << ": " << name;
    }
    if (!raw.has_failed()) break;
  }
  EXPECT_GT(failures, 20);
}

// Files seem to have been changed last an hour ago.
class OldFile final : public test::ForwardingFile {
 public:
  using ForwardingFile::ForwardingFile;
  format::IoOutcome stat(format::FileInfo& out) const override {
    const auto outcome = ForwardingFile::stat(out);
    out.changed_ns -= std::uint64_t{3600} * 1'000'000'000;
    return outcome;
  }
};
class OldFiles final : public test::ForwardingFileSystem {
 public:
  OldFiles() : ForwardingFileSystem(format::posix_file_system()) {}
  format::RawOpenOutcome open(const fs::path& path, format::Access access) override {
    auto opened = base().open(path, access);
    if (opened.file) opened.file = std::make_unique<OldFile>(std::move(opened.file));
    return opened;
  }
  format::RawOpenOutcome create_exclusive(const fs::path& path, std::uint32_t mode) override {
    return base().create_exclusive(path, mode);
  }
};

TEST(SetFolder, WhatBuildsAndPublishersThatWereKilledHaveLeftIsRemovedByTheNext) {
  const TemporaryDirectory folder;
  const auto index = test::index_of(small_params(), rows_of(20), [](std::size_t) { return true; });
  const auto shard = add_shard_file(folder.path(), index);
  ASSERT_TRUE(shard);
  const auto copy_to = [&](const std::string& name) {
    fs::copy_file(folder / shard->file, folder / name, fs::copy_options::overwrite_existing);
  };
  const std::set<std::string> others = {".shard.x.tmp", ".shard..tmp", "..shard.7.tmp.7.tmp",
                                        ".shard.12.tmp.cairn"};
  for (const std::string& name : others) copy_to(name);
  copy_to(".shard.12.tmp");                        // not named any more
  copy_to("..shard.34.tmp.0123456789abcdef.tmp");  // not even written
  auto expected = others;
  expected.insert(shard->file);

  // A file that has just been written may be about to be locked.
  ASSERT_TRUE(add_shard_file(folder.path(), index));
  auto now = expected;
  now.insert(".shard.12.tmp");
  EXPECT_EQ(names_in(folder.path()), now);
  {
    OldFiles raw;
    const format::DefaultFileSystem in_place(raw);
    {
      auto held =
          format::default_file_system().open(folder / ".shard.12.tmp", format::Access::read_write);
      ASSERT_TRUE(held);
      ASSERT_TRUE(*held->try_lock());
      ASSERT_TRUE(add_shard_file(folder.path(), index));
      EXPECT_EQ(names_in(folder.path()), now);
    }
    ASSERT_TRUE(add_shard_file(folder.path(), index));
    EXPECT_EQ(names_in(folder.path()), expected);
  }

  for (const char* name : {".manifest-1.json.77.tmp", ".CURRENT.78.tmp"}) copy_to(name);
  ShardManifest manifest;
  manifest.params = small_params();
  manifest.shards = {*shard};
  ASSERT_TRUE(publish_shards(folder.path(), manifest));
  for (const char* name : {"LOCK", "CURRENT", "manifest-1.json"}) expected.insert(name);
  EXPECT_EQ(names_in(folder.path()), expected);
}

TEST(SetFolder, OfTwoWhoPublishOneGetsAnError) {
  const TemporaryDirectory folder;
  const StoredVectors rows = rows_of(100);
  ShardManifest first = test::publish_hash_set(folder.path(), small_params(), rows, 2);
  ShardManifest second = first;
  ASSERT_TRUE(publish_shards(folder.path(), first));
  EXPECT_EQ(first.generation, 2u);
  const auto late = publish_shards(folder.path(), second);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code(), ErrorCode::path_in_use);
  EXPECT_EQ(second.generation, 1u);
  const auto lock = SetLock::take(folder.path());
  ASSERT_TRUE(lock);
  EXPECT_EQ(publish_shards(folder.path(), first).error().code(), ErrorCode::path_in_use);
  EXPECT_EQ(read_shard_manifest(folder.path())->generation, 2u);
}

TEST(SetFolder, ManyThreadsThatPublishLeaveOneOfThem) {
  const TemporaryDirectory folder;
  const ShardManifest base = test::publish_hash_set(folder.path(), small_params(), rows_of(50), 2);
  std::atomic<int> published{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      ShardManifest mine = base;
      if (publish_shards(folder.path(), mine)) ++published;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(published, 1);
  EXPECT_EQ(read_shard_manifest(folder.path())->generation, 2u);
}

TEST(SetFolder, WhatIsNotThereIsNotPublished) {
  const TemporaryDirectory folder;
  ShardManifest manifest = test::publish_hash_set(folder.path(), small_params(), rows_of(100), 2);
  ShardManifest next = manifest;
  next.shards[1].file = "00000000000000000000000000000000.cairn";
  EXPECT_EQ(publish_shards(folder.path(), next).error().code(), ErrorCode::path_not_found);
  next = manifest;
  next.shards[1].bytes += 4096;
  EXPECT_EQ(publish_shards(folder.path(), next).error().code(), ErrorCode::corrupt);
  EXPECT_EQ(read_shard_manifest(folder.path())->generation, 1u);
}

// Each call of the disk fails once: the generation before holds, or the new one.
TEST(SetFolder, AFullDiskLosesNothing) {
  test::FailingDisk disk;
  const StoredVectors rows = rows_of(40);
  const fs::path folder = "set";
  ShardManifest manifest;
  manifest.params = small_params();
  {
    const Index index = test::index_of(small_params(), rows, [](std::size_t) { return true; });
    const fs::path path = folder / "a.cairn";
    ASSERT_TRUE(index.save(path));
    manifest.shards = {describe_shard_file(path).value()};
    manifest.shards[0].file = "a.cairn";
  }
  ASSERT_TRUE(publish_shards(folder, manifest));
  ShardManifest probe = manifest;
  const std::uint64_t before = disk.calls();
  ASSERT_TRUE(publish_shards(folder, probe));
  const std::uint64_t calls = disk.calls() - before;
  manifest = probe;
  ASSERT_GT(calls, 8u);
  int refused = 0;
  for (std::uint64_t call = 0; call < calls; ++call) {
    for (const std::uint64_t seed : {0u, 1u, 2u}) {
      test::Fault fault;
      fault.call = call;
      fault.error = ENOSPC;
      ShardManifest next = manifest;
      disk.fail(fault);
      const auto done = publish_shards(folder, next);
      disk.heal();
      refused += done ? 0 : 1;
      disk.crash(seed);
      const auto read = read_shard_manifest(folder);
      ASSERT_TRUE(read) << call << ": " << read.error().message();
      EXPECT_TRUE(read->generation == manifest.generation ||
                  read->generation == manifest.generation + 1);
      EXPECT_TRUE(!done || read->generation == manifest.generation + 1);
      EXPECT_TRUE(ShardSet::open(folder));
      manifest = *read;
    }
  }
  EXPECT_GT(refused, 5);
}

TEST(SetFolder, WhatStandsInTheShardsPlaceAsNoFileIsAnsweredAround) {
  const TemporaryDirectory folder;
  const ShardManifest manifest =
      test::publish_hash_set(folder.path(), small_params(), rows_of(100), 2);
  const std::string& name = manifest.shards[1].file;
  fs::remove(folder / name);
  fs::create_directory(folder / name);
  const auto whole = ShardSet::open(folder.path());
  ASSERT_FALSE(whole);
  EXPECT_NE(whole.error().message().find(name), std::string::npos);
  ShardOptions options;
  options.allow_partial = true;
  const auto partial = ShardSet::open(folder.path(), options);
  ASSERT_TRUE(partial) << partial.error().message();
  ASSERT_EQ(partial->problems().size(), 1u);
  EXPECT_EQ(partial->problems()[0].file, name);
}

TEST(SetFolder, WhatIsWrongWithAFolderIsToldByName) {
  const TemporaryDirectory folder;
  EXPECT_EQ(ShardSet::open(folder.path()).error().code(), ErrorCode::path_not_found);
  const ShardManifest manifest =
      test::publish_hash_set(folder.path(), small_params(), rows_of(100), 2);
  const auto write = [&](const std::string& name, const std::string& text) {
    std::ofstream(folder / name, std::ios::binary) << text;
  };
  const auto code = [&](bool partial = false) {
    ShardOptions options;
    options.allow_partial = partial;
    const auto set = ShardSet::open(folder.path(), options);
    return set ? ErrorCode{} : set.error().code();
  };
  EXPECT_EQ(code(), ErrorCode{});
  for (const char* text : {"", "manifest-1.json", "manifest-01.json\n", "manifest-1.json\n\n",
                           "../manifest-1.json\n", "manifest--1.json\n", "manifest-1.jsonx\n"}) {
    write("CURRENT", text);
    EXPECT_EQ(code(), ErrorCode::corrupt) << text;
  }
  write("CURRENT", std::string(1000, 'm'));
  EXPECT_EQ(code(), ErrorCode::corrupt);
  write("CURRENT", "manifest-2.json\n");
  EXPECT_EQ(code(), ErrorCode::path_not_found);
  fs::copy_file(folder / "manifest-1.json", folder / "manifest-2.json");
  EXPECT_EQ(code(), ErrorCode::corrupt);  // its generation is 1
  write("CURRENT", "manifest-1.json\n");
  EXPECT_EQ(code(), ErrorCode{});

  const fs::path shard = folder / manifest.shards[1].file;
  const std::string bytes = read_text(shard);
  write(manifest.shards[1].file, read_text(folder / manifest.shards[0].file));
  EXPECT_EQ(code(), ErrorCode::corrupt);  // of another number of vectors
  EXPECT_EQ(code(true), ErrorCode{});
  fs::remove(shard);
  EXPECT_EQ(code(), ErrorCode::path_not_found);
  EXPECT_EQ(code(true), ErrorCode{});
  write(manifest.shards[1].file, bytes.substr(0, 5000));
  EXPECT_NE(code(), ErrorCode{});
  EXPECT_EQ(code(true), ErrorCode{});
  write(manifest.shards[1].file, bytes);
  EXPECT_EQ(code(), ErrorCode{});
}

// Each is a whole index file of the size that the manifest says; it is of another set.
TEST(SetFolder, ShardsOfAnotherMetricKindOrDimensionsAreToldByName) {
  for (int wrong = 0; wrong < 3; ++wrong) {
    const TemporaryDirectory folder;
    ShardManifest manifest = test::publish_hash_set(folder.path(), small_params(), rows_of(100), 2);
    IndexParams other = small_params();
    StoredVectors rows = rows_of(50);
    if (wrong == 0) other.metric = Metric::cosine;
    if (wrong == 1) {
      other.scalar = Scalar::f16;
      rows = test::stored(Scalar::f16, rows.floats);
    }
    if (wrong == 2) {
      other.dimensions = 11;
      rows = test::stored(Scalar::f32, test::random_vectors(50, 11, 1));
    }
    const Index index = test::index_of(other, rows, [](std::size_t) { return true; });
    manifest.shards[1] = add_shard_file(folder.path(), index).value();
    ASSERT_TRUE(publish_shards(folder.path(), manifest));
    for (const bool partial : {false, true}) {
      ShardOptions options;
      options.allow_partial = partial;
      const auto set = ShardSet::open(folder.path(), options);
      if (partial) {
        // It is a fault of one shard, and the others may answer.
        ASSERT_TRUE(set);
        ASSERT_EQ(set->problems().size(), 1u);
        EXPECT_EQ(set->problems()[0].file, manifest.shards[1].file);
        continue;
      }
      ASSERT_FALSE(set);
      EXPECT_EQ(set.error().code(), ErrorCode::corrupt);
      EXPECT_NE(set.error().message().find(manifest.shards[1].file), std::string::npos);
    }
  }
}

TEST(SetFolder, VerifyComparesFilesWithTheManifest) {
  const TemporaryDirectory folder;
  const StoredVectors rows = rows_of(200);
  const ShardManifest manifest = test::publish_hash_set(folder.path(), small_params(), rows, 2);
  // Another file that is whole, of the same size and number of vectors.
  Index other = test::index_of(small_params(), rows, [&](std::size_t row) {
    return shard_of_key(rows.floats.keys[row], 0, 2) == 1;
  });
  for (std::size_t i = 0; i < 200; ++i) {
    if (other.contains(rows.floats.keys[i]) && i % 2 == 0) {
      ASSERT_TRUE(other.upsert(rows.floats.keys[i], rows.vector((i + 1) % 200)));
    }
  }
  ASSERT_TRUE(other.compact());
  ASSERT_TRUE(other.save(folder / manifest.shards[1].file));
  if (fs::file_size(folder / manifest.shards[1].file) != manifest.shards[1].bytes) GTEST_SKIP();
  const auto set = ShardSet::open(folder.path());
  ASSERT_TRUE(set);
  const auto report = set->verify();
  ASSERT_TRUE(report);
  ASSERT_EQ(report->findings.size(), 1u);
  EXPECT_TRUE(report->findings[0].starts_with(manifest.shards[1].file));
}

TEST(SetFolder, ShardsOfKeysAreEvenAndHalveWhenTheyDouble) {
  std::vector<std::size_t> counts(8);
  for (Key key = 0; key < 80'000; ++key) {
    const std::size_t shard = shard_of_key(key, 5, 8);
    ASSERT_LT(shard, 8u);
    ++counts[shard];
    EXPECT_EQ(shard_of_key(key, 5, 16) / 2, shard);
  }
  for (const std::size_t count : counts) EXPECT_NEAR(static_cast<double>(count), 10'000, 400);
  EXPECT_EQ(shard_of_key(7, 0, 1), 0u);
  for (const std::size_t shards : {3u, 1000u, 65536u}) {
    // As 128 bits would have it.
    for (Key key = 0; key < 1000; ++key) {
      const double part = static_cast<double>(shard_of_key(key, 1, 1u << 20)) / (1u << 20);
      EXPECT_NEAR(static_cast<double>(shard_of_key(key, 1, shards)),
                  part * static_cast<double>(shards), 1.0);
    }
  }
}

ShardOptions for_writing() {
  ShardOptions options;
  options.open.mode = Mode::read_write;
  options.open.durability = Durability::none;
  return options;
}

TEST(SetFolder, ChangesOfHashShardsGoWhereTheKeyBelongs) {
  const TemporaryDirectory folder;
  const StoredVectors rows = rows_of(300);
  test::publish_hash_set(folder.path(), small_params(), rows, 3);
  auto before = ShardSet::open(folder.path());
  {
    auto set = ShardSet::open(folder.path(), for_writing());
    ASSERT_TRUE(set) << set.error().message();
    EXPECT_EQ(set->manifest().generation, 2u);
    EXPECT_EQ(ShardSet::open(folder.path(), for_writing()).error().code(), ErrorCode::path_in_use);
    ShardManifest mine = set->manifest();
    EXPECT_EQ(publish_shards(folder.path(), mine).error().code(), ErrorCode::path_in_use);
    EXPECT_EQ(before->publish(mine).error().code(), ErrorCode::read_only);
    for (std::size_t i = 0; i < 100; ++i) {
      ASSERT_TRUE(set->upsert(rows.floats.keys[i], rows.vector(299 - i)));
      ASSERT_TRUE(set->upsert(5'000'000 + i, rows.vector(i)));
      ASSERT_TRUE(set->remove(rows.floats.keys[100 + i]));
    }
    EXPECT_EQ(set->remove(rows.floats.keys[100]).error().code(), ErrorCode::key_not_found);
    EXPECT_EQ(set->size(), 300u);
    ASSERT_TRUE(set->sync());
    ASSERT_TRUE(set->checkpoint());
  }
  EXPECT_EQ(before->size(), 300u);
  EXPECT_TRUE(before->contains(rows.floats.keys[100]));  // it has the generation before
  auto set = ShardSet::open(folder.path(), for_writing());
  ASSERT_TRUE(set);
  EXPECT_EQ(set->manifest().generation, 2u);  // nothing is copied again
  EXPECT_TRUE(set->verify()->ok());
  std::vector<float> row(12);
  for (std::size_t i = 0; i < 100; ++i) {
    EXPECT_FALSE(set->contains(rows.floats.keys[100 + i]));
    ASSERT_TRUE(set->get(rows.floats.keys[i], row));
    EXPECT_TRUE(std::equal(row.begin(), row.end(), rows.floats.row(299 - i)));
    const Key key = 5'000'000 + i;
    EXPECT_TRUE(set->shard(shard_of_key(key, 0, 3))->contains(key));
  }
  auto reading = ShardSet::open(folder.path());
  ASSERT_TRUE(reading);
  EXPECT_EQ(reading->upsert(1, rows.vector(0)).error().code(), ErrorCode::read_only);
  ASSERT_TRUE(set->upsert(9, rows.vector(0)));
  ASSERT_TRUE(set->sync());
  EXPECT_FALSE(reading->contains(9));
  ASSERT_TRUE(reading->refresh());
  EXPECT_TRUE(reading->contains(9));
  ShardManifest next = set->manifest();
  ASSERT_TRUE(set->publish(next));
  EXPECT_EQ(read_shard_manifest(folder.path())->generation, 3u);
}

ShardManifest publish_rows_set(const fs::path& folder, const StoredVectors& rows,
                               std::size_t shards) {
  ShardManifest manifest;
  manifest.params = small_params();
  manifest.partition = Partition::rows;
  for (std::size_t shard = 0; shard < shards; ++shard) {
    // Every seventh row stands in the next shard, too.
    const Index index = test::index_of(small_params(), rows, [&](std::size_t row) {
      return row % shards == shard || (row % 7 == 0 && (row + 1) % shards == shard);
    });
    manifest.shards.push_back(add_shard_file(folder, index).value());
  }
  if (!publish_shards(folder, manifest)) std::abort();
  return manifest;
}

TEST(SetFolder, OtherSetsHaveAFreshShardThatIsAlwaysSearched) {
  const TemporaryDirectory folder;
  const StoredVectors rows = rows_of(300);
  publish_rows_set(folder.path(), rows, 3);
  {
    auto set = ShardSet::open(folder.path(), for_writing());
    ASSERT_TRUE(set) << set.error().message();
    EXPECT_EQ(set->shards(), 4u);
    EXPECT_TRUE(set->manifest().fresh.has_value());
    for (std::size_t i = 0; i < 50; ++i) {
      ASSERT_TRUE(set->upsert(rows.floats.keys[i], rows.vector(299 - i)));
      ASSERT_TRUE(set->remove(rows.floats.keys[100 + i]));
    }
    EXPECT_EQ(set->shard(3)->size(), 50u);
  }
  const auto set = ShardSet::open(folder.path());
  ASSERT_TRUE(set);
  // The whole set against one index of what it is to hold.
  auto one = test::index_of(small_params(), rows, [](std::size_t) { return true; });
  for (std::size_t i = 0; i < 50; ++i) {
    ASSERT_TRUE(one.upsert(rows.floats.keys[i], rows.vector(299 - i)));
    ASSERT_TRUE(one.remove(rows.floats.keys[100 + i]));
  }
  SearchParams params;
  params.plan = Plan::exact;
  for (std::size_t i = 0; i < 40; ++i) {
    const auto all = set->search(rows.vector(i), params);
    const auto wanted = one.search(rows.vector(i), params);
    ASSERT_TRUE(all && wanted);
    for (std::size_t m = 0; m < 10; ++m) {
      EXPECT_EQ((*all)[m].key, (*wanted)[m].key);
      EXPECT_EQ((*all)[m].distance, (*wanted)[m].distance);
    }
  }
}

TEST(SetFolder, AWriterThatEndedInBetweenLeavesNoOlderVector) {
  const TemporaryDirectory folder;
  const StoredVectors rows = rows_of(90);
  publish_rows_set(folder.path(), rows, 3);
  std::string fresh;
  {
    const auto set = ShardSet::open(folder.path(), for_writing());
    ASSERT_TRUE(set);
    fresh = set->manifest().fresh->file;
  }
  {
    OpenOptions options;
    options.mode = Mode::read_write;
    auto index = Index::open(folder / fresh, options);
    ASSERT_TRUE(index);
    ASSERT_TRUE(index->upsert(rows.floats.keys[0], rows.vector(50)));
  }
  const auto set = ShardSet::open(folder.path(), for_writing());
  ASSERT_TRUE(set);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_FALSE(set->shard(i)->contains(rows.floats.keys[0]));
  EXPECT_TRUE(set->shard(3)->contains(rows.floats.keys[0]));
}

// A key is found at every moment while its vector moves to the fresh shard.
TEST(SetFolder, SearchesForMoreThanThereIsEndBesideAnAdder) {
  const TemporaryDirectory folder;
  const StoredVectors rows = rows_of(300);
  test::publish_hash_set(folder.path(), small_params(), rows, 3);
  auto set = ShardSet::open(folder.path(), for_writing());
  ASSERT_TRUE(set) << set.error().message();
  Key next = 5'000'000;
  std::size_t asked = 0;  // for the first key: once a search
  const std::function<float(Key, VectorView)> add_one = [&](Key key, VectorView) {
    if (key == rows.floats.keys[0] && ++asked <= 50) {
      std::thread([&] { EXPECT_TRUE(set->upsert(next, rows.vector(0))); }).join();
      ++next;
    }
    return static_cast<float>(key);
  };
  SearchParams params;
  params.k = 10'000;
  params.ef = 1000;
  params.rerank = &add_one;
  const auto found = set->search(rows.vector(0), params);
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_GE(found->size(), 300u);
  EXPECT_GE(asked, 1u);
  EXPECT_LE(asked, 2u);
}

TEST(SetFolder, SearchesBesideAWriterMissNoKeyThatIsThere) {
  const TemporaryDirectory folder;
  const StoredVectors rows = rows_of(300);
  publish_rows_set(folder.path(), rows, 3);
  auto set = ShardSet::open(folder.path(), for_writing());
  ASSERT_TRUE(set);
  std::atomic<bool> stop{false};
  std::atomic<int> missed{0};
  std::thread reader([&] {
    SearchParams params;
    params.k = 1;
    params.plan = Plan::exact;
    while (!stop) {
      for (std::size_t i = 0; i < 300; ++i) {
        const auto found = set->search(rows.vector(i), params);
        if (!found || found->empty() || (*found)[0].key != rows.floats.keys[i]) ++missed;
      }
    }
  });
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < 300; ++i) {
      ASSERT_TRUE(set->upsert(rows.floats.keys[i], rows.vector(i)));
    }
  }
  stop = true;
  reader.join();
  EXPECT_EQ(missed, 0);
}

}  // namespace
}  // namespace cairn
