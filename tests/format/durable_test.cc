// SPDX-License-Identifier: Apache-2.0
//
// A file that is open for writing: commits, growth, checkpoints, reopening, locks and failures.
#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "format/container.h"
#include "format/writable_container.h"
#include "tests/support/durable_script.h"
#include "tests/support/file_image.h"
#include "tests/support/temporary_directory.h"

namespace cairn::format {
namespace {

using test::difference;
using test::DurableScript;
using test::small_options;
using test::small_parameters;
using test::TemporaryDirectory;

FileSystem& fs() { return default_file_system(); }

#define ASSERT_GOOD(expression)                  \
  do {                                           \
    const auto good = (expression);              \
    ASSERT_TRUE(good) << good.error().message(); \
  } while (false)

TEST(Durable, WhatIsCommittedIsThereAfterClosing) {
  const TemporaryDirectory directory;
  const auto path = directory / "a";
  DurableScript script(posix_file_system(), path, 1);
  ASSERT_GOOD(script.create());
  for (int round = 0; round < 4; ++round) {
    for (std::size_t i = 0; i < 30; ++i) {
      ASSERT_GOOD(script.commit(1 + i % 7, i % 9 == 0));
      ASSERT_GOOD(script.acknowledge());
      if (i == 20) ASSERT_GOOD(script.checkpoint());
    }
    ASSERT_EQ(difference(script.container(), script.models().back()), "");
    const auto report = script.container().verify_pages(1, {}, nullptr);
    ASSERT_TRUE(report);
    EXPECT_TRUE(report->findings.empty()) << report->findings.front();
    ASSERT_GOOD(script.close());
    for (const Residency residency : {Residency::map, Residency::load}) {
      const auto read = Container::open(fs(), path, residency, Verify::full);
      ASSERT_TRUE(read) << read.error().message();
      EXPECT_EQ(difference(*read, script.models().back()), "");
      EXPECT_LE(read->bytes_read_at_open(), 36u << 10);
      EXPECT_EQ(read->file_bytes(), std::filesystem::file_size(path));
    }
    ASSERT_GOOD(script.open());
    EXPECT_EQ(script.container().stats().recovered_frames, 0u);
    ASSERT_EQ(difference(script.container(), script.models().back()), "");
  }
}

TEST(Durable, AnotherProcessSeesWhatIsCommittedBeforeItIsClosed) {
  const TemporaryDirectory directory;
  const auto path = directory / "a";
  DurableScript script(posix_file_system(), path, 2);
  ASSERT_GOOD(script.create());
  for (int i = 0; i < 20; ++i) {
    ASSERT_GOOD(script.commit(3, i % 5 == 0));
    ASSERT_GOOD(script.acknowledge());
    if (i == 10) ASSERT_GOOD(script.checkpoint());
    for (const Residency residency : {Residency::map, Residency::load}) {
      const auto read = Container::open(fs(), path, residency, Verify::full);
      ASSERT_TRUE(read) << read.error().message();
      EXPECT_EQ(difference(*read, script.models().back()), "");
      EXPECT_EQ(read->recovered_frames() > 0, i != 10);
    }
  }
}

}  // namespace
}  // namespace cairn::format
