// SPDX-License-Identifier: Apache-2.0
//
// What stands in for hdf5_file.cc where CMake has not found libhdf5.
#include "tools/files/hdf5_file.h"

namespace cairn::tools {
namespace {

Error absent() {
  return Error(ErrorCode::unsupported,
               "this command was built without libhdf5 (Debian: libhdf5-dev), which reads .hdf5");
}

}  // namespace

Result<VectorFile> read_hdf5(const std::string&, const std::string&) { return absent(); }

Result<TruthFile> read_hdf5_truth(const std::string&) { return absent(); }

}  // namespace cairn::tools
