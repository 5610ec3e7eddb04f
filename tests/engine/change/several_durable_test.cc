// SPDX-License-Identifier: Apache-2.0
//
// Keys with several vectors in a file: a change of all vectors of a key is there as a whole after a
// crash, or not at all.
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <cairn/cairn.h>

#include "format/io/file.h"
#include "tests/support/crash_images.h"
#include "tests/support/memory_file_system.h"
#include "tests/support/recording_file_system.h"
#include "tests/support/temporary_directory.h"

namespace cairn {
namespace {

using test::DiskImage;

constexpr std::size_t kDims = 6;
using Model = std::map<Key, std::vector<std::vector<float>>>;

IndexParams some_params() {
  IndexParams params;
  params.dimensions = kDims;
  params.metric = Metric::l2sq;
  params.m = 4;
  params.ef_construction = 20;
  params.several_per_key = true;
  return params;
}

OpenOptions to_write() {
  OpenOptions options;
  options.mode = Mode::read_write;
  return options;
}

std::vector<float> vector_of(std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> vector(kDims);
  for (float& component : vector) component = static_cast<float>(random() % 2001) / 1000.0f - 1.0f;
  return vector;
}

// "" if the index holds that and is sound.
std::string difference(const Index& index, const Model& model) {
  const Stats stats = index.stats();
  if (stats.keys != model.size()) return std::to_string(stats.keys) + " keys";
  std::vector<float> got(kDims);
  for (const auto& [key, vectors] : model) {
    const std::string of_key = "key " + std::to_string(key);
    if (index.count(key) != vectors.size()) {
      return of_key + " has " + std::to_string(index.count(key)) + " vectors of " +
             std::to_string(vectors.size());
    }
    for (std::size_t i = 0; i < vectors.size(); ++i) {
      if (!index.get(key, i, got) || got != vectors[i]) return of_key + ": another vector";
      const auto found = index.search(vectors[i], {.k = 1, .ef = 32});
      if (!found || found->size() != 1 || (*found)[0].distance != 0) {
        return of_key + ": a vector is not found";
      }
    }
  }
  const auto report = index.verify();
  if (!report) return report.error().message();
  return report->findings.empty() ? "" : report->findings.front();
}

// One random change of both.
void change(Index& index, Model& model, std::uint32_t seed) {
  std::mt19937 random(seed);
  const Key key = random() % 12;
  const std::vector<float> vector = vector_of(seed);
  switch (random() % 8) {
    case 0: ASSERT_EQ(index.remove(key).has_value(), model.erase(key) == 1); break;
    case 1:
      ASSERT_TRUE(index.upsert(key, vector));
      model[key] = {vector};
      break;
    default: ASSERT_TRUE(index.add(key, vector)); model[key].push_back(vector);
  }
}

TEST(SeveralDurable, EveryCrashLeavesWholeChanges) {
  test::MemoryFileSystem memory;
  test::RecordingFileSystem recording(memory);
  std::vector<Model> models(1);
  std::vector<std::size_t> acknowledged;  // operations after which model i + 1 must not be lost
  std::vector<test::DiskOperation> operations;
  std::size_t created = 0;
  {
    const format::DefaultFileSystem in_place(recording);
    Index index = Index::create("/a", some_params()).value();
    created = recording.operations().size();
    for (std::uint32_t i = 0; i < 90; ++i) {
      models.push_back(models.back());
      change(index, models.back(), i + 1);
      if (i % 30 == 20) {
        ASSERT_TRUE(index.checkpoint());
      }
      acknowledged.push_back(recording.operations().size());
    }
    operations = recording.operations();
  }
  test::CrashOptions options;
  options.first = created;
  options.random_subsets = 1;
  std::size_t number = 0;
  std::size_t checked = 0;
  test::for_each_crash_image(
      {}, operations, options, [&](std::size_t done, const DiskImage& image) {
        if (++number % 7 != 0) return;
        test::MemoryFileSystem after;
        for (const auto& [path, bytes] : image) after.set(path, bytes);
        const format::DefaultFileSystem in_place(after);
        auto opened = Index::open("/a", to_write());
        ASSERT_TRUE(opened) << "after " << done << ": " << opened.error().message();
        std::size_t least = 0;
        while (least < acknowledged.size() && acknowledged[least] <= done) ++least;
        std::string problem;
        bool is_one = false;
        // The one that was under way may be there, too.
        for (std::size_t i = least; i < models.size() && i <= least + 1 && !is_one; ++i) {
          problem = difference(*opened, models[i]);
          is_one = problem.empty();
        }
        ASSERT_TRUE(is_one) << "after " << done << " operations: " << problem;
        ++checked;
      });
  EXPECT_GT(checked, 100u);
}

TEST(SeveralDurable, ChangesAreThereWhenTheFileIsOpenedAgain) {
  const test::TemporaryDirectory directory;
  const auto path = directory / "a";
  Model model;
  std::uint32_t seed = 1000;
  {
    Index index = Index::create(path, some_params(), {.durability = Durability::none}).value();
    for (int i = 0; i < 300; ++i) change(index, model, ++seed);
    ASSERT_EQ(difference(index, model), "");
  }
  for (int round = 0; round < 3; ++round) {
    OpenOptions options = to_write();
    options.durability = Durability::none;
    Index index = Index::open(path, options).value();
    EXPECT_TRUE(index.params().several_per_key);
    ASSERT_EQ(difference(index, model), "");
    for (int i = 0; i < 100; ++i) change(index, model, ++seed);
    if (round == 1) {
      ASSERT_TRUE(index.compact());
    }
    for (int i = 0; i < 50; ++i) change(index, model, ++seed);
    ASSERT_EQ(difference(index, model), "");
    ASSERT_TRUE(index.sync());
    Index reader = Index::open(path).value();
    EXPECT_EQ(difference(reader, model), "");
    for (int i = 0; i < 20; ++i) change(index, model, ++seed);
    ASSERT_TRUE(index.sync());
    ASSERT_TRUE(reader.refresh());
    EXPECT_EQ(difference(reader, model), "");
  }
}

TEST(SeveralDurable, AThousandVectorsOfAKeyAreOneChange) {
  const test::TemporaryDirectory directory;
  Index index =
      Index::create(directory / "a", some_params(), {.durability = Durability::none}).value();
  for (std::uint32_t i = 0; i < 1000; ++i) ASSERT_TRUE(index.add(1, vector_of(i)));
  for (std::uint32_t i = 0; i < 100; ++i) ASSERT_TRUE(index.add(2 + i, vector_of(5000 + i)));
  const std::uint64_t before = index.stats().log_frames;
  ASSERT_TRUE(index.upsert(1, vector_of(9999)));
  EXPECT_EQ(index.count(1), 1u);
  EXPECT_LE(index.stats().log_frames, before + 2);  // with one that leads to another segment
  Model model;
  model[1] = {vector_of(9999)};
  for (std::uint32_t i = 0; i < 100; ++i) model[2 + i] = {vector_of(5000 + i)};
  EXPECT_EQ(difference(index, model), "");
}

// A key of so many vectors that the lists of all of them, each counted for itself, would be more
// than a frame of the log holds.
class ALongKey : public testing::Test {
 protected:
  static constexpr std::uint32_t kVectors = 16'000;
  static constexpr std::uint32_t kOthers = 50;

