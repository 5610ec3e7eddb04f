// SPDX-License-Identifier: Apache-2.0
//
// Key -> node: linear hashing (Litwin 1980) in 64-byte buckets that live in the HASH and OVERFLOW sections, so that
// look-ups work right after open without a rebuild. It grows one bucket at a time and keeps no tombstones. Byte
// tables: docs/format.md, "HASH and OVERFLOW". Keys themselves stand in the KEY section; a bucket entry is a node
// number and 16 bits of the key's hash.
//
// Thread-safety: none; the index guards it. Every number read from a bucket is bounded before use, and a chain is
// followed for at most `overflow_used` steps, so a hostile file gives a wrong answer at worst.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include <cairn/error.h>
#include <cairn/types.h>

#include "format/address_space.h"
#include "format/layout.h"

namespace cairn {

using NodeId = std::uint32_t;

class KeyTable {
 public:
  // The regions belong to the index and outlive the table. `keys` is the KEY section: key of node n at 8 n.
  KeyTable(format::Region* hash, format::Region* overflow, const format::Region* keys, std::uint64_t seed)
      : hash_(hash), overflow_(overflow), keys_(keys), seed_(seed) {}

  // The counters of an opened file; checked against the regions' sizes.
  Result<void> attach(const format::Counters& counters);
  // Fills in the four hash counters.
  void store(format::Counters& counters) const;

  // The node of `key`, which is less than `slots`.
  std::optional<NodeId> find(Key key, std::uint64_t slots) const;

  // REQUIRES: key is not in the table and stands at keys[node] already. out_of_memory leaves the table unchanged.
  Result<void> insert(Key key, NodeId node);

  // Removes the entry of (key, node); false if there is none.
  bool erase(Key key, NodeId node);

  // Makes room for `count` keys in an empty table, so that inserting them splits nothing.
  Result<void> reserve(std::uint64_t count);

  void clear();

  std::uint64_t size() const { return size_; }

  // Calls visit(node) for every entry, bucket by bucket (for validation). Returns a description of the first defect
  // of the structure (a link beyond the overflow buckets, a cycle, an entry in the wrong bucket, a wrong tag), or
  // nothing.
  template <class Visit>
  std::optional<std::string> for_each(std::uint64_t slots, Visit&& visit) const;

 private:
  format::Region* hash_;
  format::Region* overflow_;
  const format::Region* keys_;
  std::uint64_t seed_;
  std::uint64_t buckets_ = 0;
  std::uint64_t overflow_used_ = 0;
  std::uint32_t overflow_free_ = format::kNoNode;
  std::uint64_t size_ = 0;
};

}  // namespace cairn
