// SPDX-License-Identifier: Apache-2.0
#include "simd/float_avx512.h"
#include "simd/int8_avx512vnni.h"
#include "simd/make_table.h"
#include "simd/tables.h"

namespace cairn::simd {
namespace {

constexpr KernelTable kTable = make_table<FloatAvx512, BytesAvx512Vnni>("avx512vnni");

}  // namespace

const KernelTable* avx512vnni_table() noexcept { return &kTable; }

}  // namespace cairn::simd
