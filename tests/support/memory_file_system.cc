// SPDX-License-Identifier: Apache-2.0
#include "tests/support/memory_file_system.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <utility>

#include "format/bytes/coding.h"
#include "format/bytes/superblock_layout.h"
#include "format/container/container_state.h"
#include "format/io/address_space.h"

namespace cairn::test {

using format::Access;
using format::FileInfo;
using format::IoOutcome;
using format::RawFile;
using format::RawOpenOutcome;

// The bytes are those of a descriptor, which can be mapped, and are mapped here for as long as the
// inode lives: reading and writing them costs no system call.
struct MemoryFileSystem::Inode {
  static constexpr std::size_t kLargest = std::size_t{512} << 20;  // then the disk is full

  explicit Inode(const std::filesystem::path& path)
      : number(std::filesystem::hash_value(path)),
        descriptor(::memfd_create("cairn-test", MFD_CLOEXEC)) {
    if (descriptor < 0) std::abort();
    void* const mapped =
        ::mmap(nullptr, kLargest, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (mapped == MAP_FAILED) std::abort();
    bytes = static_cast<std::byte*>(mapped);
  }
  Inode(const Inode&) = delete;
  Inode& operator=(const Inode&) = delete;
  ~Inode() {
    ::munmap(bytes, kLargest);
    ::close(descriptor);
  }

  FileInfo info() const {
    FileInfo info;
    info.kind = FileInfo::Kind::regular;
    info.size_bytes = size;
    info.inode = number;
    info.mode = 0644;
    return info;
  }
  IoOutcome resize(std::uint64_t wanted) {
    const std::lock_guard lock(resizing);
    return resize_locked(wanted);
  }
  // To hold [offset, offset + length).
  IoOutcome grow(std::uint64_t offset, std::uint64_t length) {
    if (offset > kLargest || length > kLargest - offset) return {0, ENOSPC};
    const std::lock_guard lock(resizing);
    return offset + length <= size ? IoOutcome{} : resize_locked(offset + length);
  }

  std::uint64_t number;  // the same for all files that were made at that path: see set()
  int descriptor;
  std::byte* bytes;
  std::atomic<std::size_t> size{0};
  const void* owner = nullptr;  // who has locked it

 private:
  IoOutcome resize_locked(std::uint64_t wanted) {
    if (wanted > kLargest) return {0, ENOSPC};
    if (::ftruncate(descriptor, static_cast<off_t>(wanted)) != 0) return {0, errno};
    size = wanted;
    return {};
  }

  std::mutex resizing;
};

namespace {

class MemoryFile final : public RawFile {
 public:
  explicit MemoryFile(std::shared_ptr<MemoryFileSystem::Inode> inode) : inode_(std::move(inode)) {}
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() override {
    if (inode_->owner == this) inode_->owner = nullptr;
  }

  const std::shared_ptr<MemoryFileSystem::Inode>& inode() const { return inode_; }

  IoOutcome pread(void* out, std::size_t size, std::uint64_t offset) const override {
    const std::size_t end = inode_->size;
    if (offset >= end) return {};
    const std::size_t got = std::min<std::size_t>(size, end - offset);
    std::memcpy(out, inode_->bytes + offset, got);
    return {static_cast<long long>(got)};
  }
  IoOutcome pwrite(const void* data, std::size_t size, std::uint64_t offset) override {
    if (const IoOutcome grown = inode_->grow(offset, size); grown.error != 0) return grown;
    std::memcpy(inode_->bytes + offset, data, size);
    return {static_cast<long long>(size)};
  }
  IoOutcome pwrite_dsync(const void* data, std::size_t size, std::uint64_t offset) override {
    return pwrite(data, size, offset);
  }
  IoOutcome datasync() override { return {}; }
  IoOutcome sync() override { return {}; }
  IoOutcome allocate(std::uint64_t offset, std::uint64_t size) override {
    // Without blocks: tests of full disks have a file system of their own.
    return inode_->grow(offset, size);
  }
  IoOutcome truncate(std::uint64_t size) override { return inode_->resize(size); }
  IoOutcome stat(FileInfo& out) const override {
    out = inode_->info();
    return {};
  }
  IoOutcome set_mode(std::uint32_t) override { return {}; }
  IoOutcome advise(format::Advice, std::uint64_t, std::uint64_t) const override { return {}; }
  IoOutcome map(void* address, std::uint64_t offset, std::size_t size,
                Access access) const override {
    return {0, format::map_over(fd(), address, offset, size, access)};
  }
  IoOutcome map_shared(void* address, std::uint64_t offset, std::size_t size,
                       format::Access access) const override {
    return {0, format::map_shared_over(fd(), address, offset, size, access)};
  }
  IoOutcome try_lock() override {
    if (inode_->owner != nullptr && inode_->owner != this) return {0, 0};
    inode_->owner = this;
    return {1, 0};
  }
  IoOutcome is_locked() const override {
    return {inode_->owner != nullptr && inode_->owner != this ? 1 : 0, 0};
  }

