// SPDX-License-Identifier: Apache-2.0
//
// Where an index lives, and what it does there in its own way: memory_home.h, reader_home.h (a file
// that is read) and writer_home.h (a file that is written). What all have in common is in
// index_impl.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>

#include <cairn/error.h>
#include <cairn/params.h>
#include <cairn/types.h>

namespace cairn {

struct GraphView;

class IndexHome {
 public:
  IndexHome() = default;
  IndexHome(const IndexHome&) = delete;
  IndexHome& operator=(const IndexHome&) = delete;
  virtual ~IndexHome() = default;

  // unsupported: this is a child of the process that opened the file for writing, or that had a
  // thread changing the index in memory when it was forked.
  virtual Result<void> check_process(const char* what) const = 0;
  // The same before a change; read_only.
  virtual Result<void> check_change(const char* what) const = 0;
  // In the child, right after a fork: no other thread exists there, what others had locked is free.
  virtual void after_fork() noexcept = 0;

  // As the functions of Index of these names, which have checked process and arguments. build():
  // and that the index may be changed. save() and verify(): on the newest state of a file.
  virtual Result<void> build(std::span<const Key> keys, const MatrixView& rows,
                             const BuildOptions& options) = 0;
  virtual Result<void> compact(const BuildOptions& options) = 0;
  virtual Result<void> save(const std::filesystem::path& to, const SaveOptions& options) = 0;
  virtual Result<VerifyReport> verify(const BuildOptions& options) = 0;
  virtual std::uint64_t applied_up_to() = 0;
  virtual Result<void> set_applied_up_to(std::uint64_t lsn) = 0;
  virtual Result<void> set_advised_ef(std::uint32_t ef) = 0;
  // Adds what there is to tell of a file.
  virtual void tell(Stats&) const {}
  virtual Result<void> sync() { return {}; }
  virtual Result<void> checkpoint(const std::atomic<bool>*) { return {}; }
  virtual Result<void> refresh() { return {}; }
  virtual Result<void> warm() { return {}; }
  virtual Result<void> release() { return {}; }

  // After a search or look-up has met pages that another process has changed: what is searched
  // becomes what the file holds now. Where there are no such pages, nobody calls it.
  virtual Result<void> leave_changed_pages() { return {}; }
  // Calls look(view), with a view that stays what it is as long as that takes. All pages of a file
  // are checked before; errors as of save().
  using Look = std::function<Result<void>(const GraphView&)>;
  virtual Result<void> look_at_graph(const Look& look) = 0;
};

}  // namespace cairn
