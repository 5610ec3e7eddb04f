// SPDX-License-Identifier: Apache-2.0
// Flags of the sources that are compiled for one instruction set, as in simd/CMakeLists.txt, which tests/flags.rs
// compares.

/// (source in simd/, processor, flags)
pub const KERNELS: &[(&str, &str, &str)] = &[
    ("kernels_scalar.cc", "", ""),
    ("kernels_avx2.cc", "x86_64", "-mavx2 -mfma -mf16c -mpopcnt -mbmi -mbmi2"),
    (
        "kernels_avx512.cc",
        "x86_64",
        "-mavx2 -mfma -mf16c -mpopcnt -mbmi -mbmi2 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512cd",
    ),
    (
        "kernels_avx512vnni.cc",
        "x86_64",
        "-mavx2 -mfma -mf16c -mpopcnt -mbmi -mbmi2 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512cd -mavx512vnni",
    ),
    ("kernels_neon.cc", "aarch64", ""),
    ("kernels_neon_dotprod.cc", "aarch64", "-march=armv8.2-a+dotprod"),
];
/// Of each of them, last; GNU: of g++ alone.
pub const ALL: &str = "-O2 -fno-exceptions -ffp-contract=off";
pub const GNU: &str = "-Wno-uninitialized -Wno-maybe-uninitialized -fno-tree-loop-distribute-patterns";
