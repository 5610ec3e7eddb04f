// SPDX-License-Identifier: Apache-2.0
//
// Files of real indexes with flipped bits, and cut off: each is refused, found out, or searched
// without harm.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <cairn/cairn.h>

#include "engine/api/index_parts.h"
#include "format/container/container.h"
#include "format/container/writable_container.h"
#include "format/io/file.h"
#include "tests/support/file_image.h"
#include "tests/support/sanitizers.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

using format::kFirstRunOffset;
using format::kPageSize;
using test::Bytes;
using test::TemporaryDirectory;
using test::Vectors;

constexpr std::uint64_t kSample = CAIRN_TEST_SANITIZED ? 16 : 1;  // so many times slower

bool is_asked_for(const char* variable) { return std::getenv(variable) != nullptr; }

// Of everything that a file can hold: levels, tombstones, free slots, overflow buckets.
void fill(Index& index, std::size_t count) {
  const Vectors vectors = test::random_vectors(count, index.params().dimensions, 17);
  for (std::size_t i = 0; i < count; ++i) {
    ASSERT_TRUE(index.add(vectors.keys[i], vectors.vector(i)));
  }
  for (std::size_t i = 0; i < count; i += 9) ASSERT_TRUE(index.remove(vectors.keys[i]));
}

IndexParams params_of(std::size_t dimensions) {
  IndexParams params;
  params.dimensions = dimensions;
  params.m = 5;
  params.ef_construction = 30;
  return params;
}

// Searches that must end well, whatever the index holds.
void use(const Index& index) {
  std::vector<float> vector(index.params().dimensions, 0.5f);
  for (const float sign : {1.0f, -1.0f}) {
    vector[0] = sign;
    (void)index.search(vector, {.k = 10, .ef = 40});
  }
  for (Key key = 1000; key < 1140; key += 7) {
    (void)index.contains(key);
    (void)index.get(key, vector);
  }
  (void)index.size();
  (void)index.stats();
}

