// SPDX-License-Identifier: Apache-2.0
//
// For what fills an index, or reads it, beside the class; and for tests that need small files.
#pragma once

#include <cstddef>
#include <filesystem>

#include <cairn/error.h>
#include <cairn/index.h>
#include <cairn/params.h>

#include "engine/store/node_store.h"
#include "format/container/writable_container.h"

namespace cairn {

struct IndexState;

struct IndexParts {
  static Index::Impl& of(const Index& index) { return *index.impl_; }
  // REQUIRES: it is the state of an index.
  static Index::Impl& of(IndexState& state);

  // Whether Index::search_batch() would scan for so many rows together: for who divides a batch
  // into parts, and wants the same for all of them. REQUIRES: params.filter is null
  static bool scans_batch(const Index& index, const SearchParams& params, std::size_t rows);

  // An index in memory whose sections are what `reserve` gives.
  static Result<Index> create(const IndexParams& params, const NodeStore::Reserve& reserve);
  // As Index::create and Index::open. `sizes`: of what a file that is written begins with and
  // reserves (segment_bytes, first_run_bytes, section_addresses); the rest of it is not used.
  static Result<Index> create(const std::filesystem::path& path, const IndexParams& params,
                              const CreateOptions& options, const format::WriteOptions& sizes);
  static Result<Index> open(const std::filesystem::path& path, const OpenOptions& options,
                            const format::WriteOptions& sizes);
};

}  // namespace cairn
