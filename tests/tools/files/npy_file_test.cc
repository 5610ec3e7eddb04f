// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

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

TEST(Npy, OtherTypesAreRefusedByName) {
  for (const std::string descr : {"<f8", "<f2", ">f4", "|u1", "<i4"}) {
    const auto bytes =
        npy_with("{'descr': '" + descr + "', 'fortran_order': False, 'shape': (2, 3), }").zeros(24);
    EXPECT_EQ(refusal(parse_npy(bytes.bytes())),
              "dtype '" + descr + "' is not '<f4': convert with array.astype('<f4')");
  }
}

TEST(Npy, FortranOrderIsRefused) {
  const auto bytes =
      npy_with("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }").zeros(24);
  EXPECT_EQ(refusal(parse_npy(bytes.bytes())),
            "the array is in Fortran order: convert with numpy.ascontiguousarray(array)");
}

TEST(Npy, OneAndThreeDimensionalArraysAreRefused) {
  EXPECT_EQ(
      refusal(parse_npy(
          npy_with("{'descr': '<f4', 'fortran_order': False, 'shape': (6,), }").zeros(24).bytes())),
      "the array has 1 dimensions, not 2 (rows, components)");
  EXPECT_EQ(
      refusal(parse_npy(npy_with("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 3), }")
                            .zeros(24)
                            .bytes())),
      "the array has 3 dimensions, not 2 (rows, components)");
  EXPECT_EQ(
      refusal(parse_npy(
          npy_with("{'descr': '<f4', 'fortran_order': False, 'shape': (), }").zeros(4).bytes())),
      "the array has 0 dimensions, not 2 (rows, components)");
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
