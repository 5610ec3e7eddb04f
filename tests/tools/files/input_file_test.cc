// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/tools/files/byte_writer.h"
#include "tools/files/text_file.h"
#include "tools/files/truth_file.h"

namespace cairn::tools {
namespace {

std::string refusal(const Result<TruthFile>& result) {
  if (result) return "was read";
  EXPECT_EQ(result.error().code(), ErrorCode::invalid_argument);
  return result.error().message();
}

std::string keys_refusal(std::string_view text) {
  const auto keys = parse_keys(text);
  if (keys) return "was read";
  EXPECT_EQ(keys.error().code(), ErrorCode::invalid_argument);
  return keys.error().message();
}

TEST(Ibin, IdsAreReadWithAndWithoutDistances) {
  const auto ids = ByteWriter().u32(2).u32(2).u32(1).u32(2).u32(3).u32(4);
  const auto with_distances = ByteWriter(ids).f32({0.1f, 0.2f, 0.3f, 0.4f});
  for (const ByteWriter* bytes : {&ids, &with_distances}) {
    const auto truth = parse_ibin(bytes->bytes());
    ASSERT_TRUE(truth) << truth.error().message();
    EXPECT_EQ(truth->rows, 2u);
    EXPECT_EQ(truth->columns, 2u);
    EXPECT_EQ(truth->ids, (std::vector<std::uint32_t>{1, 2, 3, 4}));
    EXPECT_EQ(truth->row(1)[0], 3u);
  }
}

TEST(Ibin, ShortHeaderIsRefused) {
  EXPECT_EQ(refusal(parse_ibin(ByteWriter().zeros(7).bytes())),
            "the file ends at byte 7, in the header of 8 bytes");
}

TEST(Ibin, SizesThatDoNotAgreeAreRefused) {
  const auto ids = ByteWriter().u32(1).u32(2).u32(1).u32(2);
  const std::string message =
      "the header says 1 rows of 2 ids, with or without as many distances, but the file has ";
  EXPECT_EQ(refusal(parse_ibin(ByteWriter(ids).cut(1).bytes())), message + "15 bytes");
  EXPECT_EQ(refusal(parse_ibin(ByteWriter(ids).cut(4).bytes())), message + "12 bytes");
  EXPECT_EQ(refusal(parse_ibin(ByteWriter(ids).zeros(4).bytes())), message + "20 bytes");
  EXPECT_EQ(refusal(parse_ibin(ByteWriter(ids).zeros(9).bytes())), message + "25 bytes");
}

TEST(Ibin, HugeCountsAreRefusedBeforeAllocation) {
  EXPECT_EQ(refusal(parse_ibin(ByteWriter().u32(0xFFFFFFFFu).u32(0xFFFFFFFFu).zeros(16).bytes())),
            "the header says 4294967295 rows of 4294967295 ids, with or without as many distances, "
            "but the file has "
            "24 bytes");
}

// A file of these bytes for as long as it is needed.
class FileOf {
 public:
  FileOf(const std::string& suffix, const ByteWriter& bytes)
      : path_(std::filesystem::temp_directory_path() /
              ("cairn-input-" + std::to_string(::getpid()) + suffix)) {
    std::ofstream out(path_, std::ios::binary);
    out.write(reinterpret_cast<const char*>(bytes.bytes().data()),
              static_cast<std::streamsize>(bytes.bytes().size()));
  }
  ~FileOf() { std::filesystem::remove(path_); }
  FileOf(const FileOf&) = delete;
  FileOf& operator=(const FileOf&) = delete;
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

ByteWriter npy_of(const std::string& descr, const std::string& shape) {
  std::string text = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }";
  text.resize(118, ' ');
  return ByteWriter().text("\x93NUMPY").text(std::string("\1\0\x76\0", 4)).text(text);
}

TEST(Ivecs, RowsAreRead) {
  const auto row = ByteWriter().u32(2).u32(7).u32(9).u32(2).u32(3).u32(4);
  const FileOf file(".ivecs", row);
  const auto truth = read_truth(file.path());
  ASSERT_TRUE(truth) << truth.error().message();
  EXPECT_EQ(truth->rows, 2u);
  EXPECT_EQ(truth->ids, (std::vector<std::uint32_t>{7, 9, 3, 4}));
}

TEST(Ivecs, RowsOfAnotherWidthAndCutOnesAreRefused) {
  const FileOf other(".ivecs", ByteWriter().u32(2).u32(7).u32(9).u32(3).u32(3).u32(4));
  EXPECT_EQ(refusal(read_truth(other.path())),
            "read " + other.path() + ": row 1 at byte 12 has 3 ids, the first row 2");
  const FileOf cut(".ivecs", ByteWriter().u32(2).u32(7));
  EXPECT_EQ(refusal(read_truth(cut.path())),
            "read " + cut.path() + ": the file has 8 bytes, no multiple of a row of 2 ids");
}

TEST(NpyTruth, IsATableOfIntegers) {
  const FileOf file(".npy", npy_of("<i4", "(2, 2)").u32(7).u32(9).u32(3).u32(4));
  const auto truth = read_truth(file.path());
  ASSERT_TRUE(truth) << truth.error().message();
  EXPECT_EQ(truth->ids, (std::vector<std::uint32_t>{7, 9, 3, 4}));
}

TEST(NpyTruth, NumbersThatAreNoRowsAreRefused) {
  const FileOf file(".npy", npy_of("<u8", "(1, 2)").u32(7).u32(0).u32(0).u32(1));
  EXPECT_EQ(refusal(read_truth(file.path())),
            "read " + file.path() + ": row 0: 4294967296 is no row number");
  const FileOf flat(".npy", npy_of("<u4", "(2,)").u32(7).u32(0));
  EXPECT_EQ(refusal(read_truth(flat.path())),
            "read " + flat.path() + ": the array has 1 dimensions, not 2 (queries, neighbours)");
}

TEST(Answers, AreKeysOfEitherWidth) {
  const FileOf narrow(".ibin", ByteWriter().u32(1).u32(2).u32(7).u32(9));
  const FileOf wide(".ibin.64", ByteWriter().u32(1).u32(2).u32(7).u32(1).u32(9).u32(0));
  const FileOf array(".npy", npy_of("<u8", "(1, 2)").u32(7).u32(1).u32(9).u32(0));
  EXPECT_EQ(read_answers(narrow.path(), IdWidth::u32)->ids, (std::vector<Key>{7, 9}));
  EXPECT_EQ(read_answers(wide.path(), IdWidth::u64)->ids, (std::vector<Key>{(1ull << 32) + 7, 9}));
  EXPECT_EQ(read_answers(array.path(), IdWidth::u32)->ids, (std::vector<Key>{(1ull << 32) + 7, 9}));
}

TEST(Answers, OfTheOtherWidthAreRefused) {
  const FileOf narrow(".ibin", ByteWriter().u32(1).u32(1).u32(7));
  const auto answers = read_answers(narrow.path(), IdWidth::u64);
  ASSERT_FALSE(answers);
  EXPECT_EQ(answers.error().message(),
            "read " + narrow.path() +
                ": the header says 1 rows of 1 ids, with or without as many distances, but the "
                "file has 12 bytes");
}

TEST(Keys, OfAnArrayAreItsNumbers) {
  const FileOf file(".npy", npy_of("<u8", "(2,)").u32(7).u32(1).u32(9).u32(0));
  const auto keys = read_keys(file.path());
  ASSERT_TRUE(keys) << keys.error().message();
  EXPECT_EQ(*keys, (std::vector<Key>{(1ull << 32) + 7, 9}));
}

TEST(Keys, OfAnArrayOfTwoDimensionsAreRefused) {
  const FileOf file(".npy", npy_of("<u4", "(1, 2)").u32(7).u32(1));
  const auto keys = read_keys(file.path());
  ASSERT_FALSE(keys);
  EXPECT_EQ(keys.error().message(),
            "read " + file.path() + ": the array has 2 dimensions, not 1 (keys)");
}

TEST(Keys, LinesAreNumbersUpToTheLargest) {
  const auto keys = parse_keys("7\n0\r\n18446744073709551615");
  ASSERT_TRUE(keys) << keys.error().message();
  EXPECT_EQ(*keys, (std::vector<Key>{7, 0, 18446744073709551615u}));
}

TEST(Keys, LastLineMayEndOrNot) {
  EXPECT_EQ(parse_keys("1\n2\n")->size(), 2u);
  EXPECT_EQ(parse_keys("1\n2")->size(), 2u);
  EXPECT_EQ(parse_keys("")->size(), 0u);
}

TEST(Keys, FirstBadLineIsNamed) {
  const std::string rule = " is not a number from 0 to 18446744073709551615";
  EXPECT_EQ(keys_refusal("1\ntwo\n3\n"), "line 2: 'two'" + rule);
  EXPECT_EQ(keys_refusal("1\n\n3\n"), "line 2: ''" + rule);
  EXPECT_EQ(keys_refusal("-1\n"), "line 1: '-1'" + rule);
  EXPECT_EQ(keys_refusal("1 \n"), "line 1: '1 '" + rule);
  EXPECT_EQ(keys_refusal("18446744073709551616\n"), "line 1: '18446744073709551616'" + rule);
}

TEST(Keys, FirstRepeatedOneIsFound) {
  const auto found = [](const std::vector<Key>& keys) {
    const auto repeated = find_repeated(keys);
    return repeated ? std::vector<std::size_t>{repeated->place, repeated->earlier}
                    : std::vector<std::size_t>{};
  };
  EXPECT_TRUE(found({}).empty());
  EXPECT_TRUE(found({3, 1, 2}).empty());
  EXPECT_EQ(found({3, 1, 3}), (std::vector<std::size_t>{2, 0}));
  EXPECT_EQ(found({1, 9, 9, 1, 9, 1}), (std::vector<std::size_t>{2, 1}));
}

std::vector<std::string> all_of(const Names& names) {
  std::vector<std::string> list;
  for (Key key = 0; key < names.size(); ++key) list.emplace_back(names[key]);
  return list;
}

TEST(Names, LinesKeepTheirBytes) {
  EXPECT_EQ(all_of(Names("a\n b c \r\n\n\xC3\xA9")),
            (std::vector<std::string>{"a", " b c ", "", "\xC3\xA9"}));
  EXPECT_EQ(all_of(Names("")), std::vector<std::string>());
  EXPECT_EQ(all_of(Names("\n")), std::vector<std::string>{""});
}

TEST(Names, EachOfManyLinesIsFound) {
  std::string text;
  for (int line = 0; line < 1000; ++line) text += std::to_string(line) + (line % 3 ? "\n" : "\r\n");
  const auto names = all_of(Names(text));
  ASSERT_EQ(names.size(), 1000u);
  for (std::size_t line = 0; line < 1000; ++line) EXPECT_EQ(names[line], std::to_string(line));
}

TEST(Names, MissingFileIsPathNotFound) {
  const auto names = read_names("no/such/file.txt");
  ASSERT_FALSE(names);
  EXPECT_EQ(names.error().code(), ErrorCode::path_not_found);
}

// What read_stream makes of `bytes` that come through a pipe.
Result<std::string> through_pipe(std::string_view bytes, std::size_t max_bytes) {
  std::array<int, 2> ends;
  if (::pipe(ends.data()) != 0) return Error(ErrorCode::io_error, "no pipe");
  const Descriptor reading(ends[0]);
  std::jthread writer([bytes, fd = ends[1]] {
    const Descriptor writing(fd);
    EXPECT_EQ(::write(fd, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  });
  return read_stream(reading.get(), max_bytes);
}

TEST(Stream, IsReadToItsEndUpToAMaximum) {
  for (const std::size_t size : {0u, 1u, 65535u, 65536u, 65537u, 300000u}) {
    const std::string bytes(size, 'x');
    EXPECT_EQ(through_pipe(bytes, size).value(), bytes);
  }
  const auto more = through_pipe("four", 3);
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(more.error().message(), "more than 3 bytes from what is no regular file");
}

}  // namespace
}  // namespace cairn::tools
