// SPDX-License-Identifier: Apache-2.0
#include "tests/support/failing_disk.h"

namespace cairn::test {

format::WriteOptions FailingDisk::small_files() {
  format::WriteOptions sizes;
  sizes.segment_bytes = std::uint64_t{16} << 10;
  sizes.first_run_bytes = format::kPageSize;
  sizes.section_addresses = std::uint64_t{64} << 20;
  return sizes;
}

void FailingDisk::fail(const Fault& fault) { faulty_.fail(fault); }

void FailingDisk::crash(std::uint64_t seed) {
  heal();
  synced_ = crash_image(synced_, recording_.operations(), seed);
  recording_.forget();
  memory_.clear();
  for (const auto& [path, bytes] : synced_) memory_.restore(path, bytes);
}

void FailingDisk::remove(const std::filesystem::path& path) { (void)recording_.unlink(path); }

}  // namespace cairn::test
