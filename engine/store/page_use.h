// SPDX-License-Identifier: Apache-2.0
//
// Checks the pages of what a call meets before it believes them (OpenOptions::check), and keeps the
// first that is not what its checksum says. The call goes on, which is safe on any bytes, and ends
// with that error.
//
// Thread-safety: one object a call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include <cairn/error.h>

#include "engine/store/graph_view.h"
#include "engine/store/node_id.h"
#include "format/bytes/sections.h"
#include "format/pages/first_use.h"

namespace cairn {

class PageUse {
 public:
  // Forgets what was found. Checks nothing if the view says so.
  void begin(const GraphView& view) {
    view_ = view;
    bad_.reset();
  }
  bool checks() const { return view_.first_use != nullptr; }
  const std::optional<Error>& bad() const { return bad_; }
  // What another look of the same call has found.
  void note(const std::optional<Error>& bad) {
    if (!bad_) bad_ = bad;
  }

  // Records of nodes, and of their upper levels. REQUIRES: checks(), and nodes of the view.
  void meet(const NodeId* nodes, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
      const NodeId node = nodes[i];
      use(format::SectionId::hot, node.index * std::uint64_t{view_.hot_stride}, view_.hot_stride);
      const auto [first, level] = view_.upper_block(node);
      if (level == 0) continue;
      use(format::SectionId::upper, first * std::uint64_t{view_.upper_stride},
          level * std::uint64_t{view_.upper_stride});
    }
  }
  void read_vectors(const NodeId* nodes, std::size_t n) {
    if (view_.exact == view_.hot) return meet(nodes, n);
    for (std::size_t i = 0; i < n; ++i) {
      use(format::SectionId::exact, nodes[i].index * std::uint64_t{view_.exact_stride},
          view_.exact_stride);
    }
  }
  void read_keys(const NodeId* nodes, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
      use(format::SectionId::key, nodes[i].index * std::uint64_t{sizeof(Key)}, sizeof(Key));
    }
  }
  void use(format::SectionId section, std::uint64_t offset, std::uint64_t bytes) {
    if (bad_) return;
    bad_ = view_.first_use->check(section, offset, bytes);
  }

 private:
  GraphView view_{};
  std::optional<Error> bad_;
};

}  // namespace cairn
