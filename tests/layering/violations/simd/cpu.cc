// SPDX-License-Identifier: Apache-2.0
#include "engine/codec.h"
#include "format/file.h"
#include <cairn/index.h>
#include <xxhash.h>
