// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>

#include <chrono>
#include <cstdint>
#include <limits>
#include <new>
#include <string>
#include <tuple>

#include "filter.h"

namespace cairn::python {

namespace nb = nanobind;
using nb::literals::operator""_a;

namespace {

std::chrono::steady_clock::time_point time_of(double seconds) {
  using Clock = std::chrono::steady_clock;
  if (seconds <= 0) return {};
  const std::chrono::duration<double> since(seconds);
  if (since >= Clock::time_point::max().time_since_epoch()) return Clock::time_point::max();
  return Clock::time_point(std::chrono::duration_cast<Clock::duration>(since));
}

const char* word_of(Plan plan) {
  switch (plan) {
    case Plan::automatic: return "automatic";
    case Plan::walk: return "walk";
    case Plan::exact: return "exact";
  }
  return "";
}

}  // namespace

SearchOptions::SearchOptions(const nb::object& filter, int plan, std::uint64_t max_distances,
                             double deadline, nb::object rerank)
    : kept_(filter),
      plan_(static_cast<Plan>(plan)),
      max_distances_(max_distances),
      deadline_(deadline),
      rerank_object_(std::move(rerank)) {
  const auto add = [&](nb::handle one) -> const Filter* {
    if (one.is_none()) return nullptr;
    handles_.push_back(nb::cast<FilterHandle*>(one));
    return &handles_.back()->filter;
  };
  if (nb::isinstance<nb::tuple>(filter)) {
    for (const nb::handle one : filter) filters_.push_back(add(one));
  } else {
    filter_ = add(filter);
  }
  if (rerank_object_.is_none()) return;
  rerank_ = [this](Key key, VectorView vector) {
    if (raised_.is_set()) return std::numeric_limits<float>::infinity();
    const nb::gil_scoped_acquire acquired;
    const InReport inside;
    try {
      const nb::bytes raw(vector.data(), vector_bytes(vector.scalar(), vector.dims()));
      return nb::cast<float>(rerank_object_(key, raw));
    } catch (nb::python_error& error) {
      raised_.keep(std::move(error));
    }
    return std::numeric_limits<float>::infinity();
  };
}

SearchParams SearchOptions::params(std::size_t k, std::size_t ef, const std::atomic<bool>* stop,
                                   SearchReport* report) const {
  SearchParams params;
  params.k = k;
  params.ef = ef;
  params.filter = filter_;
  params.plan = plan_;
  params.max_distances = max_distances_;
  params.deadline = time_of(deadline_);
  params.stop = stop;
  params.rerank = rerank_ ? &rerank_ : nullptr;
  params.report = report;
  return params;
}

RangeParams SearchOptions::range_params(std::size_t ef, std::size_t max_results,
                                        SearchReport* report) const {
  RangeParams params;
  params.ef = ef;
  params.max_results = max_results;
  params.filter = filter_;
  params.plan = plan_;
  params.max_distances = max_distances_;
  params.deadline = time_of(deadline_);
  params.rerank = rerank_ ? &rerank_ : nullptr;
  params.report = report;
  return params;
}

void SearchOptions::raise() const {
  raised_.raise();
  for (FilterHandle* const handle : handles_) {
    if (handle->raised) handle->raised->raise();
  }
}

void register_options(nb::module_& module) {
  nb::class_<SearchOptions>(module, "SearchOptions")
      .def(nb::init<const nb::object&, int, std::uint64_t, double, nb::object>(), "filter"_a.none(),
           "plan"_a, "max_distances"_a, "deadline"_a, "rerank"_a.none());
  nb::class_<SearchReport>(module, "SearchReport",
                           "What a search has done; of a batch: the sums of its rows.")
      .def_prop_ro(
          "plan", [](const SearchReport& report) { return std::string(word_of(report.plan)); },
          "\"walk\" or \"exact\"; of a batch whose rows differ \"automatic\"")
      .def_ro("complete", &SearchReport::complete,
              "false: a limit has ended it, and the matches are those found by then")
      .def_ro("distances", &SearchReport::distances, "computed while candidates were looked for")
      .def_ro("lists", &SearchReport::lists, "neighbor lists that were read for that")
      .def("__getstate__",
           [](const SearchReport& report) {
             return std::tuple(static_cast<int>(report.plan), report.complete, report.distances,
                               report.lists);
           })
      .def("__setstate__", [](SearchReport& report,
                              const std::tuple<int, bool, std::uint64_t, std::uint64_t>& state) {
        const auto& [plan, complete, distances, lists] = state;
        new (&report) SearchReport{static_cast<Plan>(plan), complete, distances, lists};
      });
}

}  // namespace cairn::python
