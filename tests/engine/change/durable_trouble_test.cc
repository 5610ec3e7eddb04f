// SPDX-License-Identifier: Apache-2.0
//
// Everything that is done to an index in a file, with the n-th allocation or the n-th call of the
// file system failing, once and for ever, for every n. What fails says so and has changed nothing,
// or the handle is poisoned; nothing that was acknowledged is lost; then all goes on.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>
#include <map>
#include <numeric>
#include <optional>
#include <ostream>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include <cairn/cairn.h>

#include "engine/api/index_parts.h"
#include "format/container/writable_container.h"
#include "tests/support/failing_allocations.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/memory_file_system.h"

namespace cairn {
namespace {

using test::Fault;
using Bytes = std::vector<std::byte>;

const std::filesystem::path kPath = "/a";
const std::filesystem::path kCopy = "/b";
constexpr std::size_t kDims = 5;
constexpr Key kKeys = 90;

struct Model {
  std::map<Key, std::vector<float>> vectors;
  std::uint64_t applied_up_to = 0;
  bool operator==(const Model&) const = default;
};

std::vector<float> vector_of(std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> vector(kDims);
  for (float& component : vector) component = static_cast<float>(random() % 2001) / 1000.0f - 1.0f;
  return vector;
}

// What operations use, so that they need no memory of the test.
const std::vector<std::vector<float>> kVectors = [] {
  std::vector<std::vector<float>> vectors;
  for (std::uint32_t i = 0; i < 40; ++i) vectors.push_back(vector_of(i));
  return vectors;
}();
const std::vector<float> kNew = vector_of(999);
const std::vector<Key> kBuilt = [] {
  std::vector<Key> keys(kVectors.size());
  std::iota(keys.begin(), keys.end(), Key{0});
  return keys;
}();
const std::vector<float> kRows = [] {
  std::vector<float> rows;
  for (const auto& vector : kVectors) rows.insert(rows.end(), vector.begin(), vector.end());
  return rows;
}();

IndexParams params() {
  IndexParams params;
  params.dimensions = kDims;
  params.metric = Metric::l2sq;
  params.m = 3;
  params.ef_construction = 20;
  return params;
}

OpenOptions to_write() {
  OpenOptions options;
  options.mode = Mode::read_write;
  return options;
}

Model model_of(const Index& index) {
  Model model;
  std::vector<float> out(kDims);
  for (Key key = 0; key < 2 * kKeys; ++key) {
    if (index.get(key, out)) model.vectors[key] = out;
  }
  EXPECT_EQ(index.size(), model.vectors.size());
  model.applied_up_to = index.applied_up_to().value();
  return model;
}

std::vector<std::string> findings_of(const Index& index) {
  BuildOptions options;
  options.threads = 1;
  const auto report = index.verify(options);
  if (!report) return {report.error().message()};
  if (report->unreachable != 0) return {std::to_string(report->unreachable) + " unreachable"};
  return report->findings;
}

// A disk, small files, and what is open on it.
struct Scene {
  test::MemoryFileSystem memory;
  test::FaultyFileSystem faulty{memory, {}};
  format::DefaultFileSystem in_place{faulty};
  std::optional<Index> index;

  static format::WriteOptions small() {
    format::WriteOptions sizes;
    sizes.segment_bytes = 16 << 10;
    sizes.first_run_bytes = format::kPageSize;
    sizes.section_addresses = 64 << 20;
    return sizes;
  }

  Result<void> create() { return take(IndexParts::create(kPath, params(), {}, small())); }
  Result<void> open(const OpenOptions& options) {
    return take(IndexParts::open(kPath, options, small()));
  }

