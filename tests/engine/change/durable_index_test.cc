// SPDX-License-Identifier: Apache-2.0
//
// An index that lives in a file: what was acknowledged is there when the file is opened again,
// after a clean end and after none.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <cairn/cairn.h>

#include "format/bytes/log_layout.h"
#include "format/io/file.h"
#include "tests/support/file_image.h"
#include "tests/support/memory_file_system.h"
#include "tests/support/recording_file_system.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

using test::TemporaryDirectory;
using test::Vectors;

constexpr std::size_t kDims = 12;

IndexParams params_of(Metric metric = Metric::l2sq) {
  IndexParams params;
  params.dimensions = kDims;
  params.metric = metric;
  params.m = 6;
  params.ef_construction = 40;
  return params;
}

Index create(const std::filesystem::path& path, Durability durability = Durability::none) {
  CreateOptions options;
  options.durability = durability;
  return Index::create(path, params_of(), options).value();
}

OpenOptions to_write(Durability durability = Durability::none) {
  OpenOptions options;
  options.mode = Mode::read_write;
  options.durability = durability;
  return options;
}

using Model = std::map<Key, std::vector<float>>;

std::vector<float> vector_of(std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> vector(kDims);
  for (float& component : vector) component = static_cast<float>(random() % 2001) / 1000.0f - 1.0f;
  return vector;
}

void expect_equal(const Index& index, const Model& model) {
  ASSERT_EQ(index.size(), model.size());
  std::vector<float> stored(kDims);
  for (const auto& [key, vector] : model) {
    const auto got = index.get(key, stored);
    ASSERT_TRUE(got) << got.error().message();
    ASSERT_EQ(stored, vector) << "key " << key;
    const auto found = index.search(vector, {.k = 1, .ef = 64});
    ASSERT_TRUE(found);
    ASSERT_EQ(found->size(), 1u);
    EXPECT_EQ((*found)[0].distance, 0) << "key " << key;
  }
  const auto report = index.verify();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->findings, std::vector<std::string>{});
  EXPECT_EQ(report->unreachable, 0u);
}

// One random change of both.
void change(Index& index, Model& model, std::uint32_t seed) {
  std::mt19937 random(seed);
  const Key key = random() % 200;
  const std::vector<float> vector = vector_of(seed);
  switch (random() % 4) {
    case 0: ASSERT_EQ(index.remove(key).has_value(), model.erase(key) == 1); break;
    case 1:
      ASSERT_TRUE(index.upsert(key, vector));
      model[key] = vector;
      break;
    default: ASSERT_EQ(index.add(key, vector).has_value(), model.emplace(key, vector).second);
  }
}

class DurableIndexIn : public testing::TestWithParam<Residency> {};

TEST_P(DurableIndexIn, KeepsEveryChangeWhenItIsOpenedAgain) {
  OpenOptions options = to_write();
  options.residency = GetParam();
  const TemporaryDirectory directory;
  const auto path = directory / "a";
  Model model;
  std::uint32_t seed = 0;
  {
    Index index = create(path);
    for (int i = 0; i < 300; ++i) change(index, model, ++seed);
    expect_equal(index, model);
  }
  for (int round = 0; round < 4; ++round) {
    auto index = Index::open(path, options);
    ASSERT_TRUE(index) << index.error().message();
    EXPECT_EQ(index->stats().recovered_frames, 0u);
    if (GetParam() == Residency::map) {
      EXPECT_EQ(index->stats().private_bytes, 0u);
    } else {
      EXPECT_GT(index->stats().private_bytes, index->size() * kDims * sizeof(float));
    }
    expect_equal(*index, model);
    for (int i = 0; i < 150; ++i) {
      change(*index, model, ++seed);
      if (i % 50 == 20) {
        ASSERT_TRUE(index->checkpoint());
      }
      if (round == 2 && i == 100) {
        ASSERT_TRUE(index->compact());
      }
    }
    expect_equal(*index, model);
  }
  const auto index = Index::open(path);
  ASSERT_TRUE(index);
  expect_equal(*index, model);
}

INSTANTIATE_TEST_SUITE_P(MapAndMemory, DurableIndexIn,
                         testing::Values(Residency::map, Residency::load), [](const auto& shown) {
                           return shown.param == Residency::map ? "Map" : "Memory";
                         });

