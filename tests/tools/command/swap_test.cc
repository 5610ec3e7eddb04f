// SPDX-License-Identifier: Apache-2.0
#include "tools/command/swap.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <iterator>
#include <limits>
#include <string>

#include <cairn/index.h>

namespace cairn::tools {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();

// Does a number of steps and then nothing any more, as if the machine had stopped; without links,
// if that is asked for.
class SomeSteps : public FileSteps {
 public:
  explicit SomeSteps(std::size_t steps, bool links = true) : left_(steps), links_(links) {}

  Result<void> link(const fs::path& from, const fs::path& to) override {
    if (!links_) return Error(ErrorCode::unsupported, "no second names here");
    return take([&] { return FileSteps::link(from, to); });
  }
  Result<void> rename(const fs::path& from, const fs::path& to) override {
    return take([&] { return FileSteps::rename(from, to); });
  }
  Result<void> remove(const fs::path& path) override {
    return take([&] { return FileSteps::remove(path); });
  }
  Result<void> write(const fs::path& path, const std::string& text) override {
    return take([&] { return FileSteps::write(path, text); });
  }
  bool stopped() const { return stopped_; }

 private:
  Result<void> take(const std::function<Result<void>()>& step) {
    if (left_ == 0) {
      stopped_ = true;
      return Error(ErrorCode::io_error, "the machine has stopped");
    }
    --left_;
    return step();
  }

  std::size_t left_;
  bool links_;
  bool stopped_ = false;
};

class Swap : public testing::Test {
 protected:
  Swap() { fs::create_directory(folder_); }
  ~Swap() override { fs::remove_all(folder_); }
  Swap(const Swap&) = delete;
  Swap& operator=(const Swap&) = delete;

  void put(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
  }
  // "" if it is not there.
  std::string text(const std::string& name) const {
    std::ifstream in(folder_ / name);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  bool there(const std::string& name) const { return fs::exists(folder_ / name); }
  void clear() const {
    for (const auto& entry : fs::directory_iterator(folder_)) fs::remove(entry.path());
  }
  // What stands there before a swap.
  void prepare(bool had_file) const {
    clear();
    put("f.new", "new");
    if (had_file) put("f", "old");
  }
  Result<void> swap(FileSteps& steps, Earlier earlier = Earlier::keep) const {
    return put_in_place(steps, file_, "/dumps/base", earlier);
  }
  Result<void> swap() const {
    FileSteps steps;
    return swap(steps);
  }
  Result<WayBack> back() const {
    FileSteps steps;
    return roll_back(steps, file_);
  }

  const fs::path folder_ = fs::temp_directory_path() / ("cairn-swap-" + std::to_string(::getpid()));
  const fs::path file_ = folder_ / "f";
};

TEST_F(Swap, TheOldFileIsKeptAndComesBack) {
  prepare(true);
  ASSERT_TRUE(swap());
  EXPECT_EQ(text("f"), "new");
  EXPECT_EQ(text("f.before"), "old");
  EXPECT_FALSE(there("f.new"));
  const auto returned = back();
  ASSERT_TRUE(returned) << returned.error().message();
  EXPECT_EQ(returned->source, "/dumps/base");
  EXPECT_TRUE(returned->swapped);
  EXPECT_TRUE(returned->restored);
  EXPECT_EQ(text("f"), "old");
  EXPECT_EQ(text("f.new"), "new");
  EXPECT_FALSE(there("f.before"));
  EXPECT_FALSE(there("f.migrated"));
}

TEST_F(Swap, WhereThereWasNoFileThereIsNoneAgain) {
  prepare(false);
  ASSERT_TRUE(swap());
  EXPECT_EQ(text("f"), "new");
  EXPECT_FALSE(there("f.before"));
  const auto returned = back();
  ASSERT_TRUE(returned) << returned.error().message();
  EXPECT_FALSE(returned->restored);
  EXPECT_FALSE(there("f"));
  EXPECT_EQ(text("f.new"), "new");
  EXPECT_FALSE(there("f.migrated"));
}

// Whatever step is the last one, the file is there, old or new, and the way back leads to the old.
TEST_F(Swap, StoppedAfterAnyStepItCanBeTakenBack) {
  for (const bool had_file : {true, false}) {
    bool ended = false;
    for (std::size_t steps = 0; !ended; ++steps) {
      SCOPED_TRACE(testing::Message() << had_file << " " << steps);
      prepare(had_file);
      SomeSteps some(steps);
      const auto swapped = swap(some);
      ended = !some.stopped();
      EXPECT_EQ(swapped.has_value(), ended);
      EXPECT_TRUE(text("f") == "new" || text("f") == (had_file ? "old" : ""));
      const auto returned = back();
      if (!returned) {
        EXPECT_EQ(returned.error().code(), ErrorCode::path_not_found);
      }
      EXPECT_EQ(text("f"), had_file ? "old" : "");
      EXPECT_EQ(text("f.new"), "new");
      EXPECT_FALSE(there("f.before"));
      EXPECT_FALSE(there("f.migrated"));
      ASSERT_LT(steps, 20u);
    }
  }
}

TEST_F(Swap, StoppedOnTheWayBackItIsFinishedByTheNextOne) {
  for (const bool had_file : {true, false}) {
    bool ended = false;
    for (std::size_t steps = 0; !ended; ++steps) {
      SCOPED_TRACE(testing::Message() << had_file << " " << steps);
      prepare(had_file);
      ASSERT_TRUE(swap());
      SomeSteps some(steps);
      ended = roll_back(some, file_).has_value();
      EXPECT_EQ(ended, !some.stopped());
      EXPECT_TRUE(text("f") == (had_file ? "old" : "") || text("f") == "new");
      if (!ended) {
        const auto returned = back();
        ASSERT_TRUE(returned) << returned.error().message();
        EXPECT_EQ(returned->restored, had_file);
        EXPECT_EQ(returned->source, "/dumps/base");
      }
      EXPECT_EQ(text("f"), had_file ? "old" : "");
      EXPECT_EQ(text("f.new"), "new");
      EXPECT_FALSE(there("f.migrated"));
      ASSERT_LT(steps, 20u);
    }
  }
}

// Without second names there is a moment without the file, but always a way back.
TEST_F(Swap, WithoutSecondNamesItCanBeTakenBackToo) {
  for (const bool had_file : {true, false}) {
    bool ended = false;
    for (std::size_t steps = 0; !ended; ++steps) {
      SCOPED_TRACE(testing::Message() << had_file << " " << steps);
      prepare(had_file);
      SomeSteps some(steps, false);
      ended = swap(some).has_value();
      SomeSteps all(kAll, false);
      (void)roll_back(all, file_);
      EXPECT_EQ(text("f"), had_file ? "old" : "");
      EXPECT_FALSE(there("f.before"));
      EXPECT_FALSE(there("f.migrated"));
      ASSERT_LT(steps, 20u);
    }
  }
}

TEST_F(Swap, AnEarlierMigrationIsNotForgottenUnasked) {
  prepare(true);
  ASSERT_TRUE(swap());
  put("f.new", "newer");
  const auto again = swap();
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code(), ErrorCode::path_exists);
  EXPECT_EQ(text("f"), "new");
  FileSteps steps;
  ASSERT_TRUE(swap(steps, Earlier::replace));
  EXPECT_EQ(text("f"), "newer");
  EXPECT_EQ(text("f.before"), "new");
  ASSERT_TRUE(back());
  EXPECT_EQ(text("f"), "new");
}

TEST_F(Swap, AReplacedEarlierOneNeverComesBackInPlaceOfALaterOne) {
  bool ended = false;
  for (std::size_t count = 0; !ended; ++count) {
    prepare(true);
    ASSERT_TRUE(swap());
    put("f.new", "newer");
    SomeSteps some(count);
    ended = swap(some, Earlier::replace).has_value();
    (void)back();
    // Nothing had changed if not even the first step was done: then the earlier way back is open.
    EXPECT_EQ(text("f"), count == 0 ? "old" : "new") << count;
    ASSERT_LT(count, 20u);
  }
}

TEST_F(Swap, NothingToReturnFromIsAnError) {
  clear();
  put("f", "old");
  const auto none = back();
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code(), ErrorCode::path_not_found);
  EXPECT_EQ(text("f"), "old");
}

