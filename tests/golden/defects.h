// SPDX-License-Identifier: Apache-2.0
//
// Golden files with one defect each, named after it. Checksums are right again afterwards, where
// they are not the defect.
#pragma once

#include <optional>
#include <span>

#include <cairn/error.h>

#include "tests/support/file_image.h"

namespace cairn::test {

struct Defect {
  const char* name;
  const char* golden;  // the file of tests/golden that is damaged
  // What opening it with Verify::metadata gives; nothing: it opens, and verify() has findings.
  std::optional<ErrorCode> open_error;
  // Whether a reader has nothing to say against it, since a second copy is good.
  bool is_harmless;
  void (*apply)(Bytes& file);
};

std::span<const Defect> defects();

}  // namespace cairn::test
