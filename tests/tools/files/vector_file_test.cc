// SPDX-License-Identifier: Apache-2.0
#include "tools/files/vector_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "tests/tools/files/byte_writer.h"

namespace cairn::tools {
namespace {

const std::vector<float> kSix = {1, 2, 3, 4, 5, 6};

ByteWriter good_fbin() { return ByteWriter().u32(2).u32(3).f32({1, 2, 3, 4, 5, 6}); }
ByteWriter good_fvecs() { return ByteWriter().u32(3).f32({1, 2, 3}).u32(3).f32({4, 5, 6}); }

// The message of the refusal; its code must be invalid_argument.
std::string refusal(const Result<VectorFile>& result) {
  if (result) return "was read";
  EXPECT_EQ(result.error().code(), ErrorCode::invalid_argument);
  return result.error().message();
}

// A descriptor from which `bytes` can be read, as from a pipe.
Result<VectorFile> through_pipe(std::span<const std::byte> bytes) {
  std::array<int, 2> ends = {};
  EXPECT_EQ(::pipe(ends.data()), 0);
  std::thread writer([&] {
    std::size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t wrote = ::write(ends[1], bytes.data() + done, bytes.size() - done);
      if (wrote <= 0) break;
      done += static_cast<std::size_t>(wrote);
    }
    ::close(ends[1]);
  });
  auto file = read_fbin_stream(ends[0]);
  std::array<std::byte, 4096> rest;
  while (::read(ends[0], rest.data(), rest.size()) > 0) {
  }
  ::close(ends[0]);
  writer.join();
  return file;
}

class TemporaryFile {
 public:
  TemporaryFile(const std::string& suffix, std::span<const std::byte> bytes)
      : path_(std::filesystem::temp_directory_path() /
              ("cairn-" + std::to_string(::getpid()) + "-" + std::to_string(counter_++) + suffix)) {
    std::ofstream out(path_, std::ios::binary);
    out.write(reinterpret_cast<const char*>(bytes.data()),
              static_cast<std::streamsize>(bytes.size()));
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  std::string path() const { return path_.string(); }

 private:
  static inline int counter_ = 0;
  std::filesystem::path path_;
};

TEST(Fbin, RowsComeBackInOrder) {
  const auto file = parse_vectors(VectorFormat::fbin, good_fbin().bytes());
  ASSERT_TRUE(file) << file.error().message();
  EXPECT_EQ(file->rows, 2u);
  EXPECT_EQ(file->dims, 3u);
  EXPECT_EQ(file->values, kSix);
  EXPECT_EQ(file->row(1)[0], 4);
  EXPECT_EQ(file->view().rows, 2u);
}

TEST(Fbin, NoRowsAreLegal) {
  const auto file = parse_vectors(VectorFormat::fbin, ByteWriter().u32(0).u32(3).bytes());
  ASSERT_TRUE(file) << file.error().message();
  EXPECT_EQ(file->rows, 0u);
  EXPECT_EQ(file->dims, 3u);
}

TEST(Fbin, NonFiniteValuesArePassedOn) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto file =
      parse_vectors(VectorFormat::fbin, ByteWriter().u32(1).u32(1).f32({nan}).bytes());
  ASSERT_TRUE(file) << file.error().message();
  EXPECT_TRUE(std::isnan(file->values[0]));
}

TEST(Fbin, EmptyFileIsRefused) {
  EXPECT_EQ(refusal(parse_vectors(VectorFormat::fbin, std::span<const std::byte>())),
            "the file ends at byte 0, in the header of 8 bytes");
}

TEST(Fbin, HalfAHeaderIsRefused) {
  EXPECT_EQ(refusal(parse_vectors(VectorFormat::fbin, ByteWriter().u32(2).zeros(3).bytes())),
            "the file ends at byte 7, in the header of 8 bytes");
}

TEST(Fbin, NoDimensionsAreRefused) {
  EXPECT_EQ(refusal(parse_vectors(VectorFormat::fbin, ByteWriter().u32(2).u32(0).bytes())),
            "dimensions at byte 4 are 0, not 1 ... 65535");
}

TEST(Fbin, TooManyDimensionsAreRefused) {
  EXPECT_EQ(refusal(parse_vectors(VectorFormat::fbin,
                                  ByteWriter().u32(1).u32(65536).zeros(4 * 65536).bytes())),
            "dimensions at byte 4 are 65536, not 1 ... 65535");
}

TEST(Fbin, MostDimensionsAreRead) {
  const auto file =
      parse_vectors(VectorFormat::fbin, ByteWriter().u32(1).u32(65535).zeros(4 * 65535).bytes());
  ASSERT_TRUE(file) << file.error().message();
  EXPECT_EQ(file->dims, 65535u);
}

TEST(Fbin, ShortFileIsRefusedWithItsEnd) {
  EXPECT_EQ(refusal(parse_vectors(VectorFormat::fbin, good_fbin().cut(1).bytes())),
            "the header says 2 rows of 3 dimensions, but the file ends at byte 31, in row 1");
}

TEST(Fbin, BytesBehindTheLastRowAreRefused) {
  EXPECT_EQ(refusal(parse_vectors(VectorFormat::fbin, good_fbin().zeros(5).bytes())),
            "the header says 2 rows of 3 dimensions, but the file goes on for 5 bytes behind the "
            "last row");
}

TEST(Fbin, HugeCountsAreRefusedBeforeAllocation) {
  EXPECT_EQ(refusal(parse_vectors(VectorFormat::fbin,
                                  ByteWriter().u32(0xFFFFFFFFu).u32(65535).zeros(16).bytes())),
            "the header says 4294967295 rows of 65535 dimensions, but the file ends at byte 24, in "
            "row 0");
}

TEST(Fvecs, RowsComeBackInOrder) {
  const auto file = parse_vectors(VectorFormat::fvecs, good_fvecs().bytes());
  ASSERT_TRUE(file) << file.error().message();
  EXPECT_EQ(file->rows, 2u);
  EXPECT_EQ(file->dims, 3u);
  EXPECT_EQ(file->values, kSix);
}

TEST(Fvecs, ManyBlocksOfRowsComeBackInOrder) {
  ByteWriter writer;
  constexpr std::size_t kRows = 300000;  // more than 1 MiB
  for (std::size_t i = 0; i < kRows; ++i) writer.u32(1).f32({static_cast<float>(i)});
  const auto file = parse_vectors(VectorFormat::fvecs, writer.bytes());
  ASSERT_TRUE(file) << file.error().message();
  ASSERT_EQ(file->rows, kRows);
  for (std::size_t i = 0; i < kRows; ++i) ASSERT_EQ(file->values[i], static_cast<float>(i));
}

TEST(Fvecs, EmptyFileIsRefused) {
  EXPECT_EQ(refusal(parse_vectors(VectorFormat::fvecs, std::span<const std::byte>())),
            "the file is empty");
}

TEST(Fvecs, HalfAWidthIsRefused) {
  EXPECT_EQ(refusal(parse_vectors(VectorFormat::fvecs, ByteWriter().zeros(3).bytes())),
            "the file ends at byte 3, in the first row's width");
}

TEST(Fvecs, NoDimensionsAreRefused) {
  EXPECT_EQ(refusal(parse_vectors(VectorFormat::fvecs, ByteWriter().u32(0).bytes())),
            "dimensions at byte 0 are 0, not 1 ... 65535");
}

TEST(Fvecs, TooManyDimensionsAreRefused) {
  EXPECT_EQ(refusal(parse_vectors(VectorFormat::fvecs, ByteWriter().u32(65536).bytes())),
            "dimensions at byte 0 are 65536, not 1 ... 65535");
}

TEST(Fvecs, RowOfAnotherWidthIsRefusedWithItsPlace) {
  // Together as long as three rows of three.
  const auto bytes = ByteWriter().u32(3).f32({1, 2, 3}).u32(2).f32({4, 5}).u32(4).f32({6, 7, 8, 9});
  EXPECT_EQ(refusal(parse_vectors(VectorFormat::fvecs, bytes.bytes())),
            "row 1 at byte 16 has 2 dimensions, the first row 3");
}

TEST(Fvecs, ShortLastRowIsRefusedWithItsEnd) {
  EXPECT_EQ(refusal(parse_vectors(VectorFormat::fvecs, good_fvecs().cut(2).bytes())),
            "the file ends at byte 30, in row 1 of 3 dimensions");
}

TEST(Fvecs, WidthBeyondTheFileIsRefused) {
  EXPECT_EQ(refusal(parse_vectors(VectorFormat::fvecs, ByteWriter().u32(65535).zeros(8).bytes())),
            "the file ends at byte 12, in row 0 of 65535 dimensions");
}

TEST(Bytes, AreSignedOrNotByTheirSuffix) {
  const auto bytes = ByteWriter().u32(1).u32(4).text(std::string("\0\x7F\x80\xFF", 4));
  const auto without_sign = parse_vectors(VectorFormat::u8bin, bytes.bytes());
  const auto with_sign = parse_vectors(VectorFormat::i8bin, bytes.bytes());
  ASSERT_TRUE(without_sign) << without_sign.error().message();
  ASSERT_TRUE(with_sign) << with_sign.error().message();
  EXPECT_EQ(without_sign->values, (std::vector<float>{0, 127, 128, 255}));
  EXPECT_EQ(with_sign->values, (std::vector<float>{0, 127, -128, -1}));
}

TEST(Bytes, ShortAndLongFilesAreRefusedWithTheirEnd) {
  const auto bytes = ByteWriter().u32(2).u32(3).zeros(6);
  EXPECT_EQ(refusal(parse_vectors(VectorFormat::u8bin, ByteWriter(bytes).cut(1).bytes())),
            "the header says 2 rows of 3 dimensions, but the file ends at byte 13, in row 1");
  EXPECT_EQ(refusal(parse_vectors(VectorFormat::i8bin, ByteWriter(bytes).zeros(2).bytes())),
            "the header says 2 rows of 3 dimensions, but the file goes on for 2 bytes behind the "
            "last row");
}

TEST(Bytes, HugeCountsAreRefusedBeforeAllocation) {
  EXPECT_EQ(refusal(parse_vectors(VectorFormat::u8bin,
                                  ByteWriter().u32(0xFFFFFFFFu).u32(65535).zeros(16).bytes())),
            "the header says 4294967295 rows of 65535 dimensions, but the file ends at byte 24, in "
            "row 0");
}

TEST(Bvecs, RowsComeBackInOrder) {
  const auto bytes = ByteWriter().u32(3).text("\1\2\xFF").u32(3).text("\4\5\6");
  const auto file = parse_vectors(VectorFormat::bvecs, bytes.bytes());
  ASSERT_TRUE(file) << file.error().message();
  EXPECT_EQ(file->rows, 2u);
  EXPECT_EQ(file->values, (std::vector<float>{1, 2, 255, 4, 5, 6}));
}

TEST(Bvecs, RowsOfAnotherWidthAndShortOnesAreRefusedWithTheirPlace) {
  const auto row = [](std::uint32_t width) { return ByteWriter().u32(width).zeros(3); };
  EXPECT_EQ(refusal(parse_vectors(VectorFormat::bvecs, row(3).u32(2).zeros(3).bytes())),
            "row 1 at byte 7 has 2 dimensions, the first row 3");
  EXPECT_EQ(refusal(parse_vectors(VectorFormat::bvecs, row(3).u32(3).zeros(2).bytes())),
            "the file ends at byte 13, in row 1 of 3 dimensions");
}

TEST(FbinStream, RowsComeThroughAPipe) {
  const auto file = through_pipe(good_fbin().bytes());
  ASSERT_TRUE(file) << file.error().message();
  EXPECT_EQ(file->rows, 2u);
  EXPECT_EQ(file->values, kSix);
}

TEST(FbinStream, MoreThanOneBufferComesThroughAPipe) {
  constexpr std::uint32_t kRows = 700000;
  ByteWriter writer;
  writer.u32(kRows).u32(1);
  for (std::uint32_t i = 0; i < kRows; ++i) writer.f32({static_cast<float>(i)});
  const auto file = through_pipe(writer.bytes());
  ASSERT_TRUE(file) << file.error().message();
  ASSERT_EQ(file->values.size(), kRows);
  for (std::uint32_t i = 0; i < kRows; ++i) ASSERT_EQ(file->values[i], static_cast<float>(i));
}

TEST(FbinStream, HugeCountWithLittleDataIsRefusedWithoutMemoryForIt) {
  // The header promises 1 PB.
  EXPECT_EQ(refusal(through_pipe(ByteWriter().u32(0xFFFFFFFFu).u32(65535).zeros(16).bytes())),
            "the header says 4294967295 rows of 65535 dimensions, but the file ends at byte 24, in "
            "row 0");
}

TEST(FbinStream, ShortInputIsRefusedWithItsEnd) {
  EXPECT_EQ(refusal(through_pipe(good_fbin().cut(4).bytes())),
            "the header says 2 rows of 3 dimensions, but the file ends at byte 28, in row 1");
}

TEST(FbinStream, EmptyInputIsRefused) {
  EXPECT_EQ(refusal(through_pipe({})), "the input ends at byte 0, in the header of 8 bytes");
}

TEST(FbinStream, MoreThanPromisedIsRefused) {
  EXPECT_EQ(refusal(through_pipe(good_fbin().zeros(1).bytes())),
            "the header says 2 rows of 3 dimensions, but the input goes on");
}

TEST(VectorFormat, IsTakenFromTheSuffix) {
  EXPECT_EQ(*vector_format("a/b.fbin"), VectorFormat::fbin);
  EXPECT_EQ(*vector_format("b.fvecs"), VectorFormat::fvecs);
  EXPECT_EQ(*vector_format("c.fbin.npy"), VectorFormat::npy);
  EXPECT_EQ(*vector_format("c.u8bin"), VectorFormat::u8bin);
  EXPECT_EQ(*vector_format("c.i8bin"), VectorFormat::i8bin);
  EXPECT_EQ(*vector_format("c.bvecs"), VectorFormat::bvecs);
  EXPECT_EQ(*vector_format("c.hdf5"), VectorFormat::hdf5);
  EXPECT_EQ(*vector_format("c.h5"), VectorFormat::hdf5);
}

TEST(VectorFormat, ParquetIsForThePythonPackage) {
  const auto format = vector_format("a.parquet");
  ASSERT_FALSE(format);
  EXPECT_EQ(format.error().code(), ErrorCode::unsupported);
  EXPECT_NE(format.error().message().find("Python package"), std::string::npos);
}

TEST(VectorFormat, UnknownSuffixIsUnsupported) {
  for (const char* name : {"a.ivecs", "fbin", "a.FBIN", "", "a.fbin.gz"}) {
    const auto format = vector_format(name);
    ASSERT_FALSE(format) << name;
    EXPECT_EQ(format.error().code(), ErrorCode::unsupported);
  }
}

TEST(ReadVectors, ReadsEachFormatByItsSuffix) {
  const TemporaryFile fbin(".fbin", good_fbin().bytes());
  const TemporaryFile fvecs(".fvecs", good_fvecs().bytes());
  for (const TemporaryFile* one : {&fbin, &fvecs}) {
    const auto file = read_vectors(one->path());
    ASSERT_TRUE(file) << file.error().message();
    EXPECT_EQ(file->values, kSix);
  }
}

TEST(ReadVectors, ErrorNamesTheFile) {
  const TemporaryFile broken(".fbin", ByteWriter().u32(1).bytes());
  EXPECT_EQ(refusal(read_vectors(broken.path())),
            "read " + broken.path() + ": the file ends at byte 4, in the header of 8 bytes");
}

TEST(ReadVectors, MissingFileIsPathNotFound) {
  const auto file = read_vectors("no/such/file.fbin");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code(), ErrorCode::path_not_found);
}

