// SPDX-License-Identifier: Apache-2.0
//
// A reserved range of addresses whose beginning is usable memory. It grows at its end, anonymous
// memory or pieces of a file one behind the other, and never moves: an address in it is good until
// the Region is destroyed. docs/decisions/0020-addresses.md
//
// Thread-safety: none for growing; meanwhile other threads may use memory that existed before, and
// ask for the sizes.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include <cairn/error.h>

#include "format/io/file.h"

namespace cairn::format {

class Region {
 public:
  Region() = default;
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;
  Region(Region&& other) noexcept;
  Region& operator=(Region&& other) noexcept;
  ~Region();

  // Reserves at least min_bytes and at most max_bytes of addresses, without memory behind them: the
  // most that the process can have, halving from max_bytes. 2 MiB-aligned if that many. It can hold
  // no more, and takes one mapping of the system as long as it is of one piece. out_of_memory if
  // not even min_bytes can be had.
  static Result<Region> reserve(std::size_t min_bytes, std::size_t max_bytes);

  // Reserves `bytes`, 2 MiB-aligned, far from all others of this kind: as it grows beyond them, it
  // takes the addresses that follow. out_of_memory
  static Result<Region> reserve_growing(std::size_t bytes);

  // What grow_anonymous() and append_anonymous() give from now on are pages of `file`, a file of
  // this region alone: the system can write them out instead of keeping them in memory. REQUIRES:
  // nothing has been grown yet.
  void use_file(File file);

  // Sees to it that so many bytes are reserved. out_of_memory, with nothing changed.
  Result<void> reserve_more(std::size_t bytes);

  // Makes the first `bytes` usable (more than before, rounded up to whole pages, at least geometric
  // steps so that growing byte by byte is cheap): new memory is zero. Large steps are advised
  // MADV_HUGEPAGE. out_of_memory, with nothing changed, beyond the capacity or when the system
  // refuses.
  Result<void> grow_anonymous(std::size_t bytes);

  // The same by exactly `length` bytes. REQUIRES whole 4 KiB pages.
  Result<void> append_anonymous(std::size_t length);

  // Maps file bytes [offset, offset + length) privately behind what is there. REQUIRES whole 4 KiB
  // pages.
  Result<void> append_file(const File& file, std::uint64_t offset, std::size_t length,
                           bool writable);

  // The same, shared: what anybody writes to the file is seen here. Nothing can be stored to it.
  Result<void> append_shared(const File& file, std::uint64_t offset, std::size_t length);

  std::byte* data() const { return data_; }
  std::size_t size() const { return size_.load(std::memory_order_relaxed); }  // usable
  std::size_t capacity() const { return capacity_; }                          // reserved
  // The part of size() that is not file-backed.
  std::size_t anonymous_bytes() const { return anonymous_bytes_.load(std::memory_order_relaxed); }

  // Gives all memory back and keeps the reservation: size() is 0 again.
  void clear();

  // Makes what is there unwritable: a stray store is caught. For memory that is filled once.
  Result<void> protect();

  // Gives up private copies of file pages: what the file holds now is seen instead. For pages that
  // were written to the file as they are here. Nothing to do for a region with anonymous memory.
  // REQUIRES: whole pages.
  void drop_private(std::size_t offset, std::size_t length) const;

  // File pages that are read from now on come, where the file system can, 2 MiB at a time and are
  // mapped as such: searches then wait less for address translation, and a cold file is in memory
  // after fewer, larger reads. For what fits into memory.
  void advise_huge() const;

  // Reads all file pages into memory; an io_error if the file does not have them. Nothing to do for
  // anonymous memory.
  Result<void> advise_needed() const;
  // Takes the file's pages out of this process; they stay in the system's page cache and come back,
  // the same, when they are touched. Nothing is done to a region that has been or can be stored to.
  Result<void> advise_not_needed() const;

 private:
  Result<void> check_append(const File& file, std::uint64_t offset, std::size_t length);

  std::byte* data_ = nullptr;
  std::atomic<std::size_t> size_{0};
  std::size_t capacity_ = 0;
  bool grows_ = false;  // beyond its capacity
  std::atomic<std::size_t> anonymous_bytes_{0};
  bool stores_ = false;            // may hold stores to file pages, which are this process's alone
  std::unique_ptr<File> scratch_;  // see use_file()
};

// What limits the addresses of this process, to be told when there are no more.
std::string limit_of_addresses();

// Maps file bytes over reserved addresses, private to this process: reads only or copy on write,
// without reserving swap. Returns 0 or an errno value. The range is never unmapped by itself: it
// belongs to the reservation.
int map_over(int descriptor, void* address, std::uint64_t offset, std::size_t size, Access access);
// The same, shared with whoever else has the file open.
int map_shared_over(int descriptor, void* address, std::uint64_t offset, std::size_t size,
                    Access access);

}  // namespace cairn::format
