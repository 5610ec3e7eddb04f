// SPDX-License-Identifier: Apache-2.0
#include "simd/float_neon.h"
#include "simd/int8_neon_dotprod.h"
#include "simd/make_table.h"
#include "simd/tables.h"

namespace cairn::simd {
namespace {

constexpr KernelTable kTable = make_table<FloatNeon, BytesNeonDotprod>("neon_dotprod");

}  // namespace

const KernelTable* neon_dotprod_table() noexcept { return &kTable; }

}  // namespace cairn::simd
