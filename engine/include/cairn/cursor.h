// SPDX-License-Identifier: Apache-2.0
//
// The results of one query page by page, without searching again from the beginning.
//
//   auto cursor = index.open_cursor(query, {.ef = 64});
//   std::array<cairn::Match, 10> page;
//   for (;;) {
//     const std::size_t n = cursor->next(page).value();
//     if (n == 0) break;
//     ...
//   }
//
// Between two pages it holds nothing of the index: changes go on, and memory of removed vectors is
// used again. What has changed meanwhile counts: what was removed is not given any more, and what
// was added may be. Each call of next() is a search by itself: it misses no key because its vector
// is being replaced.
//
// Thread-safety: a cursor is for one thread at a time; any number of cursors may be used at once.
//
// Memory: a bit a slot of the index, 12 bytes a vector that it has met, and 16 a key that it has
// given. Of these it remembers 4,194,304; with as many it ends.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>

#include <cairn/error.h>
#include <cairn/export.h>
#include <cairn/params.h>

namespace cairn {

// Belongs to the index that it was opened on, also after that was moved. Once the index is gone,
// next() is invalid_argument.
class CAIRN_EXPORT Cursor {
 public:
  // The next results, at most out.size() of them: within a page nearest first, ties by key, and no
  // key that an earlier page had. Returns how many: fewer than there is room for at the end, and
  // none from then on. Limits of the search hold for each call: what was found by then is its page,
  // perhaps an empty one, which `report` calls not complete, and the next call goes on from there.
  // So with max_distances it is an empty page of a complete report that is the end. With 4,194,304
  // keys given all pages are empty and not complete. A scan that a limit cuts gives what it has
  // seen.
  // invalid_argument (the index, or the filter's, is gone), unsupported (in a child of the process
  // that opened the file for writing), io_error, busy, cancelled and deadline_exceeded: as
  // Index::search(). After an error it may be asked again.
  Result<std::size_t> next(std::span<Match> out, SearchReport* report = nullptr);

  // When following calls of next() end, in the place of SearchParams::deadline; the clock's epoch:
  // by no clock. Set it before each call, and each page may take as long as the one before.
  void set_deadline(std::chrono::steady_clock::time_point deadline);

  // What is moved from may only be destroyed or assigned to.
  Cursor(Cursor&&) noexcept;
  // The same.
  Cursor& operator=(Cursor&&) noexcept;
  Cursor(const Cursor&) = delete;
  Cursor& operator=(const Cursor&) = delete;
  ~Cursor();

 private:
  friend class Index;
  struct Impl;
  explicit Cursor(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace cairn
