// SPDX-License-Identifier: Apache-2.0
#include "shard_filter.h"

#include <nanobind/ndarray.h>

#include <algorithm>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "arrays.h"
#include "errors.h"

namespace cairn::python {

using nb::literals::operator""_a;

namespace {

SetFilterHandle* filter_of_keys(const SetHandle& handle, const KeyArray& keys, bool excludes) {
  const SetHandle::Use set = handle.get();
  const nb::gil_scoped_release released;
  const std::span<const Key> given(keys.data(), keys.size());
  return new SetFilterHandle{handle, value_or_throw(excludes ? ShardFilter::except(*set, given)
                                                             : ShardFilter::only(*set, given))};
}

SetFilterHandle* filter_of_bits(const SetHandle& handle, const KeyArray& words, Key first) {
  const SetHandle::Use set = handle.get();
  const nb::gil_scoped_release released;
  return new SetFilterHandle{
      handle, value_or_throw(ShardFilter::bits(*set, {words.data(), words.size()}, first))};
}

// Keys of ranges: firsts and lasts in turn, ascending and apart.
SetFilterHandle* filter_of_ranges(const SetHandle& handle, const KeyArray& bounds) {
  const SetHandle::Use set = handle.get();
  const std::vector<Key> ends(bounds.data(), bounds.data() + bounds.size());
  if (ends.size() % 2 != 0) fail(ErrorCode::invalid_argument, "a range without an end");
  const nb::gil_scoped_release released;
  return new SetFilterHandle{handle, value_or_throw(ShardFilter::where(*set, [ends](Key key) {
                               // The first bound that is not before it ends the range that has it,
                               // or begins with it.
                               const auto at = std::lower_bound(ends.begin(), ends.end(), key);
                               return at != ends.end() &&
                                      ((at - ends.begin()) % 2 == 1 || *at == key);
                             }))};
}

SetFilterHandle* filter_where(const SetHandle& handle, nb::object function) {
  const SetHandle::Use set = handle.get();
  const auto kept = kept_function(std::move(function));
  const auto raised = std::make_shared<Raised>();
  std::optional<Result<ShardFilter>> made;
  {
    const nb::gil_scoped_release released;
    made.emplace(ShardFilter::where(*set, Asks(kept, raised)));
  }
  raised->raise();
  return new SetFilterHandle{handle, value_or_throw(std::move(*made)), kept, raised};
}

}  // namespace

void register_shard_filters(nb::module_& module) {
  nb::class_<SetFilterHandle>(module, "ShardFilter",
                              nb::type_slots(FilterSlots<SetFilterHandle>::kSlots))
      .def_static("of_keys", filter_of_keys, nb::keep_alive<0, 1>(), "set"_a, "keys"_a.noconvert(),
                  "excludes"_a)
      .def_static("of_bits", filter_of_bits, nb::keep_alive<0, 1>(), "set"_a, "words"_a.noconvert(),
                  "first"_a)
      .def_static("of_ranges", filter_of_ranges, nb::keep_alive<0, 1>(), "set"_a,
                  "bounds"_a.noconvert())
      .def_static("where", filter_where, nb::keep_alive<0, 1>(), "set"_a, "passes"_a)
      .def("count", [](const SetFilterHandle& handle) {
        const SetHandle::Use open = handle.set.get();
        const nb::gil_scoped_release released;
        return handle.filter.count();
      });
}

}  // namespace cairn::python
