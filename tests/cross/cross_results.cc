// SPDX-License-Identifier: Apache-2.0
//
// Writes a file on one architecture and what is found in it on any:
//   cross_results make-METRIC FILE  (l2sq, cosine) builds an index of fixed pseudo-random vectors
//   and saves it cross_results search FILE       prints "query rank key distance" lines for fixed
//   queries
// tests/cross/compare_results.py compares the output of two architectures.
#include <cairn/cairn.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <vector>

namespace {

constexpr std::size_t kDimensions = 67;
constexpr std::size_t kRows = 3000;
constexpr std::size_t kQueries = 200;

// Sums of small integers: the same floats everywhere, and few equal distances.
std::vector<float> vectors(std::size_t n, std::uint64_t state) {
  std::vector<float> values(n * kDimensions);
  for (float& value : values) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    value = static_cast<float>(static_cast<std::int32_t>(state >> 33) % 4001 - 2000) / 1024.0f;
  }
  return values;
}

int fail(const cairn::Error& error) {
  std::fprintf(stderr, "%s: %s\n", cairn::error_name(error.code()), error.message().c_str());
  return 1;
}

int make(const char* path, cairn::Metric metric) {
  auto index = cairn::Index::create({.dimensions = kDimensions, .metric = metric});
  if (!index) return fail(index.error());
  std::vector<cairn::Key> keys(kRows);
  std::iota(keys.begin(), keys.end(), cairn::Key{1000});
  const std::vector<float> rows = vectors(kRows, 1);
  const auto view = cairn::MatrixView::f32(rows.data(), kRows, kDimensions);
  if (auto built = index->build(keys, view); !built) return fail(built.error());
  if (auto saved = index->save(path); !saved) return fail(saved.error());
  return 0;
}

int search(const char* path) {
  auto index = cairn::Index::open(path);
  if (!index) return fail(index.error());
  auto report = index->verify();
  if (!report) return fail(report.error());
  if (!report->ok()) return fail({cairn::ErrorCode::corrupt, report->findings.front()});
  const std::vector<float> queries = vectors(kQueries, 2);
  for (std::size_t i = 0; i < kQueries; ++i) {
    auto matches =
        index->search({queries.data() + i * kDimensions, kDimensions}, {.k = 10, .ef = 200});
    if (!matches) return fail(matches.error());
    for (std::size_t rank = 0; rank < matches->size(); ++rank) {
      const cairn::Match& match = (*matches)[rank];
      std::printf("%zu %zu %llu %.9g\n", i, rank, static_cast<unsigned long long>(match.key),
                  static_cast<double>(match.distance));
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::strcmp(argv[1], "make-l2sq") == 0)
    return make(argv[2], cairn::Metric::l2sq);
  if (argc == 3 && std::strcmp(argv[1], "make-cosine") == 0)
    return make(argv[2], cairn::Metric::cosine);
  if (argc == 3 && std::strcmp(argv[1], "search") == 0) return search(argv[2]);
  std::fprintf(stderr, "usage: cross_results make-l2sq|make-cosine|search FILE\n");
  return 2;
}
