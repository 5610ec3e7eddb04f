// SPDX-License-Identifier: Apache-2.0
#include "compare.d/process.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <vector>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25  // Linux 6.1
#endif

namespace bench {
namespace {

// Sums "Name:   123 kB" lines of a /proc file, in bytes; 0 if there is none.
std::uint64_t proc_value(const char* path, const std::string& name, std::uint64_t unit) {
  std::ifstream in(path);
  std::uint64_t sum = 0;
  for (std::string line; std::getline(in, line);) {
    if (line.rfind(name + ":", 0) == 0) sum += std::stoull(line.substr(name.size() + 1)) * unit;
  }
  return sum;
}

double seconds(const timeval& t) {
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
}

class Descriptor {
 public:
  explicit Descriptor(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (fd_ < 0) throw std::runtime_error("cannot open " + path);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { ::close(fd_); }
  int get() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

nlohmann::json memory_usage() {
  const char* status = "/proc/self/status";
  const char* rollup = "/proc/self/smaps_rollup";
  return {{"rss_file", proc_value(status, "RssFile", 1024)},
          {"rss_anon", proc_value(status, "RssAnon", 1024)},
          {"rss_shmem", proc_value(status, "RssShmem", 1024)},
          {"anon_huge", proc_value(rollup, "AnonHugePages", 1024)},
          {"file_huge", proc_value(rollup, "FilePmdMapped", 1024)}};
}

nlohmann::json io_counters() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return {{"minor_faults", usage.ru_minflt},
          {"major_faults", usage.ru_majflt},
          {"asked_bytes", proc_value("/proc/self/io", "rchar", 1)},
          {"disk_bytes", proc_value("/proc/self/io", "read_bytes", 1)},
          {"given_bytes", proc_value("/proc/self/io", "wchar", 1)},
          {"written_bytes", proc_value("/proc/self/io", "write_bytes", 1)}};
}

nlohmann::json difference(const nlohmann::json& after, const nlohmann::json& before) {
  nlohmann::json out;
  for (const auto& [name, value] : after.items()) {
    out[name] = value.get<std::int64_t>() - before.at(name).get<std::int64_t>();
  }
  return out;
}

void use_huge_pages() {
  constexpr std::uintptr_t kHuge = 2U << 20U;
  std::vector<std::pair<std::uintptr_t, std::uintptr_t>> regions;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    std::uintptr_t begin = 0, end = 0;
    char access[5] = {}, rest[16] = {};
    std::uint64_t inode = 0;
    // begin-end access offset device inode [name]
    std::sscanf(line.c_str(), "%lx-%lx %4s %*x %*s %lu %15s", &begin, &end, access, &inode, rest);
    const bool anonymous = inode == 0 && (rest[0] == 0 || std::string(rest) == "[heap]");
    if (!anonymous || access[1] != 'w' || access[3] != 'p') continue;
    begin = (begin + kHuge - 1) / kHuge * kHuge;
    end = end / kHuge * kHuge;
    if (begin < end) regions.emplace_back(begin, end);
  }
  for (const auto& [begin, end] : regions) {
    madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
    // Piece by piece: one piece that cannot be collapsed (nothing in it yet) would end the whole
    // call.
    for (std::uintptr_t at = begin; at < end; at += kHuge)
      madvise(reinterpret_cast<void*>(at), kHuge, MADV_COLLAPSE);
  }
}

void evict_file(const std::string& path) {
  const Descriptor file(path);
  fsync(file.get());
  posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);
}

double cached_fraction(const std::string& path) {
  const Descriptor file(path);
  struct stat info {};
  if (fstat(file.get(), &info) != 0 || info.st_size == 0) return 0;
  const auto size = static_cast<std::size_t>(info.st_size);
  const std::size_t pages = (size + 4095) / 4096;
  void* at = mmap(nullptr, size, PROT_READ, MAP_SHARED, file.get(), 0);
  if (at == MAP_FAILED) return 1;
  std::vector<unsigned char> resident(pages);
  std::size_t count = pages;
  if (mincore(at, size, resident.data()) == 0) {
    count = 0;
    for (unsigned char r : resident) count += r & 1U;
  }
  munmap(at, size);
  return static_cast<double>(count) / static_cast<double>(pages);
}

}  // namespace bench
