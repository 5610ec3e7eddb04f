// SPDX-License-Identifier: Apache-2.0
//
// Runs tests/spec/read_cairn.py.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <cairn/error.h>

#include "format/bytes/checksum.h"
#include "format/bytes/extent_table.h"
#include "format/container/container.h"

namespace cairn::test {

inline bool have_second_reader() { return std::string(CAIRN_NUMPY_PYTHON) != ""; }

// A line for each file.
inline std::string run_second_reader(const std::string& arguments) {
  const std::string command = std::string(CAIRN_NUMPY_PYTHON) +
                              " -B '" CAIRN_SOURCE_DIR "/tests/spec/read_cairn.py' " + arguments;
  std::FILE* const pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) std::abort();
  std::string output;
  char buffer[4096];
  for (std::size_t n = 0; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) {
    output.append(buffer, n);
  }
  ::pclose(pipe);
  return output;
}

// What it prints about a file; {"error": ...} if it refuses it.
inline nlohmann::json read_with_second_reader(const std::filesystem::path& file,
                                              const std::string& arguments = "") {
  std::string quoted(1, '\'');
  quoted += file.string() + "' " + arguments;
  return nlohmann::json::parse(run_second_reader(quoted), nullptr, false);
}

// Of each file counters and page checksums, or the error.
inline std::vector<nlohmann::json> read_pages_with_second_reader(
    std::span<const std::filesystem::path> files, const std::string& arguments = "") {
  std::string list;
  for (const auto& file : files) list += " '" + file.string() + "'";
  std::istringstream lines(run_second_reader("--pages " + arguments + list));
  std::vector<nlohmann::json> seen;
  for (std::string line; std::getline(lines, line);) {
    seen.push_back(nlohmann::json::parse(line, nullptr, false));
  }
  return seen;
}

inline void expect_same_counters(const nlohmann::json& seen, const format::Counters& c) {
  EXPECT_EQ(seen["slots_used"], c.slots_used);
  EXPECT_EQ(seen["live"], c.live);
  EXPECT_EQ(seen["deleted"], c.deleted);
  EXPECT_EQ(seen["upper_used"], c.upper_used);
  EXPECT_EQ(seen["hash_buckets"], c.hash_buckets);
  EXPECT_EQ(seen["overflow_used"], c.overflow_used);
  EXPECT_EQ(seen["overflow_free"], c.overflow_free);
  EXPECT_EQ(seen["entry_point"], c.entry_point);
  EXPECT_EQ(seen["max_level"], c.max_level);
  EXPECT_EQ(seen["slot_free"], c.slot_free);
  EXPECT_EQ(seen["upper_free"], c.upper_free);
  EXPECT_EQ(seen["applied_up_to"], c.applied_up_to);
  EXPECT_EQ(seen["advised_ef"], c.advised_ef);
  EXPECT_EQ(seen["keys"], c.keys);
}

// `seen` of read_pages_with_second_reader(): the same error, or the same pages.
inline void expect_same_pages(const Result<format::Container>& container,
                              const nlohmann::json& seen) {
  if (!container) {
    ASSERT_TRUE(seen.contains("error")) << container.error().message();
    EXPECT_EQ(seen["error"], error_name(container.error().code()))
        << container.error().message() << "; " << seen["message"];
    return;
  }
  ASSERT_TRUE(seen.contains("pages")) << seen.dump();
  expect_same_counters(seen["counters"], container->counters());
  for (std::uint16_t id = 1; id <= format::kDataSectionCount; ++id) {
    const format::Region& section = container->section(static_cast<format::SectionId>(id));
    const nlohmann::json& pages = seen["pages"][format::section_name(id)];
    ASSERT_EQ(pages.size(), section.size() / format::kPageSize) << format::section_name(id);
    for (std::size_t i = 0; i < pages.size(); ++i) {
      EXPECT_EQ(pages[i], format::page_checksum(section.data() + i * format::kPageSize))
          << format::section_name(id) << " page " << i;
    }
  }
}

}  // namespace cairn::test
