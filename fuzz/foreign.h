// SPDX-License-Identifier: Apache-2.0
//
// What the fuzz targets of the importers have in common.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <cairn/import.h>

namespace cairn::fuzz {

// Writes `bytes` to a file of that name in the folder of this process.
void write_foreign(const char* name, std::span<const std::uint8_t> bytes);

// Imports it: an error with a message, or an index that verify() finds sound and that can be
// searched.
void import_foreign(const char* name, const ImportOptions& options);

}  // namespace cairn::fuzz
