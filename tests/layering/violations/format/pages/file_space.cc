// SPDX-License-Identifier: Apache-2.0
#include "format/log/journal.h"
