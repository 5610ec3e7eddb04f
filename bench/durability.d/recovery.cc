// SPDX-License-Identifier: Apache-2.0
//
// The log that is recovered is written through format/: Index makes a checkpoint whenever 128 MiB
// have been logged, so that longer logs are met only where it could not keep up.
#include <sys/wait.h>
#include <unistd.h>

#include "compare.d/process.h"
#include "durability.d/common.h"
#include "format/container/writable_container.h"

namespace bench {
namespace {

using cairn::format::Change;
using cairn::format::SectionId;
using cairn::format::WritableContainer;

// Logs what is in HOT already, as an insert does: a record, and three words of each of sixty others
// a commit, until that is `bytes`.
void write_log(const std::string& path, std::uint64_t bytes) {
  cairn::format::WriteOptions options;
  options.durability = cairn::Durability::none;
  auto file =
      checked(WritableContainer::open(cairn::format::default_file_system(), path, options), "open");
  const std::uint64_t stride = file.parameters().hot_stride;
  const std::uint64_t records = file.section(SectionId::hot).size() / stride;
  std::mt19937_64 random(20260103);
  while (file.stats().log_bytes < bytes) {
    std::vector<std::uint64_t> picked(61);
    for (std::uint64_t& record : picked) record = random() % records;
    std::sort(picked.begin(), picked.end());
    picked.erase(std::unique(picked.begin(), picked.end()), picked.end());
    std::vector<Change> changes = {{SectionId::hot, picked.front() * stride, stride}};
    for (std::size_t i = 1; i < picked.size(); ++i) {
      const std::uint64_t links = (picked[i] + 1) * stride - 128;
      for (const std::uint64_t word : {0, 13, 20}) {
        changes.push_back({SectionId::hot, links + 4 * word, 4});
      }
    }
    checked(file.reserve(changes.size(), changes.size() * 4 + stride), "reserve");
    const std::uint64_t lsn = checked(file.commit(changes, file.counters()), "commit");
    checked(file.acknowledge(lsn), "acknowledge");
  }
  checked(file.sync(), "sync");
  ::_exit(0);  // as a process that is killed: the file is not closed
}

void leave_log(const std::string& path, std::uint64_t bytes) {
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("cannot fork");
  if (child == 0) {
    try {
      write_log(path, bytes);
    } catch (const std::exception& e) {
      std::fprintf(stderr, "durability: %s\n", e.what());
    }
    ::_exit(1);
  }
  int status = 0;
  if (::waitpid(child, &status, 0) != child || status != 0) {
    throw std::runtime_error("the writer of the log failed");
  }
}

}  // namespace

Json recovery_command(const Json& config) {
  const auto log_bytes = config.at("log_mib").get<std::uint64_t>() << 20U;
  cairn::OpenOptions options;
  options.mode = config.at("mode").get<std::string>() == "read_write" ? cairn::Mode::read_write
                                                                      : cairn::Mode::read_only;
  std::vector<double> millis;
  std::uint64_t frames = 0;
  std::uint64_t file_bytes = 0;
  for (std::size_t i = 0; i < config.at("runs").get<std::size_t>(); ++i) {
    const std::string path = working_copy(config);
    if (log_bytes > 0) leave_log(path, log_bytes);
    file_bytes = std::filesystem::file_size(path);
    const auto start = Clock::now();
    const auto index = checked(cairn::Index::open(path, options), "open");
    millis.push_back(seconds_since(start) * 1e3);
    frames = index.stats().recovered_frames;
  }
  return {{"open_ms", quantile(millis, 0.5)},
          {"worst_ms", *std::max_element(millis.begin(), millis.end())},
          {"frames", frames},
          {"file_bytes", file_bytes}};
}

}  // namespace bench
