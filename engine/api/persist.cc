// SPDX-License-Identifier: Apache-2.0
#include "engine/api/persist.h"

#include <string>

#include "engine/api/arguments.h"

namespace cairn {

using format::SectionId;

format::Snapshot snapshot_of(const NodeStore& store, const KeyTable& table,
                             const format::Region& hash, const format::Region& overflow) {
  format::Snapshot snapshot{};
  snapshot.parameters = store.parameters();
  snapshot.hash_seed = table.key_hash().hash_seed();
  format::Counters& counters = snapshot.counters;
  store.store(counters);
  table.store(counters);
  for (const SectionId id : NodeStore::kSections) {
    snapshot.sections[format::section_index(id)] = store.bytes(id);
  }
  snapshot.sections[format::section_index(SectionId::hash)] = {
      hash.data(), table.buckets() * format::bucket::kSize};
  snapshot.sections[format::section_index(SectionId::overflow)] = {
      overflow.data(), table.overflow_used() * format::bucket::kSize};
  return snapshot;
}

format::SectionAddresses addresses_for(const format::Parameters& parameters,
                                       std::uint64_t vectors) {
  constexpr std::uint64_t kUnswept = 4096;
  // Buckets of HASH hold more than five keys each; few chains reach into OVERFLOW.
  constexpr std::uint64_t kHashPerKey = 16;
  constexpr std::uint64_t kOverflowPerKey = 8;
  if (vectors == 0) return {};
  const std::uint64_t slots = vectors + kUnswept;
  format::SectionAddresses bytes{};
  bytes[section_index(SectionId::hot)] = slots * parameters.hot_stride;
  bytes[section_index(SectionId::exact)] = slots * parameters.exact_stride;
  bytes[section_index(SectionId::key)] = slots * sizeof(Key);
  // One node in m has a list on an upper level, one of these in m another one.
  bytes[section_index(SectionId::upper)] =
      2 * (slots / parameters.m + kUnswept) * parameters.upper_stride;
  bytes[section_index(SectionId::hash)] = slots * kHashPerKey;
  bytes[section_index(SectionId::overflow)] = slots * kOverflowPerKey;
  return bytes;
}

void tell_loss(const format::LogLoss& loss, Stats& stats) {
  stats.lost_frames = loss.frames();
  stats.first_lost_lsn = loss.first_lsn;
  stats.last_lost_lsn = loss.last_lsn;
  stats.live_before_loss = loss.live_before.value_or(0);
}

IndexParams params_of(const format::Parameters& parameters) {
  IndexParams params;
  params.dimensions = parameters.dimensions;
  params.metric = parameters.metric;
  params.scalar = parameters.scalar;
  params.m = parameters.m;
  params.ef_construction = parameters.ef_construction;
  params.seed = parameters.seed;
  params.traversal = parameters.traversal;
  params.several_per_key = parameters.several_per_key;
  return params;
}

Result<void> check_opened(const format::Parameters& parameters, const format::Counters& counters) {
  if (counters.slots_used > kMaxNodes) {
    return Error(ErrorCode::feature_unsupported, std::to_string(counters.slots_used) + " nodes, " +
                                                     std::to_string(kMaxNodes) +
                                                     " are the most that this version handles");
  }
  return check_params(params_of(parameters));
}

}  // namespace cairn
