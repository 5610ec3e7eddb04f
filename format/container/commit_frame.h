// SPDX-License-Identifier: Apache-2.0
//
// The log frame of a commit: what its changes take, and how they are put into it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "format/bytes/log_frame.h"
#include "format/bytes/sections.h"
#include "format/container/writable_container.h"
#include "format/io/address_space.h"

namespace cairn::format {

// Bytes of the frame of so many changes, of `bytes` bytes together, and of the counters: at most.
std::uint64_t most_frame_bytes(std::size_t changes, std::uint64_t bytes);
// Of these changes.
std::uint64_t frame_bytes_of(std::span<const Change> changes);

// What the sections hold there by now. Changes that follow each other in a section share a record.
void add_changes(const std::array<Region, kDataSectionCount>& sections,
                 std::span<const Change> changes, FrameBuilder& frame);

}  // namespace cairn::format
