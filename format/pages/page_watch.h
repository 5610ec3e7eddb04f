// SPDX-License-Identifier: Apache-2.0
//
// Whether a writer, in this process or another, has changed pages under somebody who maps them.
// docs/format.md, "Runtime block" and "Readers". A reader takes no lock and tells nobody that it is
// there: it looks afterwards whether what it has read was of one moment.
//
// Thread-safety: is_whole() from any number of threads, but not while the view is changed.
#pragma once

#include <cstdint>

#include <cairn/error.h>

#include "format/io/address_space.h"
#include "format/io/file.h"

namespace cairn::format {

// What a writer says of the pages that it writes in place.
struct InPlaceMark {
  std::uint64_t salt = 0;  // of the writer's log
  std::uint64_t lsn = 0;   // the pages may contain what frames up to this one say
  friend bool operator==(const InPlaceMark&, const InPlaceMark&) = default;
};

// Before the first page is written. It need not be durable: those whom it is for do not survive a
// power loss either.
Result<void> write_mark(File& file, const InPlaceMark& mark);

class PageWatch {
 public:
  PageWatch() = default;
  // Maps the runtime block of a file.
  static Result<PageWatch> map(const File& file);

  // The pages that are watched: those that checkpoints up to `base_lsn` wrote, and private copies
  // of all that the log with this salt changed from there to `last_lsn`.
  struct View {
    std::uint64_t base_lsn = 0;
    std::uint64_t salt = 0;
    std::uint64_t last_lsn = 0;
  };
  const View& view() const { return view_; }
  void watch(const View& view) { view_ = view; }

  // Whether all that this thread has read of the pages so far was of one moment: nothing later than
  // the view has been written in place.
  bool is_whole() const noexcept;
  // The same, by reading the file instead of the mapping: of one that was cut off in front of the
  // runtime block that is an error, and no SIGBUS. REQUIRES: it is the file that was mapped.
  Result<bool> is_whole_in(const File& file) const;
  // Where is_whole() looks.
  const Region& block() const { return block_; }

  // What a dead writer left behind means nothing: whatever it says now, it is taken for good until
  // it changes. REQUIRES: a mark that was read when nobody had the writer's lock.
  void accept(const InPlaceMark& left_over) { accepted_ = left_over; }
  InPlaceMark mark() const noexcept;

 private:
  bool allows(const InPlaceMark& now) const noexcept;

  Region block_;
  View view_;
  InPlaceMark accepted_;
};

}  // namespace cairn::format
