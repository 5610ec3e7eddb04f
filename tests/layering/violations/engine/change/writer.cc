// SPDX-License-Identifier: Apache-2.0
#include "engine/transfer/graph_source.h"
#include "engine/verify/verify_graph.h"
