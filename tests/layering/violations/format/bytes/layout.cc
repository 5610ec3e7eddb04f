// SPDX-License-Identifier: Apache-2.0
#include <boost/crc.hpp>
#include <xsimd/xsimd.hpp>
#include "engine/store/node_store.h"
#include "format/io/file.h"
#include "simd/kernels.h"
