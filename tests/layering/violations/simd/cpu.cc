// SPDX-License-Identifier: Apache-2.0
#include <cairn/index.h>
#include <xxhash.h>
#include "engine/vectors/codec.h"
#include "format/io/file.h"
