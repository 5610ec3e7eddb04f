// SPDX-License-Identifier: Apache-2.0
//
// Filters of sets: one of each shard.
#include <string>
#include <utility>

#include "engine/base/guarded.h"
#include "engine/shards/set_impl.h"

namespace cairn {

Result<const ShardFilter::Impl*> ShardFilterParts::of(const char* call, const ShardFilter& filter,
                                                      const SetState& set) {
  if (filter.impl_ != nullptr && filter.impl_->anchor == set.anchor) return filter.impl_.get();
  return Error(ErrorCode::invalid_argument,
               std::string(call) + ": the filter belongs to another set");
}

template <class Make>
Result<ShardFilter> ShardFilterParts::make(const ShardSet& set, const Make& make_one) {
  return guarded("filter", [&]() -> Result<ShardFilter> {
    auto impl = std::make_unique<ShardFilter::Impl>();
    impl->anchor = set.impl_->anchor;
    for (const Shard& shard : set.impl_->shards) {
      auto& slot = impl->each.emplace_back();
      if (!shard.index) continue;
      Result<Filter> filter = make_one(*shard.index);
      if (!filter) return in_shard("filter", shard.file, filter.error());
      slot = *std::move(filter);
    }
    return ShardFilter(std::move(impl));
  });
}

ShardFilter::ShardFilter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ShardFilter::ShardFilter(ShardFilter&&) noexcept = default;
ShardFilter& ShardFilter::operator=(ShardFilter&&) noexcept = default;
ShardFilter::~ShardFilter() = default;

Result<ShardFilter> ShardFilter::only(const ShardSet& set, std::span<const Key> keys) {
  return ShardFilterParts::make(set, [&](const Index& index) { return Filter::only(index, keys); });
}

Result<ShardFilter> ShardFilter::except(const ShardSet& set, std::span<const Key> keys) {
  return ShardFilterParts::make(set,
                                [&](const Index& index) { return Filter::except(index, keys); });
}

Result<ShardFilter> ShardFilter::bits(const ShardSet& set, std::span<const std::uint64_t> words,
                                      Key first) {
  return ShardFilterParts::make(
      set, [&](const Index& index) { return Filter::bits(index, words, first); });
}

Result<ShardFilter> ShardFilter::where(const ShardSet& set, std::function<bool(Key)> passes) {
  return ShardFilterParts::make(set,
                                [&](const Index& index) { return Filter::where(index, passes); });
}

std::size_t ShardFilter::count() const {
  std::size_t sum = 0;
  if (impl_ == nullptr) return sum;
  for (const auto& one : impl_->each) sum += one ? one->count() : 0;
  return sum;
}

}  // namespace cairn
