// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "tests/tools/files/byte_writer.h"
#include "tools/files/npy_header.h"
#include "tools/files/vector_file.h"

namespace cairn::tools {
namespace {

const std::vector<float> kSix = {1, 2, 3, 4, 5, 6};
constexpr std::string_view kTwoByThree =
    "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";

ByteWriter npy_with(std::string_view dictionary, char major = 1, char minor = 0) {
  std::string text(dictionary);
  const std::size_t prefix = major == 1 ? 10 : 12;
  while ((prefix + text.size() + 1) % 64 != 0) text += ' ';
  text += '\n';
  ByteWriter writer;
  writer.text("\x93NUMPY").text(std::string{major, minor});
  if (major == 1) {
    writer.text(
        std::string{static_cast<char>(text.size() & 0xFF), static_cast<char>(text.size() >> 8)});
  } else {
    writer.u32(static_cast<std::uint32_t>(text.size()));
  }
  return writer.text(text);
}

ByteWriter good_npy(char major = 1) { return npy_with(kTwoByThree, major).f32({1, 2, 3, 4, 5, 6}); }

std::string refusal(const Result<VectorFile>& result) {
  if (result) return "was read";
  EXPECT_EQ(result.error().code(), ErrorCode::invalid_argument);
  return result.error().message();
}

std::string dictionary_refusal(std::string_view text) {
  const auto header = parse_npy_dictionary(text);
  if (header) return "was read";
  EXPECT_EQ(header.error().code(), ErrorCode::invalid_argument);
  return header.error().message();
}

TEST(Npy, EachVersionIsRead) {
  for (const char major : {'\1', '\2', '\3'}) {
    const auto file = parse_npy(good_npy(major).bytes());
    ASSERT_TRUE(file) << file.error().message();
    EXPECT_EQ(file->rows, 2u);
    EXPECT_EQ(file->dims, 3u);
    EXPECT_EQ(file->values, kSix);
  }
}

TEST(Npy, NoRowsAreLegal) {
  const auto file =
      parse_npy(npy_with("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3), }").bytes());
  ASSERT_TRUE(file) << file.error().message();
  EXPECT_EQ(file->rows, 0u);
}

TEST(Npy, EmptyFileIsRefused) {
  EXPECT_EQ(refusal(parse_npy(std::span<const std::byte>())),
            "the file ends at byte 0, in the npy header");
}

TEST(Npy, OtherMagicIsRefused) {
  EXPECT_EQ(refusal(parse_npy(ByteWriter().text("PK\3\4 and so on").bytes())),
            "not an npy file: the magic bytes are missing");
}

TEST(Npy, UnknownVersionsAreRefused) {
  EXPECT_EQ(refusal(parse_npy(npy_with(kTwoByThree, 4).bytes())),
            "npy version 4.0 is not 1.0, 2.0 or 3.0");
  EXPECT_EQ(refusal(parse_npy(npy_with(kTwoByThree, 1, 1).bytes())),
            "npy version 1.1 is not 1.0, 2.0 or 3.0");
  EXPECT_EQ(refusal(parse_npy(npy_with(kTwoByThree, 0).bytes())),
            "npy version 0.0 is not 1.0, 2.0 or 3.0");
}

TEST(Npy, EveryCutInTheHeaderIsRefused) {
  for (const char major : {'\1', '\2'}) {
    const ByteWriter writer = npy_with(kTwoByThree, major);
    const auto bytes = writer.bytes();
    for (std::size_t length = 0; length < bytes.size(); ++length) {
      EXPECT_EQ(refusal(parse_npy(bytes.first(length))),
                "the file ends at byte " + std::to_string(length) + ", in the npy header");
    }
  }
}

TEST(Npy, HeaderLengthBeyondTheFileIsRefused) {
  const auto bytes =
      ByteWriter().text("\x93NUMPY").text(std::string("\2\0", 2)).u32(0xFFFFFFFFu).zeros(8);
  EXPECT_EQ(refusal(parse_npy(bytes.bytes())), "the file ends at byte 20, in the npy header");
}

TEST(Npy, OverlongHeaderIsRefused) {
  const auto bytes =
      ByteWriter().text("\x93NUMPY").text(std::string("\2\0", 2)).u32(20000).zeros(20000);
  EXPECT_EQ(refusal(parse_npy(bytes.bytes())), "the npy header has 20000 bytes, more than 10000");
}

// The six values as the elements of an array of `descr`, in the order of the file.
struct Typed {
  std::string descr;
  std::string bytes;
  std::vector<float> values;
};

template <class T>
Typed typed(const std::string& descr, std::vector<T> values) {
  Typed made{descr, std::string(values.size() * sizeof(T), '\0'), {}};
  for (std::size_t i = 0; i < values.size(); ++i) {
    char* at = made.bytes.data() + i * sizeof(T);
    std::memcpy(at, &values[i], sizeof(T));
    if (descr[0] == '>') std::reverse(at, at + sizeof(T));
    made.values.push_back(static_cast<float>(values[i]));
  }
  return made;
}

ByteWriter array_of(const std::string& descr, const std::string& bytes,
                    const std::string& order = "False") {
  return npy_with("{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': (2, 3), }")
      .text(bytes);
}

std::vector<Typed> all_kinds() {
  std::vector<Typed> kinds = {
      typed<std::int8_t>("|i1", {-128, -1, 0, 1, 2, 127}),
      typed<std::uint8_t>("|u1", {0, 1, 2, 127, 128, 255}),
      {"|b1", std::string("\0\1\1\0\2\1", 6), {0, 1, 1, 0, 1, 1}},
  };
  for (const std::string order : {"<", ">"}) {
    kinds.push_back(typed<float>(order + "f4", {1, -2, 0.1f, 3e38f, 1e-45f, 6}));
    kinds.push_back(typed<double>(order + "f8", {1, -2, 0.1, 4e30, 1e-300, 6}));
    kinds.push_back(typed<std::int16_t>(order + "i2", {-32768, -1, 0, 1, 2, 32767}));
    kinds.push_back(typed<std::uint16_t>(order + "u2", {0, 1, 2, 32767, 32768, 65535}));
    kinds.push_back(typed<std::int32_t>(order + "i4", {-2147483647 - 1, -1, 0, 1, 2, 1 << 24}));
    kinds.push_back(typed<std::uint32_t>(order + "u4", {0, 1, 2, 3, 1u << 31, 0xFFFFFF00u}));
    kinds.push_back(typed<std::int64_t>(order + "i8", {-(1ll << 62), -1, 0, 1, 2, 1ll << 40}));
    kinds.push_back(typed<std::uint64_t>(order + "u8", {0, 1, 2, 3, 4, 1ull << 63}));
    Typed half =
        typed<std::uint16_t>(order + "f2", {0x3C00, 0xC000, 0x0001, 0x8400, 0x7BFF, 0x7C00});
    half.values = {1,
                   -2,
                   std::ldexp(1.0f, -24),
                   -std::ldexp(1.0f, -14),
                   65504,
                   std::numeric_limits<float>::infinity()};
    kinds.push_back(half);
  }
  return kinds;
}

TEST(Npy, EachKindOfNumberIsReadInBothByteOrders) {
  for (const Typed& kind : all_kinds()) {
    const auto file = parse_npy(array_of(kind.descr, kind.bytes).bytes());
    ASSERT_TRUE(file) << kind.descr << ": " << file.error().message();
    EXPECT_EQ(file->values, kind.values) << kind.descr;
  }
}

TEST(Npy, FortranOrderIsTransposed) {
  for (const Typed& kind : all_kinds()) {
    const auto file = parse_npy(array_of(kind.descr, kind.bytes, "True").bytes());
    ASSERT_TRUE(file) << kind.descr << ": " << file.error().message();
    const auto& v = kind.values;
    EXPECT_EQ(file->values, (std::vector<float>{v[0], v[2], v[4], v[1], v[3], v[5]})) << kind.descr;
  }
}

TEST(Npy, ManyTilesOfAFortranArrayAreTransposed) {
  constexpr std::uint32_t kRows = 70001;
  ByteWriter bytes = npy_with("{'descr': '<i4', 'fortran_order': True, 'shape': (70001, 2), }");
  for (std::uint32_t i = 0; i < 2 * kRows; ++i) bytes.u32(i);
  const auto file = parse_npy(bytes.bytes());
  ASSERT_TRUE(file) << file.error().message();
  for (std::uint32_t i = 0; i < kRows; ++i) {
    ASSERT_EQ(file->row(i)[0], static_cast<float>(i));
    ASSERT_EQ(file->row(i)[1], static_cast<float>(kRows + i));
  }
}

TEST(Npy, NumbersThatF32DoesNotHoldAreRefusedWithTheirPlace) {
  EXPECT_EQ(
      refusal(parse_npy(
          array_of("<i4", typed<std::int32_t>("<i4", {1, 2, 3, 4, -16777217, 6}).bytes).bytes())),
      "row 1, component 1: -16777217 is no f32");
  EXPECT_EQ(
      refusal(parse_npy(
          array_of(">u8", typed<std::uint64_t>(">u8", {1, ~0ull, 3, 4, 5, 6}).bytes).bytes())),
      "row 0, component 1: 18446744073709551615 is no f32");
  EXPECT_EQ(
      refusal(parse_npy(
          array_of("<f8", typed<double>("<f8", {1, 2, 3, 4, 5, 1e300}).bytes, "True").bytes())),
      "row 1, component 2: 1e+300 is beyond f32");
}

TEST(Npy, OtherTypesAreRefusedByName) {
  for (const std::string descr : {"<c8", "<f16", "|V2", "<U4", "=f4", "|f4", "|O", "f4", "<M8"}) {
    EXPECT_EQ(refusal(parse_npy(array_of(descr, std::string(24, '\0')).bytes())),
              "dtype '" + descr +
                  "' is none of f2, f4, f8, i1, i2, i4, i8, u1, u2, u4, u8 or b1: convert with "
                  "array.astype('<f4')");
  }
}

TEST(NpyIntegers, AreReadInBothByteOrders) {
  const std::string shape = "', 'fortran_order': False, 'shape': (3,), }";
  for (const std::string descr : {"<i8", ">u8"}) {
    const auto array = parse_npy_integers(
        MemorySource(npy_with("{'descr': '" + descr + shape)
                         .text(typed<std::uint64_t>(descr, {0, 1, (1ull << 63) - 1}).bytes)
                         .bytes()));
    ASSERT_TRUE(array) << array.error().message();
    EXPECT_EQ(array->shape, (std::vector<std::uint64_t>{3}));
    EXPECT_EQ(array->values, (std::vector<std::uint64_t>{0, 1, (1ull << 63) - 1}));
  }
}

TEST(NpyIntegers, OthersAndNegativeOnesAreRefused) {
  const auto refused = [](const ByteWriter& bytes) {
    const auto array = parse_npy_integers(MemorySource(bytes.bytes()));
    return array ? "was read" : array.error().message();
  };
  const std::string negative = typed<std::int16_t>("<i2", {1, 2, 3, 4, -1, 6}).bytes;
  EXPECT_EQ(refused(array_of("<i2", negative)), "element 4 is negative");
  EXPECT_EQ(refused(array_of("<f4", std::string(24, '\0'))), "dtype '<f4' is no integer");
  EXPECT_EQ(refused(array_of("<i2", negative + "x")),
            "the size of the file is not that of the array's shape");
  EXPECT_EQ(
      refused(npy_with("{'descr': '<i8', 'fortran_order': False, 'shape': (4611686018427387904, "
                       "4, 0), }")
                  .zeros(8)),
      "the size of the file is not that of the array's shape");
}

TEST(Npy, AnArrayOfOneDimensionIsOneRow) {
  const auto file = parse_npy(npy_with("{'descr': '<f4', 'fortran_order': False, 'shape': (6,), }")
                                  .f32({1, 2, 3, 4, 5, 6})
                                  .bytes());
  ASSERT_TRUE(file) << file.error().message();
  EXPECT_EQ(file->rows, 1u);
  EXPECT_EQ(file->values, kSix);
}

TEST(Npy, ArraysOfNoneAndOfThreeDimensionsAreRefused) {
  EXPECT_EQ(
      refusal(parse_npy(npy_with("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 3), }")
                            .zeros(24)
                            .bytes())),
      "the array has 3 dimensions, not 2 (rows, components) or 1 (one row)");
  EXPECT_EQ(
      refusal(parse_npy(
          npy_with("{'descr': '<f4', 'fortran_order': False, 'shape': (), }").zeros(4).bytes())),
      "the array has 0 dimensions, not 2 (rows, components) or 1 (one row)");
}

TEST(Npy, ComponentsOutOfRangeAreRefused) {
  EXPECT_EQ(refusal(parse_npy(
                npy_with("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 0), }").bytes())),
            "the shape says 0 components a row, not 1 ... 65535");
  EXPECT_EQ(
      refusal(parse_npy(
          npy_with("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 65536), }").bytes())),
      "the shape says 65536 components a row, not 1 ... 65535");
}

TEST(Npy, ShortAndLongDataIsRefused) {
  EXPECT_EQ(refusal(parse_npy(good_npy().cut(3).bytes())),
            "the header says 2 rows of 3 dimensions, but the file ends at byte 149, in row 1");
  EXPECT_EQ(refusal(parse_npy(good_npy().zeros(3).bytes())),
            "the header says 2 rows of 3 dimensions, but the file goes on for 3 bytes behind the "
            "last row");
}

TEST(Npy, ShapeWhoseSizeOverflowsIsRefused) {
  // 2^62 rows of 4 floats are 2^66 bytes, which is 0 in 64 bits.
  const auto bytes =
      npy_with("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }");
  EXPECT_EQ(refusal(parse_npy(bytes.bytes())),
            "the header says 4611686018427387904 rows of 4 dimensions, but the file ends at byte "
            "128, in row 0");
}

TEST(NpyDictionary, KeysMayStandInAnyOrderAndQuotes) {
  const auto header =
      parse_npy_dictionary("{\"shape\": (7,8), \"fortran_order\":True,\n \"descr\": \"<f4\"}");
  ASSERT_TRUE(header) << header.error().message();
  EXPECT_EQ(header->descr, "<f4");
  EXPECT_TRUE(header->fortran_order);
  EXPECT_EQ(header->shape, (std::vector<std::uint64_t>{7, 8}));
}

TEST(NpyDictionary, NumbersOfPython2MayEndInL) {
  const auto header =
      parse_npy_dictionary("{'descr': '<f4', 'fortran_order': False, 'shape': (7L, 8L), }");
  ASSERT_TRUE(header) << header.error().message();
  EXPECT_EQ(header->shape, (std::vector<std::uint64_t>{7, 8}));
}

TEST(NpyDictionary, DefectsAreRefusedWithTheirPlace) {
  EXPECT_EQ(dictionary_refusal(""), "npy header, character 0: a dictionary should begin here");
  EXPECT_EQ(dictionary_refusal("{"), "npy header, character 1: a key should stand here");
  EXPECT_EQ(dictionary_refusal("{'descr' '<f4'}"),
            "npy header, character 9: ':' should stand here");
  EXPECT_EQ(dictionary_refusal("{'descr': '<f4"),
            "npy header, character 10: the value of 'descr' is not understood");
  EXPECT_EQ(dictionary_refusal("{'descr': [('a', '<f4')]}"),
            "npy header, character 10: the value of 'descr' is not understood");
  EXPECT_EQ(dictionary_refusal("{'fortran_order': 1}"),
            "npy header, character 18: the value of 'fortran_order' is not understood");
  EXPECT_EQ(dictionary_refusal("{'shape': (2 3)}"),
            "npy header, character 13: the value of 'shape' is not understood");
  EXPECT_EQ(dictionary_refusal("{'shape': (-2, 3)}"),
            "npy header, character 11: the value of 'shape' is not understood");
  EXPECT_EQ(dictionary_refusal("{'shape': (99999999999999999999, 3)}"),
            "npy header, character 11: the value of 'shape' is not understood");
  EXPECT_EQ(dictionary_refusal("{'descr': '<f4' 'shape': ()}"),
            "npy header, character 16: ',' or '}' should stand here");
  EXPECT_EQ(dictionary_refusal("{'color': 'red'}"), "npy header, character 8: unknown key 'color'");
  EXPECT_EQ(dictionary_refusal("{'descr': '<f4', 'descr': '<f4'}"),
            "npy header, character 24: 'descr' stands there twice");
  EXPECT_EQ(dictionary_refusal("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2)} x"),
            "npy header, character 58: something follows the dictionary");
}

TEST(NpyDictionary, MissingKeysAreRefused) {
  EXPECT_EQ(dictionary_refusal("{}"), "npy header: no 'descr'");
  EXPECT_EQ(dictionary_refusal("{'descr': '<f4', 'shape': (1, 2)}"),
            "npy header: no 'fortran_order'");
  EXPECT_EQ(dictionary_refusal("{'descr': '<f4', 'fortran_order': False}"),
            "npy header: no 'shape'");
}

}  // namespace
}  // namespace cairn::tools