// Each freed slot is logged, with one commit all that a change frees. A lap of the sweep leaves a
// hundred of them here.
TEST(DurableIndex, FreesAFewSlotsWithAChange) {
  const TemporaryDirectory directory;
  Index index = create(directory / "a");
  for (Key key = 0; key < 4000; ++key) {
    ASSERT_TRUE(index.add(key, vector_of(static_cast<std::uint32_t>(key))));
  }
  std::uint64_t freed = 0;
  for (Key key = 0; key < 600; ++key) {
    const std::uint64_t before = index.stats().deleted;
    ASSERT_TRUE(index.upsert(key, vector_of(static_cast<std::uint32_t>(5000 + key))));
    const std::uint64_t now = before + 1 - index.stats().deleted;
    EXPECT_LE(now, 16u);
    freed += now;
  }
  EXPECT_GE(freed, 300u);
}

TEST(DurableIndex, FreesTheTombstonesThatItIsOpenedWith) {
  const TemporaryDirectory directory;
  const auto path = directory / "a";
  Model model;
  {
    Index index = create(path);
    for (Key key = 0; key < 3000; ++key) {
      model[key] = vector_of(static_cast<std::uint32_t>(key));
      ASSERT_TRUE(index.add(key, model[key]));
    }
    for (Key key = 0; key < 60; ++key) {
      ASSERT_TRUE(index.remove(key * 41));
      model.erase(key * 41);
    }
    ASSERT_GE(index.stats().deleted, 50u);
  }
  Index index = Index::open(path, to_write()).value();
  // Into free slots before the sweep, and out of those that it has passed and has not.
  for (std::uint32_t i = 0; i < 400; ++i) {
    const Key key = i < 200 ? i % 20 : (i * 41) % 3000;
    if (model.erase(key) == 1) {
      ASSERT_TRUE(index.remove(key));
    } else {
      model[key] = vector_of(i);
      ASSERT_TRUE(index.add(key, model[key]));
    }
  }
  expect_equal(index, model);
  for (std::uint32_t i = 0; i < 400; ++i) {
    model[3000] = vector_of(i);
    ASSERT_TRUE(index.upsert(3000, model[3000]));
  }
  expect_equal(index, model);
  // Those of the last two laps are left, and slot 0.
  EXPECT_LT(index.stats().deleted, 210u);
}

TEST(DurableIndex, IsWholeInACopyThatWasTakenWithoutClosing) {
  const TemporaryDirectory directory;
  const auto path = directory / "a";
  Model model;
  Index index = create(path, Durability::sync);
  for (std::uint32_t seed = 1; seed <= 400; ++seed) {
    change(index, model, seed);
    if (seed == 200) {
      ASSERT_TRUE(index.checkpoint());
    }
    if (seed % 80 != 0) continue;
    const auto copy = directory / ("copy" + std::to_string(seed));
    std::filesystem::copy_file(path, copy);
    const auto reader = Index::open(copy);
    ASSERT_TRUE(reader) << reader.error().message();
    expect_equal(*reader, model);
    const auto writer = Index::open(copy, to_write());
    ASSERT_TRUE(writer) << writer.error().message();
    EXPECT_GT(writer->stats().recovered_frames, 0u);
    expect_equal(*writer, model);
  }
}

// Each file is what a killed writer leaves of the one before.
TEST(DurableIndex, DoesNotGrowWithEveryWriterThatIsKilled) {
  const TemporaryDirectory directory;
  const auto file = [&](int life) { return directory / std::to_string(life); };
  { const Index index = create(file(0)); }
  std::uintmax_t after_three = 0;
  for (int life = 0; life < 20; ++life) {
    auto index = Index::open(file(life), to_write(Durability::sync));
    ASSERT_TRUE(index) << index.error().message();
    ASSERT_TRUE(index->upsert(1, vector_of(static_cast<std::uint32_t>(life))));
    std::filesystem::copy_file(file(life), file(life + 1));
    if (life == 3) after_three = std::filesystem::file_size(file(life));
  }
  EXPECT_EQ(std::filesystem::file_size(file(20)), after_three);
}

std::string bytes_of(const std::filesystem::path& path, std::size_t from, std::size_t most) {
  std::ifstream file(path, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(from));
  std::string bytes(most, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(most));
  bytes.resize(static_cast<std::size_t>(file.gcount()));
  return bytes;
}

