// SPDX-License-Identifier: Apache-2.0
//
// Writes the golden files: make_golden FOLDER. Fixed seeds, so that the same library writes the
// same bytes.
#include <cairn/cairn.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <vector>

#include "tests/support/vectors.h"

namespace {

using cairn::Index;
using cairn::IndexParams;
using cairn::Metric;
using cairn::Scalar;
using cairn::Traversal;

bool write(const std::filesystem::path& path, const IndexParams& params,
           const cairn::test::Vectors& vectors) {
  auto index = Index::create(params);
  if (!index) return std::fprintf(stderr, "%s\n", index.error().message().c_str()), false;
  if (vectors.rows() != 0) {
    const auto rows = cairn::test::stored(params.scalar, vectors);
    if (auto built = index->build(vectors.keys, rows.matrix()); !built) {
      return std::fprintf(stderr, "%s\n", built.error().message().c_str()), false;
    }
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

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: make_golden FOLDER\n"), 2;
  const std::filesystem::path folder = argv[1];
  const IndexParams one{.dimensions = 3, .metric = Metric::l2sq};
  const IndexParams ten{.dimensions = 3, .metric = Metric::l2sq, .seed = 7};
  const IndexParams many{
      .dimensions = 20, .metric = Metric::cosine, .m = 4, .ef_construction = 64, .seed = 11};
  const bool good =
      write(folder / "one_l2sq_d3.cairn", one, one_vector()) &&
      write(folder / "ten_l2sq_d3.cairn", ten, cairn::test::random_vectors(10, 3, 1)) &&
      write(folder / "three_hundred_cosine_d20_m4.cairn", many,
            cairn::test::random_vectors(300, 20, 2)) &&
      std::all_of(std::begin(kKinds), std::end(kKinds), [&](const Kind& kind) {
        const IndexParams params{.dimensions = kind.dimensions,
                                 .metric = kind.metric,
                                 .scalar = kind.scalar,
                                 .m = 4,
                                 .ef_construction = 64,
                                 .seed = 13,
                                 .traversal = kind.traversal};
        return write(folder / kind.file, params,
                     cairn::test::random_vectors(50, kind.dimensions, 3));
      });
  return good ? 0 : 1;
}
