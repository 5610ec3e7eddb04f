// SPDX-License-Identifier: Apache-2.0
//
// Which instruction sets this processor has and its operating system keeps the registers of, and
// how it fetches.
#pragma once

namespace cairn::simd {

bool has_avx2() noexcept;          // with FMA, POPCNT, BMI and BMI2
bool has_avx512() noexcept;        // F, BW, DQ, VL, CD and all of has_avx2()
bool has_avx512vnni() noexcept;    // VNNI and all of has_avx512()
bool has_neon() noexcept;          // any 64-bit ARM
bool has_neon_dotprod() noexcept;  // SDOT and UDOT

// Whether it pays to ask for lines a second time, since of many asked for at once some do not come:
// on processors of AMD (docs/decisions/0046).
bool loses_prefetches() noexcept;

// Whether the hardware reads on where the beginning of a row was asked for, so well that asking for
// less is faster: processors of Intel (docs/decisions/0050).
bool reads_on() noexcept;

}  // namespace cairn::simd
