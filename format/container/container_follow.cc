// SPDX-License-Identifier: Apache-2.0
//
// A container beside the writer of its file: whether there is news, and going on in the log.
// docs/format.md, "Readers".
#include <span>

#include "format/container/container_state.h"
#include "format/log/log_apply.h"

namespace cairn::format {
namespace {

// Pages that the log changes become private memory. After so much log it is cheaper to map anew.
constexpr std::uint64_t kMostReplayed = std::uint64_t{64} << 20;

}  // namespace

Result<bool> Container::has_news() const {
  const State& state = *state_;
  // In this order: a frame that was not there although it had been written was given up by a
  // checkpoint, whose superblock is there.
  if (state.log) {
    const auto next = state.log->has_next();
    if (!next) return next.error();
    if (*next) return true;
  }
  const auto mark = mark_of_slots(state.file);
  if (!mark) return mark.error();
  if (*mark != state.mark) return true;
  const auto there = state.fs->info(state.place);
  if (!there) return there.error();
  return there->device != state.info.device || there->inode != state.info.inode;
}

Result<bool> Container::catch_up() {
  State& state = *state_;
  if (!state.log || state.residency == Residency::load || state.bytes_replayed > kMostReplayed) {
    return false;
  }
  const auto there = state.fs->info(state.place);
  if (!there) return there.error();
  if (there->device != state.info.device || there->inode != state.info.inode) return false;
  LogApplier applier = applier_of(state, state.residency);
  const auto replayed =
      replay_frames(*state.log, [&](std::uint64_t lsn, std::span<const Record> records) {
        return applier.apply(lsn, records);
      });
  if (!replayed) return false;  // all that can be wrong is told when it is opened anew
  state.bytes_replayed += replayed->bytes;
  state.bytes_read += replayed->bytes;
  const auto mark = mark_of_slots(state.file);
  if (!mark) return mark.error();
  if (*mark != state.mark) {
    const auto metadata = read_metadata(state.file);
    if (!metadata) return false;
    state.bytes_read += metadata->bytes_read;
    const Superblock& block = metadata->block;
    if (!block.has_log() || block.log_salt != state.log->salt() ||
        block.checkpoint_lsn > state.log->last_lsn()) {
      return false;
    }
    state.mark = *mark;
    state.block.generation = block.generation;
  }
  state.watch.watch({state.watch.view().base_lsn, state.log->salt(), state.log->last_lsn()});
  return state.watch.is_whole_in(state.file);
}

Result<bool> Container::is_of_one_moment() const {
  if (state_->residency == Residency::load) return true;
  return state_->watch.is_whole_in(state_->file);
}

Result<bool> Container::is_superseded() const {
  const auto mark = mark_of_slots(state_->file);
  if (!mark) return mark.error();
  return *mark != state_->opened_mark;
}

const PageWatch* Container::watch() const {
  return state_->residency == Residency::map ? &state_->watch : nullptr;
}

const FirstUse* Container::first_use() const { return state_->first_use.get(); }

}  // namespace cairn::format
