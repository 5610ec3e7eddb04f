// SPDX-License-Identifier: Apache-2.0
//
// Writes the golden files: make_golden FOLDER. Fixed seeds, so that the same library writes the
// same bytes. Those of before format revision 6 have no hash seed, and so other bytes than it
// writes now: README.md.
#include <cairn/cairn.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <mutex>
#include <vector>

#include "format/container/writable_container.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/file_image.h"
#include "tests/support/memory_file_system.h"
#include "tests/support/vectors.h"

namespace {

using cairn::Index;
using cairn::IndexParams;
using cairn::Key;
using cairn::Metric;
using cairn::Mode;
using cairn::Scalar;
using cairn::Traversal;

bool write(const std::filesystem::path& path, const IndexParams& params,
           const cairn::test::Vectors& vectors, std::size_t advised_ef = 0) {
  auto index = Index::create(params);
  if (!index) return std::fprintf(stderr, "%s\n", index.error().message().c_str()), false;
  if (vectors.rows() != 0) {
    const auto rows = cairn::test::stored(params.scalar, vectors);
    if (auto built = index->build(vectors.keys, rows.matrix()); !built) {
      return std::fprintf(stderr, "%s\n", built.error().message().c_str()), false;
    }
  }
  if (auto set = index->set_advised_ef(advised_ef); !set) {
    return std::fprintf(stderr, "%s\n", set.error().message().c_str()), false;
  }
  if (auto saved = index->save(path); !saved) {
    return std::fprintf(stderr, "%s\n", saved.error().message().c_str()), false;
  }
  return true;
}

// Fifty vectors of every other kind, none of them filling its last word.
struct Kind {
  const char* file;
  Scalar scalar;
  Metric metric;
  Traversal traversal;
  std::size_t dimensions;
};
constexpr Kind kKinds[] = {
    {"fifty_exact_l2sq_d7.cairn", Scalar::f32, Metric::l2sq, Traversal::exact, 7},
    {"fifty_f16_cosine_d9.cairn", Scalar::f16, Metric::cosine, Traversal::code, 9},
    {"fifty_f16_exact_cosine_d9.cairn", Scalar::f16, Metric::cosine, Traversal::exact, 9},
    {"fifty_bf16_inner_product_d9.cairn", Scalar::bf16, Metric::inner_product, Traversal::code, 9},
    {"fifty_i8_l2sq_d11.cairn", Scalar::i8, Metric::l2sq, Traversal::exact, 11},
    {"fifty_i8_cosine_d11.cairn", Scalar::i8, Metric::cosine, Traversal::exact, 11},
    {"fifty_b1_hamming_d20.cairn", Scalar::b1, Metric::hamming, Traversal::exact, 20},
};

// One vector that is easy to find in a dump: (1, 2, -3), key 0x1122334455667788.
cairn::test::Vectors one_vector() {
  cairn::test::Vectors vectors;
  vectors.dims = 3;
  const std::vector<float> row = {1.0f, 2.0f, -3.0f};
  vectors.append(0x1122334455667788u, row);
  return vectors;
}

// Each key has every twentieth row.
cairn::test::Vectors twenty_keys(cairn::test::Vectors vectors) {
  for (std::size_t i = 0; i < vectors.rows(); ++i) vectors.keys[i] = 1000 + i % 20;
  return vectors;
}

// Turns the file that holds `from` into one that holds `to`, in place: the first half of the bytes
// before a checkpoint, the rest after it. False once a call has failed.
bool become(cairn::format::WritableContainer& file, const cairn::format::Container& to) {
  using namespace cairn::format;
  std::mutex commit_mutex;
  for (const bool second_half : {false, true}) {
    for (std::uint16_t id = 1; id <= kDataSectionCount; ++id) {
      const auto section = static_cast<SectionId>(id);
      const Region& wanted = to.section(section);
      if (!file.grow(section, wanted.size())) return false;
      const std::size_t half = wanted.size() / 2;
      for (std::size_t at = second_half ? half : 0; at < (second_half ? wanted.size() : half);
           at += 3000) {
        const std::size_t size =
            std::min<std::size_t>(3000, (second_half ? wanted.size() : half) - at);
        std::memcpy(file.section(section).data() + at, wanted.data() + at, size);
        const Change change{section, at, size};
        const auto lsn = file.commit({&change, 1}, file.counters());
        if (!lsn || !file.acknowledge(*lsn)) return false;
      }
    }
    if (!second_half && !file.checkpoint(commit_mutex)) return false;
  }
  const auto lsn = file.commit({}, to.counters());
  return lsn && file.acknowledge(*lsn);
}

cairn::format::WriteOptions small() {
  cairn::format::WriteOptions options;
  options.segment_bytes = 16 << 10;
  options.first_run_bytes = 4096;
  return options;
}

// A file whose writer ended without closing it, with commits in its log. `in_checkpoint`: in the
// middle of a checkpoint, so that it has a journal too and some pages are not in place.
bool write_unclosed(const std::filesystem::path& path, const std::filesystem::path& from,
                    const std::filesystem::path& to, bool in_checkpoint) {
  using namespace cairn;
  const auto wanted =
      format::Container::open(format::default_file_system(), to, Residency::map, Verify::metadata);
  if (!wanted) return std::fprintf(stderr, "%s\n", wanted.error().message().c_str()), false;
  for (std::uint64_t call = in_checkpoint ? 0 : UINT64_MAX;; ++call) {
    test::MemoryFileSystem memory;
    memory.set("/a", test::read_bytes(from));
    test::FaultyFileSystem raw(memory, {call, EIO, test::Fault::Lasts::forever});
    format::FileSystem fs(raw);
    auto file = format::WritableContainer::open(fs, "/a", small());
    bool done = file && become(*file, *wanted);
    if (in_checkpoint) {
      std::mutex commit_mutex;
      if (done) done = file->checkpoint(commit_mutex).has_value();
      const auto image = memory.get("/a");
      const auto newest =
          std::max(test::superblock_of(image, 0), test::superblock_of(image, 1),
                   [](const auto& a, const auto& b) { return a.generation < b.generation; });
      if (!newest.has_journal() || newest.counters != wanted->counters()) {
        if (done) return false;
        continue;
      }
      test::write_bytes(path, image);
      return true;
    }
    if (done) test::write_bytes(path, memory.get("/a"));
    return done;
  }
}

// The file at `from` with the first ten of its keys alone, which keeps its hash seed.
bool write_ten_of(const std::filesystem::path& path, const std::filesystem::path& from,
                  const std::vector<Key>& keys) {
  std::filesystem::copy_file(from, path);
  auto index = Index::open(path, {.mode = Mode::read_write});
  if (!index) return std::fprintf(stderr, "%s\n", index.error().message().c_str()), false;
  for (std::size_t i = 10; i < keys.size(); ++i) {
    if (!index->remove(keys[i])) return false;
  }
  return index->compact().has_value();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: make_golden FOLDER\n"), 2;
  const std::filesystem::path folder = argv[1];
  const IndexParams one{.dimensions = 3, .metric = Metric::l2sq, .traversal = Traversal::code};
  const IndexParams ten{
      .dimensions = 3, .metric = Metric::l2sq, .seed = 7, .traversal = Traversal::code};
  const IndexParams many{
      .dimensions = 20, .metric = Metric::cosine, .m = 4, .ef_construction = 64, .seed = 11};
  const bool good =
      write(folder / "one_l2sq_d3.cairn", one, one_vector()) &&
      write(folder / "ten_l2sq_d3.cairn", ten, cairn::test::random_vectors(10, 3, 1)) &&
      write(folder / "three_hundred_cosine_d20_m4.cairn", many,
            cairn::test::random_vectors(300, 20, 2)) &&
      std::all_of(std::begin(kKinds), std::end(kKinds),
                  [&](const Kind& kind) {
                    const IndexParams params{.dimensions = kind.dimensions,
                                             .metric = kind.metric,
                                             .scalar = kind.scalar,
                                             .m = 4,
                                             .ef_construction = 64,
                                             .seed = 13,
                                             .traversal = kind.traversal};
                    return write(folder / kind.file, params,
                                 cairn::test::random_vectors(50, kind.dimensions, 3));
                  }) &&
      write(folder / "hundred_hash_seed_l2sq_d5.cairn",
            {.dimensions = 5, .metric = Metric::l2sq, .m = 4, .ef_construction = 64, .seed = 17},
            cairn::test::random_vectors(100, 5, 4)) &&
      write(folder / "twenty_advised_ef_l2sq_d5.cairn",
            {.dimensions = 5, .metric = Metric::l2sq, .m = 4, .ef_construction = 64, .seed = 19},
            cairn::test::random_vectors(20, 5, 5), 123) &&
      write(folder / "sixty_several_l2sq_d5.cairn",
            {.dimensions = 5,
             .metric = Metric::l2sq,
             .m = 4,
             .ef_construction = 64,
             .seed = 23,
             .several_per_key = true},
            twenty_keys(cairn::test::random_vectors(60, 5, 6))) &&
      write(folder / "forty.tmp", ten, cairn::test::random_vectors(40, 3, 1)) &&
      // forty_with_log.cairn is what this wrote before there were records of patches.
      write_ten_of(folder / "ten.tmp", folder / "forty.tmp",
                   cairn::test::random_vectors(40, 3, 1).keys) &&
      write_unclosed(folder / "forty_with_packed_log.cairn", folder / "ten.tmp",
                     folder / "forty.tmp", false) &&
      write_unclosed(folder / "forty_with_journal.cairn", folder / "ten.tmp", folder / "forty.tmp",
                     true);
  std::filesystem::remove(folder / "forty.tmp");
  std::filesystem::remove(folder / "ten.tmp");
  return good ? 0 : 1;
}