TEST_F(Swap, AWayBackThatWasTakenAwayIsAnError) {
  prepare(true);
  ASSERT_TRUE(swap());
  fs::remove(folder_ / "f.before");
  const auto returned = back();
  ASSERT_FALSE(returned);
  EXPECT_EQ(returned.error().code(), ErrorCode::path_not_found);
  EXPECT_EQ(text("f"), "new");
}

TEST_F(Swap, ARecordThatIsNoneIsAnErrorAndChangesNothing) {
  prepare(true);
  ASSERT_TRUE(swap());
  for (const char* record : {"", "{}", "[1]", "{\"source\":1,\"had_file\":true,\"state\":\"done\"}",
                             "{\"source\":\"\",\"had_file\":true,\"state\":\"lost\"}"}) {
    put("f.migrated", record);
    const auto returned = back();
    ASSERT_FALSE(returned);
    EXPECT_EQ(returned.error().code(), ErrorCode::invalid_argument);
    EXPECT_EQ(text("f"), "new");
    EXPECT_EQ(text("f.before"), "old");
  }
}

TEST_F(Swap, ALinkStandsForTheFileItLeadsTo) {
  prepare(true);
  fs::create_directory(folder_ / "elsewhere");
  fs::rename(folder_ / "f", folder_ / "elsewhere/real");
  fs::rename(folder_ / "f.new", folder_ / "elsewhere/real.new");
  fs::create_symlink("elsewhere/real", folder_ / "f");
  ASSERT_TRUE(swap());
  EXPECT_TRUE(fs::is_symlink(folder_ / "f"));
  EXPECT_EQ(text("elsewhere/real"), "new");
  EXPECT_EQ(text("elsewhere/real.before"), "old");
  ASSERT_TRUE(back());
  EXPECT_EQ(text("f"), "old");
  fs::remove_all(folder_ / "elsewhere");
}

TEST_F(Swap, AFileThatIsWrittenToIsLeftAlone) {
  clear();
  IndexParams params;
  params.dimensions = 2;
  const auto writer = Index::create(file_, params);
  ASSERT_TRUE(writer) << writer.error().message();
  put("f.new", "new");
  const auto swapped = swap();
  ASSERT_FALSE(swapped);
  EXPECT_EQ(swapped.error().code(), ErrorCode::path_in_use);
  EXPECT_EQ(text("f.new"), "new");
  EXPECT_FALSE(there("f.before"));
}

}  // namespace
}  // namespace cairn::tools
