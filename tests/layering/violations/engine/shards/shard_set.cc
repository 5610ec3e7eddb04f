// SPDX-License-Identifier: Apache-2.0
#include "engine/bindings/python/module.h"
