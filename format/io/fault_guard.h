// SPDX-License-Identifier: Apache-2.0
//
// A page of a mapped file that the disk cannot deliver, or that somebody has cut off, raises SIGBUS
// where it is touched. Within a guarded call that ends the call instead of the process
// (docs/decisions/0021).
//
// The handler is installed once in a process and stays. It acts only in a thread that is inside of
// a guarded call, and only on the addresses that the call has named; every other SIGBUS goes to the
// handler that was there before, or does what it would have done. Whoever installs a handler later
// and does not hand on what is not its own takes the guard away.
//
// Thread-safety: any number of threads.
#pragma once

#include <cstddef>
#include <span>
#include <type_traits>

#include <cairn/error.h>

namespace cairn::format {

struct AddressRange {
  const std::byte* begin = nullptr;
  std::size_t size = 0;
};

// io_error if the system refuses.
Result<void> install_fault_guard();

// Calls body(context); false if it touched a page in `ranges` that is not there, and was left at
// that point. REQUIRES: body and what it calls hold no locks and no objects with destructors that
// matter while they touch such pages. May throw what body throws.
bool survives_faults(std::span<const AddressRange> ranges, void (*body)(void*), void* context);

template <class Body>
bool survives_faults(std::span<const AddressRange> ranges, Body&& body) {
  using Called = std::remove_reference_t<Body>;
  void* const context = const_cast<void*>(static_cast<const void*>(&body));
  return survives_faults(
      ranges, [](void* called) { (*static_cast<Called*>(called))(); }, context);
}

}  // namespace cairn::format
