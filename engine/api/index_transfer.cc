// SPDX-License-Identifier: Apache-2.0
//
// Indexes that move in and out: what the public functions add to engine/transfer/.
#include <cairn/import.h>

#include <mutex>
#include <string>
#include <utility>

#include "engine/api/index_impl.h"
#include "engine/base/guarded.h"
#include "engine/transfer/export.h"
#include "engine/transfer/importer.h"

namespace cairn {

namespace {

Result<Index> import_with(Importer& importer) {
  const auto params = importer.prepare();
  if (!params) return params.error();
  auto index = Index::create(*params);
  if (!index) return index.error();
  auto& parts = IndexParts::of(*index);
  const std::lock_guard lock(parts.commit_mutex);
  if (auto ok = importer.fill(parts.store, *parts.table); !ok) return ok.error();
  return index;
}

}  // namespace

Result<Index> import_index(const std::filesystem::path& path, const ImportOptions& options,
                           ImportReport* report) {
  return guarded("import", [&]() -> Result<Index> {
    auto source = open_source(path, options);
    if (!source) return source.error().with_context("import");
    Importer importer(std::move(*source), options);
    auto index = import_with(importer);
    if (!index) return index.error().with_context("import");
    if (report != nullptr) *report = std::move(importer.report());
    return index;
  });
}

Result<void> export_index(const Index& index, const std::filesystem::path& path, Source kind) {
  return guarded("export", [&]() -> Result<void> {
    const std::string what = "export " + path.string();
    if (kind != Source::hnswlib && kind != Source::usearch) {
      return Error(ErrorCode::unsupported, what + ": hnswlib and USearch can be written");
    }
    const auto& parts = IndexParts::of(index);
    auto written = parts.home->look_at_graph(
        [&](const GraphView& view) { return write_graph(view, parts.params, path, kind); });
    return written ? written : written.error().with_context(what);
  });
}

}  // namespace cairn