TEST(ReadVectors, DirectoryIsRefused) {
  const std::string path = std::filesystem::temp_directory_path() /
                           ("cairn-dir-" + std::to_string(::getpid()) + ".fbin");
  std::filesystem::create_directory(path);
  EXPECT_EQ(refusal(read_vectors(path)), "open " + path + ": not a regular file");
  std::filesystem::remove(path);
}

// An .npy of one dictionary, padded to `header` bytes in all.
ByteWriter npy(std::string dictionary, std::size_t header = 128) {
  dictionary.resize(header - 11, ' ');
  dictionary += '\n';
  const auto size = static_cast<char>(dictionary.size());
  return ByteWriter()
      .text("\x93NUMPY")
      .text({"\1\0", 2})
      .text({&size, 1})
      .zeros(1)
      .text(dictionary);
}
constexpr const char* kTwoByThree = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";

TEST(MapVectors, FloatsInTheirOrderStayInTheFile) {
  const TemporaryFile fbin(".fbin", good_fbin().bytes());
  const TemporaryFile array(".npy", npy(kTwoByThree).f32({1, 2, 3, 4, 5, 6}).bytes());
  const TemporaryFile row(".npy", npy("{'descr': '<f4', 'fortran_order': True, 'shape': (6,), }")
                                      .f32({1, 2, 3, 4, 5, 6})
                                      .bytes());
  for (const TemporaryFile* one : {&fbin, &array, &row}) {
    const auto file = map_vectors(one->path());
    ASSERT_TRUE(file) << file.error().message();
    EXPECT_NE(file->mapped, nullptr) << one->path();
    EXPECT_TRUE(file->values.empty());
    EXPECT_EQ(std::vector<float>(file->data(), file->data() + file->rows * file->dims), kSix);
  }
}

