// SPDX-License-Identifier: Apache-2.0
//
// The reader of faiss's files, and what becomes of what it reads.
#include "fuzz/foreign.h"
#include "fuzz/input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  cairn::fuzz::Input input(data, size);
  cairn::ImportOptions options;
  options.source = cairn::Source::faiss;
  options.threads = 1;
  options.rebuild = input.u8() % 8 == 7;
  cairn::fuzz::write_foreign("file", input.all());
  cairn::fuzz::import_foreign("file", options);
  return 0;
}