// Each writer replaces vectors, so that no run is added, and ends before the copy does.
TEST(DurableIndex, IsRefusedInACopyThatWritersOvertook) {
  const TemporaryDirectory directory;
  const auto path = directory / "a.cairn";
  const auto copy = directory / "copy.cairn";
  constexpr std::size_t kAll = std::size_t{1} << 30;
  const Vectors vectors = test::random_vectors(3000, kDims, 1);
  ASSERT_TRUE(test::built(params_of(), vectors).save(path));
  for (int writers = 0; writers < 4; ++writers) {
    // The first time the file is as `save` has made it.
    std::string bytes = bytes_of(path, 0, std::size_t{300} << 10);
    for (int writer = 0; writer < writers; ++writer) {
      Index index = Index::open(path, to_write()).value();
      for (std::uint32_t i = 0; i < 500; ++i) {
        const std::size_t row = (i + static_cast<std::uint32_t>(writer) * 500) % vectors.rows();
        ASSERT_TRUE(index.upsert(vectors.keys[row], VectorView(vector_of(i))));
      }
    }
    bytes += bytes_of(path, bytes.size(), kAll);
    std::ofstream(copy, std::ios::binary) << bytes;
    const auto opened = Index::open(copy);
    if (writers == 0) {
      ASSERT_TRUE(opened) << opened.error().message();
      EXPECT_TRUE(opened->verify()->findings.empty());
    } else {
      ASSERT_FALSE(opened) << writers;
      EXPECT_TRUE(opened.error().code() == ErrorCode::corrupt ||
                  opened.error().code() == ErrorCode::truncated)
          << opened.error().message();
    }
    // Copied at rest it opens.
    std::filesystem::copy_file(path, copy, std::filesystem::copy_options::overwrite_existing);
    EXPECT_TRUE(Index::open(copy, to_write()));
  }
}

TEST(DurableIndex, LosesNothingAcknowledgedWhenItsProcessIsKilled) {
  const TemporaryDirectory directory;
  const auto path = directory / "a";
  Model model;
  { Index index = create(path, Durability::sync); }
  for (std::uint32_t kill = 0; kill < 10; ++kill) {
    int acknowledged[2];
    ASSERT_EQ(::pipe(acknowledged), 0);
    const std::uint32_t first = kill * 100000;
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto index = Index::open(path, to_write(Durability::sync));
      if (!index) ::_exit(1);
      for (std::uint32_t i = 0;; ++i) {
        if (!index->upsert((first + i) % 500, vector_of(first + i))) ::_exit(2);
        if (i == 100 && !index->checkpoint()) ::_exit(3);
        if (::write(acknowledged[1], &i, sizeof i) != sizeof i) ::_exit(4);
      }
    }
    ::close(acknowledged[1]);
    std::uint32_t last = 0;
    while (last < 60 + kill * 13 && ::read(acknowledged[0], &last, sizeof last) == sizeof last) {
    }
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "exit status " << WEXITSTATUS(status);
    while (::read(acknowledged[0], &last, sizeof last) == sizeof last) {
    }
    ::close(acknowledged[0]);
    for (std::uint32_t i = 0; i <= last; ++i) model[(first + i) % 500] = vector_of(first + i);

    auto index = Index::open(path, to_write());
    ASSERT_TRUE(index) << index.error().message();
    // The change that was under way may be there or not.
    const Key key = (first + last + 1) % 500;
    std::vector<float> stored(kDims);
    if (index->get(key, stored) && stored == vector_of(first + last + 1)) model[key] = stored;
    expect_equal(*index, model);
  }
}

