// SPDX-License-Identifier: Apache-2.0
//
// A dense copy of an index: the live nodes alone, in the order in which they were, with their
// links.
#pragma once

#include <cstdint>
#include <functional>

#include <cairn/error.h>

#include "engine/store/key_table.h"
#include "engine/store/node_store.h"

namespace cairn {

struct CompactCopy {
  NodeStore store;
  format::Region hash;
  format::Region overflow;
  format::Counters table;  // the key table's part
};

// Called every few lists, and between them alone: `done` grows from 0 to 3 * the number of slots,
// through healing, copying and looking for strays. An error ends the copying.
using CompactStep = std::function<Result<void>(std::uint64_t done)>;

// Heals all lists, so that nothing links to a tombstone, and copies the rest. A tombstone that some
// list must keep is copied too. In the copy all nodes are looked for that do not find themselves.
// `table`: whose hashes, and order of the nodes of a key, the copy has. The result depends on the
// two alone. out_of_memory and the errors of `step` leave the index as it was, but for healed
// lists. `addresses`: reserved for the copy at least. `threads`: as in BuildOptions. REQUIRES:
// nobody changes the store meanwhile.
Result<CompactCopy> compact_copy(NodeStore& store, const KeyTable& table,
                                 const format::SectionAddresses& addresses, unsigned threads,
                                 const CompactStep& step);

}  // namespace cairn
