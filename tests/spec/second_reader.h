// SPDX-License-Identifier: Apache-2.0
//
// Runs tests/spec/read_cairn.py.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace cairn::test {

inline bool have_second_reader() { return std::string(CAIRN_NUMPY_PYTHON) != ""; }

// What it prints about a file; {"error": ...} if it refuses it.
inline nlohmann::json read_with_second_reader(const std::filesystem::path& file,
                                              const std::string& arguments = "") {
  const std::string command = std::string(CAIRN_NUMPY_PYTHON) +
                              " -B '" CAIRN_SOURCE_DIR "/tests/spec/read_cairn.py' '" +
                              file.string() + "' " + arguments;
  std::FILE* const pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) std::abort();
  std::string output;
  char buffer[4096];
  for (std::size_t n = 0; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) {
    output.append(buffer, n);
  }
  ::pclose(pipe);
  return nlohmann::json::parse(output, nullptr, false);
}

}  // namespace cairn::test
