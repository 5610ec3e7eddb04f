// SPDX-License-Identifier: Apache-2.0
//
// What importing and migrating have in common.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

#include <cairn/cairn.h>

#include "tools/command/command.h"
#include "tools/command/stop_on_signal.h"

namespace cairn::tools {

struct ImportRequest {
  std::string source;
  std::string keys;  // a file, "-", or "": those of the source
  ImportOptions options;
};

// --from, --metric, --dimensions, --keys, --rebuild and others. `request` outlives the command
// line.
void add_import_options(CLI::App& sub, ImportRequest& request);

// The index, in memory, with progress as the flags say. Errors of import_index() and read_keys().
Result<Index> import_source(const ImportRequest& request, const OutputFlags& flags,
                            const StopOnSignal& stop, ImportReport& report);

// invalid_argument: `output` is one of the files that are read.
Result<void> check_apart(const std::string& source, const std::string& output);

// "imported ...", "kept ..." and notes, a line each.
void remark_import(const OutputFlags& flags, const ImportReport& report, std::size_t dimensions,
                   double seconds);

}  // namespace cairn::tools
