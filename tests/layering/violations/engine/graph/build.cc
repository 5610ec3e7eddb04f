// SPDX-License-Identifier: Apache-2.0
#include <xxhash.h>
#include "engine/change/writer.h"
#include "engine/verify/verify_graph.h"
#include "hash.h"
