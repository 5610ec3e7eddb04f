// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>
#include <new>
#include <stdexcept>
#include <string>

#include <cairn/error.h>

namespace cairn {

// Runs `body`, whose type is a Result; what the standard library throws becomes an Error.
template <class Body>
auto guarded(const char* what, Body&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return Error(ErrorCode::out_of_memory, std::string(what) + ": out of memory");
  } catch (const std::length_error&) {
    return Error(ErrorCode::out_of_memory,
                 std::string(what) + ": more memory than can be addressed");
  } catch (const std::exception& e) {
    return Error(ErrorCode::internal, std::string(what) + ": " + e.what());
  }
}

}  // namespace cairn
