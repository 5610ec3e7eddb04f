// SPDX-License-Identifier: Apache-2.0
#include "format/bytes/log_frame.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <iterator>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "tests/support/file_image.h"

namespace cairn::format {
namespace {

using test::Bytes;

struct Piece {
  std::uint64_t offset;
  Bytes bytes;
  friend bool operator==(const Piece&, const Piece&) = default;
};

std::vector<Patch> patches_of(const std::vector<Piece>& pieces) {
  std::vector<Patch> patches;
  for (const Piece& piece : pieces) patches.push_back({piece.offset, piece.bytes});
  return patches;
}

Bytes frame_of(const std::vector<Piece>& pieces) {
  Bytes frame;
  FrameBuilder(frame, 3).add(2, patches_of(pieces));
  seal_frame(frame, 1, 2, 0);
  return frame;
}

std::vector<Piece> pieces_of(const Record& record) {
  std::vector<Piece> pieces;
  PatchReader reader(record.offset, record.data);
  while (const auto patch = reader.next()) {
    pieces.push_back({patch->offset, Bytes(patch->bytes.begin(), patch->bytes.end())});
  }
  EXPECT_FALSE(reader.is_broken());
  return pieces;
}

// With gaps and lengths around those at which a number takes another byte.
std::vector<Piece> random_pieces(std::minstd_rand& random) {
  constexpr std::uint64_t kNumbers[] = {0, 1, 127, 128, 16383, 16384, std::uint64_t{1} << 35};
  std::vector<Piece> pieces;
  std::uint64_t end = random() % 2 == 0 ? 0 : std::uint64_t{1} << 40;
  for (unsigned i = 0; i < 1 + random() % 20; ++i) {
    const std::uint64_t offset = end + kNumbers[random() % std::size(kNumbers)];
    Bytes bytes(kNumbers[1 + random() % 5]);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
    end = offset + bytes.size();
    pieces.push_back({offset, std::move(bytes)});
  }
  return pieces;
}

TEST(LogFrame, PatchesAreReadAsTheyWereWritten) {
  std::minstd_rand random(1);
  for (int i = 0; i < 200; ++i) {
    const std::vector<Piece> pieces = random_pieces(random);
    const Bytes frame = frame_of(pieces);
    ASSERT_TRUE(is_whole(frame));
    std::uint64_t data = 0;
    std::uint64_t end = pieces.front().offset;
    for (const Piece& piece : pieces) {
      data += patch_bytes(piece.offset - end, piece.bytes.size());
      end = piece.offset + piece.bytes.size();
    }
    EXPECT_EQ(frame.size(), frame_at::kSize + record_bytes(data));
    const auto records = records_of(frame);
    ASSERT_TRUE(records) << records.error().message();
    ASSERT_EQ(records->size(), 1u);
    const Record& record = records->front();
    EXPECT_EQ(record.kind, RecordKind::patches);
    EXPECT_EQ(record.section, 2);
    EXPECT_EQ(pieces_of(record), pieces);
  }
}

TEST(LogFrame, AWordAmongOthersTakesALittleMoreThanItself) {
  std::vector<Piece> words;
  for (std::uint64_t i = 0; i < 100; ++i) words.push_back({i * 100000, Bytes(4, std::byte{1})});
  EXPECT_LE(frame_of(words).size(), frame_at::kSize + record_at::kSize + 100 * 8 + 8);
}

// What makes room in the log counts a record and eight bytes a change.
TEST(LogFrame, PatchesTakeNoMoreThanRecordsOfTheirOwn) {
  std::minstd_rand random(2);
  for (int i = 0; i < 200; ++i) {
    std::vector<Piece> pieces = random_pieces(random);
    if (pieces.size() == 1) continue;
    std::uint64_t apart = frame_at::kSize;
    for (const Piece& piece : pieces) apart += record_at::kSize + 8 + piece.bytes.size();
    EXPECT_LE(frame_of(pieces).size(), apart);
  }
}

TEST(LogFrame, PatchesThatAreCutOffAreBroken) {
  std::minstd_rand random(3);
  const std::vector<Piece> pieces = random_pieces(random);
  const Bytes frame = frame_of(pieces);
  const auto records = records_of(frame);
  ASSERT_TRUE(records);
  const std::span<const std::byte> data = records->front().data;
  std::vector<std::size_t> ends;  // of whole patches
  for (std::size_t size = 0; size <= data.size(); ++size) {
    PatchReader reader(0, data.first(size));
    std::size_t n = 0;
    while (reader.next()) ++n;
    if (!reader.is_broken()) ends.push_back(n);
  }
  ASSERT_EQ(ends.size(), pieces.size() + 1);
  for (std::size_t n = 0; n < ends.size(); ++n) EXPECT_EQ(ends[n], n);
}

}  // namespace
}  // namespace cairn::format
