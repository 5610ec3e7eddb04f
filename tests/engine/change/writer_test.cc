// SPDX-License-Identifier: Apache-2.0
//
// What changes write and leave behind, seen from inside.
#include "engine/change/writer.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>
#include <vector>

#include <cairn/cairn.h>

#include "engine/api/persist.h"
#include "engine/store/change_sink.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

using format::Region;
using format::SectionId;

class Changed {
 public:
  Changed() {
    store_.report_to(&sink_);
    table_.report_to(&sink_);
  }

  Writer& writer() { return writer_; }

  // Brings the copy up to date from what was reported, and compares it with the sections.
  void expect_all_was_reported() {
    const std::map<SectionId, std::span<const std::byte>> sections = {
        {SectionId::hot, store_.bytes(SectionId::hot)},
        {SectionId::exact, store_.bytes(SectionId::exact)},
        {SectionId::key, store_.bytes(SectionId::key)},
        {SectionId::upper, store_.bytes(SectionId::upper)},
        {SectionId::hash, {hash_.data(), table_.buckets() * format::bucket::kSize}},
        {SectionId::overflow, {overflow_.data(), table_.overflow_used() * format::bucket::kSize}},
    };
    for (const auto& [id, bytes] : sections) copies_[id].resize(bytes.size());
    for (const Note& note : sink_.notes) {
      const auto bytes = sections.at(note.section);
      ASSERT_LE(note.offset + note.length, bytes.size());
      std::memcpy(copies_[note.section].data() + note.offset, bytes.data() + note.offset,
                  note.length);
    }
    sink_.notes.clear();
    for (const auto& [id, bytes] : sections) {
      const auto& copy = copies_[id];
      ASSERT_TRUE(std::equal(copy.begin(), copy.end(), bytes.begin(), bytes.end()))
          << "section " << static_cast<int>(id);
    }
  }

 private:
  struct Note {
    SectionId section;
    std::uint64_t offset;
    std::size_t length;
  };
  struct Sink final : ChangeSink {
    void changed(SectionId section, std::uint64_t offset, std::size_t length) noexcept override {
      notes.push_back({section, offset, length});
    }
    std::vector<Note> notes;
  };

  static IndexParams params() {
    IndexParams params;
    params.dimensions = 3;
    params.metric = Metric::l2sq;
    params.m = 3;
    params.ef_construction = 20;
    return params;
  }
  static Region region() { return Region::reserve(4096, format::kHugePage).value(); }

  Sink sink_;
  NodeStore store_ = NodeStore::create(NodeStore::layout(params())).value();
  Region hash_ = region();
  Region overflow_ = region();
  KeyTable table_{&hash_, &overflow_, store_.key_region(), 42};
  CommitMutex commit_;
  TableMutex table_mutex_;
  Epochs epochs_;
  Writer writer_{store_, table_, commit_, table_mutex_, epochs_};
  std::map<SectionId, std::vector<std::byte>> copies_;
};

TEST(Writer, ReportsEveryByteThatItWrites) {
  Changed index;
  std::mt19937 random(1);
  for (int i = 0; i < 3000; ++i) {
    const Key key = random() % 300;
    const std::vector<float> vector = {static_cast<float>(random() % 9),
                                       static_cast<float>(random() % 9),
                                       static_cast<float>(random() % 9)};
    switch (random() % 4) {
      case 0: (void)index.writer().add(key, vector.data()); break;
      case 1: ASSERT_TRUE(index.writer().upsert(key, vector.data())); break;
      default: (void)index.writer().remove(key); break;
    }
    ASSERT_NO_FATAL_FAILURE(index.expect_all_was_reported()) << "after call " << i;
  }
}

// A search that passes tombstones is slower; slot 0 stays one for ever.
TEST(Writer, AnIndexWhoseFirstVectorIsGoneIsOpenedAsOneWithoutTombstones) {
  const test::TemporaryDirectory directory;
  const test::Vectors vectors = test::random_vectors(200, 6, 8);
  IndexParams params;
  params.dimensions = 6;
  params.metric = Metric::l2sq;
  params.m = 4;
  Index index = Index::create(params).value();
  const auto add = [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      ASSERT_TRUE(index.add(vectors.keys[i], vectors.vector(i)));
    }
  };
  const auto shows_tombstones = [&] {
    EXPECT_TRUE(index.save(directory / "a"));
    auto container = format::Container::open(format::default_file_system(), directory / "a",
                                             Residency::map, Verify::metadata);
    EXPECT_TRUE(container);
    const NodeStore store = NodeStore::attach(container->parameters(), container->counters(),
                                              node_sections(*container));
    return store.view().tombstones;
  };
  add(0, 100);
  ASSERT_TRUE(index.remove(vectors.keys[0]));
  EXPECT_TRUE(shows_tombstones());
  add(100, 200);
  EXPECT_EQ(index.stats().deleted, 1u);
  EXPECT_FALSE(shows_tombstones());
  ASSERT_TRUE(index.remove(vectors.keys[50]));
  EXPECT_TRUE(shows_tombstones());
}

}  // namespace
}  // namespace cairn
