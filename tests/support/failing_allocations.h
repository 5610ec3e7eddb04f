// SPDX-License-Identifier: Apache-2.0
//
// Replaces the global operator new of the program that is linked with it: counts what is allocated,
// and fails when it is told to.
#pragma once

#include <cstddef>

namespace cairn::test {

// So far, by all threads.
std::size_t allocations();

// The n-th allocation from now on fails, counted from 0, and all after it if `forever`.
void fail_allocation(std::size_t n, bool forever);
// No other fails. Whether one has.
bool stop_failing_allocations();

}  // namespace cairn::test
