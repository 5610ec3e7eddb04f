// SPDX-License-Identifier: Apache-2.0
#include "tests/support/copies.h"

#include <algorithm>
#include <cstdlib>

#include "tests/support/memory_file_system.h"

namespace cairn::test {
namespace {

void must(const Result<void>& done) {
  if (!done) std::abort();
}

}  // namespace

void carry_out(std::vector<std::byte>& file, const DiskOperation& operation) {
  using Kind = DiskOperation::Kind;
  const auto grow = [&](std::size_t size) { file.resize(std::max(file.size(), size)); };
  if (operation.kind == Kind::write || operation.kind == Kind::write_dsync) {
    grow(operation.offset + operation.data.size());
    std::copy(operation.data.begin(), operation.data.end(),
              file.begin() + static_cast<std::ptrdiff_t>(operation.offset));
  } else if (operation.kind == Kind::allocate) {
    grow(operation.offset + operation.size);
  } else if (operation.kind == Kind::truncate) {
    file.resize(operation.size);
  }
}

WriterRecording record_writer(std::uint64_t seed) {
  MemoryFileSystem memory;
  RecordingFileSystem raw(memory);
  WriterRecording recording;
  DurableScript script(raw, "/a", seed);
  must(script.create());
  recording.created = raw.operations().size();
  recording.begun.push_back(0);
  for (int i = 0; i < 70; ++i) {
    recording.begun.push_back(raw.operations().size());
    must(script.commit(1 + static_cast<std::size_t>(i) % 4, i % 9 == 0));
    must(script.acknowledge());
    if (i % 6 == 5) must(script.checkpoint());
  }
  recording.models = script.models();
  recording.operations = raw.operations();
  return recording;
}

WriterRecording record_cycles(std::uint64_t seed) {
  MemoryFileSystem memory;
  RecordingFileSystem raw(memory);
  WriterRecording recording;
  DurableScript script(raw, "/a", seed);
  must(script.create());
  recording.begun.push_back(0);
  for (int cycle = 0; cycle < 12; ++cycle) {
    if (cycle != 0) must(script.open());
    for (int i = 0; i < 3; ++i) {
      recording.begun.push_back(raw.operations().size());
      must(script.commit(2, i == 0 && cycle % 4 == 0));
      must(script.acknowledge());
      if (i == 1 && cycle % 3 == 0) must(script.checkpoint());
    }
    must(script.close());
    if (cycle == 0) recording.created = raw.operations().size();
  }
  recording.models = script.models();
  recording.operations = raw.operations();
  return recording;
}

TakenCopy take_copy(const WriterRecording& recording, std::size_t begin, std::size_t pages) {
  TakenCopy copied;
  copied.begin = begin;
  std::vector<std::byte> file;
  std::size_t done = 0;
  for (; done < begin; ++done) carry_out(file, recording.operations[done]);
  while (copied.bytes.size() < file.size()) {
    const std::size_t at = copied.bytes.size();
    const std::size_t size = std::min(pages * format::kPageSize, file.size() - at);
    copied.bytes.insert(copied.bytes.end(), file.begin() + static_cast<std::ptrdiff_t>(at),
                        file.begin() + static_cast<std::ptrdiff_t>(at + size));
    copied.end = done;
    if (done < recording.operations.size()) carry_out(file, recording.operations[done++]);
  }
  return copied;
}

}  // namespace cairn::test
