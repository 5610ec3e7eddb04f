// SPDX-License-Identifier: Apache-2.0
//
// Files whose checksums are right and whose content is garbage: any answer will do, but no crash,
// no endless loop, no access outside of the sections. Worth most under AddressSanitizer.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/engine/verify/damaged_file.h"

namespace cairn {
namespace {

using format::SectionId;
using test::DamagedFile;
using test::Vectors;

constexpr std::size_t kRows = 300;
constexpr std::size_t kDims = 7;

IndexParams params_of(Metric metric, Traversal traversal) {
  IndexParams params;
  params.dimensions = kDims;
  params.metric = metric;
  params.m = 4;
  params.ef_construction = 20;
  params.traversal = traversal;
  return params;
}

// Everything that an opened index can be asked. What it promises for any file is checked.
void ask_everything(const Index& index) {
  const Vectors queries = test::random_vectors(4, kDims, 9);
  std::vector<Match> out(kRows + 5);
  for (std::size_t i = 0; i < queries.rows(); ++i) {
    for (const SearchParams& params :
         {SearchParams{1, 1}, SearchParams{10, 64}, SearchParams{kRows + 5, kRows + 5}}) {
      const auto found = index.search(queries.vector(i), params, out);
      ASSERT_TRUE(found) << found.error().message();
      ASSERT_LE(*found, std::min(params.k, kRows));
      for (std::size_t j = 0; j < *found; ++j) {
        ASSERT_FALSE(std::isnan(out[j].distance));
        if (j > 0) {
          ASSERT_LE(out[j - 1].distance, out[j].distance);
        }
      }
    }
  }
  std::vector<float> vector(kDims);
  for (Key key = 1000; key < 1000 + 7 * kRows; ++key) {
    const auto dims = index.get(key, vector);
    ASSERT_EQ(dims.has_value(), index.contains(key));
  }
  (void)index.stats();
  (void)index.size();
  const auto report = index.verify();
  ASSERT_TRUE(report) << report.error().message();
}

// Everything that can be done to an index in a file, each call with whatever result: a damaged file
// may refuse any of it.
void change_everything(Index& index, const std::filesystem::path& copy) {
  const Vectors rows = test::random_vectors(24, kDims, 10);
  for (std::size_t i = 0; i < 12; ++i) (void)index.add(900000 + i, rows.vector(i));
  for (std::size_t i = 12; i < rows.rows(); ++i) (void)index.upsert(1000 + 7 * i, rows.vector(i));
  for (std::size_t i = 0; i < 40; ++i) (void)index.remove(1000 + 7 * (5 + 3 * i));
  (void)index.checkpoint();
  for (std::size_t i = 0; i < 12; ++i) (void)index.add(910000 + i, rows.vector(i));
  (void)index.verify({.threads = 1});
  (void)index.backup(copy);
  (void)index.compact({.threads = 1});
  for (std::size_t i = 0; i < 12; ++i) (void)index.remove(910000 + i);
  std::vector<Match> out(10);
  (void)index.search(rows.vector(0), {10, 64}, out);
  (void)index.verify({.threads = 1});
}

// Opens the file as it is to write, if it opens at all.
void open_and_change(const DamagedFile& file) {
  OpenOptions options;
  options.mode = Mode::read_write;
  options.durability = Durability::none;
  auto index = Index::open(file.path(), options);
  if (index) change_everything(*index, file.path().parent_path() / "copy.cairn");
}

// Opens the file to read, both ways, and to write, if it opens at all: asks and changes.
void open_and_ask(DamagedFile& file) {
  for (const Residency residency : {Residency::map, Residency::load}) {
    OpenOptions options;
    options.residency = residency;
    const auto index = file.reopen(options);
    if (!index) {
      ASSERT_EQ(index.error().code(), ErrorCode::corrupt) << index.error().message();
      continue;
    }
    ask_everything(*index);
  }
  open_and_change(file);
}

struct Used {
  SectionId section;
  std::uint64_t bytes;
};

std::vector<Used> used_sections(const DamagedFile& file) {
  const format::Parameters& parameters = file.parameters();
  const format::Counters& counters = file.counters();
  return {{SectionId::hot, counters.slots_used * parameters.hot_stride},
          {SectionId::exact, counters.slots_used * parameters.exact_stride},
          {SectionId::key, counters.slots_used * 8},
          {SectionId::upper, counters.upper_used * parameters.upper_stride},
          {SectionId::hash, counters.hash_buckets * 64},
          {SectionId::overflow, counters.overflow_used * 64}};
}

class Hostile : public testing::TestWithParam<std::pair<Metric, Traversal>> {
 protected:
  Hostile()
      : file(test::built(params_of(GetParam().first, GetParam().second),
                         test::random_vectors(kRows, kDims, 1))) {}

