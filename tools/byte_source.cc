// SPDX-License-Identifier: Apache-2.0
#include "tools/byte_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
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
    default: break;
  }
  return Error(code, what + ": " + std::generic_category().message(number));
}

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

Result<OpenedFile> open_regular_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return system_error(errno, "open " + path);
  Descriptor descriptor(fd);
  struct stat status {};
  if (::fstat(fd, &status) != 0) return system_error(errno, "stat " + path);
  if (!S_ISREG(status.st_mode)) {
    return Error(ErrorCode::invalid_argument, "open " + path + ": not a regular file");
  }
  return OpenedFile{std::move(descriptor), static_cast<std::uint64_t>(status.st_size)};
}

Result<void> FileSource::read(std::uint64_t offset, std::span<std::byte> out) const {
  std::size_t done = 0;
  while (done < out.size()) {
    const std::size_t wanted = std::min(out.size() - done, std::size_t{1} << 30);
    const ssize_t got =
        ::pread(descriptor_.get(), out.data() + done, wanted, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(errno, "read at " + std::to_string(offset + done));
    if (got == 0) {
      return Error(ErrorCode::io_error, "the file became shorter while it was read, at " +
                                            std::to_string(offset + done));
    }
    done += static_cast<std::size_t>(got);
  }
  return {};
}

}  // namespace cairn::tools
