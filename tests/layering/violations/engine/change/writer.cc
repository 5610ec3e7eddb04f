// SPDX-License-Identifier: Apache-2.0
#include "engine/transfer/graph_source.h"
#include "engine/verify/validate.h"
