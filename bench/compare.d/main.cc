// SPDX-License-Identifier: Apache-2.0
//
// compare COMMAND < CONFIG.json > RESULT.json. bench/compare runs it; commands.h tells the
// configurations.
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>

#include "compare.d/commands.h"

int main(int argc, char** argv) {
  const std::string command = argc == 2 ? argv[1] : "";
  try {
    bench::Json (*run)(const bench::Json&) = command == "build"    ? bench::build_command
                                             : command == "probe"  ? bench::probe_command
                                             : command == "add"    ? bench::add_command
                                             : command == "search" ? bench::search_command
                                             : command == "filter" ? bench::filter_command
                                                                   : nullptr;
    if (run == nullptr) {
      std::fprintf(stderr,
                   "usage: compare build|probe|add|search|filter < CONFIG.json > RESULT.json\n");
      return 2;
    }
    std::cout << run(bench::Json::parse(std::cin)).dump(1) << '\n';
  } catch (const std::exception& e) {
    std::fprintf(stderr, "compare %s: %s\n", command.c_str(), e.what());
    return 1;
  }
  return 0;
}
