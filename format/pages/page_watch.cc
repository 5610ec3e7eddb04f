// SPDX-License-Identifier: Apache-2.0
#include "format/pages/page_watch.h"

#include <array>
#include <atomic>
#include <utility>

#include "format/bytes/coding.h"
#include "format/bytes/limits.h"
#include "format/bytes/superblock_layout.h"

#if defined(__GNUC__) && !defined(__clang__)
// The fences order what this process does against the pages of a file, of which the thread
// sanitizer knows nothing.
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wtsan"
#endif

namespace cairn::format {
namespace {

std::uint64_t load_acquire(const std::byte* at) {
  auto* const word = reinterpret_cast<std::uint64_t*>(const_cast<std::byte*>(at));
  return std::atomic_ref<std::uint64_t>(*word).load(std::memory_order_acquire);
}

template <Field kField>
Result<std::uint64_t> read_field(const File& file) {
  std::array<std::byte, kField.size> bytes;
  if (auto read = file.pread(bytes, kRuntimeOffset + kField.offset); !read) return read.error();
  return load_u64(bytes.data());
}

}  // namespace

Result<void> write_mark(File& file, const InPlaceMark& mark) {
  std::array<std::byte, runtime_at::kInPlaceLsn.offset + runtime_at::kInPlaceLsn.size> bytes{};
  store<runtime_at::kSalt>(bytes.data(), mark.salt);
  store<runtime_at::kInPlaceLsn>(bytes.data(), mark.lsn);
  auto written = file.pwrite(bytes, kRuntimeOffset);
  // Whoever sees a page that is written after this sees the mark: pairs with the one in is_whole().
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return written;
}

Result<PageWatch> PageWatch::map(const File& file) {
  auto block = Region::reserve(kPageSize, kPageSize);
  if (!block) return block.error();
  if (auto ok = block->append_shared(file, kRuntimeOffset, kPageSize); !ok) return ok.error();
  PageWatch watch;
  watch.block_ = std::move(*block);
  return watch;
}

// The salt is written first and read last: a new number never goes with an old salt.
InPlaceMark PageWatch::mark() const noexcept {
  InPlaceMark mark;
  mark.lsn = load_acquire(block_.data() + runtime_at::kInPlaceLsn.offset);
  mark.salt = load_acquire(block_.data() + runtime_at::kSalt.offset);
  return mark;
}

bool PageWatch::is_whole() const noexcept {
  // What was read of the pages before is not read again behind the mark.
  std::atomic_thread_fence(std::memory_order_acquire);
  return allows(mark());
}

Result<bool> PageWatch::is_whole_in(const File& file) const {
  std::atomic_thread_fence(std::memory_order_acquire);
  // In the order of mark().
  const auto lsn = read_field<runtime_at::kInPlaceLsn>(file);
  if (!lsn) return lsn.error();
  const auto salt = read_field<runtime_at::kSalt>(file);
  if (!salt) return salt.error();
  return allows({*salt, *lsn});
}

bool PageWatch::allows(const InPlaceMark& now) const noexcept {
  return now.lsn <= view_.base_lsn || (now.salt == view_.salt && now.lsn <= view_.last_lsn) ||
         now == accepted_;
}

}  // namespace cairn::format
