// SPDX-License-Identifier: Apache-2.0
//
// HDF5 in the layout of ann-benchmarks: the data sets `train` (rows), `test` (queries) and
// `neighbors` (for each query the numbers of its nearest rows), and the attribute `distance`.
// libhdf5 reads them, if the command was built with it; it is not made for files of strangers.
#pragma once

#include <string>

#include <cairn/error.h>

#include "tools/files/truth_file.h"
#include "tools/files/vector_file.h"

namespace cairn::tools {

// Rows of a data set of two dimensions: floats of 2, 4 or 8 bytes, integers, or h5py's booleans;
// contiguous, chunked or compressed. The metric is that of the file's `distance`: euclidean,
// angular or hamming. invalid_argument with the place; unsupported: built without libhdf5, or
// `distance` is jaccard. Errors of opening; none has `path` before it.
Result<VectorFile> read_hdf5(const std::string& path, const std::string& dataset);

// `neighbors`, integers of any kind.
Result<TruthFile> read_hdf5_truth(const std::string& path);

}  // namespace cairn::tools