 private:
  Result<void> take(Result<Index> made) {
    if (!made) return made.error();
    index.emplace(std::move(*made));
    return {};
  }
};

// A file and what it holds.
struct Made {
  Bytes file;
  Model model;
};

void fill(Index& index, Model& model, std::uint32_t first, std::uint32_t changes) {
  for (std::uint32_t i = first; i < first + changes; ++i) {
    const Key key = i * 37 % kKeys;
    if (i % 5 == 3) {
      if (index.remove(key).has_value() != (model.vectors.erase(key) == 1)) std::abort();
      continue;
    }
    model.vectors[key] = vector_of(i);
    if (!index.upsert(key, model.vectors[key])) std::abort();
  }
}

// [0] empty, [1] closed, [2] not closed: with a log, made from [1].
const std::array<Made, 3>& made() {
  static const std::array<Made, 3> files = [] {
    std::array<Made, 3> all;
    Scene scene;
    if (!scene.create()) std::abort();
    scene.index.reset();
    all[0].file = scene.memory.get(kPath);
    if (!scene.open(to_write())) std::abort();
    Model model;
    fill(*scene.index, model, 1, 140);
    scene.index.reset();
    all[1] = {scene.memory.get(kPath), model};
    if (!scene.open(to_write())) std::abort();
    fill(*scene.index, model, 200, 20);
    all[2] = {scene.memory.get(kPath), model};
    return all;
  }();
  return files;
}

enum class Start { nothing, empty, closed, unclosed };

struct Operation {
  const char* name;
  Start start;   // the file that is there
  bool is_open;  // for writing, before it begins
  std::function<Result<void>(Scene&)> act;
  std::function<void(Model&)> effect;  // on what is in the index
};

void PrintTo(const Operation& operation, std::ostream* out) { *out << operation.name; }

std::vector<Operation> operations() {
  const auto nothing = [](Model&) {};
  const auto open = [](Residency residency, Mode mode) {
    return [=](Scene& scene) {
      OpenOptions options;
      options.residency = residency;
      options.mode = mode;
      return scene.open(options);
    };
  };
  const auto build = [](Scene& scene) {
    BuildOptions options;
    options.threads = 1;
    return scene.index->build(kBuilt, MatrixView::f32(kRows.data(), kBuilt.size(), kDims), options);
  };
  return {
      {"create", Start::nothing, false, [](Scene& scene) { return scene.create(); }, nothing},
      {"open_to_write", Start::closed, false, open(Residency::map, Mode::read_write), nothing},
      {"recover", Start::unclosed, false, open(Residency::map, Mode::read_write), nothing},
      {"recover_into_memory", Start::unclosed, false, open(Residency::load, Mode::read_write),
       nothing},
      {"open_to_read", Start::unclosed, false, open(Residency::map, Mode::read_only), nothing},
      {"load", Start::unclosed, false, open(Residency::load, Mode::read_only), nothing},
      {"add", Start::closed, true, [](Scene& scene) { return scene.index->add(kKeys + 3, kNew); },
       [](Model& model) { model.vectors[kKeys + 3] = kNew; }},
      {"first_add", Start::empty, true, [](Scene& scene) { return scene.index->add(3, kNew); },
       [](Model& model) { model.vectors[3] = kNew; }},
      {"upsert", Start::closed, true, [](Scene& scene) { return scene.index->upsert(37, kNew); },
       [](Model& model) { model.vectors[37] = kNew; }},
      {"remove", Start::closed, true, [](Scene& scene) { return scene.index->remove(37); },
       [](Model& model) { model.vectors.erase(37); }},
      {"set_applied_up_to", Start::closed, true,
       [](Scene& scene) { return scene.index->set_applied_up_to(77); },
       [](Model& model) { model.applied_up_to = 77; }},
      {"changes_in_new_segments", Start::closed, true,
       [](Scene& scene) {
         Result<void> done;
         for (std::uint32_t i = 0; done && i < 12; ++i) done = scene.index->upsert(37, kVectors[i]);
         return done;
       },
       [](Model& model) { model.vectors[37] = kVectors[11]; }},
      {"sync", Start::closed, true, [](Scene& scene) { return scene.index->sync(); }, nothing},
      {"checkpoint", Start::unclosed, true, [](Scene& scene) { return scene.index->checkpoint(); },
       nothing},
      {"compact", Start::closed, true, [](Scene& scene) { return scene.index->compact(); },
       nothing},
      {"build", Start::empty, true, build,
       [](Model& model) {
         for (const Key key : kBuilt) model.vectors[key] = kVectors[key];
       }},
      {"save", Start::closed, true, [](Scene& scene) { return scene.index->save(kCopy); }, nothing},
      {"backup", Start::unclosed, true, [](Scene& scene) { return scene.index->backup(kCopy); },
       nothing},
      {"close", Start::closed, true,
       [](Scene& scene) -> Result<void> {
         scene.index.reset();
         return {};
       },
       nothing}};
}

// What goes wrong: an allocation (error ENOMEM is not a call's then), or a call with an error.
struct Trouble {
  const char* name;
  bool is_allocation;
  int error;
  Fault::Lasts lasts;
};

void PrintTo(const Trouble& trouble, std::ostream* out) { *out << trouble.name; }

constexpr Trouble kTroubles[] = {
    {"allocation_once", true, 0, Fault::Lasts::once},
    {"allocation_for_ever", true, 0, Fault::Lasts::forever},
    {"EIO_once", false, EIO, Fault::Lasts::once},
    {"EIO_for_ever", false, EIO, Fault::Lasts::forever},
    {"ENOSPC_once", false, ENOSPC, Fault::Lasts::once},
    {"ENOSPC_for_ever", false, ENOSPC, Fault::Lasts::forever},
    {"ENOMEM_once", false, ENOMEM, Fault::Lasts::once},
    {"EINTR_once", false, EINTR, Fault::Lasts::once},
    {"short_transfers", false, 0, Fault::Lasts::forever},
};

class DurableTrouble : public testing::TestWithParam<std::tuple<Operation, Trouble>> {
 protected:
  struct Attempt {
    bool happened = false;
    Result<void> done;
  };

