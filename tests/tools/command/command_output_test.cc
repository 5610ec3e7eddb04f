// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "tools/command/command.h"
#include "tools/command/progress.h"

namespace cairn::tools {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// What a Progress writes when it is told of `done` of 100 vectors at these times after its begin.
struct Step {
  milliseconds at;
  std::size_t done;
};
std::string shown(ProgressStyle style, const std::vector<Step>& steps) {
  std::FILE* out = std::tmpfile();
  if (out == nullptr) return "no temporary file";
  {
    Progress progress("build", "vectors", style, out);
    const auto begin = Progress::Clock::now();
    for (const Step& step : steps) progress.update(step.done, 100, begin + step.at);
  }
  std::string text(static_cast<std::size_t>(std::ftell(out)), '\0');
  std::rewind(out);
  EXPECT_EQ(std::fread(text.data(), 1, text.size(), out), text.size());
  std::fclose(out);
  return text;
}

TEST(Printable, WhatControlsATerminalIsEscaped) {
  EXPECT_EQ(printable("a b~\xC3\xA9\xE4\xB8\xAD\xF0\x9F\x98\x80"),
            "a b~\xC3\xA9\xE4\xB8\xAD\xF0\x9F\x98\x80");
  EXPECT_EQ(printable("x\n\r\t\x1B[2Jy\x7F"), "x\\x0a\\x0d\\x09\\x1b[2Jy\\x7f");
  EXPECT_EQ(printable(std::string_view("\0", 1)), "\\x00");
  EXPECT_EQ(printable("\xC2\x9B"), "\\xc2\\x9b") << "U+009B, which begins a control sequence";
  EXPECT_EQ(printable("\xC2\xA0"), "\xC2\xA0");
  EXPECT_EQ(printable("\xE2\x80\xAE"), "\\xe2\\x80\\xae") << "U+202E, right to left";
  EXPECT_EQ(printable("\xE2\x81\xA6"), "\\xe2\\x81\\xa6") << "U+2066";
}

TEST(Printable, WhatIsNotUtf8IsEscaped) {
  EXPECT_EQ(printable("a\xFF"
                      "b"),
            "a\\xffb");
  EXPECT_EQ(printable("\x9B"), "\\x9b");
  EXPECT_EQ(printable("\xC3"), "\\xc3");
  EXPECT_EQ(printable("\xC3("), "\\xc3(");
  EXPECT_EQ(printable("\xC0\x8A"), "\\xc0\\x8a") << "a line feed in two bytes";
  EXPECT_EQ(printable("\xE0\x80\x8A"), "\\xe0\\x80\\x8a");
  EXPECT_EQ(printable("\xED\xA0\x80"), "\\xed\\xa0\\x80") << "half of a pair";
  EXPECT_EQ(printable("\xF4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
}

TEST(Progress, BarStaysAwayDuringTheFirstSecond) {
  EXPECT_EQ(shown(ProgressStyle::bar, {{milliseconds(500), 50}, {milliseconds(900), 100}}), "");
}

TEST(Progress, BarShowsRateAndTimeLeftAndIsTakenAway) {
  const std::string text = shown(ProgressStyle::bar, {{seconds(10), 20}, {seconds(50), 100}});
  EXPECT_NE(text.find("build [########"), std::string::npos) << text;
  EXPECT_NE(text.find(" 20 %  "), std::string::npos) << text;
  EXPECT_NE(text.find("vectors/s  0:40 left"), std::string::npos) << text;
  EXPECT_TRUE(text.ends_with("\r\033[K")) << text;
}

TEST(Progress, BarIsTakenAwayAfterAFailureToo) {
  EXPECT_TRUE(shown(ProgressStyle::bar, {{seconds(10), 20}}).ends_with("\r\033[K"));
}

TEST(Progress, LinesComeForEachTenthAndAtTheEnd) {
  const std::string text = shown(ProgressStyle::lines, {{seconds(10), 10},
                                                        {seconds(11), 11},
                                                        {seconds(20), 20},
                                                        {milliseconds(20500), 30},
                                                        {seconds(100), 100}});
  EXPECT_TRUE(
      text.starts_with("build: 10 of 100 vectors, 1:30 left\n"
                       "build: 20 of 100 vectors, 1:20 left\n"
                       "build: 100 of 100 vectors in 100 s\n"))
      << text;
}

TEST(Progress, NoneShowsNothing) {
  EXPECT_EQ(shown(ProgressStyle::none, {{seconds(10), 100}}), "");
}

TEST(ClockText, GrowsWithTheTime) {
  EXPECT_EQ(clock_text(7.4), "0:07");
  EXPECT_EQ(clock_text(754), "12:34");
  EXPECT_EQ(clock_text(3723), "1:02:03");
}

TEST(WithoutOperation, TakesOffNothingElse) {
  const auto left = [](const char* message, const char* operation) {
    return without_operation(Error(ErrorCode::io_error, message), operation).message();
  };
  EXPECT_EQ(left("add: key 1 is already there", "add"), "key 1 is already there");
  EXPECT_EQ(left("add: key 1 is already there", "ad"), "add: key 1 is already there");
  EXPECT_EQ(left("open x: add: it is full", "add"), "open x: add: it is full");
  EXPECT_EQ(left("add", "add"), "add");
}

TEST(ExitCode, OnlyDamagedFilesAreCorrupt) {
  for (const auto code :
       {ErrorCode::not_a_cairn_file, ErrorCode::version_unsupported, ErrorCode::feature_unsupported,
        ErrorCode::corrupt, ErrorCode::truncated, ErrorCode::data_loss}) {
    EXPECT_EQ(exit_code(code), Exit::corrupt);
  }
  for (const auto code : {ErrorCode::invalid_argument, ErrorCode::path_not_found,
                          ErrorCode::cancelled, ErrorCode::out_of_memory, ErrorCode::internal}) {
    EXPECT_EQ(exit_code(code), Exit::failed);
  }
}

TEST(Readable, FloatsKeepTheirShortDecimals) {
  EXPECT_EQ(json_text(Json(readable(0.1f))), "0.1");
  EXPECT_EQ(json_text(Json(readable(1.0f / 3))), "0.33333334");
  EXPECT_EQ(static_cast<float>(readable(1.0f / 3)), 1.0f / 3);
}

TEST(JsonText, InvalidUtf8IsReplaced) { EXPECT_EQ(json_text(Json("a\xFF")), "\"a\xEF\xBF\xBD\""); }

TEST(HumanNumbers, HaveUnits) {
  EXPECT_EQ(with_commas(0), "0");
  EXPECT_EQ(with_commas(999), "999");
  EXPECT_EQ(with_commas(1000), "1,000");
  EXPECT_EQ(with_commas(1234567), "1,234,567");
  EXPECT_EQ(human_bytes(999), "999 bytes");
  EXPECT_EQ(human_bytes(4000008), "4.00 MB");
  EXPECT_EQ(human_bytes(999999999), "1.00 GB");
  EXPECT_EQ(human_seconds(0.00025), "250 us");
  EXPECT_EQ(human_seconds(1.25), "1.25 s");
  EXPECT_EQ(human_seconds(0.0125), "12.5 ms");
}

}  // namespace
}  // namespace cairn::tools
