// SPDX-License-Identifier: Apache-2.0
//
// Builds the bytes of an input file piece by piece.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

namespace cairn::tools {

class ByteWriter {
 public:
  ByteWriter& u32(std::uint32_t value) { return append(&value, sizeof value); }
  ByteWriter& f32(std::initializer_list<float> values) {
    return append(values.begin(), values.size() * sizeof(float));
  }
  ByteWriter& text(std::string_view value) { return append(value.data(), value.size()); }
  ByteWriter& zeros(std::size_t count) {
    bytes_.resize(bytes_.size() + count);
    return *this;
  }
  ByteWriter& cut(std::size_t count) {
    bytes_.resize(bytes_.size() - count);
    return *this;
  }

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  ByteWriter& append(const void* data, std::size_t size) {
    const std::size_t old = bytes_.size();
    bytes_.resize(old + size);
    if (size != 0) std::memcpy(bytes_.data() + old, data, size);
    return *this;
  }

  std::vector<std::byte> bytes_;
};

}  // namespace cairn::tools
