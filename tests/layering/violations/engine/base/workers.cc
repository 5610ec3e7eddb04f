// SPDX-License-Identifier: Apache-2.0
#include <cairn/index.h>
#include "engine/store/node_store.h"
#include "format/bytes/coding.h"
