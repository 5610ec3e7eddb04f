// SPDX-License-Identifier: Apache-2.0
#include "simd/float_neon.h"
#include "simd/int8_neon.h"
#include "simd/make_table.h"
#include "simd/tables.h"

namespace cairn::simd {
namespace {

constexpr KernelTable kTable = make_table<FloatNeon, BytesNeon>("neon");

}  // namespace

const KernelTable* neon_table() noexcept { return &kTable; }

}  // namespace cairn::simd
