// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <string>

#include "format/bytes/checksum.h"
#include "format/bytes/superblock.h"

namespace cairn::format {
namespace {

Error bad(const char* field, const std::string& what) {
  return Error(ErrorCode::corrupt, std::string("header: ") + field + " " + what);
}

Error unknown(const char* field, unsigned value) {
  return Error(ErrorCode::feature_unsupported, std::string("header: ") + field + " " +
                                                   std::to_string(value) +
                                                   " is not known to this version");
}

template <Field kField>
Result<void> expect(const std::byte* at, const char* field, std::uint64_t expected) {
  const std::uint64_t found = load<kField>(at);
  if (found == expected) return {};
  return bad(field, "is " + std::to_string(found) + ", must be " + std::to_string(expected));
}

template <Field kField>
Result<void> expect_range(const std::byte* at, const char* field, std::uint64_t low,
                          std::uint64_t high) {
  const std::uint64_t found = load<kField>(at);
  if (found >= low && found <= high) return {};
  return bad(field, "is " + std::to_string(found) + ", must be " + std::to_string(low) + " ... " +
                        std::to_string(high));
}

// What identifies the file and the version, in the order that gives the most telling error.
Result<void> check_identity(std::span<const std::byte, header_at::kSize> in) {
  using namespace header_at;
  const std::byte* const at = in.data();
  if (std::memcmp(at + kMagic.offset, kHeaderMagic.data(), kMagic.size) != 0) {
    return Error(ErrorCode::not_a_cairn_file, "it does not begin with the magic number");
  }
  const Hash128 computed = hash128(in.first<kChecksum.offset>());
  const Hash128 stored = Hash128::load(at + kChecksum.offset);
  if (computed != stored) {
    std::array<char, 19> a;
    std::array<char, 19> b;
    return Error(ErrorCode::corrupt, std::string("header at 0: checksum ") + hex(computed.low, a) +
                                         ", stored " + hex(stored.low, b));
  }
  const unsigned major = load<header_at::kFormatMajor>(at);
  const unsigned minor = load<header_at::kFormatMinor>(at);
  if (major != format::kFormatMajor || minor != format::kFormatMinor) {
    return Error(ErrorCode::version_unsupported, "format version " + std::to_string(major) + "." +
                                                     std::to_string(minor) +
                                                     ", this library reads 0.1");
  }
  return expect<header_at::kEndianTag>(at, "endian_tag", format::kEndianTag);
}

Result<void> check_enums(const std::byte* at) {
  using namespace header_at;
  const unsigned metric = load<kMetric>(at);
  const unsigned scalar = load<kScalar>(at);
  const unsigned traversal = load<kTraversal>(at);
  if (metric < 1 || metric > 4) return unknown("metric", metric);
  if (scalar < 1 || scalar > 5) return unknown("scalar", scalar);
  if (traversal < 1 || traversal > 2) return unknown("traversal", traversal);
  if (const unsigned several = load<kSeveralPerKey>(at); several > 1) {
    return bad("several_per_key", "is " + std::to_string(several) + ", must be 0 or 1");
  }
  const auto kind = static_cast<Scalar>(scalar);
  if ((metric == static_cast<unsigned>(Metric::hamming)) != (kind == Scalar::b1)) {
    return bad("metric", "is " + std::to_string(metric) + ", which scalar " +
                             std::to_string(scalar) + " does not have");
  }
  if ((kind == Scalar::i8 || kind == Scalar::b1) &&
      traversal != static_cast<unsigned>(Traversal::exact)) {
    return bad("traversal", "is " + std::to_string(traversal) + ", which scalar " +
                                std::to_string(scalar) + " does not have");
  }
  return {};
}

Result<void> check_numbers(const std::byte* at) {
  using namespace header_at;
  if (auto ok = expect<kPageSizeField>(at, "page_size", format::kPageSize); !ok) return ok;
  if (auto ok = expect<header_at::kHugePageSize>(at, "huge_page_size", kHugePage); !ok) return ok;
  if (auto ok = expect_range<kDimensions>(at, "dimensions", 1, kMaxDimensions); !ok) return ok;
  if (auto ok = expect_range<kM>(at, "m", kMinM, kMaxM); !ok) return ok;
  if (auto ok = expect_range<kEfConstruction>(at, "ef_construction", 1, kMaxEfConstruction); !ok) {
    return ok;
  }
  return expect_range<header_at::kSectionCount>(at, "section_count", format::kSectionCount,
                                                section_entry_at::kCount);
}

// The numbers that follow from others.
Result<void> check_derived(const std::byte* at, const Parameters& p) {
  using namespace header_at;
  if (auto ok = expect<kMMax0>(at, "m_max0", p.m_max0); !ok) return ok;
  if (auto ok = expect<kHotFactorOffset>(at, "hot_factor_offset", p.hot_factor_offset); !ok) {
    return ok;
  }
  if (auto ok = expect<kHotStride>(at, "hot_stride", p.hot_stride); !ok) return ok;
  if (auto ok = expect<kExactStride>(at, "exact_stride", p.exact_stride); !ok) return ok;
  return expect<kUpperStride>(at, "upper_stride", p.upper_stride);
}

std::uint16_t section_flags(SectionId id) {
  return id == SectionId::checksum ? 0 : kSectionMapped | kSectionChecksummed;
}

Result<void> check_section(const std::byte* entry, std::uint16_t id, const Parameters& p) {
  const unsigned found = load<section_entry_at::kId>(entry);
  const unsigned flags = load<section_entry_at::kFlags>(entry);
  if (found != id) {
    return bad("section", std::to_string(id) + ": id is " + std::to_string(found));
  }
  if (id > format::kSectionCount) {
    if ((flags & kSectionIgnorable) == 0) return unknown("section", id);
    return {};
  }
  const auto known = static_cast<SectionId>(id);
  if (flags != section_flags(known)) {
    return bad("section", std::to_string(id) + ": flags are " + std::to_string(flags) +
                              ", must be " + std::to_string(section_flags(known)));
  }
  const std::uint64_t stride = load<section_entry_at::kStride>(entry);
  if (stride != record_stride(p, known)) {
    return bad("section", std::to_string(id) + ": stride is " + std::to_string(stride) +
                              ", must be " + std::to_string(record_stride(p, known)));
  }
  return {};
}

}  // namespace

void StaticHeader::encode(std::span<std::byte, kEncodedSize> out) const {
  using namespace header_at;
  std::byte* const at = out.data();
  std::memset(at, 0, out.size());
  std::memcpy(at + kMagic.offset, kHeaderMagic.data(), kMagic.size);
  store<header_at::kFormatMajor>(at, format::kFormatMajor);
  store<header_at::kFormatMinor>(at, format::kFormatMinor);
  store<header_at::kEndianTag>(at, format::kEndianTag);
  std::memcpy(at + kUuid.offset, uuid.data(), kUuid.size);
  store<kPageSizeField>(at, static_cast<std::uint32_t>(format::kPageSize));
  store<header_at::kHugePageSize>(at, static_cast<std::uint32_t>(kHugePage));
  store<kDimensions>(at, parameters.dimensions);
  store<kMetric>(at, static_cast<std::uint8_t>(parameters.metric));
  store<kScalar>(at, static_cast<std::uint8_t>(parameters.scalar));
  store<kTraversal>(at, static_cast<std::uint8_t>(parameters.traversal));
  store<kSeveralPerKey>(at, static_cast<std::uint8_t>(parameters.several_per_key));
  store<kM>(at, parameters.m);
  store<kMMax0>(at, parameters.m_max0);
  store<kEfConstruction>(at, parameters.ef_construction);
  store<kHotFactorOffset>(at, parameters.hot_factor_offset);
  store<kSeed>(at, parameters.seed);
  store<kHashSeed>(at, hash_seed);
  store<kHotStride>(at, parameters.hot_stride);
  store<kExactStride>(at, parameters.exact_stride);
  store<kUpperStride>(at, parameters.upper_stride);
  store<header_at::kSectionCount>(at, section_count);
  for (std::uint16_t id = 1; id <= format::kSectionCount; ++id) {
    std::byte* const entry = at + kSections.offset + (id - 1u) * section_entry_at::kSize;
    const auto section = static_cast<SectionId>(id);
    store<section_entry_at::kId>(entry, id);
    store<section_entry_at::kFlags>(entry, section_flags(section));
    store<section_entry_at::kStride>(
        entry, static_cast<std::uint32_t>(record_stride(parameters, section)));
  }
  hash128(out.first<kChecksum.offset>()).store(at + kChecksum.offset);
}

Result<StaticHeader> StaticHeader::decode(std::span<const std::byte, kEncodedSize> in) {
  using namespace header_at;
  if (auto ok = check_identity(in); !ok) return ok.error();
  const std::byte* const at = in.data();
  if (auto ok = check_enums(at); !ok) return ok.error();
  if (auto ok = check_numbers(at); !ok) return ok.error();

  StaticHeader header;
  std::memcpy(header.uuid.data(), at + kUuid.offset, kUuid.size);
  header.section_count = load<header_at::kSectionCount>(at);
  header.hash_seed = load<kHashSeed>(at);
  Parameters& p = header.parameters;
  p.dimensions = load<kDimensions>(at);
  p.metric = static_cast<Metric>(load<kMetric>(at));
  p.scalar = static_cast<Scalar>(load<kScalar>(at));
  p.traversal = static_cast<Traversal>(load<kTraversal>(at));
  p.several_per_key = load<kSeveralPerKey>(at) != 0;
  p.m = load<kM>(at);
  p.ef_construction = load<kEfConstruction>(at);
  p.seed = load<kSeed>(at);
  derive_strides(p);
  if (auto ok = check_derived(at, p); !ok) return ok.error();
  for (std::uint32_t id = 1; id <= header.section_count; ++id) {
    const std::byte* const entry = at + kSections.offset + (id - 1) * section_entry_at::kSize;
    if (auto ok = check_section(entry, static_cast<std::uint16_t>(id), p); !ok) return ok.error();
  }
  return header;
}

}  // namespace cairn::format
