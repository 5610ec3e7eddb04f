// SPDX-License-Identifier: Apache-2.0
//
// What searches are asked for on the command line, of one index and of a set alike.
#pragma once

#include <chrono>
#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <cairn/cairn.h>

#include "tools/command/command.h"
#include "tools/files/text_file.h"

namespace cairn::tools {

struct SearchCall {
  std::string queries;
  std::string names;
  std::string only;
  std::string except;
  std::size_t k = 0;            // 0: not given
  std::size_t ef = 0;           // the same
  std::optional<float> radius;  // all within it, or the nearest k of them
  bool exact = false;
  std::uint64_t max_distances = 0;
  std::size_t deadline_ms = 0;
  std::size_t limit = std::numeric_limits<std::size_t>::max();

  // Without filter and deadline; `done` is told what each search has cost.
  SearchParams params(SearchReport& done) const;
};

// QUERIES, and all options. `ef`: what --ef says of itself.
void add_search_options(CLI::App& sub, SearchCall& call, const char* ef);

// {"k", "ef"}, with "radius" if there is one, and without its end. "k" is null where everything
// within the radius is wanted, "ef" where there is none for all.
std::string json_head(const SearchCall& call, std::optional<std::size_t> ef);

// The filter that is asked for, if one is. `Searched` is what it is made for.
template <class AnyFilter, class Searched>
Result<std::optional<AnyFilter>> filter_of(const SearchCall& call, const Searched& searched) {
  if (call.only.empty() && call.except.empty()) return std::optional<AnyFilter>();
  const auto keys = read_keys(call.only.empty() ? call.except : call.only);
  if (!keys) return keys.error();
  auto filter =
      call.only.empty() ? AnyFilter::except(searched, *keys) : AnyFilter::only(searched, *keys);
  if (!filter) return without_operation(filter.error(), "filter");
  return std::optional<AnyFilter>(std::move(*filter));
}

// One query. `scope`: of a set.
template <class Searched, class... Scope>
Result<std::vector<Match>> search_one(const SearchCall& call, const Searched& searched,
                                      VectorView query, SearchParams params,
                                      const Scope&... scope) {
  if (call.deadline_ms != 0) {
    params.deadline =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(call.deadline_ms);
  }
  if (!call.radius) {
    auto found = searched.search(query, params, scope...);
    if (!found) return without_operation(found.error(), "search");
    return found;
  }
  RangeParams range;
  range.ef = params.ef;
  range.max_results = call.k;
  range.filter = params.filter;
  range.plan = params.plan;
  range.max_distances = params.max_distances;
  range.deadline = params.deadline;
  range.report = params.report;
  auto found = searched.search_range(query, *call.radius, range, scope...);
  if (!found) return without_operation(found.error(), "search_range");
  return found;
}

}  // namespace cairn::tools
