// SPDX-License-Identifier: Apache-2.0
//
// What a search is asked for beyond k and ef, as Python gives it.
#pragma once

#include <cairn/cairn.h>

#include <nanobind/nanobind.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "errors.h"
#include "long_call.h"

namespace cairn::python {

// Keeps the first exception that a callback raises, until the call in which it was raised has
// ended.
class Raised {
 public:
  // REQUIRES Python's lock.
  void keep(nanobind::python_error&& error) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::make_unique<nanobind::python_error>(std::move(error));
    is_set_ = true;
  }
  bool is_set() const { return is_set_; }
  // Raises it, if there is one. REQUIRES Python's lock.
  void raise() {
    if (!is_set_) return;
    std::unique_ptr<nanobind::python_error> error;
    {
      const std::lock_guard lock(mutex_);
      error.swap(error_);
      is_set_ = false;
    }
    if (error) throw std::move(*error);
  }

 private:
  std::mutex mutex_;
  std::unique_ptr<nanobind::python_error> error_;
  std::atomic<bool> is_set_{false};
};

// A cairn::Filter, and the index that it is of.
struct FilterHandle;

// cairn._core.SearchOptions: made for one call, and alive until it has ended.
class SearchOptions {
 public:
  // `filter`: None, a FilterHandle, or a sequence of such, one a row. `deadline`: on the clock of
  // time.monotonic(), 0: none. `rerank`: None, or called with a key and the bytes of its vector.
  SearchOptions(const nanobind::object& filter, int plan, std::uint64_t max_distances,
                double deadline, nanobind::object rerank);
  SearchOptions(const SearchOptions&) = delete;
  SearchOptions& operator=(const SearchOptions&) = delete;

  // Filters other than one a row, limits and so on. `stop`: ends the search.
  SearchParams params(std::size_t k, std::size_t ef, const std::atomic<bool>* stop,
                      SearchReport* report) const;
  // The same of a search for all within a distance. Both point into this.
  RangeParams range_params(std::size_t ef, std::size_t max_results, SearchReport* report) const;
  // One a row; empty: none.
  const std::vector<const Filter*>& filters() const { return filters_; }
  // What a callback has raised is raised. REQUIRES Python's lock.
  void raise() const;

 private:
  nanobind::object kept_;  // the filters
  const Filter* filter_ = nullptr;
  std::vector<const Filter*> filters_;
  std::vector<FilterHandle*> handles_;
  Plan plan_;
  std::uint64_t max_distances_;
  double deadline_;
  nanobind::object rerank_object_;
  std::function<float(Key, VectorView)> rerank_;
  mutable Raised raised_;
};

void register_options(nanobind::module_& module);

}  // namespace cairn::python
