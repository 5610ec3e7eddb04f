// SPDX-License-Identifier: Apache-2.0
#include "fuzz/foreign.h"

#include <fstream>
#include <vector>

#include "fuzz/input.h"
#include "fuzz/temporary.h"

namespace cairn::fuzz {

void write_foreign(const char* name, std::span<const std::uint8_t> bytes) {
  std::ofstream file(temporary_folder() / name, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  require(file.good(), "a file can be written");
}

void import_foreign(const char* name, const ImportOptions& options) {
  ImportReport report;
  const auto index = import_index(temporary_folder() / name, options, &report);
  if (!index) {
    require(!index.error().message().empty(), "an error has a message");
    require(index.error().code() != ErrorCode::internal,
            "no error is ours:", index.error().message());
    return;
  }
  require(index->size() == report.vectors, "the report counts the vectors");
  const auto verified = index->verify({.threads = 1});
  require(verified.has_value(), "it can be verified");
  require(verified->ok(), "it is sound:", verified->ok() ? "" : verified->findings.front());
  require(verified->unreachable == 0 || report.vectors > 100, "all vectors can be reached");
  if (index->params().scalar != Scalar::f32) return;
  const std::vector<float> query(index->params().dimensions, 0.5f);
  const auto found = index->search(query, {.k = 3});
  require(found && found->size() == std::min<std::size_t>(3, report.vectors), "it finds three");
}

}  // namespace cairn::fuzz
