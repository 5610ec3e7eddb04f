// SPDX-License-Identifier: Apache-2.0
//
// durability COMMAND < CONFIG.json > RESULT.json. bench/durability runs it; common.h tells the
// configurations.
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>

#include "durability.d/common.h"

int main(int argc, char** argv) {
  const std::string command = argc == 2 ? argv[1] : "";
  try {
    bench::Json (*run)(const bench::Json&) = command == "inserts"      ? bench::inserts_command
                                             : command == "readers"    ? bench::readers_command
                                             : command == "recovery"   ? bench::recovery_command
                                             : command == "checkpoint" ? bench::checkpoint_command
                                                                       : nullptr;
    if (run == nullptr) {
      std::fprintf(stderr, "usage: durability inserts|readers|recovery|checkpoint < CONFIG.json\n");
      return 2;
    }
    std::cout << run(bench::Json::parse(std::cin)).dump(1) << '\n';
  } catch (const std::exception& e) {
    std::fprintf(stderr, "durability %s: %s\n", command.c_str(), e.what());
    return 1;
  }
  return 0;
}
