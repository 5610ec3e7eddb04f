// SPDX-License-Identifier: Apache-2.0
#include <xxhash.h>

#include "hash.h"
#include "tools/progress.h"