  const Operation& operation() const { return std::get<0>(GetParam()); }
  const Trouble& trouble() const { return std::get<1>(GetParam()); }
  bool is_once() const { return trouble().lasts == Fault::Lasts::once; }
  bool is_harmless() const {
    return !trouble().is_allocation && (trouble().error == EINTR || trouble().error == 0);
  }

  Attempt act(Scene& scene, std::size_t n) {
    Attempt attempt;
    if (trouble().is_allocation) {
      test::fail_allocation(n, !is_once());
      attempt.done = operation().act(scene);
      attempt.happened = test::stop_failing_allocations();
    } else {
      scene.faulty.fail({n, trouble().error, trouble().lasts});
      attempt.done = operation().act(scene);
      attempt.happened = scene.faulty.has_failed();
      scene.faulty.heal();
    }
    return attempt;
  }

  // What the file holds once nobody has it open.
  void expect_on_disk(Scene& scene, const std::vector<Model>& possible) {
    scene.index.reset();
    const auto opened = scene.open(to_write());
    ASSERT_TRUE(opened) << opened.error().message();
    const Model found = model_of(*scene.index);
    ASSERT_NE(std::find(possible.begin(), possible.end(), found), possible.end())
        << found.vectors.size() << " vectors";
    ASSERT_EQ(findings_of(*scene.index), std::vector<std::string>{});
    ASSERT_TRUE(scene.index->upsert(1, vector_of(1)));
  }

  void expect_copy(Scene& scene, const Model& model) {
    if (!scene.memory.exists(kCopy)) return;
    const auto copy = Index::open(kCopy);
    ASSERT_TRUE(copy) << copy.error().message();
    ASSERT_EQ(model_of(*copy), model);
  }

  // One attempt; false once nothing went wrong any more.
  bool run(std::size_t n);

