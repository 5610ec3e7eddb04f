// SPDX-License-Identifier: Apache-2.0
#include "tools/files/file_sink.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <random>
#include <string>
#include <system_error>
#include <utility>

namespace cairn::tools {

namespace {
constexpr std::size_t kFlushed = std::size_t{1} << 20;
constexpr std::size_t kMostOfName = 200;
constexpr int kTries = 100;
}  // namespace

Result<NewFile> create_beside(const std::filesystem::path& path) {
  std::random_device numbers;
  std::string name = ".";
  name.append(path.filename().string(), 0, kMostOfName).append(".");
  for (int i = 0;; ++i) {
    const std::string file = name + std::to_string(numbers()) + ".tmp";
    std::string temporary = (path.parent_path() / file).string();
    const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0) return NewFile{std::move(temporary), Descriptor(fd)};
    if (errno != EEXIST || i == kTries) return system_error(errno, "create " + temporary);
  }
}

Result<FileSink> FileSink::create(const std::string& path) {
  std::error_code failed;
  const auto there = std::filesystem::status(path, failed);
  const bool is_there = std::filesystem::exists(there);
  if (is_there && !std::filesystem::is_regular_file(there))
    return Error(ErrorCode::invalid_argument, path + " is not a regular file");
  // A link is followed.
  const auto target = is_there ? std::filesystem::canonical(path, failed).string() : path;
  if (failed && is_there) return system_error(failed.value(), path);
  auto made = create_beside(target);
  if (!made) return made.error();
  FileSink sink(target, std::move(made->name), std::move(made->descriptor));
  // Who may not read what is replaced may not read the new file.
  const auto mode = static_cast<mode_t>(there.permissions()) & 07777;
  if (is_there && ::fchmod(sink.descriptor_.get(), mode) != 0)
    return system_error(errno, "create " + target);
  return sink;
}

FileSink::FileSink(FileSink&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, "")),
      descriptor_(std::move(other.descriptor_)),
      buffer_(std::move(other.buffer_)),
      error_(std::move(other.error_)) {}

FileSink::~FileSink() {
  if (!temporary_.empty()) (void)::unlink(temporary_.c_str());
}

void FileSink::put(std::span<const std::byte> bytes) {
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  if (buffer_.size() >= kFlushed) flush();
}

void FileSink::flush() {
  std::size_t done = 0;
  while (!error_ && done < buffer_.size()) {
    const ssize_t wrote = ::write(descriptor_.get(), buffer_.data() + done, buffer_.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) error_ = system_error(errno, "write " + path_);
    if (wrote > 0) done += static_cast<std::size_t>(wrote);
  }
  buffer_.clear();
}

Result<void> FileSink::finish() {
  flush();
  if (error_) return *error_;
  if (::fsync(descriptor_.get()) != 0) return system_error(errno, "sync " + path_);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0)
    return system_error(errno, "rename " + temporary_ + " to " + path_);
  temporary_.clear();
  const std::string parent = std::filesystem::path(path_).parent_path().string();
  const int fd = ::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY);
  if (fd < 0) return system_error(errno, "open " + parent);
  const Descriptor directory(fd);
  if (::fsync(fd) != 0) return system_error(errno, "sync " + parent);
  return {};
}

}  // namespace cairn::tools
