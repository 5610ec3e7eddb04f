// SPDX-License-Identifier: Apache-2.0
//
// The C interface of recall, measured and wanted.
#include <cstddef>

#include <cairn/c.h>
#include <cairn/index.h>

#include "engine/api/c_call.h"
#include "engine/api/c_options.h"
#include "engine/api/c_rows.h"

namespace cairn::c {

namespace {

Result<void> measure_recall(const Index& index, const cairn_matrix* queries,
                            const SearchParams& params, const BuildOptions& options,
                            cairn_recall_report* report) {
  // Before the work, so that it is not lost.
  if (report == nullptr) return null_argument("measure_recall", "report");
  if (const auto room = size_of("measure_recall", "report", report); !room) return room.error();
  const auto given = view_of("measure_recall", "queries", queries);
  if (!given) return given.error();
  const auto rows = Rows::of(index.params(), kind_to_search(index), *given);
  if (!rows) return rows.error().with_context("measure_recall");
  const auto measured = index.measure_recall(rows->view(), params, options);
  if (!measured) return measured.error();
  cairn_recall_report all{};
  all.recall = measured->recall;
  all.lower = measured->lower;
  all.upper = measured->upper;
  all.queries = measured->queries;
  return fill_sized("measure_recall", "report", report, &all, sizeof all);
}

Result<void> ef_for(const Index& index, double recall, const cairn_matrix* queries, std::size_t k,
                    const BuildOptions& options, std::size_t* ef) {
  const auto given = view_of("ef_for", "queries", queries);
  if (!given) return given.error();
  const auto rows = Rows::of(index.params(), kind_to_search(index), *given);
  if (!rows) return rows.error().with_context("ef_for");
  const auto found = index.ef_for(recall, rows->view(), k, options);
  if (!found) return found.error();
  *ef = *found;
  return {};
}

}  // namespace

}  // namespace cairn::c

extern "C" {

using cairn::Index;
using cairn::Result;

int cairn_measure_recall(const cairn_index* index, const cairn_matrix* queries,
                         const cairn_search_options* search, const cairn_build_options* options,
                         cairn_recall_report* report) {
  return cairn::c::on_index("measure_recall", index, [&](const Index& it) -> Result<void> {
    cairn::c::SearchCall wanted;
    if (auto ok = cairn::c::read_one("measure_recall", search, wanted); !ok) return ok;
    const auto work = cairn::c::options_of("measure_recall", options);
    if (!work) return work.error();
    return cairn::c::measure_recall(it, queries, wanted.params, *work, report);
  });
}

int cairn_ef_for(const cairn_index* index, double recall, const cairn_matrix* queries, size_t k,
                 const cairn_build_options* options, size_t* ef) {
  if (ef != nullptr) *ef = 0;
  return cairn::c::on_index("ef_for", index, [&](const Index& it) -> Result<void> {
    if (ef == nullptr) return cairn::c::null_argument("ef_for", "ef");
    const auto work = cairn::c::options_of("ef_for", options);
    if (!work) return work.error();
    return cairn::c::ef_for(it, recall, queries, k, *work, ef);
  });
}

}  // extern "C"
