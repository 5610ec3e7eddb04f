// SPDX-License-Identifier: Apache-2.0
//
// What the kernel tells of this process: time, memory, faults, bytes read; and the page cache of
// one file.
#pragma once

#include <chrono>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>

namespace bench {

using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double cpu_seconds();  // user and system time of all threads

// "rss_file", "rss_anon", "rss_shmem", "anon_huge", "file_huge": bytes.
nlohmann::json memory_usage();

// Counters since the process began: "minor_faults", "major_faults", "asked_bytes" (by read and
// pread), "disk_bytes" (fetched from the device, read-ahead included), "given_bytes" (to write and
// pwrite), "written_bytes" (pages that this made dirty, for the device).
nlohmann::json io_counters();
nlohmann::json difference(const nlohmann::json& after, const nlohmann::json& before);

// Asks for 2 MiB pages for every private anonymous region of at least that size, at once and for
// those to come.
void use_huge_pages();

// Writes the file back and drops it from the page cache, as far as nobody maps it.
void evict_file(const std::string& path);
double cached_fraction(const std::string& path);

}  // namespace bench
