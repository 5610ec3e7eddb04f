// SPDX-License-Identifier: Apache-2.0
//
// A writer that does a fixed series of commits, growths, checkpoints and reopenings, and a model
// that knows what the sections hold after each commit. Whatever a crash leaves behind is compared
// with the model.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "format/container/writable_container.h"

namespace cairn::test {

// The sections after a commit, without the zeros at their ends; the number of the commit is
// counters.applied_up_to.
struct SectionsModel {
  format::Counters counters{};
  std::array<std::vector<std::byte>, format::kDataSectionCount> sections;
};

format::Parameters small_parameters();
// Segments and runs as small as they can be.
format::WriteOptions small_options(Durability durability = Durability::sync);

class DurableScript {
 public:
  DurableScript(format::RawFileSystem& raw, std::filesystem::path path, std::uint64_t seed,
                format::WriteOptions options = small_options())
      : fs_(raw), path_(std::move(path)), random_(seed), options_(options) {
    models_.push_back({});
    models_.back().counters = empty_counters();
  }

  // Every step returns what the container said. The first failure ends a script.
  Result<void> create();
  Result<void> open();
  Result<void> close();
  // The writer ends as it is; what it has not logged is forgotten.
  void abandon() { container_.reset(); }
  // The same file again: data_loss if it holds less than was acknowledged, or something else.
  Result<void> reopen();
  // A random commit: stores to `pages` places; grows sections if `grow`.
  Result<void> commit(std::size_t places, bool grow);
  Result<void> acknowledge();
  Result<void> sync();
  // Everything so far is written, but not synced.
  Result<void> write_unsynced();
  Result<void> checkpoint();
  // A checkpoint during which `meanwhile` is called, between freezing and writing.
  Result<void> checkpoint_with(const std::function<Result<void>()>& meanwhile);

  format::WritableContainer& container() { return *container_; }
  bool is_open() const { return container_.has_value(); }
  bool is_created() const { return created_; }
  std::size_t commits() const { return models_.size() - 1; }
  std::size_t acknowledged() const { return acknowledged_; }
  const std::vector<SectionsModel>& models() const { return models_; }

  static format::Counters empty_counters();

 private:
  format::FileSystem fs_;
  std::filesystem::path path_;
  std::mt19937_64 random_;
  format::WriteOptions options_;
  std::optional<format::WritableContainer> container_;
  std::mutex commit_mutex_;
  std::vector<SectionsModel> models_;  // [0]: nothing committed
  std::uint64_t last_lsn_ = 0;
  std::size_t acknowledged_ = 0;
  bool created_ = false;
};

// A file that was not closed, and what it held after each commit.
struct Unclosed {
  std::vector<std::byte> file;
  std::vector<SectionsModel> models;
};
// What a writer that was killed leaves behind: a checkpoint, and six commits in one log segment.
const Unclosed& unclosed_file();

// "" if the sections are those of a model, else how they differ.
template <class AnyContainer>
std::string difference(const AnyContainer& container, const SectionsModel& model) {
  if (container.counters() != model.counters) return "other counters";
  for (std::size_t i = 0; i < format::kDataSectionCount; ++i) {
    const format::Region& region = container.section(static_cast<format::SectionId>(i + 1));
    const auto& expected = model.sections[i];
    if (region.size() < expected.size()) return "section " + std::to_string(i + 1) + " is short";
    for (std::size_t at = 0; at < region.size(); ++at) {
      const std::byte wanted = at < expected.size() ? expected[at] : std::byte{0};
      if (region.data()[at] != wanted) {
        return "section " + std::to_string(i + 1) + " differs at " + std::to_string(at);
      }
    }
  }
  return "";
}

}  // namespace cairn::test