  void fill(const Used& used, const std::function<std::byte()>& byte) {
    if (used.bytes == 0) return;
    std::byte* at = file.at(used.section, 0);
    for (std::uint64_t i = 0; i < used.bytes; ++i) at[i] = byte();
  }

  DamagedFile file;
  std::mt19937_64 random{17};
};

TEST_P(Hostile, OneSectionOfRandomBytes) {
  for (const Used& used : used_sections(file)) {
    for (int round = 0; round < 3; ++round) {
      file.heal();
      fill(used, [&] { return static_cast<std::byte>(random()); });
      ASSERT_NO_FATAL_FAILURE(open_and_ask(file)) << "section " << static_cast<int>(used.section);
    }
  }
}

TEST_P(Hostile, OneSectionOfEqualBytes) {
  for (const Used& used : used_sections(file)) {
    for (const int value : {0x00, 0x01, 0x7F, 0x80, 0xFF}) {
      file.heal();
      fill(used, [&] { return static_cast<std::byte>(value); });
      ASSERT_NO_FATAL_FAILURE(open_and_ask(file))
          << "section " << static_cast<int>(used.section) << " of " << value;
    }
  }
}

TEST_P(Hostile, AllSectionsOfRandomBytes) {
  for (int round = 0; round < 5; ++round) {
    file.heal();
    for (const Used& used : used_sections(file)) {
      fill(used, [&] { return static_cast<std::byte>(random()); });
    }
    ASSERT_NO_FATAL_FAILURE(open_and_ask(file)) << "round " << round;
    // Saving it makes a file that is as bad, and no worse.
    const auto index = file.reopen();
    const test::TemporaryDirectory directory;
    ASSERT_TRUE(index && index->save(directory / "again"));
    const auto again = Index::open(directory / "again");
    ASSERT_TRUE(again) << again.error().message();
    ASSERT_NO_FATAL_FAILURE(ask_everything(*again));
  }
}

TEST_P(Hostile, AFewRandomWords) {
  const std::uint32_t words[] = {0,          1,          kRows - 1,  kRows,
                                 kRows + 1,  0x7FFFFFFF, 0x80000000, 0xFFFFFFFE,
                                 0xFFFFFFFF, 0x7F800000, 0xFF800000, 0x7FC00000};
  for (int round = 0; round < 40; ++round) {
    file.heal();
    for (const Used& used : used_sections(file)) {
      if (used.bytes == 0) continue;
      for (int i = 0; i < 20; ++i) {
        const std::uint64_t at = random() % (used.bytes / 4) * 4;
        DamagedFile::store(file.at(used.section, at), words[random() % std::size(words)]);
      }
    }
    ASSERT_NO_FATAL_FAILURE(open_and_ask(file)) << "round " << round;
  }
}

TEST_P(Hostile, RandomCounters) {
  for (int round = 0; round < 60; ++round) {
    file.heal();
    format::Counters counters = file.counters();
    std::uint64_t* const large[] = {&counters.slots_used,   &counters.live,
                                    &counters.deleted,      &counters.upper_used,
                                    &counters.hash_buckets, &counters.overflow_used};
    std::uint32_t* const small[] = {&counters.overflow_free, &counters.entry_point,
                                    &counters.max_level, &counters.slot_free};
    for (int i = 0; i < 2; ++i) {
      *large[random() % std::size(large)] = random() % (kRows + 2);
      *small[random() % std::size(small)] = static_cast<std::uint32_t>(random() % 20);
    }
    file.set_counters(counters);
    ASSERT_NO_FATAL_FAILURE(open_and_ask(file)) << "round " << round;
  }
}

TEST_P(Hostile, FactorsAndVectorsThatAreNotFinite) {
  const float values[] = {
      std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
      -std::numeric_limits<float>::infinity(), std::numeric_limits<float>::max(), 0.0f};
  for (const float value : values) {
    for (const std::size_t part : {0u, 1u, 2u}) {
      file.heal();
      for (std::uint32_t node = 0; node < kRows; node += 1 + node % 3) {
        if (part == 0) DamagedFile::store(file.node(node, format::hot::kFactorA), value);
        if (part == 1) DamagedFile::store(file.node(node, format::hot::kFactorB), value);
        if (part == 2) DamagedFile::store(file.vector(node) + 4 * (node % kDims), value);
      }
      ASSERT_NO_FATAL_FAILURE(open_and_ask(file)) << value << " in part " << part;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, Hostile,
                         testing::Values(std::pair(Metric::cosine, Traversal::code),
                                         std::pair(Metric::cosine, Traversal::exact),
                                         std::pair(Metric::l2sq, Traversal::code),
                                         std::pair(Metric::inner_product, Traversal::code),
                                         std::pair(Metric::inner_product, Traversal::exact)));

// Where a bit is flipped: what a writer takes for addresses and numbers, and anything else.
std::byte* place_to_flip(DamagedFile& file, std::mt19937_64& random) {
  const format::Parameters& parameters = file.parameters();
  const std::uint64_t node = random() % kRows;
  switch (random() % 6) {
    case 0:
      return &file.bytes()[random() % 2 == 0 ? random() % format::kPageSize
                                             : format::kSuperblockOffsets[random() % 2] +
                                                   random() % format::kPageSize];
    case 1: return file.link(node, random() % parameters.m_max0) + random() % 4;
    case 2: return file.node(node, format::hot::kLevel);
    case 3: return file.node(node, format::hot::kUpper) + random() % 4;
    case 4: return file.upper(random() % file.counters().upper_used, random() % 24);
    default: return &file.bytes()[random() % file.bytes().size()];
  }
}

// CAIRN_TEST_ALL_BITS: 3,000 of them.
TEST(HostileBits, AFlippedBitEndsNoCallOfAWriter) {
  DamagedFile file(test::built(params_of(Metric::cosine, Traversal::code),
                               test::random_vectors(kRows, kDims, 1)));
  std::mt19937_64 random{19};
  const int rounds = std::getenv("CAIRN_TEST_ALL_BITS") != nullptr ? 3000 : 150;
  for (int round = 0; round < rounds; ++round) {
    file.heal();
    std::byte* const place = place_to_flip(file, random);
    *place ^= std::byte{1} << static_cast<int>(random() % 8);
    // Those of header and superblocks stay as they were.
    const bool of_a_page =
        place >= file.bytes().data() + format::kSuperblockOffsets[1] + format::kPageSize;
    if (of_a_page && round % 2 == 0) test::repair_pages(file.bytes());
    test::write_bytes(file.path(), file.bytes());
    open_and_change(file);
  }
}

class HostileWriting : public testing::Test {
 protected:
  Result<Index> reopen_to_write() {
    OpenOptions options;
    options.mode = Mode::read_write;
    options.durability = Durability::none;
    return file.reopen(options);
  }
  // Opens the file, changes everything, and what is found at the end was put there.
  void expect_a_vector_added_to_be_found() {
    auto index = reopen_to_write();
    ASSERT_TRUE(index) << index.error().message();
    const Vectors row = test::random_vectors(1, kDims, 11);
    ASSERT_TRUE(index->add(900000, row.vector(0)));
    std::vector<Match> out(1);
    ASSERT_EQ(index->search(row.vector(0), {1, 64}, out).value(), 1u);
    EXPECT_EQ(out[0].key, 900000u);
  }

  DamagedFile file{
      test::built(params_of(Metric::l2sq, Traversal::code), test::random_vectors(kRows, kDims, 1))};
};

TEST_F(HostileWriting, ANewVectorIsFoundThoughTheEntryPointLeadsToNoLiveNode) {
  const std::uint32_t entry = file.counters().entry_point;
  DamagedFile::store(file.node(entry, format::hot::kFlags), format::hot::kFlagDeleted);
  DamagedFile::store(file.node(entry, format::hot::kDegree), std::uint32_t{0});
  const auto read = file.reopen();
  ASSERT_TRUE(read);
  const auto report = read->verify();
  ASSERT_TRUE(report);
  EXPECT_TRUE(std::any_of(report->findings.begin(), report->findings.end(), [](const auto& one) {
    return one.find("leads to none of the 299 live nodes") != std::string::npos;
  }));
  expect_a_vector_added_to_be_found();
}

TEST_F(HostileWriting, NoEntryPointIsNoCrash) {
  format::Counters counters = file.counters();
  counters.entry_point = format::kNoNode;
  counters.max_level = 0;
  file.set_counters(counters);
  auto index = reopen_to_write();
  if (index) change_everything(*index, file.path().parent_path() / "copy.cairn");
}

TEST_F(HostileWriting, UpperRecordsOutsideOfTheSectionAreNotWrittenTo) {
  for (std::uint32_t node = 0; node < kRows; ++node) {
    if (DamagedFile::load<std::uint8_t>(file.node(node, format::hot::kLevel)) == 0) continue;
    DamagedFile::store(file.node(node, format::hot::kUpper), 0x7FFFFFF0u - node);
  }
  auto index = reopen_to_write();
  ASSERT_TRUE(index) << index.error().message();
  change_everything(*index, file.path().parent_path() / "copy.cairn");
}

TEST_F(HostileWriting, LinksToWhatIsNoNodeAreNeitherFollowedNorCopied) {
  for (std::uint32_t node = 0; node < kRows; ++node) {
    DamagedFile::store(file.link(node, node % file.degree(node)), 0x7FFFFFF0u - node);
  }
  for (std::uint32_t i = 0; i < file.counters().upper_used; ++i) {
    DamagedFile::store(file.upper(i, format::upper::kLinks), 0x7FFFFFF0u - i);
  }
  auto index = reopen_to_write();
  ASSERT_TRUE(index) << index.error().message();
  ASSERT_TRUE(index->compact({.threads = 1}));
  const auto report = index->verify();
  ASSERT_TRUE(report);
  for (const std::string& finding : report->findings) ADD_FAILURE() << finding;
  change_everything(*index, file.path().parent_path() / "copy.cairn");
}

// Of slots and of upper records.
TEST_F(HostileWriting, AFreeChainThatLeadsToWhatIsInUseOverwritesNothing) {
  {
    auto index = reopen_to_write();
    ASSERT_TRUE(index);
    for (Key key = 1000; key < 1000 + 7 * 100; key += 7) (void)index->remove(key);
    for (int i = 0; i < 400; ++i) {
      (void)index->upsert(1000 + 7 * 200, test::random_vectors(1, kDims, 3).vector(0));
    }
    ASSERT_TRUE(index->backup(file.path().parent_path() / "removed.cairn"));
  }
  auto removed = Index::open(file.path().parent_path() / "removed.cairn");
  ASSERT_TRUE(removed);
  DamagedFile patient(*removed);
  format::Counters counters = patient.counters();
  ASSERT_NE(counters.slot_free, format::kNoNode);
  counters.slot_free = 150;  // in use
  for (std::uint32_t& first : counters.upper_free) first = 0;
  patient.set_counters(counters);
  OpenOptions options;
  options.mode = Mode::read_write;
  options.durability = Durability::none;
  auto index = patient.reopen(options);
  if (!index) return;
  std::vector<float> before(kDims);
  const auto had = index->get(1000 + 7 * 150, before);
  ASSERT_TRUE(had);
  const Vectors rows = test::random_vectors(60, kDims, 12);
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    ASSERT_TRUE(index->add(900000 + i, rows.vector(i)));
  }
  std::vector<float> after(kDims);
  ASSERT_TRUE(index->get(1000 + 7 * 150, after));
  EXPECT_EQ(before, after);
}

// Pages change under verify() at every checkpoint; what it finds then is nothing. As long as
// CAIRN_TEST_VERIFY_SECONDS says.
TEST(HostileWriter, VerifyBesideAWriterNeitherCrashesNorFinds) {
  const test::TemporaryDirectory directory;
  const auto path = directory / "a.cairn";
  ASSERT_TRUE(
      test::built(params_of(Metric::l2sq, Traversal::code), test::random_vectors(3000, kDims, 1))
          .save(path));
  OpenOptions options;
  options.mode = Mode::read_write;
  options.durability = Durability::none;
  auto writer = Index::open(path, options);
  ASSERT_TRUE(writer) << writer.error().message();
  std::atomic<bool> done{false};
  std::atomic<std::size_t> verified{0};
  std::thread verifier([&] {
    while (!done) {
      const auto reader = Index::open(path);
      if (!reader) continue;  // busy
      for (int i = 0; i < 10 && !done; ++i) {
        const auto report = reader->verify({.threads = 1});
        if (report && !report->ok()) ADD_FAILURE() << report->findings.front();
        if (report) ++verified;
      }
    }
  });
  const Vectors rows = test::random_vectors(20, kDims, 13);
  const char* const asked = std::getenv("CAIRN_TEST_VERIFY_SECONDS");
  const auto until = std::chrono::steady_clock::now() +
                     std::chrono::seconds(asked != nullptr ? std::atoi(asked) : 0);
  for (Key round = 0; round < 100 || std::chrono::steady_clock::now() < until; ++round) {
    for (Key i = 0; i < 20; ++i) {
      EXPECT_TRUE(writer->add(900000 + 20 * round + i, rows.vector(i)));
      if (round > 5) {
        EXPECT_TRUE(writer->remove(900000 + 20 * (round - 5) + i));
      }
    }
    EXPECT_TRUE(writer->checkpoint());
  }
  done = true;
  verifier.join();
  RecordProperty("verified", static_cast<int>(verified));
  if (asked != nullptr) std::printf("verified %zu times beside the writer\n", verified.load());
}

// A chain of the key table that goes in circles.
TEST(HostileKeyTable, ACycleEnds) {
  IndexParams params = params_of(Metric::l2sq, Traversal::code);
  DamagedFile file(test::built(params, test::random_vectors(3000, kDims, 2)));
  ASSERT_GT(file.counters().overflow_used, 1u);
  for (std::uint64_t bucket = 0; bucket < file.counters().hash_buckets; ++bucket) {
    DamagedFile::store(file.at(SectionId::hash, bucket * 64 + format::bucket::kNext),
                       std::uint32_t{1});
  }
  for (std::uint64_t bucket = 0; bucket < file.counters().overflow_used; ++bucket) {
    DamagedFile::store(file.at(SectionId::overflow, bucket * 64 + format::bucket::kNext),
                       std::uint32_t{2});
  }
  const auto index = file.reopen();
  ASSERT_TRUE(index);
  for (Key key = 0; key < 1000; ++key) EXPECT_FALSE(index->contains(key));
  EXPECT_FALSE(index->verify()->ok());
}

}  // namespace
}  // namespace cairn
