// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>
#ifdef __GLIBCXX__
#include <cxxabi.h>
#endif
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>

#include <cairn/error.h>

#include "engine/base/float_environment.h"

namespace cairn {

// An Error of `code` whose message is "what: why"; where there is no memory left even for that, one
// that needs none: its message is as short as a string that has no memory of its own.
inline Error error_without_memory(ErrorCode code, const char* what, const char* why) noexcept {
  try {
    return Error(code, std::string(what) + ": " + why);
  } catch (const std::bad_alloc&) {
    return Error(code, "out of memory");
  }
}

// Runs `body`, whose type is a Result; what the standard library, or a function of the caller,
// throws becomes an Error, and floating-point numbers are computed as ever.
template <class Body>
auto guarded(const char* what, Body&& body) -> decltype(body()) {
  const DefaultFloats floats;
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return error_without_memory(ErrorCode::out_of_memory, what, "out of memory");
  } catch (const std::length_error&) {
    return error_without_memory(ErrorCode::out_of_memory, what,
                                "more memory than can be addressed");
  } catch (const std::system_error& e) {
    if (e.code() == std::errc::resource_unavailable_try_again) {
      return error_without_memory(ErrorCode::out_of_memory, what, "cannot start a thread");
    }
    return error_without_memory(ErrorCode::internal, what, e.what());
  } catch (const std::exception& e) {
    return error_without_memory(ErrorCode::internal, what, e.what());
#ifdef __GLIBCXX__
  } catch (abi::__forced_unwind&) {  // the thread is cancelled
    throw;
#endif
  } catch (...) {
    return error_without_memory(ErrorCode::internal, what,
                                "a function of the caller has thrown what is no std::exception");
  }
}

}  // namespace cairn
