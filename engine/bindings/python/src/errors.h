// SPDX-License-Identifier: Apache-2.0
//
// Errors of the library become exceptions of Python.
#pragma once

#include <nanobind/nanobind.h>

#include <exception>
#include <utility>

#include <cairn/error.h>

namespace cairn::python {

// Carries an Error to the edge, where register_errors() turns it into what cairn._errors makes.
class Failure : public std::exception {
 public:
  explicit Failure(Error error) : error_(std::move(error)) {}
  const char* what() const noexcept override { return error_.message().c_str(); }
  const Error& error() const { return error_; }

 private:
  Error error_;
};

template <class T>
T value_or_throw(Result<T>&& result) {
  if (!result) throw Failure(result.error());
  return *std::move(result);
}
inline void check(const Result<void>& result) {
  if (!result) throw Failure(result.error());
}

void register_errors(nanobind::module_& module);

}  // namespace cairn::python
