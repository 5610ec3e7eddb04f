// SPDX-License-Identifier: Apache-2.0
//
// Writes the golden files with one defect each: make_golden_bad GOLDEN-FOLDER FOLDER.
#include <cstdio>
#include <filesystem>
#include <string>

#include "tests/golden/defects.h"

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: make_golden_bad GOLDEN-FOLDER FOLDER\n"), 2;
  const std::filesystem::path golden = argv[1];
  const std::filesystem::path folder = argv[2];
  for (const cairn::test::Defect& defect : cairn::test::defects()) {
    cairn::test::Bytes file = cairn::test::read_bytes(golden / defect.golden);
    defect.apply(file);
    cairn::test::write_bytes(folder / (std::string(defect.name) + ".cairn"), file);
  }
  return 0;
}
