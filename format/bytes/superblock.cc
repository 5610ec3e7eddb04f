// SPDX-License-Identifier: Apache-2.0
#include "format/bytes/superblock.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "format/bytes/checksum.h"
#include "format/bytes/header_layout.h"
#include "format/bytes/limits.h"
#include "format/bytes/parameters.h"
#include "format/bytes/superblock_layout.h"

namespace cairn::format {
namespace {

Error bad(const std::string& what) { return Error(ErrorCode::corrupt, what); }

std::string is_but(const char* name, std::uint64_t found, const std::string& wanted) {
  return std::string(name) + " is " + std::to_string(found) + ", must be " + wanted;
}

// `records` of section `id` must be there.
Result<void> check_length(const Parameters& p, const ExtentTable& table, SectionId id,
                          const char* counter, std::uint64_t records) {
  // No overflow: records <= 2^32 and strides < 2^20.
  const std::uint64_t needed = records * record_stride(p, id);
  const std::uint64_t there = table.section_bytes(id);
  if (needed <= there) return {};
  return bad(std::string("counters: ") + counter + " is " + std::to_string(records) +
             ", which needs " + std::to_string(needed) + " bytes of " +
             section_name(static_cast<std::uint16_t>(id)) + "; there are " + std::to_string(there));
}

Result<void> check_at_most(const char* name, std::uint64_t found, std::uint64_t limit) {
  if (found <= limit) return {};
  return bad("counters: " + is_but(name, found, "at most " + std::to_string(limit)));
}

// An optional record number: less than `end`, or none.
Result<void> check_reference(const char* name, std::uint32_t found, std::uint64_t end) {
  if (found == kNoNode || found < end) return {};
  return bad("counters: " + is_but(name, found, "none or less than " + std::to_string(end)));
}

Result<void> check_references(const Counters& c) {
  if (auto ok = check_reference("overflow_free", c.overflow_free, c.overflow_used); !ok) return ok;
  if (auto ok = check_reference("slot_free", c.slot_free, c.slots_used); !ok) return ok;
  if (auto ok = check_reference("entry_point", c.entry_point, c.slots_used); !ok) return ok;
  for (std::size_t i = 0; i < kMaxLevels; ++i) {
    if (auto ok = check_reference("upper_free", c.upper_free[i], i == 0 ? 0 : c.upper_used); !ok) {
      return ok;
    }
  }
  if (c.entry_point == kNoNode && c.live > 0) {
    return bad("counters: no entry point, but " + std::to_string(c.live) + " live nodes");
  }
  return check_at_most("max_level", c.max_level, c.entry_point == kNoNode ? 0 : kMaxLevels - 1);
}

std::uint64_t with_feature(std::uint64_t features, std::uint64_t feature, bool is_there) {
  return is_there ? features | feature : features & ~feature;
}

// Where the log and the journal are.
Result<void> check_log(const Superblock& block) {
  if (!block.has_log()) {
    if (block.flags != kSuperblockClean) return bad(is_but("flags", block.flags, "1"));
    if (block.has_journal()) return bad("a journal without a log");
    return {};
  }
  if (block.flags != 0) return bad(is_but("flags", block.flags, "0, since there is a log"));
  if (block.closed_size % kPageSize != 0 || block.closed_size > block.file_size) {
    return bad(is_but("closed_size", block.closed_size, "whole pages, at most file_size"));
  }
  // Without an offset there is only a journal.
  const bool only_journal = block.log_offset == 0 && block.has_journal();
  if (!only_journal && (block.log_offset < kFirstRunOffset || block.log_offset % kPageSize != 0 ||
                        !fits(block.log_offset, 2 * kPageSize, block.file_size))) {
    return bad("log_offset " + std::to_string(block.log_offset) + " is no page of the file");
  }
  if (block.log_first_lsn == 0 || block.log_first_lsn - 1 != block.checkpoint_lsn) {
    return bad(is_but("log_first_lsn", block.log_first_lsn, "checkpoint_lsn + 1"));
  }
  if (!block.has_journal()) return {};
  if (block.journal_offset < kFirstRunOffset || block.journal_offset % kPageSize != 0 ||
      block.journal_bytes % kPageSize != 0 ||
      !fits(block.journal_offset, block.journal_bytes, block.file_size)) {
    return bad("journal of " + std::to_string(block.journal_bytes) + " bytes at " +
               std::to_string(block.journal_offset) + " is not whole pages of the file");
  }
  return {};
}

// What shares no byte of the file with another one.
struct SpaceClaim {
  Stretch stretch;
  std::string name;
};

}  // namespace

Result<void> check_log_space(const ExtentTable& table, const Superblock& block,
                             std::span<const Stretch> segments) {
  if (!block.has_journal() && segments.empty()) return {};
  std::vector<SpaceClaim> claims;
  for (const Extent& run : table.all()) {
    claims.push_back({{run.file_offset, run.length}, "a run of " + section_name(run.section)});
  }
  if (block.has_journal()) {
    claims.push_back({{block.journal_offset, block.journal_bytes}, "the journal"});
  }
  for (const Stretch& segment : segments) claims.push_back({segment, "a log segment"});
  std::sort(claims.begin(), claims.end(), [](const SpaceClaim& a, const SpaceClaim& b) {
    return a.stretch.offset < b.stretch.offset;
  });
  for (std::size_t i = 1; i < claims.size(); ++i) {
    if (claims[i].stretch.offset >= claims[i - 1].stretch.end()) continue;
    return bad(claims[i].name + " at " + std::to_string(claims[i].stretch.offset) + " overlaps " +
               claims[i - 1].name + " at " + std::to_string(claims[i - 1].stretch.offset));
  }
  return {};
}

Result<void> check_counters(const Parameters& p, const Counters& c, const ExtentTable& table) {
  if (auto ok = check_at_most("slots_used", c.slots_used, kMaxRecords); !ok) return ok;
  if (auto ok = check_at_most("upper_used", c.upper_used, kMaxRecords); !ok) return ok;
  if (auto ok = check_at_most("hash_buckets", c.hash_buckets, std::uint64_t{1} << 32); !ok)
    return ok;
  if (auto ok = check_at_most("overflow_used", c.overflow_used, kMaxRecords); !ok) return ok;
  if (auto ok = check_at_most("live", c.live, c.slots_used); !ok) return ok;
  if (auto ok = check_at_most("deleted", c.deleted, c.slots_used - c.live); !ok) return ok;
  if (c.live > 0 && c.hash_buckets == 0) return bad("counters: live nodes, but no hash_buckets");
  if (auto ok = check_references(c); !ok) return ok;
  if (auto ok = check_at_most("advised_ef", c.advised_ef, kMaxAdvisedEf); !ok) return ok;
  if (p.several_per_key) {
    if (auto ok = check_at_most("keys", c.keys, c.live); !ok) return ok;
    if (c.live > 0 && c.keys == 0) return bad("counters: live nodes, but no keys");
  }

  if (auto ok = check_length(p, table, SectionId::hot, "slots_used", c.slots_used); !ok) return ok;
  if (auto ok = check_length(p, table, SectionId::exact, "slots_used", c.slots_used); !ok)
    return ok;
  if (auto ok = check_length(p, table, SectionId::key, "slots_used", c.slots_used); !ok) return ok;
  if (auto ok = check_length(p, table, SectionId::upper, "upper_used", c.upper_used); !ok)
    return ok;
  if (auto ok = check_length(p, table, SectionId::hash, "hash_buckets", c.hash_buckets); !ok)
    return ok;
  return check_length(p, table, SectionId::overflow, "overflow_used", c.overflow_used);
}

void Superblock::encode(std::span<std::byte, kEncodedSize> out) const {
  using namespace superblock_at;
  std::byte* const at = out.data();
  std::memset(at, 0, out.size());
  std::memcpy(at + kMagic.offset, kSuperblockMagic.data(), kMagic.size);
  store<kGeneration>(at, generation);
  std::memcpy(at + kUuid.offset, uuid.data(), kUuid.size);
  store<kFeatureIncompat>(at, feature_incompat);
  store<kFeatureRoCompat>(at, feature_ro_compat);
  store<kFeatureCompat>(at,
                        with_feature(feature_compat, kCompatAdvisedEf, counters.advised_ef != 0));
  store<kFileSize>(at, file_size);
  store<kCheckpointLsn>(at, checkpoint_lsn);
  store<kLogOffset>(at, log_offset);
  store<kLogSalt>(at, log_salt);
  store<kLogFirstLsn>(at, log_first_lsn);
  store<kFlags>(at, flags);
  store<kJournalOffset>(at, journal_offset);
  store<kJournalBytes>(at, journal_bytes);
  store<kJournalChecksum>(at, journal_checksum);
  store<kExtentCount>(at, static_cast<std::uint32_t>(extents.size()));
  counters.encode(out.subspan<kCounters.offset, kCounters.size>());
  store<kIdentity>(at, identity);
  store<kClosedSize>(at, closed_size);
  for (std::size_t i = 0; i < extents.size(); ++i) {
    extents[i].encode(std::span<std::byte, Extent::kEncodedSize>(
        at + kExtents.offset + i * Extent::kEncodedSize, Extent::kEncodedSize));
  }
  hash128(out.first<kChecksum.offset>()).store(at + kChecksum.offset);
}

Result<Superblock> Superblock::decode(std::span<const std::byte, kEncodedSize> in,
                                      const Uuid& uuid) {
  using namespace superblock_at;
  const std::byte* const at = in.data();
  if (std::memcmp(at + kMagic.offset, kSuperblockMagic.data(), kMagic.size) != 0) {
    return bad("wrong magic number");
  }
  const Hash128 computed = hash128(in.first<kChecksum.offset>());
  const Hash128 stored = Hash128::load(at + kChecksum.offset);
  if (computed != stored) {
    std::array<char, 19> a;
    std::array<char, 19> b;
    return bad(std::string("checksum ") + hex(computed.low, a) + ", stored " + hex(stored.low, b));
  }
  if (std::memcmp(at + kUuid.offset, uuid.data(), kUuid.size) != 0) {
    return bad("uuid of another file");
  }
  Superblock block;
  block.generation = load<kGeneration>(at);
  block.uuid = uuid;
  block.feature_incompat = load<kFeatureIncompat>(at);
  block.feature_ro_compat = load<kFeatureRoCompat>(at);
  block.feature_compat = load<kFeatureCompat>(at);
  block.file_size = load<kFileSize>(at);
  block.checkpoint_lsn = load<kCheckpointLsn>(at);
  block.log_offset = load<kLogOffset>(at);
  block.log_salt = load<kLogSalt>(at);
  block.log_first_lsn = load<kLogFirstLsn>(at);
  block.flags = load<kFlags>(at);
  block.journal_offset = load<kJournalOffset>(at);
  block.journal_bytes = load<kJournalBytes>(at);
  block.journal_checksum = load<kJournalChecksum>(at);
  block.counters = Counters::decode(in.subspan<kCounters.offset, kCounters.size>());
  block.identity = load<kIdentity>(at);
  block.closed_size = load<kClosedSize>(at);
  const std::uint32_t count = load<kExtentCount>(at);
  if (count > kMaxExtents) return bad(is_but("extent_count", count, "at most 240"));
  for (std::size_t i = 0; i < count; ++i) {
    block.extents.push_back(Extent::decode(std::span<const std::byte, Extent::kEncodedSize>(
        at + kExtents.offset + i * Extent::kEncodedSize, Extent::kEncodedSize)));
  }
  return block;
}

Result<ExtentTable> Superblock::check(const StaticHeader& header, std::uint64_t real_size) const {
  if (const std::uint64_t unknown = feature_incompat & ~kKnownIncompat; unknown != 0) {
    std::array<char, 19> text;
    return Error(
        ErrorCode::feature_unsupported,
        std::string("the file uses features that this version does not know: incompatible bits ") +
            hex(unknown, text));
  }
  const bool has_several = (feature_incompat & kIncompatSeveral) != 0;
  if (has_several != header.parameters.several_per_key) {
    return bad(std::string("several_per_key of the static header is ") +
               (has_several ? "0, but the feature is set" : "1, but the feature is not set"));
  }
  if (generation == 0 || generation > kMaxNumber) {
    return bad(is_but("generation", generation, "1 to 2^63"));
  }
  if (checkpoint_lsn > kMaxNumber) {
    return bad(is_but("checkpoint_lsn", checkpoint_lsn, "at most 2^63"));
  }
  if (file_size < kFirstRunOffset || file_size % kPageSize != 0 || file_size > kMaxFileSize) {
    return bad(is_but("file_size", file_size, "a multiple of 4096 from 262144 to 2^62"));
  }
  if (file_size > real_size) {
    return Error(ErrorCode::truncated, "the file has " + std::to_string(real_size) + " bytes of " +
                                           std::to_string(file_size));
  }
  if (auto ok = check_log(*this); !ok) return ok.error();
  auto table = ExtentTable::check(extents, file_size, header.section_count);
  if (!table) return table.error();
  if (auto ok = check_log_space(*table, *this, {}); !ok) return ok.error();
  if (auto ok = check_counters(header.parameters, counters, *table); !ok) return ok.error();
  return table;
}

std::optional<std::uint64_t> hash_seed_of(const StaticHeader& header,
                                          const Superblock& superblock) {
  if ((superblock.feature_incompat & kIncompatHashSeed) == 0) return std::nullopt;
  return header.hash_seed;
}

void set_hash_seed(std::optional<std::uint64_t> seed, StaticHeader& header,
                   Superblock& superblock) {
  header.hash_seed = seed.value_or(0);
  superblock.feature_incompat &= ~kIncompatHashSeed;
  if (seed) superblock.feature_incompat |= kIncompatHashSeed;
}

void set_several_per_key(bool several, StaticHeader& header, Superblock& superblock) {
  header.parameters.several_per_key = several;
  superblock.feature_incompat =
      with_feature(superblock.feature_incompat, kIncompatSeveral, several);
}

Uuid content_uuid(const StaticHeader& header, const Superblock& superblock) {
  std::vector<std::byte> first(StaticHeader::kEncodedSize);
  std::vector<std::byte> second(Superblock::kEncodedSize);
  header.encode(std::span<std::byte, StaticHeader::kEncodedSize>(first));
  superblock.encode(std::span<std::byte, Superblock::kEncodedSize>(second));
  constexpr std::size_t kHeaderFrom = header_at::kPageSizeField.offset;
  constexpr std::size_t kHeaderTo = header_at::kChecksum.offset;
  constexpr std::size_t kBlockFrom = superblock_at::kCounters.offset;
  constexpr std::size_t kBlockTo = superblock_at::kExtents.offset + superblock_at::kExtents.size;
  return hash128(std::span(first).subspan(kHeaderFrom, kHeaderTo - kHeaderFrom),
                 std::span(second).subspan(kBlockFrom, kBlockTo - kBlockFrom))
      .bytes();
}

}  // namespace cairn::format
