// SPDX-License-Identifier: Apache-2.0
#include <cairn/index.h>
#include <xxhash.h>
#include "engine/codec.h"
#include "format/file.h"