class Patient {
 public:
  Patient(std::filesystem::path path, Bytes bytes)
      : path_(std::move(path)), bytes_(std::move(bytes)) {
    test::write_bytes(path_, bytes_);
    auto file = format::default_file_system().open(path_, format::Access::read_write);
    if (!file) std::abort();
    file_ = std::move(*file);
  }
  void flip(std::uint64_t at, unsigned bit) {
    bytes_[at] ^= static_cast<std::byte>(1u << bit);
    if (!file_->pwrite(std::span(bytes_).subspan(at, 1), at)) std::abort();
  }
  void cut(std::uint64_t size) {
    test::write_bytes(path_,
                      Bytes(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(size)));
  }
  std::uint64_t size() const { return bytes_.size(); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  Bytes bytes_;
  std::optional<format::File> file_;
};

// A file of a writer that has not closed it, as its process would leave it: the log is short, since
// the segments are small.
Bytes unclosed_file(const TemporaryDirectory& directory) {
  format::WriteOptions small;
  small.segment_bytes = std::uint64_t{64} << 10;
  small.first_run_bytes = std::uint64_t{16} << 10;
  Bytes bytes;
  {
    CreateOptions durability;
    durability.durability = Durability::none;
    auto index = IndexParts::create(directory / "writer", params_of(8), durability, small);
    if (!index) std::abort();
    fill(*index, 150);
    if (!index->checkpoint()) std::abort();
    const std::vector<float> vector(8, 0.25f);
    for (Key key = 1; key <= 50; ++key) {
      if (!index->add(key, vector)) std::abort();
    }
    if (!index->sync()) std::abort();
    bytes = test::read_bytes(directory / "writer");
  }
  return bytes;
}

// How many places a report names, of which it lists only the first ones.
std::size_t places(const format::Container::PageReport& report) {
  if (report.findings.empty()) return 0;
  const std::string& last = report.findings.back();
  if (last.find("more findings") == std::string::npos) return report.findings.size();
  return report.findings.size() - 1 + std::stoul(last);
}

// A sixteenth of the bits, and all of them where CAIRN_TEST_ALL_BITS is set.
TEST(Damage, EveryFlippedBitInThePagesOfARealIndexIsFound) {
  const TemporaryDirectory directory;
  Index index = Index::create(params_of(48)).value();
  fill(index, 2200);
  ASSERT_TRUE(index.save(directory / "index"));
  const Bytes bytes = test::read_bytes(directory / "index");
  ASSERT_GT(bytes.size(), std::size_t{1} << 20);
  Patient patient(directory / "patient", bytes);
  const auto container = format::Container::open(format::default_file_system(), patient.path(),
                                                 Residency::map, Verify::metadata);
  ASSERT_TRUE(container);
  const auto found = [&] { return places(*container->verify_pages(1, {}, nullptr)); };
  ASSERT_EQ(found(), 0u);
  std::vector<std::uint64_t> pages;
  std::vector<std::uint64_t> tree_pages;
  for (const format::Extent& run : test::superblock_of(bytes).extents) {
    const bool is_tree = run.section == static_cast<std::uint16_t>(format::SectionId::checksum);
    for (std::uint64_t at = 0; at < run.length; at += kPageSize) {
      (is_tree ? tree_pages : pages).push_back(run.file_offset + at);
    }
  }
  ASSERT_GT(pages.size(), 180u);
  ASSERT_GT(tree_pages.size(), 0u);

  const std::uint64_t step = is_asked_for("CAIRN_TEST_ALL_BITS") ? 1 : 16 * kSample;
  for (std::uint64_t i = 0; i < kPageSize * 8; i += step) {
    // One bit of each page at once, and as many places must be named. 7 is prime to the step: all
    // bits of a byte have their turn.
    const auto flip_all = [&] {
      for (std::size_t page = 0; page < pages.size(); ++page) {
        const std::uint64_t bit = i + (i / step + page) * 7 % step;
        patient.flip(pages[page] + bit / 8, bit % 8);
      }
    };
    flip_all();
    ASSERT_EQ(found(), pages.size()) << "bits from " << i << " of each page";
    flip_all();
    // What a page of the checksum tree covers cannot be judged without it: these one by one.
    for (const std::uint64_t page : tree_pages) {
      const std::uint64_t bit = i + i / step * 7 % step;
      patient.flip(page + bit / 8, bit % 8);
      ASSERT_EQ(found(), 1u) << "bit " << bit % 8 << " of byte " << page + bit / 8;
      patient.flip(page + bit / 8, bit % 8);
    }
  }
  EXPECT_EQ(found(), 0u);
}

// Without verification; many more where CAIRN_TEST_ALL_BITS is set.
TEST(Damage, IndexesWithFlippedBitsAreSearchedWithoutHarm) {
  const TemporaryDirectory directory;
  Index index = Index::create(params_of(12)).value();
  fill(index, 400);
  ASSERT_TRUE(index.save(directory / "index"));
  Patient closed(directory / "closed", test::read_bytes(directory / "index"));
  Patient unclosed(directory / "unclosed", unclosed_file(directory));
  const int rounds = is_asked_for("CAIRN_TEST_ALL_BITS") ? 100000 : 1000;
  std::mt19937_64 random(5);
  std::size_t opened = 0;
  for (int i = 0; i < rounds; ++i) {
    Patient& patient = i % 4 == 0 ? unclosed : closed;
    std::vector<std::pair<std::uint64_t, unsigned>> flips;
    for (std::uint64_t n = 1 + random() % 8; n-- > 0;) {
      flips.emplace_back(kFirstRunOffset + random() % (patient.size() - kFirstRunOffset),
                         random() % 8);
    }
    for (const auto& [at, bit] : flips) patient.flip(at, bit);
    if (auto reader = Index::open(patient.path())) {
      use(*reader);
      (void)reader->refresh();
      ++opened;
    }
    for (const auto& [at, bit] : flips) patient.flip(at, bit);
  }
  EXPECT_GT(opened, static_cast<std::size_t>(rounds) / 2);
}

// All lengths where CAIRN_TEST_ALL_LENGTHS is set.
TEST(Damage, AnUnclosedFileThatIsCutOffIsRefusedOrWhole) {
  const TemporaryDirectory directory;
  Patient patient(directory / "patient", unclosed_file(directory));
  const bool all = is_asked_for("CAIRN_TEST_ALL_LENGTHS");
  OpenOptions to_write;
  to_write.mode = Mode::read_write;
  OpenOptions to_load;
  to_load.residency = Residency::load;
  std::size_t opened = 0;
  for (std::uint64_t size = patient.size(); size > 0; --size) {
    const std::uint64_t in_page = (size + 1) % kPageSize;
    if (!all && in_page > 2 && size % (997 * kSample) != 0) continue;
    for (const OpenOptions& options : {OpenOptions{}, to_load, to_write}) {
      patient.cut(size);
      const auto index = Index::open(patient.path(), options);
      if (!index) continue;
      ++opened;
      use(*index);
      const auto report = index->verify();
      ASSERT_TRUE(report) << size << " " << report.error().message();
      ASSERT_EQ(report->findings, std::vector<std::string>{}) << size;
    }
  }
  EXPECT_GT(opened, 0u);
}

}  // namespace
}  // namespace cairn
