// SPDX-License-Identifier: Apache-2.0
#include "tests/support/crash_images.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <utility>

namespace cairn::test {
namespace {

using Kind = DiskOperation::Kind;
using Bytes = std::vector<std::byte>;

constexpr std::size_t kSector = 512;

// An operation whose effect is not durable yet, and the file that it is about.
struct Pending {
  const DiskOperation* operation;
  std::size_t inode;
  bool is_durable = false;       // but written over what is not
  std::uint64_t grown_from = 0;  // of an allocation: the file's size before it
};

struct Disk {
  std::map<std::filesystem::path, std::size_t> names;
  std::map<std::size_t, Bytes> contents;
};

bool names_something(Kind kind) {
  return kind == Kind::create || kind == Kind::rename || kind == Kind::unlink;
}

void put(Bytes& file, std::uint64_t offset, const std::byte* data, std::size_t size) {
  if (file.size() < offset + size) file.resize(offset + size);
  std::copy_n(data, size, file.begin() + static_cast<std::ptrdiff_t>(offset));
}

void apply(Disk& disk, const Pending& pending) {
  const DiskOperation& operation = *pending.operation;
  Bytes& file = disk.contents[pending.inode];
  switch (operation.kind) {
    case Kind::create: disk.names[operation.path] = pending.inode; break;
    case Kind::rename:
      disk.names.erase(operation.path);
      disk.names[operation.to] = pending.inode;
      break;
    case Kind::unlink: disk.names.erase(operation.path); break;
    case Kind::write:
    case Kind::write_dsync:
      put(file, operation.offset, operation.data.data(), operation.data.size());
      break;
    case Kind::allocate:
      file.resize(std::max<std::size_t>(file.size(), operation.offset + operation.size));
      break;
    case Kind::truncate: file.resize(operation.size); break;
    case Kind::open:
    case Kind::sync:
    case Kind::lost_write:
    case Kind::lost_sync:
    case Kind::sync_directory: break;
  }
}

class Enumerator {
 public:
  Enumerator(const DiskImage& before, const CrashOptions& options,
             const std::function<void(std::size_t, const DiskImage&)>& visit)
      : options_(options), visit_(visit), random_(options.seed) {
    for (const auto& [path, bytes] : before) {
      durable_.names[path] = next_inode_;
      volatile_sizes_[next_inode_] = bytes.size();
      durable_.contents[next_inode_++] = bytes;
    }
    volatile_names_ = durable_.names;
  }

  std::size_t run(const std::vector<DiskOperation>& operations) {
    if (options_.first == 0) crash_points(0);
    for (std::size_t n = 0; n < operations.size(); ++n) {
      if (n >= options_.first) crash_inside(operations[n], n);
      step(operations[n]);
      if (n + 1 >= options_.first) crash_points(n + 1);
    }
    return images_;
  }

  void run_to_the_end(const std::vector<DiskOperation>& operations) {
    for (const DiskOperation& operation : operations) step(operation);
    if (options_.random_subsets == 0) {
      emit(operations.size(), [](std::size_t) { return true; });
    } else {
      emit_torn(operations.size());
    }
  }

 private:
  void step(const DiskOperation& operation) {
    switch (operation.kind) {
      case Kind::open: inodes_[operation.file] = volatile_names_.at(operation.path); return;
      case Kind::create:
        inodes_[operation.file] = next_inode_;
        volatile_names_[operation.path] = next_inode_;
        pending_.push_back({&operation, next_inode_++});
        return;
      case Kind::rename: {
        const std::size_t inode = volatile_names_.at(operation.path);
        volatile_names_.erase(operation.path);
        volatile_names_[operation.to] = inode;
        pending_.push_back({&operation, inode});
        return;
      }
      case Kind::unlink:
        pending_.push_back({&operation, volatile_names_.at(operation.path)});
        volatile_names_.erase(operation.path);
        return;
      case Kind::sync:
        settle([&](const Pending& p) {
          return !names_something(p.operation->kind) && p.inode == inodes_.at(operation.file);
        });
        return;
      case Kind::sync_directory:
        settle([](const Pending& p) { return names_something(p.operation->kind); });
        return;
      case Kind::write_dsync: {
        const Pending written{&operation, inodes_.at(operation.file), true};
        apply(durable_, written);
        // What is older and not durable yet must not come back over it.
        if (std::any_of(pending_.begin(), pending_.end(),
                        [&](const Pending& p) { return p.inode == written.inode; })) {
          pending_.push_back(written);
        }
        grow(written);
        return;
      }
      case Kind::lost_write: {
        const Pending lost{&operation, inodes_.at(operation.file)};
        if (options_.lost_sectors) tear(durable_.contents[lost.inode], operation);
        grow(lost);
        return;
      }
      case Kind::lost_sync: lose(inodes_.at(operation.file)); return;
      case Kind::write:
      case Kind::allocate:
      case Kind::truncate: {
        Pending pending{&operation, inodes_.at(operation.file)};
        pending.grown_from = volatile_sizes_[pending.inode];
        pending_.push_back(pending);
        grow(pending);
        return;
      }
    }
  }

  void grow(const Pending& pending) {
    const DiskOperation& operation = *pending.operation;
    std::uint64_t& size = volatile_sizes_[pending.inode];
    if (operation.kind == Kind::truncate) {
      size = operation.size;
    } else {
      size = std::max(
          size, operation.offset + std::max<std::uint64_t>(operation.size, operation.data.size()));
    }
  }

