// SPDX-License-Identifier: Apache-2.0
//
// The one thing each source compiled for an instruction set defines.
#pragma once

#include "simd/kernels.h"

namespace cairn::simd {

const KernelTable* scalar_table() noexcept;
const KernelTable* avx2_table() noexcept;
const KernelTable* avx512_table() noexcept;
const KernelTable* avx512vnni_table() noexcept;
const KernelTable* neon_table() noexcept;
const KernelTable* neon_dotprod_table() noexcept;

}  // namespace cairn::simd
