// SPDX-License-Identifier: Apache-2.0
#include <boost/crc.hpp>
#include <xsimd/xsimd.hpp>

#include "simd/kernels.h"
