// SPDX-License-Identifier: Apache-2.0
//
// Which keys a search may return. A filter is prepared once for an index, used by any number of
// searches, and follows what is added, replaced and removed.
//
//   auto mine = cairn::Filter::only(index, keys_of_tenant);
//   auto matches = index.search(query, {.k = 10, .filter = &*mine});
//
// Thread-safety: any number of threads may search with one filter at once. A search with a filter
// takes no lock as long as the index has not changed since the filter was used last; else one
// thread brings the filter up to date while others that need it wait for that. Moving or destroying
// a filter while a search uses it is an error. While a key is replaced, a search finds
// its old vector or its new one.
//
// Memory: 4 bytes a vector that passes if these are few, at most 2,048, else a bit a slot of the
// index (Stats::slots); and of `only` and `except` 16 to 32 bytes a key, of `bits` the words.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include <cairn/error.h>
#include <cairn/export.h>
#include <cairn/types.h>

namespace cairn {

class Index;

// Belongs to the index that it was made for, also after that was moved. Once the index is gone,
// count() is 0 and what is asked with the filter is invalid_argument, as with another index.
class CAIRN_EXPORT Filter {
 public:
  // These keys, which are copied; those that the index does not have pass once they are added.
  // unsupported (in a child of the process that opened the file for writing), io_error, busy: as
  // search(); out_of_memory.
  static Result<Filter> only(const Index& index, std::span<const Key> keys);
  // All others.
  static Result<Filter> except(const Index& index, std::span<const Key> keys);
  // Bit i, counted from the lowest of words[0], is key first + i. Keys beyond the words do not
  // pass. The words are copied.
  static Result<Filter> bits(const Index& index, std::span<const std::uint64_t> words,
                             Key first = 0);
  // Keys for which it returns true. It is asked at least once a key: of those that are there, now;
  // of those that are added or get another slot (compact(), refresh()), by the thread that searches
  // next. Several threads may ask at once, and it must not call the index. What it throws while it
  // is asked, whatever its type, ends the call that asks, with `internal`; count() then is what it
  // was before. invalid_argument: it is empty.
  static Result<Filter> where(const Index& index, std::function<bool(Key)> passes);

  // What is moved from may only be destroyed or assigned to.
  Filter(Filter&&) noexcept;
  // The same.
  Filter& operator=(Filter&&) noexcept;
  Filter(const Filter&) = delete;
  Filter& operator=(const Filter&) = delete;
  ~Filter();

  // How many vectors of the index pass now; while it is changed, or where a function of the caller
  // throws, how many did before.
  std::size_t count() const;

 private:
  friend struct FilterParts;
  struct Impl;
  explicit Filter(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace cairn
