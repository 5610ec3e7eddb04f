// SPDX-License-Identifier: Apache-2.0
#include "format/bytes/checksum.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <vector>

#include "format/bytes/limits.h"
#include "format/pages/checksum_tree.h"
#include "tests/support/file_image.h"

namespace cairn::format {
namespace {

using test::Bytes;

TEST(Checksum, AgreesWithPublishedValuesOfTheEmptyInput) {
  const Hash128 hash = hash128({});
  EXPECT_EQ(hash.low, 0x6001C324468D497Fu);
  EXPECT_EQ(hash.high, 0x99AA06D3014798D8u);
}

TEST(Checksum, IsStoredLowHalfFirstLittleEndian) {
  const Hash128 hash{0x0102030405060708u, 0x1112131415161718u};
  const std::array<std::uint8_t, 16> expected = {8,    7,    6,    5,    4,    3,    2,    1,
                                                 0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11};
  EXPECT_EQ(hash.bytes(), expected);
  std::array<std::byte, 16> stored;
  hash.store(stored.data());
  EXPECT_EQ(std::memcmp(stored.data(), expected.data(), 16), 0);
  EXPECT_EQ(Hash128::load(stored.data()), hash);
}

TEST(Checksum, OfTwoPiecesIsThatOfTheWhole) {
  Bytes bytes(5000);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * i);
  const std::span<const std::byte> all(bytes);
  for (const std::size_t cut : {0u, 1u, 17u, 256u, 4096u, 5000u}) {
    EXPECT_EQ(hash128(all.first(cut), all.subspan(cut)), hash128(all));
  }
}

TEST(Checksum, IsZeroForAPageOfZerosOnly) {
  Bytes page(kPageSize);
  EXPECT_EQ(page_checksum(page.data()), 0u);
  for (const std::size_t at : {0u, 1u, 2047u, 4095u}) {
    page[at] = std::byte{1};
    EXPECT_NE(page_checksum(page.data()), 0u) << at;
    page[at] = std::byte{0};
  }
}

TEST(TreeShape, LevelsShrinkBy512) {
  struct Case {
    std::uint64_t pages;
    std::vector<std::uint64_t> levels;
  };
  const Case cases[] = {{1, {1}},
                        {512, {1}},
                        {513, {2, 1}},
                        {512 * 512, {512, 1}},
                        {512 * 512 + 1, {513, 2, 1}},
                        {std::uint64_t{1} << 50,
                         {std::uint64_t{1} << 41, std::uint64_t{1} << 32, std::uint64_t{1} << 23,
                          std::uint64_t{1} << 14, 32, 1}}};
  for (const Case& expected : cases) {
    const TreeShape shape(expected.pages);
    ASSERT_EQ(shape.depth(), expected.levels.size()) << expected.pages;
    std::uint64_t first = 0;
    for (std::size_t level = 0; level < shape.depth(); ++level) {
      EXPECT_EQ(shape.pages(level), expected.levels[level]);
      EXPECT_EQ(shape.first_page(level), first);
      first += shape.pages(level);
    }
    EXPECT_EQ(shape.bytes(), first * kPageSize);
  }
}

TEST(BuiltTree, OfAZeroRunHasRootZero) {
  EXPECT_EQ(build_tree(std::vector<std::uint64_t>(1000, 0)).root, 0u);
}

TEST(BuiltTree, HoldsPageChecksumsThenChecksumsOfItsOwnPages) {
  std::vector<std::uint64_t> checksums(1030);
  for (std::size_t i = 0; i < checksums.size(); ++i) checksums[i] = i + 1;
  const BuiltTree tree = build_tree(checksums);
  ASSERT_EQ(tree.bytes.size(), 4 * kPageSize);
  EXPECT_EQ(load_u64(tree.bytes.data(), 1029), 1030u);
  EXPECT_EQ(load_u64(tree.bytes.data(), 1030), 0u);
  const std::byte* const second = tree.bytes.data() + 3 * kPageSize;
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(load_u64(second, i), page_checksum(tree.bytes.data() + i * kPageSize));
  }
  EXPECT_EQ(load_u64(second, 3), 0u);
  EXPECT_EQ(tree.root, page_checksum(second));
}

}  // namespace
}  // namespace cairn::format