 private:
  int fd() const { return inode_->descriptor; }

  std::shared_ptr<MemoryFileSystem::Inode> inode_;
};

}  // namespace

MemoryFileSystem::MemoryFileSystem() = default;
MemoryFileSystem::~MemoryFileSystem() = default;

void MemoryFileSystem::set(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  // A file that nobody has open (who maps one keeps it open) becomes the new one: most of its pages
  // are there already, and few differ.
  std::shared_ptr<Inode>& inode = files_[path];
  if (inode == nullptr || inode.use_count() != 1) inode = std::make_shared<Inode>(path);
  inode->number = std::filesystem::hash_value(path);
  inode->owner = nullptr;
  if (inode->resize(bytes.size()).error != 0) std::abort();
  constexpr std::size_t kPiece = 4096;
  for (std::size_t at = 0; at < bytes.size(); at += kPiece) {
    const std::size_t size = std::min(kPiece, bytes.size() - at);
    if (std::memcmp(inode->bytes + at, bytes.data() + at, size) == 0) continue;
    std::memcpy(inode->bytes + at, bytes.data() + at, size);
  }
  made_.insert(inode->number);
}

void MemoryFileSystem::restore(const std::filesystem::path& path,
                               std::span<const std::byte> bytes) {
  set(path, bytes);
  for (const std::uint64_t offset : format::kSuperblockOffsets) {
    if (bytes.size() < offset + format::superblock_at::kSize) continue;
    const auto identity = format::load<format::superblock_at::kIdentity>(bytes.data() + offset);
    for (const std::uint64_t number : made_) {
      FileInfo info;
      info.inode = number;
      if (format::identity_of(info) == identity) files_[path]->number = number;
    }
  }
}

std::vector<std::byte> MemoryFileSystem::get(const std::filesystem::path& path) const {
  const Inode& inode = *files_.at(path);
  return {inode.bytes, inode.bytes + inode.size};
}

RawOpenOutcome MemoryFileSystem::open(const std::filesystem::path& path, Access) {
  const auto found = files_.find(path);
  if (found == files_.end()) return {nullptr, ENOENT};
  return {std::make_unique<MemoryFile>(found->second), 0};
}

RawOpenOutcome MemoryFileSystem::create_exclusive(const std::filesystem::path& path,
                                                  std::uint32_t) {
  if (exists(path)) return {nullptr, EEXIST};
  auto file = std::make_unique<MemoryFile>(std::make_shared<Inode>(path));
  made_.insert(file->inode()->number);
  files_[path] = file->inode();
  return {std::move(file), 0};
}

IoOutcome MemoryFileSystem::rename(const std::filesystem::path& from,
                                   const std::filesystem::path& to) {
  const auto found = files_.find(from);
  if (found == files_.end()) return {0, ENOENT};
  auto inode = found->second;
  files_.erase(found);
  files_[to] = std::move(inode);
  return {};
}

IoOutcome MemoryFileSystem::rename_new(const std::filesystem::path& from,
                                       const std::filesystem::path& to) {
  return exists(to) ? IoOutcome{0, EEXIST} : rename(from, to);
}

IoOutcome MemoryFileSystem::unlink(const std::filesystem::path& path) {
  return {0, files_.erase(path) == 0 ? ENOENT : 0};
}

IoOutcome MemoryFileSystem::stat(const std::filesystem::path& path, FileInfo& out) {
  const auto found = files_.find(path);
  if (found == files_.end()) return {0, ENOENT};
  out = found->second->info();
  return {};
}

IoOutcome MemoryFileSystem::resolve(const std::filesystem::path& path, std::filesystem::path& out) {
  out = path;
  return exists(path) ? IoOutcome{} : IoOutcome{0, ENOENT};
}

IoOutcome MemoryFileSystem::list(const std::filesystem::path& directory, std::string_view prefix,
                                 std::vector<std::string>& names) {
  for (const auto& [path, inode] : files_) {
    const std::string name = path.filename().string();
    if (path.parent_path() == directory && name.starts_with(prefix)) names.push_back(name);
  }
  return {};
}

}  // namespace cairn::test