  ALongKey() {
    IndexParams params = some_params();
    params.m = 32;
    index_ = Index::create(path(), params, {.durability = Durability::none}).value();
    std::vector<Key> keys;
    std::vector<float> rows;
    for (std::uint32_t i = 0; i < kVectors + kOthers; ++i) {
      keys.push_back(i < kVectors ? 1 : 2 + i - kVectors);
      const std::vector<float> vector = vector_of(i);
      rows.insert(rows.end(), vector.begin(), vector.end());
    }
    EXPECT_TRUE(index_->build(keys, MatrixView::f32(rows.data(), keys.size(), kDims)));
    EXPECT_EQ(index_->count(1), kVectors);
  }
  std::filesystem::path path() const { return directory_ / "a"; }
  static Model others() {
    Model model;
    for (std::uint32_t i = 0; i < kOthers; ++i) model[2 + i] = {vector_of(kVectors + i)};
    return model;
  }
  // Now, and when the file is opened again.
  void expect(const Model& model) {
    EXPECT_EQ(difference(*index_, model), "");
    index_.reset();
    index_ = Index::open(path(), to_write()).value();
    EXPECT_EQ(difference(*index_, model), "");
  }

  const test::TemporaryDirectory directory_;
  std::optional<Index> index_;
};

TEST_F(ALongKey, IsRemovedAsOneChange) {
  const auto removed = index_->remove(1);
  ASSERT_TRUE(removed) << removed.error().message();
  EXPECT_FALSE(index_->contains(1));
  expect(others());
}

TEST_F(ALongKey, IsReplacedAsOneChange) {
  const auto replaced = index_->upsert(1, vector_of(9'999'999));
  ASSERT_TRUE(replaced) << replaced.error().message();
  Model model = others();
  model[1] = {vector_of(9'999'999)};
  expect(model);
  ASSERT_TRUE(index_->add(1, vector_of(8'888'888)));
  model[1].push_back(vector_of(8'888'888));
  expect(model);
}

}  // namespace
}  // namespace cairn
