// SPDX-License-Identifier: Apache-2.0
//
// Errors are values. Every fallible call returns a Result<T>: either the value or an Error that
// says what went wrong, where, and with which values. No exception crosses the API; the header
// compiles without exceptions and RTTI.
//
//   auto index = cairn::Index::open("words.cairn");
//   if (!index) return report(index.error().code(), index.error().message());
#pragma once

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include <cairn/export.h>

namespace cairn {

// The numbers are stable across releases and the C API: never renumber. docs/operate/errors.md says
// what each means and what to do about it.
enum class ErrorCode : std::uint16_t {
  invalid_argument = 1,
  dimension_mismatch = 2,
  not_finite = 3,
  key_exists = 4,
  key_not_found = 5,
  unsupported = 6,
  read_only = 7,
  not_empty = 8,

  io_error = 20,
  no_space = 21,
  path_exists = 22,
  path_not_found = 23,
  path_in_use = 24,
  permission_denied = 25,
  out_of_memory = 26,

  not_a_cairn_file = 40,
  version_unsupported = 41,
  feature_unsupported = 42,
  corrupt = 43,
  truncated = 44,
  data_loss = 45,

  cancelled = 60,
  deadline_exceeded = 61,
  poisoned = 62,
  busy = 63,

  internal = 90,
};

// The code's name as written above ("key_exists"); "unknown" for a number that is none.
CAIRN_EXPORT const char* error_name(ErrorCode code) noexcept;

// What went wrong: a code for programs, a message for people.
class Error {
 public:
  // The message names an operation, a place and the values, without a full stop.
  Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}

  // Its kind, whose number never changes.
  ErrorCode code() const { return code_; }
  // UTF-8 but for what comes from paths and files, which stands in it byte for byte.
  const std::string& message() const { return message_; }

  // The same error, seen from one level further up: "open words.cairn: superblock 1 at 131072:
  // ...".
  Error with_context(std::string_view context) const {
    std::string text(context);
    text.append(": ").append(message_);
    return Error(code_, std::move(text));
  }

 private:
  ErrorCode code_;
  std::string message_;
};

// A value or an Error, with std::expected's member names. value() on an error aborts: test first.
template <class T>
class [[nodiscard]] Result {
 public:
  // What is inside if there is no error.
  using value_type = T;

  // A success.
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  // A failure.
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  // Whether there is a value, and no error.
  bool has_value() const { return state_.index() == 0; }
  // As has_value().
  explicit operator bool() const { return has_value(); }

  // The value. REQUIRES: has_value(), else the process is aborted.
  T& value() & { return *checked(); }
  // The same, to read.
  const T& value() const& { return *checked(); }
  // The same of a temporary; by value, so that a range-for over `*f()` keeps it alive.
  T value() && { return std::move(*checked()); }
  // As value().
  T& operator*() & { return *checked(); }
  // As value().
  const T& operator*() const& { return *checked(); }
  // As value() of a temporary.
  T operator*() && { return std::move(*checked()); }
  // A member of value().
  T* operator->() { return checked(); }
  // A member of value().
  const T* operator->() const { return checked(); }

  // The error. REQUIRES: no value, else the process is aborted.
  const Error& error() const {
    const Error* error = std::get_if<1>(&state_);
    if (error == nullptr) std::abort();
    return *error;
  }

  // The value, or `fallback` if there is an error.
  template <class U>
  T value_or(U&& fallback) const& {
    return has_value() ? *checked() : static_cast<T>(std::forward<U>(fallback));
  }

 private:
  T* checked() {
    T* value = std::get_if<0>(&state_);
    if (value == nullptr) std::abort();
    return value;
  }
  const T* checked() const {
    const T* value = std::get_if<0>(&state_);
    if (value == nullptr) std::abort();
    return value;
  }

  std::variant<T, Error> state_;
};

// Success without a value, or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  // There is none.
  using value_type = void;

  // A success.
  Result() = default;
  // A failure.
  Result(Error error) : error_(std::move(error)) {}

  // Whether there is no error.
  bool has_value() const { return !error_.has_value(); }
  // As has_value().
  explicit operator bool() const { return has_value(); }
  // REQUIRES: has_value(), else the process is aborted.
  void value() const {
    if (error_) std::abort();
  }
  // As value().
  void operator*() const { value(); }

  // The error. REQUIRES: there is one, else the process is aborted.
  const Error& error() const {
    if (!error_) std::abort();
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

}  // namespace cairn