// Of a log whose first frame behind the checkpoint cannot be read any more.
TEST(DurableIndex, TellsWhatASalvageHasGivenUp) {
  const TemporaryDirectory directory;
  std::uint64_t kept_lsn = 0;
  std::uint64_t last_lsn = 0;
  test::Bytes bytes;
  {
    Index index = create(directory / "a", Durability::sync);
    for (Key key = 0; key < 10; ++key) ASSERT_TRUE(index.add(key, vector_of(1)));
    ASSERT_TRUE(index.checkpoint());
    kept_lsn = index.stats().last_lsn;
    for (Key key = 10; key < 40; ++key) ASSERT_TRUE(index.add(key, vector_of(2)));
    last_lsn = index.stats().last_lsn;
    EXPECT_EQ(index.stats().first_lost_lsn, 0u);
    bytes = test::read_bytes(directory / "a");
  }
  const std::uint64_t log = test::superblock_of(bytes).log_offset;
  bytes[log + format::segment_at::kSize + format::frame_at::kSize] ^= std::byte{1};
  test::write_bytes(directory / "damaged", bytes);

  const auto expect_told = [&](const Result<Index>& index) {
    ASSERT_TRUE(index) << index.error().message();
    EXPECT_EQ(index->size(), 10u);
    const Stats stats = index->stats();
    EXPECT_EQ(stats.first_lost_lsn, kept_lsn + 1);
    EXPECT_EQ(stats.last_lost_lsn, last_lsn);
    EXPECT_EQ(stats.lost_frames, last_lsn - kept_lsn);
    EXPECT_EQ(stats.live_before_loss, 40u);
    EXPECT_EQ(stats.recovered_frames, 0u);
  };
  for (const Mode mode : {Mode::read_only, Mode::read_write}) {
    OpenOptions options;
    options.mode = mode;
    const auto refused = Index::open(directory / "damaged", options);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), ErrorCode::data_loss) << refused.error().message();
    options.salvage = true;
    expect_told(Index::open(directory / "damaged", options));
  }
  // Once a writer has salvaged it there is nothing to tell any more.
  const auto again = Index::open(directory / "damaged");
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(again->size(), 10u);
  EXPECT_EQ(again->stats().first_lost_lsn, 0u);
  EXPECT_EQ(again->stats().lost_frames, 0u);
}

TEST(DurableIndex, RefusesGroupsOfNoTime) {
  const TemporaryDirectory directory;
  CreateOptions options;
  options.durability = Durability::group;
  options.group_ms = 0;
  EXPECT_EQ(Index::create(directory / "a", params_of(), options).error().code(),
            ErrorCode::invalid_argument);
  EXPECT_FALSE(std::filesystem::exists(directory / "a"));
  options.group_ms = 1;
  ASSERT_TRUE(Index::create(directory / "a", params_of(), options));
  OpenOptions opening = to_write(Durability::group);
  opening.group_ms = 0;
  EXPECT_EQ(Index::open(directory / "a", opening).error().code(), ErrorCode::invalid_argument);
  opening.durability = Durability::sync;  // which has no groups
  EXPECT_TRUE(Index::open(directory / "a", opening));
}

TEST(DurableIndex, IsWrittenByOneHandleAlone) {
  const TemporaryDirectory directory;
  const auto path = directory / "a";
  Index index = create(path);
  ASSERT_TRUE(index.add(1, vector_of(1)));
  const auto second = Index::open(path, to_write());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), ErrorCode::path_in_use);
  const auto again = Index::create(path, params_of());
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code(), ErrorCode::path_exists);
  const auto saved = index.save(path);
  ASSERT_FALSE(saved);
  EXPECT_EQ(saved.error().code(), ErrorCode::path_in_use);
  auto memory = Index::create(params_of());
  ASSERT_TRUE(memory);
  const auto over = memory->save(path);
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().code(), ErrorCode::path_in_use);
  EXPECT_TRUE(index.add(2, vector_of(2)));
}

TEST(DurableIndex, BacksUpWhatItHolds) {
  const TemporaryDirectory directory;
  Model model;
  Index index = create(directory / "a");
  for (std::uint32_t seed = 1; seed <= 200; ++seed) change(index, model, seed);
  ASSERT_TRUE(index.set_applied_up_to(7));
  ASSERT_TRUE(index.backup(directory / "b"));
  change(index, model, 201);
  const auto backup = Index::open(directory / "b");
  ASSERT_TRUE(backup);
  EXPECT_EQ(backup->applied_up_to().value(), 7u);
  EXPECT_EQ(backup->stats().log_bytes, 0u);
  EXPECT_TRUE(backup->verify()->ok());
}

