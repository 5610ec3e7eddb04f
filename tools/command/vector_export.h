// SPDX-License-Identifier: Apache-2.0
//
// The vectors of an index as a file of vectors, and their keys.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <cairn/cairn.h>

namespace cairn::tools {

enum class RowFormat { fbin, fvecs, npy };

// By a name, "fbin", or a suffix, ".fbin".
std::optional<RowFormat> row_format(std::string_view name);

struct RowExport {
  std::string rows;  // the file to write
  RowFormat format = RowFormat::fbin;
  std::string keys;  // the file of their keys, text or .npy; "": none
};

// All vectors in ascending order of their keys, and the keys in the same order; returns how many. A
// key that has several vectors is there as often, its vectors in the order in which they were
// added. fbin and fvecs have f32; npy has the kind of the index, but f32 for bf16. Files are
// replaced in one step each, the keys first. busy: the index changed meanwhile; cancelled; errors
// of writing.
Result<std::size_t> export_rows(
    const Index& index, const RowExport& to, const std::atomic<bool>* stop,
    const std::function<void(std::size_t done, std::size_t total)>& progress);

}  // namespace cairn::tools
