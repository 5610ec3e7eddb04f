// SPDX-License-Identifier: Apache-2.0
//
// The reader of hnsw_rs's dumps, and what becomes of what it reads. The input is the size of the
// graph (u16), the graph, and the data.
#include "fuzz/foreign.h"
#include "fuzz/input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  cairn::fuzz::Input input(data, size);
  cairn::ImportOptions options;
  options.source = cairn::Source::hnsw_rs;
  options.threads = 1;
  options.rebuild = input.u8() % 8 == 7;
  const std::size_t graph = input.u16();
  cairn::fuzz::write_foreign("dump.hnsw.graph", input.bytes(graph));
  cairn::fuzz::write_foreign("dump.hnsw.data", input.all());
  cairn::fuzz::import_foreign("dump", options);
  return 0;
}
