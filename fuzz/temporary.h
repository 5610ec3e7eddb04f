// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

namespace cairn::fuzz {

// A folder of this process, made on first use below TMPDIR and removed when it exits. A process
// that ends in a finding leaves it behind.
const std::filesystem::path& temporary_folder();

}  // namespace cairn::fuzz
