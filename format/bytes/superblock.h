// SPDX-License-Identifier: Apache-2.0
//
// The two blocks that describe a file: the static header, which never changes, and the superblock,
// of which two slots hold the newest generations. docs/format.md, "Static header" and "Superblock".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <cairn/error.h>

#include "format/bytes/extent_table.h"
#include "format/bytes/header_layout.h"
#include "format/bytes/parameters.h"
#include "format/bytes/stretch.h"
#include "format/bytes/superblock_layout.h"

namespace cairn::format {

struct StaticHeader {
  static constexpr std::size_t kEncodedSize = header_at::kSize;

  Uuid uuid{};
  Parameters parameters{};
  std::uint32_t section_count = kSectionCount;
  std::uint64_t hash_seed = 0;  // means something only with its feature bit, see hash_seed_of()

  // Writes the checksum too.
  void encode(std::span<std::byte, kEncodedSize> out) const;
  // Checks everything. not_a_cairn_file, version_unsupported, feature_unsupported, corrupt.
  static Result<StaticHeader> decode(std::span<const std::byte, kEncodedSize> in);
};

struct Superblock {
  static constexpr std::size_t kEncodedSize = superblock_at::kSize;

  std::uint64_t generation = 1;
  Uuid uuid{};
  std::uint64_t feature_incompat = 0;
  std::uint64_t feature_ro_compat = 0;
  std::uint64_t feature_compat = 0;  // encode() sees to kCompatAdvisedEf
  std::uint64_t file_size = 0;
  std::uint64_t checkpoint_lsn = 0;
  std::uint64_t log_offset = 0;
  std::uint64_t log_salt = 0;
  std::uint64_t log_first_lsn = 0;
  std::uint32_t flags = kSuperblockClean;
  std::uint64_t journal_offset = 0;  // 0: no journal
  std::uint64_t journal_bytes = 0;
  std::uint64_t journal_checksum = 0;
  Counters counters{};
  std::uint64_t identity = 0;     // of the file that it was written to; 0: not told
  std::uint64_t closed_size = 0;  // with a log: file_size when the file was last closed
  std::vector<Extent> extents;    // REQUIRES for encode: at most kMaxExtents

  // Writes the checksum too.
  void encode(std::span<std::byte, kEncodedSize> out) const;
  // Whether this is a valid slot of the file: magic, checksum, uuid; and its fields as they are,
  // which check() judges. corrupt.
  static Result<Superblock> decode(std::span<const std::byte, kEncodedSize> in, const Uuid& uuid);

  // Whether a log may have to be replayed.
  bool has_log() const { return (feature_incompat & kIncompatLog) != 0; }
  bool has_journal() const { return journal_bytes != 0; }

  // All other checks, against the header and the real size of the file.
  // feature_unsupported, truncated, corrupt.
  Result<ExtentTable> check(const StaticHeader& header, std::uint64_t real_size) const;
};

// The seed with which keys are hashed, of a file that has one of its own.
std::optional<std::uint64_t> hash_seed_of(const StaticHeader& header, const Superblock& superblock);
// Gives both of them one, or none.
void set_hash_seed(std::optional<std::uint64_t> seed, StaticHeader& header, Superblock& superblock);

// Tells in both of them whether keys may have several vectors.
void set_several_per_key(bool several, StaticHeader& header, Superblock& superblock);

// What the counters must say of themselves and of the sections' lengths. corrupt.
Result<void> check_counters(const Parameters& parameters, const Counters& counters,
                            const ExtentTable& table);

// corrupt: a log segment or the journal shares bytes with a run of `table`, or with another
// segment.
Result<void> check_log_space(const ExtentTable& table, const Superblock& block,
                             std::span<const Stretch> segments);

// The uuid of a saved file: a hash of what the two blocks say but for uuid and generation.
Uuid content_uuid(const StaticHeader& header, const Superblock& superblock);

}  // namespace cairn::format
