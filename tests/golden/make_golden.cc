// SPDX-License-Identifier: Apache-2.0
//
// Writes the golden files: make_golden FOLDER. Fixed seeds, so that the same library writes the
// same bytes.
#include <cairn/cairn.h>

#include <cstdio>
#include <filesystem>
#include <vector>

#include "tests/support/vectors.h"

namespace {

using cairn::Index;
using cairn::IndexParams;
using cairn::Metric;

bool write(const std::filesystem::path& path, const IndexParams& params,
           const cairn::test::Vectors& vectors) {
  auto index = Index::create(params);
  if (!index) return std::fprintf(stderr, "%s\n", index.error().message().c_str()), false;
  if (vectors.rows() != 0) {
    if (auto built = index->build(vectors.keys, vectors.matrix()); !built) {
      return std::fprintf(stderr, "%s\n", built.error().message().c_str()), false;
    }
  }
  if (auto saved = index->save(path); !saved) {
    return std::fprintf(stderr, "%s\n", saved.error().message().c_str()), false;
  }
  return true;
}

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
            cairn::test::random_vectors(300, 20, 2));
  return good ? 0 : 1;
}
