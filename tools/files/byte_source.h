// SPDX-License-Identifier: Apache-2.0
//
// Bytes of known number that a reader may ask for in any order: a regular file, or memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include <cairn/error.h>

namespace cairn::tools {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;

  std::uint64_t size() const { return size_; }

  // Fills `out` from `offset`. REQUIRES offset + out.size() <= size().
  virtual Result<void> read(std::uint64_t offset, std::span<std::byte> out) const = 0;

 protected:
  explicit ByteSource(std::uint64_t size) : size_(size) {}

 private:
  std::uint64_t size_;
};

class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::span<const std::byte> bytes)
      : ByteSource(bytes.size()), bytes_(bytes) {}
  Result<void> read(std::uint64_t offset, std::span<std::byte> out) const override {
    if (!out.empty()) std::memcpy(out.data(), bytes_.data() + offset, out.size());
    return {};
  }

 private:
  std::span<const std::byte> bytes_;
};

// An open descriptor, closed at the end.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Descriptor& operator=(Descriptor&&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

class FileSource final : public ByteSource {
 public:
  FileSource(Descriptor descriptor, std::uint64_t size)
      : ByteSource(size), descriptor_(std::move(descriptor)) {}
  // io_error, also if the file has become shorter since it was opened.
  Result<void> read(std::uint64_t offset, std::span<std::byte> out) const override;

 private:
  Descriptor descriptor_;
};

struct OpenedFile {
  Descriptor descriptor;
  bool regular;
  std::uint64_t size;  // of a regular file
};

// Anything for reading; waits for the writer of a FIFO. path_not_found, permission_denied,
// io_error.
Result<OpenedFile> open_file(const std::string& path);

// A regular file, never waiting; invalid_argument: a directory, a pipe.
Result<OpenedFile> open_regular_file(const std::string& path);

// What comes from a descriptor that cannot be measured, such as a pipe, to its end. Memory grows
// with what arrives; invalid_argument: that is more than `max_bytes`.
Result<std::string> read_stream(int descriptor, std::size_t max_bytes);

// Reads until `out` is full or the input ends; returns the number of bytes read.
Result<std::size_t> read_some(int descriptor, std::span<std::byte> out);

// The system's error `number` as an Error: "open x.fbin: No such file or directory".
Error system_error(int number, const std::string& what = "");

}  // namespace cairn::tools
