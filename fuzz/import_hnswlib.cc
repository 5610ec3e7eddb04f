// SPDX-License-Identifier: Apache-2.0
//
// The reader of hnswlib's files, and what becomes of what it reads.
#include "fuzz/foreign.h"
#include "fuzz/input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  cairn::fuzz::Input input(data, size);
  cairn::ImportOptions options;
  options.source = cairn::Source::hnswlib;
  options.threads = 1;
  options.rebuild = input.u8() % 8 == 7;
  options.metric = static_cast<cairn::Metric>(1 + input.below(3));
  options.dimensions = input.below(4) == 0 ? input.u8() : 0;
  cairn::fuzz::write_foreign("file", input.all());
  cairn::fuzz::import_foreign("file", options);
  return 0;
}
