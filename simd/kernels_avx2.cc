// SPDX-License-Identifier: Apache-2.0
#include "simd/float_avx2.h"
#include "simd/int8_avx2.h"
#include "simd/make_table.h"
#include "simd/tables.h"

namespace cairn::simd {
namespace {

constexpr KernelTable kTable = make_table<FloatAvx2, BytesAvx2>("avx2");

}  // namespace

const KernelTable* avx2_table() noexcept { return &kTable; }

}  // namespace cairn::simd
