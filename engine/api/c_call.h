// SPDX-License-Identifier: Apache-2.0
//
// What all calls of the C interface have in common: handles, and how a body's Result, or what it
// throws, becomes a number and a text.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstring>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <cairn/c.h>
#include <cairn/error.h>
#include <cairn/filter.h>
#include <cairn/index.h>

struct cairn_index {
  cairn::Index index;
};

struct cairn_filter {
  cairn::Filter filter;
};

struct cairn_verify_report {
  cairn::VerifyReport report;
};

struct cairn_stop {
  std::atomic<bool> flag{false};
};
static_assert(std::atomic<bool>::is_always_lock_free);  // cairn_stop_set, from signal handlers

namespace cairn::c {

// Keeps the text for cairn_last_error() and returns the number of `code`.
int fail(ErrorCode code, std::string_view message) noexcept;

Error null_argument(const char* call, const char* name);
Error out_of_range(const char* call, const char* name, unsigned value);

template <class Body>
int guarded(const char* call, const Body& body) noexcept {
  try {
    const Result<void> result = body();
    return result ? 0 : fail(result.error().code(), result.error().message());
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::out_of_memory, call);
  } catch (const std::length_error&) {  // a container was asked for more than addresses can name
    return fail(ErrorCode::out_of_memory, call);
  } catch (const std::exception& problem) {
    return fail(ErrorCode::internal, problem.what());
  } catch (...) {
    return fail(ErrorCode::internal, call);
  }
}

// The body of a call on an index. `handle`: const or not, NULL among them.
template <class Handle, class Body>
int on_index(const char* call, Handle* handle, const Body& body) noexcept {
  return guarded(call, [&]() -> Result<void> {
    if (handle == nullptr) return null_argument(call, "index");
    return body(handle->index);
  });
}

// Calls give(index), which returns a Result<Index>, and hands it out.
template <class Give>
int hand_out(const char* call, cairn_index** out, const Give& give) noexcept {
  if (out != nullptr) *out = nullptr;
  return guarded(call, [&]() -> Result<void> {
    if (out == nullptr) return null_argument(call, "out");
    Result<Index> index = give();
    if (!index) return index.error();
    *out = new cairn_index{std::move(*index)};
    return {};
  });
}

// How much of a struct, whose first member is its size, the caller knows. invalid_argument: that
// cannot be.
Result<std::size_t> size_of(const char* call, const char* name, const void* given);
// Copies what the caller knows of a struct over `all`, which holds the defaults, and `size` bytes
// are known here. invalid_argument: `given`'s size is that of no version, or the caller asks for
// something that this version does not know.
Result<void> read_sized(const char* call, const char* name, const void* given, void* all,
                        std::size_t size);
// The other way round, into what the caller has room for.
Result<void> fill_sized(const char* call, const char* name, void* out, const void* all,
                        std::size_t size);

// `given` may be NULL: all defaults.
template <class Options>
Result<Options> known_part(const char* call, const char* name, const Options* given,
                           Options all = {}) {
  // A later version could give meaning to padding, which callers of this one leave undefined.
  static_assert(sizeof(void*) != 8 || std::has_unique_object_representations_v<Options>);
  if (given == nullptr) return all;
  if (auto ok = read_sized(call, name, given, &all, sizeof all); !ok) return ok.error();
  if constexpr (requires { all.reserved; }) {
    static constexpr decltype(all.reserved) kZero{};
    if (std::memcmp(&all.reserved, &kZero, sizeof kZero) != 0) {
      return Error(ErrorCode::invalid_argument,
                   std::string(call) + ": " + name + "->reserved is not 0");
    }
  }
  return all;
}

}  // namespace cairn::c
