// SPDX-License-Identifier: Apache-2.0
//
// The state of the engine <-> the sections and counters of a file.
#pragma once

#include <cairn/error.h>
#include <cairn/params.h>

#include "engine/store/key_table.h"
#include "engine/store/node_store.h"
#include "format/container/container.h"

namespace cairn {

// What write_container() needs; borrows everything. REQUIRES: nobody changes store and table
// meanwhile.
format::Snapshot snapshot_of(const NodeStore& store, const KeyTable& table,
                             const format::Region& hash, const format::Region& overflow);

// The sections of an opened file that NodeStore::attach takes over.
template <class Container>
NodeStore::Sections node_sections(Container& container) {
  NodeStore::Sections sections{};
  for (const format::SectionId id : NodeStore::kSections) {
    sections[section_index(id)] = &container.section(id);
  }
  return sections;
}

// What so many vectors need, with those that were removed not yet swept; 0: nothing in advance.
format::SectionAddresses addresses_for(const format::Parameters& parameters, std::uint64_t vectors);

// What a salvage has given up, for whoever asks.
void tell_loss(const format::LogLoss& loss, Stats& stats);

IndexParams params_of(const format::Parameters& parameters);

// Whether this version can do something with a file that is sound. feature_unsupported,
// invalid_argument.
Result<void> check_opened(const format::Parameters& parameters, const format::Counters& counters);

}  // namespace cairn