TEST(DurableIndex, CompactsIntoASmallerFileWhileItIsSearched) {
  const TemporaryDirectory directory;
  const auto path = directory / "a";
  Model model;
  Index index = create(path);
  for (Key key = 0; key < 2000; ++key) {
    const auto vector = vector_of(static_cast<std::uint32_t>(key));
    ASSERT_TRUE(index.add(key, vector));
    if (key % 10 == 0) model[key] = vector;
  }
  for (Key key = 0; key < 2000; ++key) {
    if (key % 10 != 0) {
      ASSERT_TRUE(index.remove(key));
    }
  }
  ASSERT_TRUE(index.checkpoint());
  const auto before = std::filesystem::file_size(path);
  std::atomic<bool> stop{false};
  std::atomic<bool> failed{false};
  std::thread searcher([&] {
    while (!stop) {
      const auto found = index.search(vector_of(40), {.k = 1, .ef = 64});
      if (!found || found->size() != 1 || (*found)[0].key != 40) failed = true;
    }
  });
  const auto compacted = index.compact();
  stop = true;
  searcher.join();
  ASSERT_TRUE(compacted) << compacted.error().message();
  EXPECT_FALSE(failed);
  EXPECT_EQ(index.stats().deleted, 0u);
  EXPECT_EQ(index.stats().slots, 200u);
  expect_equal(index, model);
  ASSERT_TRUE(index.add(5000, vector_of(5000)));
  model[5000] = vector_of(5000);
  index = Index::create(params_of()).value();  // closes the file
  EXPECT_LT(std::filesystem::file_size(path), before / 2);
  auto opened = Index::open(path, to_write());
  ASSERT_TRUE(opened);
  expect_equal(*opened, model);
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry :
       std::filesystem::directory_iterator(path.parent_path())) {
    ++files;
  }
  EXPECT_EQ(files, 1u);
}

