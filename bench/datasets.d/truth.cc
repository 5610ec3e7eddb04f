// SPDX-License-Identifier: Apache-2.0
//
// truth BASE.fbin QUERIES.fbin METRIC K OUT.ibin [ROWS]: exact neighbors of every query among the
// first ROWS rows.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <thread>

#include "common/exact_neighbors.h"

int main(int argc, char** argv) {
  if (argc != 6 && argc != 7) {
    std::fprintf(stderr, "usage: truth BASE.fbin QUERIES.fbin cosine|l2 K OUT.ibin [ROWS]\n");
    return 2;
  }
  try {
    const auto base =
        bench::read_matrix<float>(argv[1], argc == 7 ? std::strtoul(argv[6], nullptr, 10) : 0);
    const auto queries = bench::read_matrix<float>(argv[2]);
    const auto k = std::size_t{std::strtoul(argv[4], nullptr, 10)};
    const auto ids = bench::exact_neighbors(base, queries, bench::parse_metric(argv[3]), k,
                                            std::thread::hardware_concurrency());
    bench::write_matrix(argv[5], ids);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "truth: %s\n", e.what());
    return 1;
  }
  return 0;
}