  // Makes durable what `is_durable` says, in order.
  template <class Predicate>
  void settle(Predicate&& is_durable) {
    std::vector<Pending> rest;
    for (const Pending& pending : pending_) {
      if (is_durable(pending)) {
        apply(durable_, pending);
      } else {
        rest.push_back(pending);
      }
    }
    pending_ = std::move(rest);
  }

  // No page of the file is dirty any more: what it grew by is known all the same.
  void lose(std::size_t inode) {
    std::vector<Pending> rest;
    for (const Pending& pending : pending_) {
      const bool is_lost = pending.inode == inode && pending.operation->kind == Kind::write;
      if (!is_lost) {
        rest.push_back(pending);
      } else if (options_.lost_sectors) {
        tear(durable_.contents[inode], *pending.operation);
      }
    }
    pending_ = std::move(rest);
  }

  // In the middle of a write that is durable when it returns.
  void crash_inside(const DiskOperation& operation, std::size_t n) {
    if (operation.kind != Kind::write_dsync || options_.random_subsets == 0) return;
    pending_.push_back({&operation, inodes_.at(operation.file)});
    const std::size_t images = std::max<std::size_t>(options_.random_subsets / 16, 1);
    for (std::size_t i = 0; i < images; ++i) emit_torn(n);
    pending_.pop_back();
  }

  void crash_points(std::size_t n) {
    const auto count = static_cast<std::size_t>(std::count_if(
        pending_.begin(), pending_.end(), [](const Pending& p) { return !p.is_durable; }));
    for (std::size_t prefix = 0; prefix <= count; ++prefix) {
      emit(n, [&](std::size_t i) { return i < prefix; });
    }
    for (std::size_t one = 0; one < count; ++one) {
      emit(n, [&](std::size_t i) { return i != one; });
      emit(n, [&](std::size_t i) { return i == one; });
    }
    if (count == 0) return;
    for (std::size_t i = 0; i < options_.random_subsets; ++i) emit_torn(n);
  }

  template <class Chosen>
  void emit(std::size_t n, Chosen&& chosen) {
    Disk disk = durable_;
    std::size_t i = 0;
    for (const Pending& pending : pending_) {
      if (pending.is_durable || chosen(i++)) apply(disk, pending);
    }
    visit(n, std::move(disk));
  }

  void emit_torn(std::size_t n) {
    Disk disk = durable_;
    for (const Pending& pending : pending_) {
      const DiskOperation& operation = *pending.operation;
      if (pending.is_durable) {
        apply(disk, pending);
      } else if (operation.kind == Kind::write || operation.kind == Kind::write_dsync) {
        tear(disk.contents[pending.inode], operation);
      } else if (random_() % 2 == 0) {
        apply(disk, pending);
        // Durable writes behind a growth, which are repeated below, say nothing of what is in it.
        if (random_() % 2 == 0) {
          const std::uint64_t end = operation.offset + operation.size;
          const std::uint64_t from = std::min(end, std::max(operation.offset, pending.grown_from));
          garble(disk.contents[pending.inode], from, end - from);
        }
      }
    }
    visit(n, std::move(disk));
  }

  void tear(Bytes& file, const DiskOperation& write) {
    for (std::size_t at = 0; at < write.data.size(); at += kSector) {
      const std::size_t size = std::min(kSector, write.data.size() - at);
      const auto fate = random_() % 8;
      if (fate < 4) put(file, write.offset + at, write.data.data() + at, size);
      if (fate == 4) {
        const Bytes nothing(size);
        put(file, write.offset + at, nothing.data(), size);
        garble(file, write.offset + at, size);
      }
    }
  }

  void garble(Bytes& file, std::size_t at, std::size_t size) {
    for (std::size_t done = 0; done < size; done += sizeof(std::uint64_t)) {
      const std::uint64_t garbage = random_();
      std::memcpy(file.data() + at + done, &garbage, std::min(sizeof garbage, size - done));
    }
  }

  void visit(std::size_t n, Disk&& disk) {
    DiskImage image;
    for (const auto& [path, inode] : disk.names) image[path] = std::move(disk.contents[inode]);
    ++images_;
    visit_(n, image);
  }

  const CrashOptions& options_;
  const std::function<void(std::size_t, const DiskImage&)>& visit_;
  std::mt19937_64 random_;
  Disk durable_;
  std::map<std::filesystem::path, std::size_t> volatile_names_;
  std::vector<Pending> pending_;
  std::map<std::size_t, std::uint64_t> volatile_sizes_;
  std::map<std::size_t, std::size_t> inodes_;  // of numbered files
  std::size_t next_inode_ = 0;
  std::size_t images_ = 0;
};

}  // namespace

std::size_t for_each_crash_image(const DiskImage& before,
                                 const std::vector<DiskOperation>& operations,
                                 const CrashOptions& options,
                                 const std::function<void(std::size_t, const DiskImage&)>& visit) {
  return Enumerator(before, options, visit).run(operations);
}

DiskImage crash_image(const DiskImage& before, const std::vector<DiskOperation>& operations,
                      std::uint64_t seed) {
  DiskImage found;
  const std::function<void(std::size_t, const DiskImage&)> visit =
      [&](std::size_t, const DiskImage& image) { found = image; };
  Enumerator(before, {seed, seed == 0 ? 0u : 1u}, visit).run_to_the_end(operations);
  return found;
}

}  // namespace cairn::test
