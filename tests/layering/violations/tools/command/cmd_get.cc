// SPDX-License-Identifier: Apache-2.0
#include "format/container/container.h"
