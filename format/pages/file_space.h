// SPDX-License-Identifier: Apache-2.0
//
// Which stretches of a file that is open for writing are in use: runs, log segments, journal. What
// is given out has its disk blocks already, so that nothing which refers to it can run out of disk.
//
// Errors: no_space changes nothing. Any other leaves the file in doubt: nothing more may be
// written.
//
// Thread-safety: all calls may be made from several threads.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include <cairn/error.h>

#include "format/bytes/stretch.h"
#include "format/io/file.h"

namespace cairn::format {

// What lies in [begin, end) and in none of `used`, in order.
std::vector<Stretch> gaps_between(std::vector<Stretch> used, std::uint64_t begin,
                                  std::uint64_t end);

class FileSpace {
 public:
  explicit FileSpace(File& file) : file_(file) {}

  void use(const Stretch& stretch);
  void release(const Stretch& stretch);
  // One behind the last byte that is in use.
  std::uint64_t end() const;

  // Behind the end of the file, where nothing was ever written, so that it reads as zeros once the
  // file is synced. Agrees with `logical` modulo 2 MiB if it is that long. no_space
  Result<Stretch> allocate_run(std::uint64_t length, std::uint64_t logical);

  // Where there is room, or behind the end in any case, so that the file becomes longer; may hold
  // anything. `is_new`: it was behind the end of the file.
  enum class Where { anywhere, behind };
  struct Scratch {
    Stretch stretch;
    bool is_new = false;
  };
  Result<Scratch> allocate_scratch(std::uint64_t length, Where where = Where::anywhere);

 private:
  std::optional<Stretch> find_gap(std::uint64_t size, std::uint64_t length) const;
  Result<Stretch> allocate_behind(std::uint64_t size, std::uint64_t begin, std::uint64_t length);

  File& file_;
  mutable std::mutex mutex_;
  std::map<std::uint64_t, std::uint64_t> used_;  // offset -> length, disjoint; guarded by mutex_
};

}  // namespace cairn::format