TEST(MapVectors, WhatStandsOtherwiseIsRead) {
  const TemporaryFile columns(".npy",
                              npy("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }")
                                  .f32({1, 4, 2, 5, 3, 6})
                                  .bytes());
  const TemporaryFile askew(".npy", npy(kTwoByThree, 127).f32({1, 2, 3, 4, 5, 6}).bytes());
  const TemporaryFile fvecs(".fvecs", good_fvecs().bytes());
  for (const TemporaryFile* one : {&columns, &askew, &fvecs}) {
    const auto file = map_vectors(one->path());
    ASSERT_TRUE(file) << file.error().message();
    EXPECT_EQ(file->mapped, nullptr) << one->path();
    EXPECT_EQ(file->values, kSix);
  }
}

TEST(MapVectors, RefusalsAreThoseOfReading) {
  const TemporaryFile shorter(".npy", npy(kTwoByThree).f32({1, 2, 3, 4, 5}).bytes());
  const TemporaryFile longer(".fbin", good_fbin().zeros(1).bytes());
  const TemporaryFile header(".fbin", ByteWriter().u32(2).bytes());
  const TemporaryFile empty(".npy", {});
  for (const TemporaryFile* one : {&shorter, &longer, &header, &empty}) {
    const std::string message = refusal(map_vectors(one->path()));
    EXPECT_EQ(message, refusal(read_vectors(one->path())));
    EXPECT_TRUE(message.starts_with("read " + one->path() + ": ")) << message;
  }
}

