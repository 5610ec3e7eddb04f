// SPDX-License-Identifier: Apache-2.0
#include "simd/float_avx512.h"
#include "simd/int8_avx512.h"
#include "simd/make_table.h"
#include "simd/tables.h"

namespace cairn::simd {
namespace {

constexpr KernelTable kTable = make_table<FloatAvx512, BytesAvx512>("avx512");

}  // namespace

const KernelTable* avx512_table() noexcept { return &kTable; }

}  // namespace cairn::simd
