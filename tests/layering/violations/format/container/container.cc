// SPDX-License-Identifier: Apache-2.0
#include "engine/store/node_store.h"
