// SPDX-License-Identifier: Apache-2.0
//
// Where a writer of section memory reports what it has written, so that the after-images of an
// operation can be collected at its end. Every store to a section, in memory or mapped, is reported
// by NodeStore or KeyTable, after it was made, under the index's commit mutex. build() alone
// reports nothing: what it fills is written as a whole.
#pragma once

#include <cstddef>
#include <cstdint>

#include <cairn/error.h>

#include "format/bytes/sections.h"
#include "format/io/address_space.h"

namespace cairn {

class ChangeSink {
 public:
  ChangeSink() = default;
  ChangeSink(const ChangeSink&) = delete;
  ChangeSink& operator=(const ChangeSink&) = delete;
  virtual ~ChangeSink() = default;

  // Bytes [offset, offset + length) of the section have new values. Ranges overlap and repeat. Must
  // not fail: the operation is past the point of return.
  virtual void changed(format::SectionId section, std::uint64_t offset,
                       std::size_t length) noexcept = 0;

  // Makes a section at least `bytes` long, with what memory it is made of. An error changes
  // nothing.
  virtual Result<void> grow(format::SectionId, format::Region& region, std::uint64_t bytes) {
    return region.grow_anonymous(bytes);
  }
};

}  // namespace cairn
