// SPDX-License-Identifier: Apache-2.0
//
// Filters as searches see them: the slots that they let pass at the moment of a view.
#pragma once

#include <cairn/filter.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "engine/search/slot_filter.h"
#include "engine/store/page_use.h"
#include "engine/vectors/distance.h"

namespace cairn {

struct IndexState;

// What a filter holds of its index: it outlives it, and tells when it is gone.
struct IndexAnchor {
  std::atomic<IndexState*> index{nullptr};
  std::atomic<std::uint32_t> forks{0};  // of this process since the index was made
};

struct Filter::Impl {
  Impl(std::shared_ptr<const IndexAnchor> of, KeyRule rule)
      : anchor(std::move(of)), slots(std::move(rule)) {}

  const std::shared_ptr<const IndexAnchor> anchor;
  SlotFilter slots;
};

struct FilterParts {
  // invalid_argument: the filter is of another index, or of one that is gone, or moved from.
  static Result<SlotFilter*> of(const char* what, const Filter& filter, const IndexState& index);

  using MakeRule = std::function<KeyRule()>;
  static Result<Filter> make(const Index& index, const MakeRule& make_rule);
};

// A view, and what a filter lets pass of it. REQUIRES: an epoch is entered, and stays so.
struct FilteredView {
  Space space;
  const SlotSet* slots;         // null: no filter, or no slots
  SlotFilter::Outcome outcome;  // followed, unreadable or torn
};
// `filter` may be null. `use` is told of what searches meet, if that is to be checked.
FilteredView filtered_view(const IndexState& index, SlotFilter* filter, PageUse* use = nullptr);

}  // namespace cairn
