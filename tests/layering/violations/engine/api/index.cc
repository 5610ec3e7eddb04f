// SPDX-License-Identifier: Apache-2.0
#include "engine/shards/manifest.h"
#include "tools/command/progress.h"
