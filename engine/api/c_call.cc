// SPDX-License-Identifier: Apache-2.0
#include "engine/api/c_call.h"

#include <algorithm>

namespace cairn::c {

namespace {

// No version's struct is so large: what is, has not been set.
constexpr std::size_t kMaxStructSize = 4096;

// The text is either the string's or, when there was no memory for one, a literal.
thread_local std::string last_error_text;
thread_local const char* last_error = "";

}  // namespace

int fail(ErrorCode code, std::string_view message) noexcept {
  const int number = static_cast<int>(code);
  try {
    std::string text = error_name(code);
    text.append(" (").append(std::to_string(number)).append("): ").append(message);
    last_error_text = std::move(text);
    last_error = last_error_text.c_str();
  } catch (...) {
    last_error = "an error, and no memory for its text";
  }
  return number;
}

Error null_argument(const char* call, const char* name) {
  return Error(ErrorCode::invalid_argument, std::string(call) + ": " + name + " is NULL");
}

Error out_of_range(const char* call, const char* name, unsigned value) {
  return Error(ErrorCode::invalid_argument,
               std::string(call) + ": " + name + " " + std::to_string(value) + " does not exist");
}

Result<std::size_t> size_of(const char* call, const char* name, const void* given) {
  std::size_t size = 0;
  std::memcpy(&size, given, sizeof size);
  if (size >= sizeof size && size <= kMaxStructSize) return size;
  return Error(ErrorCode::invalid_argument, std::string(call) + ": " + name + "->size is " +
                                                std::to_string(size) +
                                                ", not the size of what the caller knows");
}

Result<void> read_sized(const char* call, const char* name, const void* given, void* all,
                        std::size_t size) {
  const auto given_size = size_of(call, name, given);
  if (!given_size) return given_size.error();
  const auto* bytes = static_cast<const unsigned char*>(given);
  for (std::size_t i = size; i < *given_size; ++i) {
    if (bytes[i] == 0) continue;
    return Error(ErrorCode::invalid_argument,
                 std::string(call) + ": " + name + "->size is " + std::to_string(*given_size) +
                     "; this version knows " + std::to_string(size) + " bytes of it, and byte " +
                     std::to_string(i) + " is not 0");
  }
  std::memcpy(all, given, std::min(*given_size, size));
  return {};
}

Result<void> fill_sized(const char* call, const char* name, void* out, const void* all,
                        std::size_t size) {
  if (out == nullptr) return null_argument(call, name);
  const auto room = size_of(call, name, out);
  if (!room) return room.error();
  const std::size_t filled = std::min(*room, size);
  std::memcpy(out, all, filled);
  std::memcpy(out, &filled, sizeof filled);
  return {};
}

}  // namespace cairn::c

extern "C" {

const char* cairn_last_error(void) { return cairn::c::last_error; }

const char* cairn_error_name(int code) {
  if (code == 0) return "ok";
  if (code < 0 || code > 0xffff) return "unknown";
  return cairn::error_name(static_cast<cairn::ErrorCode>(code));
}

int cairn_stop_create(cairn_stop** out) {
  if (out != nullptr) *out = nullptr;
  return cairn::c::guarded("stop_create", [&]() -> cairn::Result<void> {
    if (out == nullptr) return cairn::c::null_argument("stop_create", "out");
    *out = new cairn_stop;
    return {};
  });
}

void cairn_stop_set(cairn_stop* stop) {
  if (stop != nullptr) stop->flag.store(true);
}

void cairn_stop_clear(cairn_stop* stop) {
  if (stop != nullptr) stop->flag.store(false);
}

int cairn_stop_is_set(const cairn_stop* stop) {
  return stop != nullptr && stop->flag.load() ? 1 : 0;
}

void cairn_stop_close(cairn_stop* stop) { delete stop; }

}  // extern "C"
