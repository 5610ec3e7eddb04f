// SPDX-License-Identifier: Apache-2.0
#include "format/pages/file_space.h"
