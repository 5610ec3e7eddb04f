// SPDX-License-Identifier: Apache-2.0
#include "tools/files/byte_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <system_error>
#include <utility>

namespace cairn::tools {

Error system_error(int number, const std::string& what) {
  ErrorCode code = ErrorCode::io_error;
  switch (number) {
    case ENOENT:
    case ENOTDIR: code = ErrorCode::path_not_found; break;
    case EACCES:
    case EPERM: code = ErrorCode::permission_denied; break;
    case ENOMEM: code = ErrorCode::out_of_memory; break;
    case ENOSPC:
    case EDQUOT: code = ErrorCode::no_space; break;
    case EISDIR:
    case ENXIO:
    case ELOOP:
    case ENAMETOOLONG: code = ErrorCode::invalid_argument; break;
    default: break;
  }
  const std::string reason = std::generic_category().message(number);
  return Error(code, what.empty() ? reason : what + ": " + reason);
}

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

namespace {

Result<OpenedFile> open_with(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | flags);
  if (fd < 0) return system_error(errno, "open " + path);
  Descriptor descriptor(fd);
  struct stat status {};
  if (::fstat(fd, &status) != 0) return system_error(errno, "stat " + path);
  return OpenedFile{std::move(descriptor), S_ISREG(status.st_mode),
                    static_cast<std::uint64_t>(status.st_size)};
}

}  // namespace

Result<OpenedFile> open_file(const std::string& path) { return open_with(path, 0); }

Result<OpenedFile> open_regular_file(const std::string& path) {
  // Without O_NONBLOCK, opening a FIFO would wait for somebody to write to it.
  auto opened = open_with(path, O_NONBLOCK);
  if (opened && !opened->regular) {
    return Error(ErrorCode::invalid_argument, "open " + path + ": not a regular file");
  }
  return opened;
}

Result<std::size_t> read_some(int descriptor, std::span<std::byte> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t got = ::read(descriptor, out.data() + done, out.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(errno);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

Result<std::string> read_stream(int descriptor, std::size_t max_bytes) {
  constexpr std::size_t kFirstBytes = std::size_t{1} << 16;
  std::string text;
  for (std::size_t filled = 0;;) {
    try {
      text.resize(std::max(kFirstBytes, 2 * filled));
    } catch (const std::bad_alloc&) {
      return Error(ErrorCode::out_of_memory,
                   "no memory for what follows byte " + std::to_string(filled));
    }
    const auto got = read_some(descriptor, std::as_writable_bytes(std::span(text)).subspan(filled));
    if (!got) return got.error();
    filled += *got;
    if (filled > max_bytes) {
      return Error(ErrorCode::invalid_argument, "more than " + std::to_string(max_bytes) +
                                                    " bytes from what is no regular file");
    }
    if (filled == text.size()) continue;
    text.resize(filled);
    return text;
  }
}

Result<void> FileSource::read(std::uint64_t offset, std::span<std::byte> out) const {
  std::size_t done = 0;
  while (done < out.size()) {
    const std::size_t wanted = std::min(out.size() - done, std::size_t{1} << 30);
    const ssize_t got =
        ::pread(descriptor_.get(), out.data() + done, wanted, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(errno, "at " + std::to_string(offset + done));
    if (got == 0) {
      return Error(ErrorCode::io_error, "the file became shorter while it was read, at " +
                                            std::to_string(offset + done));
    }
    done += static_cast<std::size_t>(got);
  }
  return {};
}

}  // namespace cairn::tools
