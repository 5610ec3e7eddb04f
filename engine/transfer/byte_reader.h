// SPDX-License-Identifier: Apache-2.0
//
// Reads the fields of a foreign file one behind the other. Nothing is read beyond its end, and no
// size is believed before it has been compared with what is left. The first error stays: what is
// read afterwards is 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>

#include <cairn/error.h>

namespace cairn {

template <class T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

class ByteReader {
 public:
  // `name` and the bytes outlive the reader.
  ByteReader(std::span<const std::byte> bytes, const std::string& name)
      : bytes_(bytes), name_(name) {}

  std::size_t at() const { return at_; }
  std::size_t left() const { return bytes_.size() - at_; }
  const std::byte* here() const { return bytes_.data() + at_; }

  template <class T>
  T number(const char* field) {
    const std::byte* from = array(1, sizeof(T), field);
    return from == nullptr ? T{} : load<T>(from);
  }

  // The first of `count` elements of `size` bytes, which are passed; null after an error.
  const std::byte* array(std::uint64_t count, std::uint64_t size, const char* field) {
    if (failed()) return nullptr;
    if (size != 0 && count > left() / size) {
      fail(ErrorCode::truncated, std::string(field) + " takes " + std::to_string(count) + " x " +
                                     std::to_string(size) + " bytes, " + std::to_string(left()) +
                                     " are left");
      return nullptr;
    }
    const std::byte* from = here();
    last_ = at_;
    at_ += static_cast<std::size_t>(count * size);
    return from;
  }

  // Behind the last field.
  void expect_end() {
    if (failed() || left() == 0) return;
    last_ = at_;
    fail(ErrorCode::corrupt, std::to_string(left()) + " bytes follow the end of the index");
  }

  // Of the field that was read last.
  void fail(ErrorCode code, const std::string& message) {
    if (failed()) return;
    const std::size_t place = code == ErrorCode::truncated ? at_ : last_;
    error_ = Error(code, name_ + ": byte " + std::to_string(place) + ": " + message);
  }
  void require(bool holds, const char* field, const std::string& what) {
    if (!holds) fail(ErrorCode::corrupt, std::string(field) + " " + what);
  }
  bool failed() const { return error_.has_value(); }
  const Error& error() const { return *error_; }

 private:
  std::span<const std::byte> bytes_;
  const std::string& name_;
  std::size_t at_ = 0;
  std::size_t last_ = 0;
  std::optional<Error> error_;
};

}  // namespace cairn
