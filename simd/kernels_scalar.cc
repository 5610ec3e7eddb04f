// SPDX-License-Identifier: Apache-2.0
#include "simd/float_scalar.h"
#include "simd/int8_scalar.h"
#include "simd/make_table.h"
#include "simd/tables.h"

namespace cairn::simd {
namespace {

constexpr KernelTable kTable = make_table<FloatScalar, BytesScalar>("scalar");

}  // namespace

const KernelTable* scalar_table() noexcept { return &kTable; }

}  // namespace cairn::simd
