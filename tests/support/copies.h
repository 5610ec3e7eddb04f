// SPDX-License-Identifier: Apache-2.0
//
// Plain copies of a file that are taken while a writer works: its operations are recorded, and
// pages are read between them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/support/durable_script.h"
#include "tests/support/recording_file_system.h"

namespace cairn::test {

struct WriterRecording {
  std::vector<DiskOperation> operations;
  std::vector<SectionsModel> models;
  std::vector<std::size_t> begun;  // operations before commit i was begun
  std::size_t created = 0;         // operations until there is a file
};

// A writer with many small commits and checkpoints, which use space again.
WriterRecording record_writer(std::uint64_t seed);
// A file that is opened, changed and closed again and again, by short-lived writers.
WriterRecording record_cycles(std::uint64_t seed);

// Does to a file what a recorded operation did.
void carry_out(std::vector<std::byte>& file, const DiskOperation& operation);

struct TakenCopy {
  std::vector<std::byte> bytes;
  std::size_t begin = 0;  // operations that were done before its first page was read
  std::size_t end = 0;    // and before its last one was
};

// Reads `pages` pages from the front to the end between two operations of the writer.
TakenCopy take_copy(const WriterRecording& recording, std::size_t begin, std::size_t pages);

}  // namespace cairn::test