  std::size_t failures = 0;
  std::size_t poisoned = 0;
};

bool DurableTrouble::run(std::size_t n) {
  (void)made();  // on a disk of its own
  Scene scene;
  Model before;
  if (operation().start != Start::nothing) {
    const Made& file = made()[static_cast<std::size_t>(operation().start) - 1];
    scene.memory.set(kPath, file.file);
    before = file.model;
  }
  if (operation().is_open) {
    EXPECT_TRUE(scene.open(to_write()));
  }
  Model after = before;
  operation().effect(after);

  const Attempt attempt = act(scene, n);
  // Where there was no memory to say more than that there was none, the next call says it.
  bool is_poisoned = !attempt.done && attempt.done.error().code() == ErrorCode::poisoned;
  if (!attempt.done && !is_once() && trouble().is_allocation && scene.index) {
    const auto synced = scene.index->sync();
    is_poisoned = !synced && synced.error().code() == ErrorCode::poisoned;
  }
  if (!attempt.done) {
    ++failures;
    EXPECT_TRUE(attempt.happened) << attempt.done.error().message();
    EXPECT_FALSE(is_harmless()) << attempt.done.error().message();
    EXPECT_NE(attempt.done.error().code(), ErrorCode::internal) << attempt.done.error().message();
    EXPECT_FALSE(attempt.done.error().message().empty());
  }
  if (!attempt.done && !is_poisoned) {
    if (scene.index && std::string(operation().name) != "changes_in_new_segments") {
      EXPECT_EQ(model_of(*scene.index), before);
    }
    if (is_once()) {
      const bool has_file = operation().start != Start::nothing;
      // A copy whose name could not be synced is there, and whole: see expect_copy().
      const std::size_t files = (has_file ? 1u : 0u) + (scene.memory.exists(kCopy) ? 1u : 0u);
      EXPECT_EQ(scene.memory.files(), files) << attempt.done.error().message();
    } else if (operation().start == Start::nothing) {
      (void)scene.memory.unlink(kPath);
    }
    const auto again = operation().act(scene);
    EXPECT_TRUE(again) << attempt.done.error().message() << "; then " << again.error().message();
  }
  if (is_poisoned) {
    ++poisoned;
    EXPECT_TRUE(scene.index.has_value());
    if (scene.index) {
      EXPECT_EQ(scene.index->upsert(5, vector_of(5)).error().code(), ErrorCode::poisoned);
      EXPECT_EQ(scene.index->save("/c").error().code(), ErrorCode::poisoned);
      EXPECT_TRUE(scene.index->search(vector_of(5)));
    }
  } else if (scene.index) {
    EXPECT_EQ(model_of(*scene.index), after);
  }
  expect_copy(scene, before);
  std::vector<Model> possible = {after};
  if (is_poisoned) possible.push_back(before);
  // Of several changes those that were acknowledged are there.
  for (std::uint32_t i = 0; is_poisoned && i < 12; ++i) {
    if (std::string(operation().name) != "changes_in_new_segments") break;
    possible.push_back(before);
    possible.back().vectors[37] = vector_of(i);
  }
  expect_on_disk(scene, possible);
  return attempt.happened;
}

TEST_P(DurableTrouble, LosesNothingAndGoesOn) {
  std::size_t n = 0;
  while (run(n)) {
    if (HasFailure()) {
      ADD_FAILURE() << "with n = " << n;
      return;
    }
    ++n;
  }
  RecordProperty("attempts", static_cast<int>(n));
  RecordProperty("failures", static_cast<int>(failures));
  RecordProperty("poisoned", static_cast<int>(poisoned));
  ASSERT_LT(n, 5000u);
}

INSTANTIATE_TEST_SUITE_P(, DurableTrouble,
                         testing::Combine(testing::ValuesIn(operations()),
                                          testing::ValuesIn(kTroubles)),
                         [](const auto& instance) {
                           return std::string(std::get<0>(instance.param).name) + "_" +
                                  std::get<1>(instance.param).name;
                         });

// The new file has its name, but a power failure may bring the old one back: what would be
// acknowledged from then on could be lost.
TEST(DurableDirectory, ThatCannotBeSyncedAfterCompactingPoisons) {
  test::MemoryFileSystem memory;
  test::FaultyFileSystem directories(memory, {});
  format::DefaultFileSystem in_place(directories);
  {
    auto index = Index::create(kPath, params());
    ASSERT_TRUE(index) << index.error().message();
    for (std::uint32_t i = 0; i < 20; ++i) ASSERT_TRUE(index->add(i, kVectors[i]));
    ASSERT_TRUE(index->remove(3));
    directories.break_directories_at_rename(true);
    const auto compacted = index->compact();
    ASSERT_FALSE(compacted);
    EXPECT_EQ(compacted.error().code(), ErrorCode::poisoned);
    EXPECT_NE(compacted.error().message().find("sync directory"), std::string::npos);
    EXPECT_TRUE(index->stats().poisoned);
    directories.break_directories_at_rename(false);
    const auto added = index->add(77, kNew);
    ASSERT_FALSE(added);
    EXPECT_EQ(added.error().code(), ErrorCode::poisoned);
    EXPECT_TRUE(index->contains(5));  // searches and look-ups go on
  }
  auto index = Index::open(kPath, to_write());
  ASSERT_TRUE(index) << index.error().message();
  EXPECT_EQ(index->size(), 19u);
  EXPECT_FALSE(index->contains(77));
  EXPECT_TRUE(index->add(77, kNew));
}

TEST(DurablePath, IsWhatErrorsNameAfterCompacting) {
  test::MemoryFileSystem memory;
  test::FaultyFileSystem faulty(memory, {});
  format::DefaultFileSystem in_place(faulty);
  auto index = Index::create(kPath, params());
  ASSERT_TRUE(index) << index.error().message();
  ASSERT_TRUE(index->add(1, kNew));
  ASSERT_TRUE(index->compact());
  faulty.fail({0, EIO, Fault::Lasts::forever});
  const auto added = index->add(2, kNew);
  ASSERT_FALSE(added);
  EXPECT_NE(added.error().message().find(" /a: "), std::string::npos) << added.error().message();
}

}  // namespace
}  // namespace cairn
