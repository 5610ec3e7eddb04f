// SPDX-License-Identifier: Apache-2.0
//
// A fuzzer's bytes as numbers. After their end everything is 0, so every input means something.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>

#include "engine/base/assert.h"

namespace cairn::fuzz {

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : rest_(data, size) {}

  bool empty() const { return rest_.empty(); }
  std::size_t left() const { return rest_.size(); }

  template <class T>
  T number() {
    T value{};
    const std::size_t size = std::min(sizeof value, rest_.size());
    if (size != 0) std::memcpy(&value, rest_.data(), size);
    rest_ = rest_.subspan(size);
    return value;
  }
  std::uint8_t u8() { return number<std::uint8_t>(); }
  std::uint16_t u16() { return number<std::uint16_t>(); }
  std::uint32_t u32() { return number<std::uint32_t>(); }
  std::uint64_t u64() { return number<std::uint64_t>(); }

  // 0 ... end - 1. REQUIRES: 0 < end <= 65,536.
  std::size_t below(std::size_t end) {
    CAIRN_ASSERT(0 < end && end <= 65536);
    return u16() % end;
  }

  std::span<const std::uint8_t> bytes(std::size_t size) {
    const auto taken = rest_.first(std::min(size, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }
  std::span<const std::uint8_t> all() { return bytes(rest_.size()); }

 private:
  std::span<const std::uint8_t> rest_;
};

// A finding: what must hold does not. Prints it and aborts, as a crash would.
inline void require(bool holds, const char* what, const std::string& details = {}) {
  if (holds) return;
  std::fprintf(stderr, "fuzz: not so: %s %s\n", what, details.c_str());
  std::abort();
}

}  // namespace cairn::fuzz
