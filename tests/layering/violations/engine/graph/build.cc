// SPDX-License-Identifier: Apache-2.0
#include <xxhash.h>
#include "engine/change/writer.h"
#include "engine/verify/validate.h"
#include "hash.h"
