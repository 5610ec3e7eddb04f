// SPDX-License-Identifier: Apache-2.0
//
// Filters of the C interface.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "engine/api/c_call.h"

namespace cairn::c {

namespace {

// Calls make(index), which returns a Result<Filter>, and hands it out.
template <class Make>
int make_filter(const cairn_index* index, cairn_filter** out, const Make& make) noexcept {
  if (out != nullptr) *out = nullptr;
  return on_index("filter", index, [&](const Index& it) -> Result<void> {
    if (out == nullptr) return null_argument("filter", "out");
    Result<Filter> filter = make(it);
    if (!filter) return filter.error();
    *out = new cairn_filter{std::move(*filter)};
    return {};
  });
}

}  // namespace

}  // namespace cairn::c

using cairn::Filter;
using cairn::Index;
using cairn::Key;
using cairn::Result;

extern "C" {

int cairn_filter_only(const cairn_index* index, const uint64_t* keys, size_t n,
                      cairn_filter** out) {
  return cairn::c::make_filter(index, out, [&](const Index& it) -> Result<Filter> {
    if (keys == nullptr && n != 0) return cairn::c::null_argument("filter", "keys");
    return Filter::only(it, std::span<const Key>(keys, n));
  });
}

int cairn_filter_except(const cairn_index* index, const uint64_t* keys, size_t n,
                        cairn_filter** out) {
  return cairn::c::make_filter(index, out, [&](const Index& it) -> Result<Filter> {
    if (keys == nullptr && n != 0) return cairn::c::null_argument("filter", "keys");
    return Filter::except(it, std::span<const Key>(keys, n));
  });
}

int cairn_filter_bits(const cairn_index* index, const uint64_t* words, size_t n, uint64_t first,
                      cairn_filter** out) {
  return cairn::c::make_filter(index, out, [&](const Index& it) -> Result<Filter> {
    if (words == nullptr && n != 0) return cairn::c::null_argument("filter", "words");
    return Filter::bits(it, std::span<const std::uint64_t>(words, n), first);
  });
}

int cairn_filter_where(const cairn_index* index, cairn_wanted wanted, void* context,
                       cairn_filter** out) {
  return cairn::c::make_filter(index, out, [&](const Index& it) -> Result<Filter> {
    if (wanted == nullptr) return cairn::c::null_argument("filter", "wanted");
    return Filter::where(it, [wanted, context](Key key) { return wanted(context, key) != 0; });
  });
}

size_t cairn_filter_count(const cairn_filter* filter) {
  return filter == nullptr ? 0 : filter->filter.count();
}

void cairn_filter_close(cairn_filter* filter) { delete filter; }

}  // extern "C"
