// SPDX-License-Identifier: Apache-2.0
#include "tests/support/durable_script.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "tests/support/memory_file_system.h"

namespace cairn::test {

using namespace format;

Parameters small_parameters() {
  Parameters p{};
  p.dimensions = 8;
  p.metric = Metric::l2sq;
  p.scalar = Scalar::f32;
  p.traversal = Traversal::code;
  p.m = 4;
  p.ef_construction = 10;
  p.seed = 1;
  derive_strides(p);
  return p;
}

WriteOptions small_options(Durability durability) {
  WriteOptions options;
  options.durability = durability;
  options.segment_bytes = 16 << 10;
  options.first_run_bytes = kPageSize;
  options.section_addresses = 64 << 20;
  return options;
}

const Unclosed& unclosed_file() {
  static const Unclosed made = [] {
    const std::filesystem::path path = "/a";
    MemoryFileSystem memory;
    WriteOptions options = small_options();
    options.segment_bytes = 256 << 10;  // one is enough
    DurableScript script(memory, path, 3, options);
    bool good = script.create().has_value();
    for (int i = 0; i < 10; ++i) {
      if (i == 4) good = good && script.checkpoint();
      good = good && script.commit(3, i < 3) && script.acknowledge();
    }
    if (!good) std::abort();
    return Unclosed{memory.get(path), script.models()};
  }();
  return made;
}

Counters DurableScript::empty_counters() {
  Counters counters{};
  counters.overflow_free = counters.entry_point = counters.slot_free = kNoNode;
  counters.upper_free.fill(kNoNode);
  return counters;
}

Result<void> DurableScript::create() {
  auto created = WritableContainer::create(fs_, path_, small_parameters(), options_);
  if (!created) return created.error();
  container_.emplace(std::move(*created));
  created_ = true;
  return {};
}

Result<void> DurableScript::open() {
  auto opened = WritableContainer::open(fs_, path_, options_);
  if (!opened) return opened.error();
  container_.emplace(std::move(*opened));
  return {};
}

Result<void> DurableScript::reopen() {
  if (auto ok = open(); !ok) return ok;
  const std::uint64_t commit = container_->counters().applied_up_to;
  if (commit < acknowledged_ || commit >= models_.size()) {
    return Error(ErrorCode::data_loss, "commit " + std::to_string(commit) + " was found, " +
                                           std::to_string(acknowledged_) + " was acknowledged");
  }
  models_.resize(commit + 1);
  const std::string differs = difference(*container_, models_.back());
  if (!differs.empty()) return Error(ErrorCode::data_loss, differs);
  acknowledged_ = commit;
  return {};
}

Result<void> DurableScript::close() {
  auto closed = container_->close();
  container_.reset();
  if (closed) acknowledged_ = commits();
  return closed;
}

Result<void> DurableScript::commit(std::size_t places, bool grow) {
  const std::lock_guard lock(commit_mutex_);
  WritableContainer& container = *container_;
  SectionsModel next = models_.back();
  next.counters.applied_up_to = models_.size();
  if (grow || container.section(SectionId::hot).size() == 0) {
    const auto section =
        grow ? static_cast<SectionId>(1 + random_() % kDataSectionCount) : SectionId::hot;
    const std::size_t size = container.section(section).size();
    if (auto ok = container.grow(section, size + 1); !ok) return ok;
  }
  std::vector<Change> changes;
  std::uint64_t bytes = 0;
  while (changes.size() < places) {
    const auto section = static_cast<SectionId>(1 + random_() % kDataSectionCount);
    const std::size_t size = container.section(section).size();
    if (size == 0) continue;
    const std::size_t offset = random_() % size;
    const std::size_t length = 1 + random_() % std::min<std::size_t>(size - offset, 700);
    changes.push_back({section, offset, length});
    bytes += length;
  }
  if (auto ok = container.reserve(changes.size(), bytes); !ok) return ok;
  for (const Change& change : changes) {
    std::byte* const at = container.section(change.section).data() + change.offset;
    for (std::size_t i = 0; i < change.length; ++i) at[i] = static_cast<std::byte>(random_());
    auto& section = next.sections[section_index(change.section)];
    section.resize(std::max<std::size_t>(section.size(), change.offset + change.length));
    std::memcpy(section.data() + change.offset, at, change.length);
  }
  // It may become durable whatever commit() says.
  models_.push_back(next);
  const auto lsn = container.commit(changes, next.counters);
  if (!lsn) return lsn.error();
  last_lsn_ = *lsn;
  return {};
}

Result<void> DurableScript::acknowledge() {
  auto done = container_->acknowledge(last_lsn_);
  if (done && options_.durability == Durability::sync) acknowledged_ = commits();
  return done;
}

Result<void> DurableScript::sync() {
  auto done = container_->sync();
  if (done) acknowledged_ = commits();
  return done;
}

Result<void> DurableScript::write_unsynced() { return container_->write(); }

Result<void> DurableScript::checkpoint() {
  const std::size_t before = commits();
  auto done = container_->checkpoint(commit_mutex_);
  if (done) acknowledged_ = std::max(acknowledged_, before);
  return done;
}

Result<void> DurableScript::checkpoint_with(const std::function<Result<void>()>& meanwhile) {
  const std::lock_guard running(container_->checkpoint_mutex());
  if (auto ok = container_->prepare_freeze(); !ok) return ok;
  {
    const std::lock_guard lock(commit_mutex_);
    if (auto ok = container_->freeze(); !ok) return ok;
  }
  auto went_on = meanwhile();
  auto written = container_->write_frozen(nullptr);
  const std::lock_guard lock(commit_mutex_);
  container_->thaw();
  return went_on ? written : went_on;
}

}  // namespace cairn::test
