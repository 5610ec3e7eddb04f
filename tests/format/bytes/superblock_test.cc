// SPDX-License-Identifier: Apache-2.0
#include "format/bytes/superblock.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "tests/support/file_image.h"

namespace cairn::format {
namespace {

using test::Bytes;
using test::ToyIndex;

// A file with two runs of HOT, and its blocks.
struct Fixture {
  Bytes file = test::many_run_file(ToyIndex(20, 100), {3, 1});
  StaticHeader header = test::header_of(file);
  Superblock block = test::superblock_of(file);

  Result<ExtentTable> check() const { return block.check(header, file.size()); }
  void expect_corrupt(const char* part) const {
    const auto table = check();
    ASSERT_FALSE(table) << part;
    EXPECT_EQ(table.error().code(), ErrorCode::corrupt) << table.error().message();
    EXPECT_NE(table.error().message().find(part), std::string::npos) << table.error().message();
  }
};

TEST(Superblock, DecodesWhatWasEncoded) {
  Superblock block;
  block.generation = 77;
  block.uuid[3] = 9;
  block.feature_incompat = 1;
  block.feature_ro_compat = 2;
  block.feature_compat = 6;
  block.file_size = 4;
  block.checkpoint_lsn = 5;
  block.log_offset = 6;
  block.log_salt = 7;
  block.log_first_lsn = 8;
  block.flags = 9;
  block.counters = {.slots_used = 10,
                    .live = 11,
                    .deleted = 12,
                    .upper_used = 13,
                    .hash_buckets = 14,
                    .overflow_used = 15,
                    .overflow_free = 16,
                    .entry_point = 17,
                    .max_level = 18,
                    .slot_free = 19,
                    .upper_free = {20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35},
                    .applied_up_to = 36,
                    .advised_ef = 39,
                    .keys = 40};
  block.identity = 37;
  block.closed_size = 38;
  for (std::uint16_t i = 0; i < kMaxExtents; ++i) {
    block.extents.push_back(
        {i, static_cast<std::uint16_t>(i + 1), i + 2u, i + 3u, i + 4u, i + 5u, i + 6u});
  }
  Bytes bytes(Superblock::kEncodedSize);
  block.encode(std::span<std::byte, Superblock::kEncodedSize>(bytes));
  const auto decoded =
      Superblock::decode(std::span<const std::byte, Superblock::kEncodedSize>(bytes), block.uuid);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->generation, 77u);
  EXPECT_EQ(decoded->uuid, block.uuid);
  EXPECT_EQ(decoded->feature_incompat, 1u);
  EXPECT_EQ(decoded->feature_ro_compat, 2u);
  EXPECT_EQ(decoded->feature_compat, 6u | kCompatAdvisedEf);
  EXPECT_EQ(decoded->file_size, 4u);
  EXPECT_EQ(decoded->checkpoint_lsn, 5u);
  EXPECT_EQ(decoded->log_offset, 6u);
  EXPECT_EQ(decoded->log_salt, 7u);
  EXPECT_EQ(decoded->log_first_lsn, 8u);
  EXPECT_EQ(decoded->flags, 9u);
  EXPECT_EQ(decoded->counters, block.counters);
  EXPECT_EQ(decoded->identity, 37u);
  EXPECT_EQ(decoded->closed_size, 38u);
  EXPECT_EQ(decoded->extents, block.extents);
}

TEST(Superblock, IsNotValidWithWrongMagicChecksumUuidOrCount) {
  const Fixture fixture;
  const auto decode = [&](auto damage, bool repair) {
    Bytes file = fixture.file;
    damage(file.data() + kSuperblockOffsets[0]);
    if (repair) test::repair_slot(file, 0);
    const auto block =
        Superblock::decode(std::span<const std::byte, Superblock::kEncodedSize>(
                               file.data() + kSuperblockOffsets[0], Superblock::kEncodedSize),
                           fixture.header.uuid);
    return block ? std::string("valid") : block.error().message();
  };
  EXPECT_EQ(decode([](std::byte*) {}, true), "valid");
  EXPECT_EQ(decode([](std::byte* at) { at[0] = std::byte{0}; }, true), "wrong magic number");
  EXPECT_EQ(decode([](std::byte* at) { at[16] ^= std::byte{1}; }, true), "uuid of another file");
  EXPECT_EQ(decode([](std::byte* at) { at[100] = std::byte{241}; }, true),
            "extent_count is 241, must be at most 240");
  EXPECT_EQ(decode([](std::byte* at) { at[9000] = std::byte{1}; }, false).substr(0, 11),
            "checksum 0x");
}

TEST(Superblock, UnknownIncompatibleFeaturesAreRefusedBitByBit) {
  Fixture fixture;
  for (int bit = 0; bit < 64; ++bit) {
    fixture.block.feature_incompat = std::uint64_t{1} << bit;
    if ((fixture.block.feature_incompat & kKnownIncompat) != 0) continue;
    const auto table = fixture.check();
    ASSERT_FALSE(table) << bit;
    EXPECT_EQ(table.error().code(), ErrorCode::feature_unsupported);
  }
}

TEST(Superblock, LogAndJournalMustLieInTheFile) {
  Fixture fixture;
  fixture.file.resize(fixture.file.size() + kPageSize);
  Superblock good = fixture.block;
  good.file_size = fixture.file.size();
  good.feature_incompat = kIncompatLog;
  good.flags = 0;
  good.checkpoint_lsn = 7;
  good.log_first_lsn = 8;
  good.log_offset = kFirstRunOffset;
  good.journal_offset = good.file_size - kPageSize;
  good.journal_bytes = kPageSize;
  fixture.block = good;
  ASSERT_TRUE(fixture.check()) << fixture.check().error().message();
  const auto refused = [&](auto&& change) {
    fixture.block = good;
    change(fixture.block);
    const auto table = fixture.check();
    return !table && table.error().code() == ErrorCode::corrupt;
  };
  EXPECT_TRUE(refused([](Superblock& b) { b.flags = kSuperblockClean; }));
  EXPECT_TRUE(refused([](Superblock& b) { b.log_first_lsn = 9; }));
  EXPECT_TRUE(refused([](Superblock& b) { b.closed_size = 8; }));
  EXPECT_TRUE(refused([](Superblock& b) { b.closed_size = b.file_size + kPageSize; }));
  EXPECT_TRUE(refused([](Superblock& b) { b.log_first_lsn = 0, b.checkpoint_lsn = UINT64_MAX; }));
  EXPECT_TRUE(refused([](Superblock& b) { b.log_offset = kFirstRunOffset - kPageSize; }));
  EXPECT_TRUE(refused([](Superblock& b) { b.log_offset += 8; }));
  EXPECT_TRUE(refused([](Superblock& b) { b.log_offset = b.file_size - kPageSize; }));
  EXPECT_TRUE(refused([](Superblock& b) { b.log_offset = 0, b.journal_bytes = 0; }));
  EXPECT_TRUE(refused([](Superblock& b) { b.journal_offset = kFirstRunOffset - kPageSize; }));
  EXPECT_TRUE(refused([](Superblock& b) { b.journal_offset += 8; }));
  EXPECT_TRUE(refused([](Superblock& b) { b.journal_offset -= kPageSize; }));  // in a run
  EXPECT_TRUE(refused([](Superblock& b) { b.journal_bytes += kPageSize; }));
  EXPECT_TRUE(refused([](Superblock& b) { b.journal_bytes -= 8; }));
  EXPECT_TRUE(refused([](Superblock& b) { b.feature_incompat = 0, b.flags = 1; }));
}

TEST(Superblock, NumbersLeaveRoomToCountOn) {
  Fixture fixture;
  for (const std::uint64_t number : {UINT64_MAX, UINT64_MAX - 1, kMaxNumber + 1}) {
    fixture.block.generation = number;
    fixture.expect_corrupt("generation");
    fixture.block.generation = 1;
    fixture.block.checkpoint_lsn = number;
    fixture.expect_corrupt("checkpoint_lsn");
    fixture.block.checkpoint_lsn = 0;
  }
  fixture.block.generation = fixture.block.checkpoint_lsn = kMaxNumber;
  EXPECT_TRUE(fixture.check());
}

TEST(Superblock, SaysByAFeatureBitWhetherAnEfIsAdvised) {
  const auto written = [](std::uint64_t features, std::uint32_t ef) {
    Superblock block;
    block.feature_compat = features;
    block.counters.advised_ef = ef;
    Bytes bytes(Superblock::kEncodedSize);
    block.encode(std::span<std::byte, Superblock::kEncodedSize>(bytes));
    return load<superblock_at::kFeatureCompat>(bytes.data());
  };
  EXPECT_EQ(written(0, 0), 0u);
  EXPECT_EQ(written(0, 100), kCompatAdvisedEf);
  EXPECT_EQ(written(8 | kCompatAdvisedEf, 0), 8u);
  EXPECT_EQ(written(8, 65536), 8 | kCompatAdvisedEf);
}

TEST(Superblock, UnknownCompatibleAndReadOnlyCompatibleFeaturesAreReadable) {
  Fixture fixture;
  for (int bit = 0; bit < 64; ++bit) {
    fixture.block.feature_compat = std::uint64_t{1} << bit;
    fixture.block.feature_ro_compat = std::uint64_t{1} << (63 - bit);
    EXPECT_TRUE(fixture.check()) << bit;
  }
}

TEST(Superblock, ShorterFilesThanItSaysAreTruncated) {
  Fixture fixture;
  const auto table = fixture.block.check(fixture.header, fixture.file.size() - 1);
  ASSERT_FALSE(table);
  EXPECT_EQ(table.error().code(), ErrorCode::truncated);
  EXPECT_TRUE(fixture.block.check(fixture.header, fixture.file.size() + 12345));
}

TEST(Superblock, GenerationFlagsAndSizeAreChecked) {
  Fixture fixture;
  fixture.block.generation = 0;
  fixture.expect_corrupt("generation");
  fixture.block.generation = 1;
  fixture.block.flags = 0;
  fixture.expect_corrupt("flags");
  fixture.block.flags = 3;
  fixture.expect_corrupt("flags");
  fixture.block.flags = kSuperblockClean;
  for (const std::uint64_t size : {std::uint64_t{0}, kFirstRunOffset - 4096, kFirstRunOffset + 1,
                                   kMaxFileSize + 4096, UINT64_MAX}) {
    fixture.block.file_size = size;
    fixture.expect_corrupt("file_size");
  }
}

struct CounterCase {
  const char* part;
  void (*damage)(Counters&);
};

TEST(Superblock, EveryCounterIsChecked) {
  const CounterCase cases[] = {
      {"slots_used", [](Counters& c) { c.slots_used = kMaxRecords + 1; }},
      {"slots_used", [](Counters& c) { c.slots_used = UINT64_MAX; }},
      {"live", [](Counters& c) { c.live = c.slots_used + 1; }},
      {"deleted", [](Counters& c) { c.deleted = 1; }},
      {"deleted", [](Counters& c) { c.deleted = UINT64_MAX; }},
      {"upper_used", [](Counters& c) { c.upper_used = 200; }},
      {"upper_used", [](Counters& c) { c.upper_used = kMaxRecords + 1; }},
      {"hash_buckets", [](Counters& c) { c.hash_buckets = 200; }},
      {"hash_buckets", [](Counters& c) { c.hash_buckets = (std::uint64_t{1} << 32) + 1; }},
      {"hash_buckets", [](Counters& c) { c.hash_buckets = 0; }},
      {"overflow_used", [](Counters& c) { c.overflow_used = 100; }},
      {"overflow_used", [](Counters& c) { c.overflow_used = UINT64_MAX; }},
      {"overflow_free", [](Counters& c) { c.overflow_free = 6; }},
      {"slot_free", [](Counters& c) { c.slot_free = 100; }},
      {"entry_point", [](Counters& c) { c.entry_point = 100; }},
      {"no entry point", [](Counters& c) { c.entry_point = kNoNode; }},
      {"max_level", [](Counters& c) { c.max_level = 16; }},
      {"advised_ef", [](Counters& c) { c.advised_ef = 65537; }},
      {"upper_free", [](Counters& c) { c.upper_free[0] = 0; }},
      {"upper_free", [](Counters& c) { c.upper_free[15] = 25; }},
  };
  for (const CounterCase& damaged : cases) {
    Fixture fixture;
    damaged.damage(fixture.block.counters);
    fixture.expect_corrupt(damaged.part);
  }
}

TEST(Superblock, SectionsMustHoldWhatTheCountersSay) {
  Fixture fixture;
  fixture.block.counters.slots_used = 1000;
  fixture.expect_corrupt("slots_used is 1000, which needs");
}

TEST(Superblock, AnEmptyIndexMayHaveNoSections) {
  const ToyIndex empty(20, 0);
  const Bytes file = test::many_run_file(empty, {1});
  EXPECT_EQ(file.size(), kFirstRunOffset);
  EXPECT_TRUE(test::superblock_of(file).check(test::header_of(file), file.size()));
  Superblock block = test::superblock_of(file);
  block.counters.max_level = 1;
  EXPECT_FALSE(block.check(test::header_of(file), file.size()));
}

TEST(ContentUuid, DependsOnParametersCountersAndRootsOnly) {
  const Fixture fixture;
  const Uuid uuid = content_uuid(fixture.header, fixture.block);
  Fixture other;
  other.header.uuid = {};
  other.block.uuid[0] ^= 1;
  other.block.generation = 9;
  EXPECT_EQ(content_uuid(other.header, other.block), uuid);
  ++other.header.parameters.seed;
  EXPECT_NE(content_uuid(other.header, other.block), uuid);
  other.header = fixture.header;
  ++other.block.counters.applied_up_to;
  EXPECT_NE(content_uuid(other.header, other.block), uuid);
  other.block.counters = fixture.block.counters;
  ++other.block.extents[0].root;
  EXPECT_NE(content_uuid(other.header, other.block), uuid);
}

}  // namespace
}  // namespace cairn::format
