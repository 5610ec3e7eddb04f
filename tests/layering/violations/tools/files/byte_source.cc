// SPDX-License-Identifier: Apache-2.0
#include "tools/command/command.h"
