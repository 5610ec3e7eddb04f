// SPDX-License-Identifier: Apache-2.0
//
// Listing keys, and the vectors of one.
#include <algorithm>
#include <vector>

#include "engine/api/index_impl.h"
#include "engine/base/guarded.h"

namespace cairn {

namespace {

// As many are looked for at a time: no slot is used again meanwhile.
constexpr std::size_t kKeysAtOnce = 1024;
constexpr int kBucketsAtOnce = 512;

}  // namespace

Result<std::size_t> Index::keys(KeyScan& scan, std::span<Key> out) const {
  return guarded("keys", [&]() -> Result<std::size_t> {
    if (auto ok = impl_->check_mapped("keys"); !ok) return ok.error();
    if (out.empty()) return Error(ErrorCode::invalid_argument, "keys: room for no key");
    KeyScan reached = scan;
    std::size_t found = 0;
    PageUse use;
    while (!reached.done && found < out.size()) {
      const auto room = out.subspan(found, std::min(out.size() - found, kKeysAtOnce));
      Result<KeyTable::Listed> listed = KeyTable::Listed{};
      const auto looked = impl_->look_at_one_moment([&] {
        GraphView view{};
        listed = impl_->list_keys(reached.position, room, &view, &use);
        return view;
      });
      if (!looked) return looked.error().with_context("keys");
      if (!listed) return listed.error().with_context("keys");
      if (use.bad()) return use.bad()->with_context("keys");
      found += listed->count;
      reached.done = !listed->next;
      reached.position = listed->next.value_or(0);
    }
    scan = reached;
    return found;
  });
}

Result<void> IndexState::find_all(Key key, std::vector<NodeId>& out, GraphView* view,
                                  PageUse* use) const {
  out.clear();
  const auto looked = look_up(
      view,
      [&](std::uint32_t count) {
        tell_used(key, count, use);
        out.clear();  // of an attempt that does not count
        table->for_each_of(key, count, [&](NodeId node) {
          out.push_back(node);
          return true;
        });
        return true;
      },
      use);
  return looked ? Result<void>() : unreadable();
}

Result<std::vector<NodeId>> IndexState::all_nodes_of(Key key, GraphView* view, PageUse* use) const {
  std::vector<NodeId> nodes;
  if (auto ok = find_all(key, nodes, view, use); !ok) return ok.error();
  return nodes;
}

Result<KeyTable::Listed> IndexState::list_keys(std::uint64_t from, std::span<Key> out,
                                               GraphView* view, PageUse* use) const {
  const auto look = [&](std::uint32_t count) {
    KeyTable::Listed all{0, from};
    for (int i = 0; i < kBucketsAtOnce && all.next && all.count < out.size(); ++i) {
      if (use->checks()) {
        table->for_each_listed(*all.next, count, [&](auto section, auto offset, auto bytes) {
          use->use(section, offset, bytes);
        });
      }
      const auto some = table->list(*all.next, count, out.subspan(all.count));
      all.count += some.count;
      all.next = some.next;
    }
    return all;
  };
  const auto listed = look_up(view, look, use);
  if (!listed) return unreadable();
  return *listed;
}

}  // namespace cairn
