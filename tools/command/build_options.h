// SPDX-License-Identifier: Apache-2.0
//
// The options that all commands have which build an index of a file of vectors.
#pragma once

#include <CLI/CLI.hpp>

#include <cairn/params.h>

#include "tools/files/vector_file.h"

namespace cairn::tools {

struct BuildSettings {
  IndexParams params;
  bool metric_given = false;
  bool scalar_given = false;
  unsigned threads = 0;
};

void add_build_options(CLI::App& sub, BuildSettings& settings);
// Of its callback. What no index can be made with is wrong use: throws CLI::ParseError.
void read_build_options(const CLI::App& sub, BuildSettings& settings);

// What the options do not say the file may: the metric of an .hdf5, and with it that bits are
// meant.
IndexParams params_for(const BuildSettings& settings, const VectorFile& file);

}  // namespace cairn::tools