TEST(DurableIndex, ErasesTheFileThatCompactingReplacesBesideReaders) {
  const TemporaryDirectory directory;
  const auto path = directory / "a";
  Model model;
  Index index = create(path);
  for (Key key = 0; key < 300; ++key) {
    const auto vector = vector_of(static_cast<std::uint32_t>(key));
    ASSERT_TRUE(index.add(key, vector));
    if (key % 3 == 0) model[key] = vector;
  }
  for (Key key = 0; key < 300; ++key) {
    if (key % 3 != 0) {
      ASSERT_TRUE(index.remove(key));
    }
  }
  ASSERT_TRUE(index.checkpoint());
  const Index reader = Index::open(path).value();
  std::ifstream old(path, std::ios::binary);
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  const auto search = [&](const Index& searched) {
    while (!stop) {
      const auto found = searched.search(vector_of(42), {.k = 1, .ef = 64});
      const bool is_right = found && found->size() == 1 && (*found)[0].key == 42;
      const bool is_busy = !found && found.error().code() == ErrorCode::busy;
      if (!is_right && !is_busy) ++wrong;
    }
  };
  std::thread inside([&] { search(index); });
  std::thread outside([&] { search(reader); });
  BuildOptions options;
  options.erase = true;
  const auto compacted = index.compact(options);
  stop = true;
  inside.join();
  outside.join();
  ASSERT_TRUE(compacted) << compacted.error().message();
  EXPECT_EQ(wrong, 0);
  expect_equal(reader, model);
  expect_equal(index, model);
  const std::string bytes{std::istreambuf_iterator<char>(old), {}};
  EXPECT_GT(bytes.size(), 100'000u);
  // All but the mark for readers in the runtime block.
  EXPECT_LE(bytes.size() - static_cast<std::size_t>(std::count(bytes.begin(), bytes.end(), 0)),
            32u);
}

TEST(DurableIndex, EraseRefusesAFileWithOtherNames) {
  const TemporaryDirectory directory;
  Index index = create(directory / "a");
  ASSERT_TRUE(index.add(1, vector_of(1)));
  std::filesystem::create_hard_link(directory / "a", directory / "b");
  BuildOptions options;
  options.erase = true;
  const auto refused = index.compact(options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::unsupported);
  EXPECT_TRUE(index.contains(1));
  EXPECT_TRUE(index.add(2, vector_of(2)));
  EXPECT_TRUE(index.compact());
}

TEST(DurableIndex, WritesNothingMoreToTheFileThatCompactingOrBuildingHasReplaced) {
  using Kind = test::DiskOperation::Kind;
  test::MemoryFileSystem memory;
  test::RecordingFileSystem recording(memory);
  const format::DefaultFileSystem in_place(recording);
  const Vectors vectors = test::random_vectors(50, kDims, 3);
  const auto matrix = MatrixView::f32(vectors.values.data(), vectors.rows(), kDims);
  Index index = create("/a", Durability::sync);
  const auto replaces = [&](const Result<void>& done) {
    ASSERT_TRUE(done) << done.error().message();
    const auto& operations = recording.operations();
    ASSERT_GT(operations.size(), 2u);
    EXPECT_EQ(operations.back().kind, Kind::sync_directory);
    EXPECT_EQ(operations[operations.size() - 2].kind, Kind::rename);
  };
  replaces(index.build(vectors.keys, matrix));
  for (Key key = 100; key < 130; ++key) ASSERT_TRUE(index.add(key, vector_of(7)));
  replaces(index.compact());
}

TEST(DurableIndex, CompactingAndBuildingReplaceNoOtherFileThatStandsThereByNow) {
  const TemporaryDirectory directory;
  const auto path = directory / "p";
  const Vectors data = test::random_vectors(20, kDims, 3);
  const auto matrix = MatrixView::f32(data.values.data(), data.rows(), kDims);
  for (const bool builds : {false, true}) {
    auto mine = create(path);
    if (!builds) {
      ASSERT_TRUE(mine.build(data.keys, matrix));
    }
    const auto replace = [&] { return builds ? mine.build(data.keys, matrix) : mine.compact(); };
    std::filesystem::rename(path, directory / "q");
    const auto gone = replace();
    ASSERT_FALSE(gone);
    EXPECT_EQ(gone.error().code(), ErrorCode::path_not_found) << gone.error().message();
    auto other = create(path);
    ASSERT_TRUE(other.add(7000, std::vector<float>(kDims, 1)));
    const auto replaced = replace();
    ASSERT_FALSE(replaced);
    EXPECT_EQ(replaced.error().code(), ErrorCode::path_exists) << replaced.error().message();
    ASSERT_TRUE(other.add(7001, std::vector<float>(kDims, 2)));
    ASSERT_TRUE(other.sync());
    EXPECT_EQ(Index::open(path).value().size(), 2u);
    const auto added = mine.add(7000, std::vector<float>(kDims, 1));
    EXPECT_TRUE(added) << added.error().message();
    std::filesystem::remove(path);
    std::filesystem::remove(directory / "q");
  }
}

TEST(DurableIndex, CompactingKeepsThePermissionsOfAFileWithALongName) {
  const TemporaryDirectory directory;
  const auto path = directory / std::string(250, 'n');
  Index index = create(path);
  ASSERT_TRUE(index.add(1, vector_of(1)));
  const auto mine = std::filesystem::perms::owner_read | std::filesystem::perms::owner_write;
  std::filesystem::permissions(path, mine);
  ASSERT_TRUE(index.compact());
  EXPECT_EQ(std::filesystem::status(path).permissions(), mine);
  EXPECT_TRUE(index.contains(1));
}

TEST(DurableIndex, BuildsIntoAnEmptyFile) {
  const TemporaryDirectory directory;
  const auto path = directory / "a";
  const Vectors vectors = test::random_vectors(700, kDims, 3);
  const auto matrix = MatrixView::f32(vectors.values.data(), vectors.rows(), kDims);
  {
    Index index = create(path);
    ASSERT_TRUE(index.build(vectors.keys, matrix));
    EXPECT_EQ(index.size(), 700u);
    const auto again = index.build(vectors.keys, matrix);
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code(), ErrorCode::not_empty);
    ASSERT_TRUE(index.add(100000, vector_of(1)));
  }
  auto index = Index::open(path, to_write());
  ASSERT_TRUE(index);
  EXPECT_EQ(index->size(), 701u);
  EXPECT_EQ(index->verify()->findings, std::vector<std::string>{});
  EXPECT_EQ(index->verify()->unreachable, 0u);

  Index cancelled = create(directory / "b");
  std::atomic<bool> stop{true};
  BuildOptions options;
  options.stop = &stop;
  EXPECT_EQ(cancelled.build(vectors.keys, matrix, options).error().code(), ErrorCode::cancelled);
  EXPECT_EQ(cancelled.size(), 0u);
  EXPECT_TRUE(cancelled.add(1, vector_of(1)));
}

