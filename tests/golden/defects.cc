// SPDX-License-Identifier: Apache-2.0
#include "tests/golden/defects.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "format/bytes/header_layout.h"
#include "format/bytes/limits.h"
#include "format/bytes/parameters.h"
#include "format/bytes/record_layout.h"
#include "format/bytes/superblock_layout.h"

namespace cairn::test {
namespace {

using namespace format;

constexpr const char* kTen = "ten_l2sq_d3.cairn";
constexpr const char* kHalf = "fifty_f16_cosine_d9.cairn";
constexpr const char* kBytes = "fifty_i8_l2sq_d11.cairn";
constexpr const char* kBits = "fifty_b1_hamming_d20.cairn";
constexpr const char* kMany = "three_hundred_cosine_d20_m4.cairn";
constexpr const char* kSeveral = "sixty_several_l2sq_d5.cairn";

template <Field kField>
void set_header_field(Bytes& file, std::uint64_t value) {
  store<kField>(file.data(), static_cast<UintOfSize<kField.size>>(value));
  repair_header(file);
}

template <class Change>
void change_block(Bytes& file, Change&& change) {
  Superblock block = superblock_of(file);
  change(block);
  set_superblock(file, block);
}

template <class Change>
void change_counters(Bytes& file, Change&& change) {
  change_block(file, [&](Superblock& block) { change(block.counters); });
}

// The node header of a node.
std::byte* head(Bytes& file, std::uint64_t node) {
  const Parameters p = header_of(file).parameters;
  return file.data() + place_of(file, SectionId::hot, node * p.hot_stride) + p.hot_factor_offset;
}

std::byte* record(Bytes& file, SectionId section, std::uint64_t number) {
  const Parameters p = header_of(file).parameters;
  return file.data() + place_of(file, section, number * record_stride(p, section));
}

// Some node of level >= 1.
std::uint64_t high_node(Bytes& file) {
  for (std::uint64_t node = 0;; ++node) {
    if (head(file, node)[hot::kLevel] != std::byte{0}) return node;
  }
}

void flip(Bytes& file, SectionId section) { *record(file, section, 0) ^= std::byte{1}; }

constexpr Defect kDefects[] = {
    // The file as a whole.
    {"empty_file", kTen, ErrorCode::not_a_cairn_file, false, [](Bytes& f) { f.clear(); }},
    {"magic_only", kTen, ErrorCode::truncated, false, [](Bytes& f) { f.resize(8); }},
    {"header_only", kTen, ErrorCode::truncated, false, [](Bytes& f) { f.resize(4096); }},
    {"one_slot_only", kTen, ErrorCode::truncated, false, [](Bytes& f) { f.resize(131072); }},
    {"last_byte_missing", kTen, ErrorCode::truncated, false,
     [](Bytes& f) { f.resize(f.size() - 1); }},
    {"transferred_as_text", kTen, ErrorCode::not_a_cairn_file, false,
     [](Bytes& f) { f.erase(f.begin() + 4); }},

    // Static header.
    {"header_checksum", kTen, ErrorCode::corrupt, false, [](Bytes& f) { f[41] ^= std::byte{1}; }},
    {"format_1_0", kTen, ErrorCode::version_unsupported, false,
     [](Bytes& f) { set_header_field<header_at::kFormatMajor>(f, 1); }},
    {"format_0_2", kTen, ErrorCode::version_unsupported, false,
     [](Bytes& f) { set_header_field<header_at::kFormatMinor>(f, 2); }},
    {"big_endian", kTen, ErrorCode::corrupt, false,
     [](Bytes& f) { set_header_field<header_at::kEndianTag>(f, 0x04030201); }},
    {"dimensions_0", kTen, ErrorCode::corrupt, false,
     [](Bytes& f) { set_header_field<header_at::kDimensions>(f, 0); }},
    {"m_1", kTen, ErrorCode::corrupt, false,
     [](Bytes& f) { set_header_field<header_at::kM>(f, 1); }},
    {"hot_stride_of_other_dimensions", kTen, ErrorCode::corrupt, false,
     [](Bytes& f) { set_header_field<header_at::kHotStride>(f, 512); }},
    {"unknown_metric", kTen, ErrorCode::feature_unsupported, false,
     [](Bytes& f) { set_header_field<header_at::kMetric>(f, 5); }},
    {"unknown_scalar", kTen, ErrorCode::feature_unsupported, false,
     [](Bytes& f) { set_header_field<header_at::kScalar>(f, 6); }},
    {"hamming_of_f32", kTen, ErrorCode::corrupt, false,
     [](Bytes& f) { set_header_field<header_at::kMetric>(f, 4); }},
    {"cosine_of_bits", kBits, ErrorCode::corrupt, false,
     [](Bytes& f) { set_header_field<header_at::kMetric>(f, 1); }},
    {"codes_of_i8", kBytes, ErrorCode::corrupt, false,
     [](Bytes& f) { set_header_field<header_at::kTraversal>(f, 1); }},
    {"unknown_section", kTen, ErrorCode::feature_unsupported, false,
     [](Bytes& f) {
       store<section_entry_at::kId>(f.data() + header_at::kSections.offset + 7 * 16, 8);
       set_header_field<header_at::kSectionCount>(f, 8);
     }},

    {"several_per_key_2", kTen, ErrorCode::corrupt, false,
     [](Bytes& f) { set_header_field<header_at::kSeveralPerKey>(f, 2); }},
    {"several_per_key_without_its_feature", kTen, ErrorCode::corrupt, false,
     [](Bytes& f) { set_header_field<header_at::kSeveralPerKey>(f, 1); }},

    // Superblock.
    {"one_superblock_checksum", kTen, std::nullopt, true,
     [](Bytes& f) { f[kSuperblockOffsets[0] + 130] ^= std::byte{1}; }},
    {"both_superblock_checksums", kTen, ErrorCode::corrupt, false,
     [](Bytes& f) {
       f[kSuperblockOffsets[0] + 130] ^= std::byte{1};
       f[kSuperblockOffsets[1] + 130] ^= std::byte{1};
     }},
    {"superblock_of_another_file", kTen, ErrorCode::corrupt, false,
     [](Bytes& f) { change_block(f, [](Superblock& b) { b.uuid[0] ^= 1; }); }},
    {"unknown_incompatible_feature", kTen, ErrorCode::feature_unsupported, false,
     [](Bytes& f) { change_block(f, [](Superblock& b) { b.feature_incompat = 1ull << 40; }); }},
    {"feature_several_per_key_of_another_file", kTen, ErrorCode::corrupt, false,
     [](Bytes& f) {
       change_block(f, [](Superblock& b) { b.feature_incompat |= kIncompatSeveral; });
     }},
    {"not_clean", kTen, ErrorCode::corrupt, false,
     [](Bytes& f) { change_block(f, [](Superblock& b) { b.flags = 0; }); }},
    {"file_size_beyond_the_end", kTen, ErrorCode::truncated, false,
     [](Bytes& f) { change_block(f, [](Superblock& b) { b.file_size += 4096; }); }},

    // Extent table.
    {"runs_overlap", kTen, ErrorCode::corrupt, false,
     [](Bytes& f) {
       change_block(f, [](Superblock& b) { b.extents[1].file_offset = b.extents[0].file_offset; });
     }},
    {"run_beyond_the_end", kTen, ErrorCode::corrupt, false,
     [](Bytes& f) { change_block(f, [](Superblock& b) { b.extents[0].length = 1ull << 62; }); }},
    {"run_over_the_header", kTen, ErrorCode::corrupt, false,
     [](Bytes& f) { change_block(f, [](Superblock& b) { b.extents[0].file_offset = 0; }); }},
    {"runs_out_of_order", kTen, ErrorCode::corrupt, false,
     [](Bytes& f) {
       change_block(f, [](Superblock& b) { std::swap(b.extents[0], b.extents[1]); });
     }},
    {"gap_between_runs", kTen, ErrorCode::corrupt, false,
     [](Bytes& f) { change_block(f, [](Superblock& b) { b.extents[0].logical_offset = 4096; }); }},
    {"tree_outside_its_section", kTen, ErrorCode::corrupt, false,
     [](Bytes& f) { change_block(f, [](Superblock& b) { b.extents[0].tree_offset = 1 << 20; }); }},
    {"trees_overlap", kTen, ErrorCode::corrupt, false,
     [](Bytes& f) {
       change_block(f, [](Superblock& b) { b.extents[1].tree_offset = b.extents[0].tree_offset; });
     }},

    // Counters.
    {"more_slots_than_records", kTen, ErrorCode::corrupt, false,
     [](Bytes& f) { change_counters(f, [](Counters& c) { c.slots_used = 1000; }); }},
    {"slots_times_stride_overflows", kTen, ErrorCode::corrupt, false,
     [](Bytes& f) { change_counters(f, [](Counters& c) { c.slots_used = UINT64_MAX / 128; }); }},
    {"more_live_than_slots", kTen, ErrorCode::corrupt, false,
     [](Bytes& f) { change_counters(f, [](Counters& c) { ++c.live; }); }},
    {"entry_point_out_of_range", kTen, ErrorCode::corrupt, false,
     [](Bytes& f) { change_counters(f, [](Counters& c) { c.entry_point = 10; }); }},
    {"max_level_16", kTen, ErrorCode::corrupt, false,
     [](Bytes& f) { change_counters(f, [](Counters& c) { c.max_level = 16; }); }},
    {"advised_ef_65537", kTen, ErrorCode::corrupt, false,
     [](Bytes& f) { change_counters(f, [](Counters& c) { c.advised_ef = 65537; }); }},

    {"more_keys_than_vectors", kSeveral, ErrorCode::corrupt, false,
     [](Bytes& f) { change_counters(f, [](Counters& c) { c.keys = c.live + 1; }); }},
    {"vectors_without_keys", kSeveral, ErrorCode::corrupt, false,
     [](Bytes& f) { change_counters(f, [](Counters& c) { c.keys = 0; }); }},
    {"another_number_of_keys", kSeveral, std::nullopt, false,
     [](Bytes& f) { change_counters(f, [](Counters& c) { ++c.keys; }); }},

    // Pages with wrong checksums.
    {"hot_page", kTen, std::nullopt, false, [](Bytes& f) { flip(f, SectionId::hot); }},
    {"exact_page", kTen, std::nullopt, false, [](Bytes& f) { flip(f, SectionId::exact); }},
    {"key_page", kTen, std::nullopt, false, [](Bytes& f) { flip(f, SectionId::key); }},
    {"hash_page", kTen, std::nullopt, false, [](Bytes& f) { flip(f, SectionId::hash); }},
    {"checksum_page", kTen, std::nullopt, false, [](Bytes& f) { flip(f, SectionId::checksum); }},

    // Wrong graphs with right checksums.
    {"link_out_of_range", kMany, std::nullopt, false,
     [](Bytes& f) {
       store_u32(head(f, 5) + hot::kLinks, 0, 300);
       repair_pages(f);
     }},
    {"link_to_itself", kMany, std::nullopt, false,
     [](Bytes& f) {
       store_u32(head(f, 5) + hot::kLinks, 0, 5);
       repair_pages(f);
     }},
    {"degree_too_large", kMany, std::nullopt, false,
     [](Bytes& f) {
       store_u32(head(f, 5) + hot::kDegree, 0, 23);
       repair_pages(f);
     }},
    {"degree_huge", kMany, std::nullopt, false,
     [](Bytes& f) {
       store_u32(head(f, 5) + hot::kDegree, 0, 0xFFFFFFFF);
       repair_pages(f);
     }},
    {"level_too_high", kMany, std::nullopt, false,
     [](Bytes& f) {
       head(f, high_node(f))[hot::kLevel] = std::byte{200};
       repair_pages(f);
     }},
    {"upper_out_of_range", kMany, std::nullopt, false,
     [](Bytes& f) {
       store_u32(head(f, high_node(f)) + hot::kUpper, 0, 0xFFFFFFF0);
       repair_pages(f);
     }},
    {"upper_record_of_another_node", kMany, std::nullopt, false,
     [](Bytes& f) {
       store_u32(record(f, SectionId::upper, 0) + upper::kNode, 0, 299);
       repair_pages(f);
     }},
    {"upper_link_out_of_range", kMany, std::nullopt, false,
     [](Bytes& f) {
       store_u32(record(f, SectionId::upper, 0) + upper::kLinks, 0, 0x80000000);
       repair_pages(f);
     }},
    {"node_neither_live_nor_deleted", kMany, std::nullopt, false,
     [](Bytes& f) {
       head(f, 7)[hot::kFlags] = std::byte{0};
       repair_pages(f);
     }},
    {"wrong_code", kMany, std::nullopt, false,
     [](Bytes& f) {
       record(f, SectionId::hot, 9)[0] ^= std::byte{0x40};
       repair_pages(f);
     }},
    {"wrong_factor", kMany, std::nullopt, false,
     [](Bytes& f) {
       const float factor = std::numeric_limits<float>::infinity();
       std::memcpy(head(f, 9) + hot::kFactorA, &factor, sizeof factor);
       repair_pages(f);
     }},
    {"f16_infinity", kHalf, std::nullopt, false,
     [](Bytes& f) {
       std::byte* const component = record(f, SectionId::exact, 9) + 2 * 4;
       component[0] = std::byte{0x00};
       component[1] = std::byte{0x7C};
       repair_pages(f);
     }},
    {"f16_code_of_another_vector", kHalf, std::nullopt, false,
     [](Bytes& f) {
       record(f, SectionId::exact, 9)[1] ^= std::byte{0x80};
       repair_pages(f);
     }},
    {"i8_factor", kBytes, std::nullopt, false,
     [](Bytes& f) {
       head(f, 9)[hot::kFactorA] ^= std::byte{0xFF};
       repair_pages(f);
     }},
    {"b1_spare_bit", kBits, std::nullopt, false,
     [](Bytes& f) {
       record(f, SectionId::hot, 9)[2] |= std::byte{0x40};
       repair_pages(f);
     }},
    {"unreachable_graph", kMany, std::nullopt, false,
     [](Bytes& f) {
       store_u32(head(f, superblock_of(f).counters.entry_point) + hot::kDegree, 0, 0);
       repair_pages(f);
     }},

    // Wrong key tables with right checksums.
    {"key_of_another_vector", kMany, std::nullopt, false,
     [](Bytes& f) {
       store_u64(record(f, SectionId::key, 3), 0, 123456);
       repair_pages(f);
     }},
    {"key_table_entry_out_of_range", kMany, std::nullopt, false,
     [](Bytes& f) {
       store_u32(record(f, SectionId::hash, 0) + bucket::kEntry, 0, 0xFFFFFFFF);
       repair_pages(f);
     }},
    {"key_table_wrong_tag", kMany, std::nullopt, false,
     [](Bytes& f) {
       record(f, SectionId::hash, 0)[bucket::kTag] ^= std::byte{1};
       repair_pages(f);
     }},
    {"key_table_overflow_out_of_range", kMany, std::nullopt, false,
     [](Bytes& f) {
       store_u32(record(f, SectionId::hash, 0) + bucket::kNext, 0, 0xFFFFFFFF);
       repair_pages(f);
     }},
    {"vector_of_a_key_listed_twice", kSeveral, std::nullopt, false,
     [](Bytes& f) {
       // Entry 1 becomes a second one of entry 0's vector.
       std::uint64_t number = 0;
       while (load_u32(record(f, SectionId::hash, number) + bucket::kEntry, 1) == 0) ++number;
       std::byte* const first = record(f, SectionId::hash, number);
       std::memcpy(first + bucket::kEntry + 4, first + bucket::kEntry, 4);
       std::memcpy(first + bucket::kTag + 2, first + bucket::kTag, 2);
       repair_pages(f);
     }},
    {"chain_of_a_key_goes_round", kSeveral, std::nullopt, false,
     [](Bytes& f) {
       store_u32(record(f, SectionId::overflow, 0) + bucket::kNext, 0, 1);
       repair_pages(f);
     }},
};

}  // namespace

std::span<const Defect> defects() { return kDefects; }

}  // namespace cairn::test
