// SPDX-License-Identifier: Apache-2.0
//
// Names of the feature bits. docs/format.md, "Feature bits".
#pragma once

#include <cstdint>

#include "format/bytes/superblock_layout.h"

namespace cairn::format {

struct Feature {
  const char* name;
  std::uint64_t mask;
  bool is_compat;  // a bit of feature_compat, else of feature_incompat
};

inline constexpr Feature kFeatures[] = {{"log", kIncompatLog, false},
                                        {"hash_seed", kIncompatHashSeed, false},
                                        {"several_per_key", kIncompatSeveral, false},
                                        {"packed_log", kIncompatPackedLog, false},
                                        {"advised_ef", kCompatAdvisedEf, true}};

}  // namespace cairn::format