TEST(DurableIndex, KeepsTheHostsLogPosition) {
  const TemporaryDirectory directory;
  const auto path = directory / "a";
  {
    Index index = create(path);
    EXPECT_EQ(index.applied_up_to().value(), 0u);
    ASSERT_TRUE(index.set_applied_up_to(41));
    ASSERT_TRUE(index.add(1, vector_of(1)));
    ASSERT_TRUE(index.set_applied_up_to(42));
    ASSERT_TRUE(index.compact());
  }
  const auto reader = Index::open(path);
  ASSERT_TRUE(reader);
  EXPECT_EQ(reader->applied_up_to().value(), 42u);
  auto writer = Index::open(path, to_write());
  ASSERT_TRUE(writer);
  EXPECT_EQ(writer->applied_up_to().value(), 42u);
}

TEST(DurableIndex, RefreshesAReaderOnceTheWriterHasClosed) {
  const TemporaryDirectory directory;
  const auto path = directory / "a";
  Model model;
  {
    Index index = create(path);
    for (std::uint32_t seed = 1; seed <= 100; ++seed) change(index, model, seed);
  }
  auto reader = Index::open(path);
  ASSERT_TRUE(reader);
  expect_equal(*reader, model);
  {
    Index index = Index::open(path, to_write()).value();
    for (std::uint32_t seed = 101; seed <= 200; ++seed) change(index, model, seed);
  }
  const auto refreshed = reader->refresh();
  ASSERT_TRUE(refreshed) << refreshed.error().message();
  expect_equal(*reader, model);
}

// What a reader does with all of the file, and its searches on a newer state, do not wait for each
// other.
TEST(DurableIndex, IsSearchedWhileAReaderVerifiesAndSavesIt) {
  const TemporaryDirectory directory;
  const auto path = directory / "a";
  Index writer = create(path);
  for (Key key = 0; key < 500; ++key) {
    ASSERT_TRUE(writer.add(key, vector_of(static_cast<std::uint32_t>(key))));
  }
  ASSERT_TRUE(writer.checkpoint());
  const Index reader = Index::open(path).value();
  std::atomic<bool> done{false};
  BuildOptions options;
  options.threads = 1;
  options.progress = [&](std::size_t, std::size_t) {
    if (done.exchange(true)) return;
    for (Key key = 0; key < 500; ++key) ASSERT_TRUE(writer.upsert(key, vector_of(9000)));
    ASSERT_TRUE(writer.checkpoint());
    const auto found = reader.search(vector_of(9000), {.k = 1, .ef = 64});
    ASSERT_TRUE(found) << found.error().message();
    EXPECT_EQ(found->at(0).distance, 0);
    EXPECT_TRUE(reader.save(directory / "b"));
    EXPECT_TRUE(reader.warm());
  };
  const auto report = reader.verify(options);
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_TRUE(done);
  EXPECT_EQ(report->findings, std::vector<std::string>{});
  EXPECT_EQ(report->nodes_checked, reader.stats().slots);
  expect_equal(Index::open(directory / "b").value(), [] {
    Model model;
    for (Key key = 0; key < 500; ++key) model[key] = vector_of(9000);
    return model;
  }());
}

TEST(DurableIndex, TakesChangesOfManyThreadsAndCheckpointsMeanwhile) {
  const TemporaryDirectory directory;
  const auto path = directory / "a";
  constexpr Key kEach = 120;
  Model model;
  {
    Index index = create(path, Durability::group);
    std::atomic<int> failures{0};
    std::vector<std::thread> threads;
    for (Key thread = 0; thread < 3; ++thread) {
      threads.emplace_back([&, thread] {
        for (Key i = 0; i < kEach; ++i) {
          const Key key = thread * kEach + i;
          const auto vector = vector_of(static_cast<std::uint32_t>(key));
          if (!index.add(key, vector)) ++failures;
          if (i % 3 == 0 && !index.remove(key)) ++failures;
        }
      });
    }
    threads.emplace_back([&] {
      for (int i = 0; i < 10; ++i) {
        if (!index.checkpoint()) ++failures;
        const auto report = index.verify();
        if (!report || !report->ok()) ++failures;
      }
    });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(failures, 0);
  }
  for (Key key = 0; key < 3 * kEach; ++key) {
    if (key % kEach % 3 != 0) model[key] = vector_of(static_cast<std::uint32_t>(key));
  }
  auto index = Index::open(path, to_write());
  ASSERT_TRUE(index);
  expect_equal(*index, model);
}

}  // namespace
}  // namespace cairn
