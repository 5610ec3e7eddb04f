// SPDX-License-Identifier: Apache-2.0
//
// Pages of a cursor, of an index or of a set, into arrays of the caller.
#pragma once

#include <cairn/cairn.h>

#include <nanobind/nanobind.h>

#include <cstddef>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "arrays.h"
#include "errors.h"

namespace cairn::python {

// Calls from several threads are an error, as a cursor is for one at a time.
template <class Cursor>
class Pages {
 public:
  explicit Pages(Cursor&& cursor) : cursor_(std::move(cursor)) {}

  // `raise()` goes on with what a function of the caller has thrown meanwhile. REQUIRES: what the
  // cursor belongs to stays open.
  template <class Raise>
  std::pair<std::size_t, SearchReport> next(const Out<Key>& keys, const Out<float>& distances,
                                            Raise&& raise) {
    if (keys.size() != distances.size()) fail(ErrorCode::invalid_argument, "no room for the page");
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock) fail(ErrorCode::busy, "another call of this cursor is under way");
    std::vector<Match> page(keys.size());
    SearchReport report;
    std::optional<Result<std::size_t>> found;
    {
      const nb::gil_scoped_release released;
      found.emplace(cursor_.next(page, &report));
    }
    raise();
    const std::size_t n = value_or_throw(std::move(*found));
    for (std::size_t i = 0; i < n; ++i) {
      keys.data()[i] = page[i].key;
      distances.data()[i] = page[i].distance;
    }
    return {n, report};
  }

 private:
  std::mutex mutex_;
  Cursor cursor_;
};

}  // namespace cairn::python
