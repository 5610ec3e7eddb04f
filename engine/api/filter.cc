// SPDX-License-Identifier: Apache-2.0
#include <cairn/filter.h>

#include <random>
#include <string>
#include <vector>

#include "engine/api/filter_parts.h"
#include "engine/api/index_impl.h"
#include "engine/base/guarded.h"

namespace cairn {

namespace {

// Brings a filter up to date with a view.
SlotFilter::Outcome follow(const IndexState& index, const GraphView& view, SlotFilter& filter,
                           const SlotSet*& slots) {
  struct Reader {
    const IndexState& index;
    const GraphView& view;
    bool is_current = true;
    bool is_readable = true;
  } reader{index, view};
  const SlotSource source{view,
                          index.epochs,
                          index.anchor->forks.load(std::memory_order_relaxed),
                          [&reader](Key key) -> std::optional<NodeId> {
                            GraphView seen{};
                            const auto node = reader.index.find(key, &seen);
                            reader.is_readable &= node.has_value();
                            reader.is_current &= seen.slots.layout == reader.view.slots.layout;
                            return node && reader.is_current ? *node : std::nullopt;
                          },
                          [&reader](Key key, std::vector<NodeId>& list) {
                            GraphView seen{};
                            const auto nodes = reader.index.all_nodes_of(key, &seen);
                            reader.is_readable &= nodes.has_value();
                            reader.is_current &= seen.slots.layout == reader.view.slots.layout;
                            if (!nodes || !reader.is_current) return;
                            list.insert(list.end(), nodes->begin(), nodes->end());
                          },
                          [&reader] { return reader.is_current; },
                          [&reader](const std::function<void()>& read) {
                            return reader.is_readable && reader.index.survives(reader.view, read);
                          }};
  return filter.follow(source, slots);
}

}  // namespace

FilteredView filtered_view(const IndexState& index, SlotFilter* filter, PageUse* use) {
  for (;;) {
    FilteredView view{use == nullptr ? index.space() : index.space(*use), nullptr,
                      SlotFilter::Outcome::followed};
    if (filter == nullptr) return view;
    const GraphView& graph = view.space.view();
    view.slots = filter->current(graph);
    if (view.slots != nullptr) return view;
    view.outcome = follow(index, graph, *filter, view.slots);
    if (view.outcome != SlotFilter::Outcome::left_behind) return view;
  }
}

Result<SlotFilter*> FilterParts::of(const char* what, const Filter& filter,
                                    const IndexState& index) {
  const Filter::Impl* impl = filter.impl_.get();
  if (impl != nullptr && impl->anchor == index.anchor) return &filter.impl_->slots;
  const bool is_gone = impl != nullptr && impl->anchor->index.load() == nullptr;
  return Error(ErrorCode::invalid_argument,
               std::string(what) + (is_gone ? ": the index of the filter is gone"
                                            : ": the filter belongs to another index"));
}

Filter::Filter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Filter::Filter(Filter&&) noexcept = default;
Filter& Filter::operator=(Filter&&) noexcept = default;
Filter::~Filter() = default;

// Made and brought up to date.
Result<Filter> FilterParts::make(const Index& index, const MakeRule& make_rule) {
  return guarded("filter", [&]() -> Result<Filter> {
    auto& state = IndexParts::of(index);
    if (auto ok = state.check_mapped("filter"); !ok) return ok.error();
    auto impl = std::make_unique<Filter::Impl>(state.anchor, make_rule());
    bool is_readable = true;
    const auto looked = state.look_at_one_moment([&] {
      const FilteredView view = filtered_view(state, &impl->slots);
      is_readable = view.outcome != SlotFilter::Outcome::unreadable;
      return view.space.view();
    });
    if (!looked) return looked.error().with_context("filter");
    if (!is_readable) return state.unreadable().with_context("filter");
    return Filter(std::move(impl));
  });
}

namespace {

// Keys that others choose cannot be chosen to collide: nobody knows the seed.
KeySet set_of(std::span<const Key> keys) {
  static const std::uint64_t seed = [] {
    std::random_device random;
    return std::uint64_t{random()} << 32 | random();
  }();
  return KeySet(keys, KeyHash(seed));
}

}  // namespace

Result<Filter> Filter::only(const Index& index, std::span<const Key> keys) {
  return FilterParts::make(index, [&] { return KeyRule::only(set_of(keys)); });
}

Result<Filter> Filter::except(const Index& index, std::span<const Key> keys) {
  return FilterParts::make(index, [&] { return KeyRule::except(set_of(keys)); });
}

Result<Filter> Filter::bits(const Index& index, std::span<const std::uint64_t> words, Key first) {
  return FilterParts::make(index, [&] { return KeyRule::bits(words, first); });
}

Result<Filter> Filter::where(const Index& index, std::function<bool(Key)> passes) {
  if (!passes) return Error(ErrorCode::invalid_argument, "filter: the function is empty");
  return FilterParts::make(index, [&] { return KeyRule::where(std::move(passes)); });
}

std::size_t Filter::count() const {
  const IndexState* index = impl_ == nullptr ? nullptr : impl_->anchor->index.load();
  if (index == nullptr || index->is_cut_off) return 0;
  const auto counted = guarded("filter", [&]() -> Result<std::size_t> {
    const Epochs::Guard guard(index->epochs);
    const FilteredView view = filtered_view(*index, &impl_->slots);
    return view.slots != nullptr ? view.slots->count() : impl_->slots.last_count();
  });
  return counted ? *counted : impl_->slots.last_count();
}

}  // namespace cairn
