// SPDX-License-Identifier: Apache-2.0
//
// Overwriting a file that has been replaced.
#include <algorithm>
#include <limits>
#include <mutex>
#include <string>
#include <vector>

#include "engine/base/assert.h"
#include "format/container/writable_state.h"
#include "format/pages/page_watch.h"

namespace cairn::format {
namespace {

constexpr std::uint64_t kPiece = std::uint64_t{1} << 20;

Result<void> overwrite(File& file, std::uint64_t begin, std::uint64_t end) {
  const std::vector<std::byte> zeros(kPiece);
  for (std::uint64_t at = begin; at < end; at += kPiece) {
    const auto piece = std::span(zeros).first(std::min(kPiece, end - at));
    if (auto ok = file.pwrite(piece, at); !ok) return ok;
  }
  return {};
}

}  // namespace

Result<void> WritableContainer::check_erase() const {
  const auto info = state_->file.info();
  if (!info) return info.error();
  if (info->names <= 1) return {};
  return Error(ErrorCode::unsupported, "the file has " + std::to_string(info->names) +
                                           " names: erasing it would destroy it under the others");
}

Result<void> WritableContainer::erase() {
  CAIRN_ASSERT(state_->is_abandoned);
  const std::lock_guard running(state_->checkpoint_mutex);
  if (auto ok = check_erase(); !ok) return ok;
  File& file = state_->file;
  const auto size = file.size();
  if (!size) return size.error();
  // Readers that still have the file mapped are told by the mark that its pages change, and look
  // again at the path, where the new file stands. The mark is all that the runtime block holds.
  const InPlaceMark mark{.salt = ~state_->salt, .lsn = std::numeric_limits<std::uint64_t>::max()};
  if (auto ok = write_mark(file, mark); !ok) return ok;
  if (auto ok = overwrite(file, 0, std::min(*size, kRuntimeOffset)); !ok) return ok;
  if (auto ok = overwrite(file, kRuntimeOffset + kPageSize, *size); !ok) return ok;
  return file.sync();
}

}  // namespace cairn::format
