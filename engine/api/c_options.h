// SPDX-License-Identifier: Apache-2.0
//
// The option structs of the C interface as those of the C++ one, checked. All may be NULL, and of
// callers that know less or more of them; errors are invalid_argument and name `call`.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>

#include <cairn/c.h>
#include <cairn/error.h>
#include <cairn/import.h>
#include <cairn/params.h>

namespace cairn::c {

cairn_params to_c(const IndexParams& params);
cairn_statistics to_c(const Stats& stats);
// Not NULL: that is invalid_argument.
Result<IndexParams> params_of(const cairn_params* given);
Result<CreateOptions> options_of(const cairn_create_options* given);
Result<OpenOptions> options_of(const cairn_open_options* given);
Result<BuildOptions> options_of(const char* call, const cairn_build_options* given);
Result<SaveOptions> options_of(const char* call, const cairn_save_options* given);
Result<ImportOptions> options_of(const cairn_import_options* given);
// What a search is asked for, and what that points to.
struct SearchCall {
  SearchParams params;
  unsigned threads = 0;                          // 0: all cores
  const cairn_filter* const* filters = nullptr;  // of a batch, one a row; null: none
  SearchReport report;
  std::function<float(Key, VectorView)> rerank;
};
Result<void> read_options(const char* call, const cairn_search_options* given, SearchCall& wanted);
// Of what has no rows: filters for those are invalid_argument, too.
Result<void> read_one(const char* call, const cairn_search_options* given, SearchCall& wanted);
// A deadline of so many microseconds from now; 0: none.
std::chrono::steady_clock::time_point deadline_after(std::uint64_t us);
// Tells what has been done. invalid_argument: the report's size.
Result<void> tell_report(const char* call, const cairn_search_options* given,
                         const SearchCall& done);

// NULL: none.
const std::atomic<bool>* flag_of(const cairn_stop* stop);

}  // namespace cairn::c
