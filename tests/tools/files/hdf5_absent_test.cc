// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "tools/files/hdf5_file.h"

namespace cairn::tools {
namespace {

TEST(Hdf5Absent, FilesAreRefusedWithWhatIsMissing) {
  const auto rows = read_vectors("glove.hdf5");
  ASSERT_FALSE(rows);
  EXPECT_EQ(rows.error().code(), ErrorCode::unsupported);
  EXPECT_EQ(rows.error().message(),
            "read glove.hdf5: this command was built without libhdf5 (Debian: libhdf5-dev), which "
            "reads .hdf5");
  const auto truth = read_truth("glove.hdf5");
  ASSERT_FALSE(truth);
  EXPECT_EQ(truth.error().code(), ErrorCode::unsupported);
}

}  // namespace
}  // namespace cairn::tools