TEST(ReadQueries, OtherDimensionsAreAMismatch) {
  const TemporaryFile fbin(".fbin", good_fbin().bytes());
  const auto file = read_queries(fbin.path(), 4);
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code(), ErrorCode::dimension_mismatch);
}

TEST(ReadQueries, InfinityIsNotFiniteAndHasAPlace) {
  const float infinity = std::numeric_limits<float>::infinity();
  const TemporaryFile fbin(".fbin", ByteWriter().u32(2).u32(2).f32({1, 2, 3, -infinity}).bytes());
  const auto file = read_queries(fbin.path(), 2);
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code(), ErrorCode::not_finite);
  EXPECT_EQ(file.error().message(), fbin.path() + ": query 1, component 1 is not finite");
}

TEST(ReadQueries, PackedBitsAreToldFromOtherDimensions) {
  const TemporaryFile fbin(".fbin", ByteWriter().u32(1).u32(2).f32({1, 2}).bytes());
  const auto packed = read_queries(fbin.path(), 16);
  ASSERT_FALSE(packed);
  EXPECT_NE(packed.error().message().find("numpy.unpackbits"), std::string::npos);
  const auto other = read_queries(fbin.path(), 17);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().message().find("numpy.unpackbits"), std::string::npos);
}

}  // namespace
}  // namespace cairn::tools
