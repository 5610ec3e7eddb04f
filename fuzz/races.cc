// SPDX-License-Identifier: Apache-2.0
//
// A whole file, changed as for the target `file`, while another thread changes the mapped bytes of
// its sections: search, get, verify, and changes and compact. Each call gives an error or a result.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include <cairn/cairn.h>

#include "format/io/file.h"
#include "fuzz/file_patch.h"
#include "fuzz/input.h"
#include "fuzz/temporary.h"

namespace cairn::fuzz {
namespace {

constexpr std::uint8_t kWrite = kSaveAgain;

// Bytes of the file, shared with whoever maps it.
class SharedBytes {
 public:
  explicit SharedBytes(const std::filesystem::path& path, std::size_t size) : size_(size) {
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    require(descriptor >= 0, "the file can be opened");
    void* mapped = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    require(mapped != MAP_FAILED, "the file can be mapped");
    ::close(descriptor);
    bytes_ = static_cast<std::uint8_t*>(mapped);
  }
  SharedBytes(const SharedBytes&) = delete;
  SharedBytes& operator=(const SharedBytes&) = delete;
  ~SharedBytes() { ::munmap(bytes_, size_); }

  std::uint32_t* word(std::uint64_t at) {
    return reinterpret_cast<std::uint32_t*>(bytes_ + at / 4 * 4);
  }

 private:
  std::uint8_t* bytes_ = nullptr;
  std::size_t size_;
};

// Changes words of the sections back and forth until it is destroyed: what a writer of the same
// file does, or one that has lost its mind.
class Racer {
 public:
  Racer(const Script& script, const std::filesystem::path& path)
      : bytes_(path, script.image.size()), runs_(script.seed->superblock.extents) {
    std::erase_if(runs_, [&](const format::Extent& run) {
      return !format::fits(run.file_offset, run.length, script.image.size());
    });
    if (!runs_.empty()) thread_ = std::thread([this, seed = script.queries] { change(seed); });
  }
  Racer(const Racer&) = delete;
  Racer& operator=(const Racer&) = delete;
  ~Racer() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }

  // Until resume() the file is as it was. Once.
  void pause() {
    is_paused_ = true;
    while (thread_.joinable() && !is_idle_) std::this_thread::yield();
  }
  void resume() { is_paused_ = false; }

 private:
  void change(unsigned seed) {
    std::minstd_rand random(seed + 1u);
    constexpr std::uint32_t kNumbers[] = {0,      1,          7,          64,        299,
                                          0xFFFF, 0x7FFFFFFF, 0xFFFFFFF0, 0xFFFFFFFF};
    std::vector<std::pair<std::uint32_t*, std::uint32_t>> left;  // what has not been put back
    while (!stop_) {
      if (is_paused_) {
        for (; !left.empty(); left.pop_back()) {
          std::atomic_ref<std::uint32_t>(*left.back().first).store(left.back().second);
        }
        is_idle_ = true;
        std::this_thread::yield();
        continue;
      }
      const format::Extent& run = runs_[random() % runs_.size()];
      // Sections are used at their beginning.
      std::uint32_t* const word =
          bytes_.word(run.file_offset + random() % std::min<std::uint64_t>(run.length, 65536));
      const std::atomic_ref<std::uint32_t> shared(*word);
      const std::uint32_t before = shared.load();
      shared.store(random() % 2 == 0 ? kNumbers[random() % std::size(kNumbers)]
                                     : before ^ 1u << random() % 32);
      std::this_thread::yield();
      if (random() % 4 != 0) {
        shared.store(before);
      } else {
        left.emplace_back(word, before);
      }
    }
  }

  SharedBytes bytes_;
  std::vector<format::Extent> runs_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> is_paused_{false};
  std::atomic<bool> is_idle_{false};
  std::thread thread_;
};

void read(const Index& index, std::minstd_rand& random) {
  std::vector<float> row(index.params().dimensions);
  std::vector<Match> matches(20);
  for (int round = 0; round < 20; ++round) {
    for (float& value : row) value = static_cast<float>(random() % 2001) / 1000.0f - 0.9995f;
    (void)index.search(row, {.k = 20, .ef = 50}, matches);
    (void)index.get(random() % 310, row);
  }
  (void)index.verify({.threads = 1});
}

void write(Index& index, std::minstd_rand& random, Racer& racer) {
  std::vector<float> row(index.params().dimensions);
  for (int round = 0; round < 20; ++round) {
    for (float& value : row) value = static_cast<float>(random() % 2001) / 1000.0f - 0.9995f;
    (void)index.upsert(random() % 310, row);
    (void)index.remove(random() % 310);
  }
  // The pages are checked before they are copied: what a damaged file would end there changes
  // behind that.
  racer.pause();
  BuildOptions options;
  options.threads = 1;
  options.progress = [&](std::size_t, std::size_t) { racer.resume(); };
  (void)index.compact(options);
  racer.resume();
}

void run(const Script& script) {
  const std::filesystem::path path = temporary_folder() / "races.cairn";
  {
    std::ofstream stream(path, std::ios::binary | std::ios::trunc);
    stream.write(reinterpret_cast<const char*>(script.image.data()),
                 static_cast<std::streamsize>(script.image.size()));
    require(stream.good(), "the file can be written");
  }
  if (script.image.empty()) return;
  OpenOptions options;
  options.mode = (script.options & kWrite) != 0 ? Mode::read_write : Mode::read_only;
  options.durability = Durability::none;
  auto index = Index::open(path, options);
  if (!index) return;
  Racer racer(script, path);
  std::minstd_rand random(script.queries + 1u);
  if ((script.options & kWrite) != 0) write(*index, random, racer);
  read(*index, random);
}

}  // namespace
}  // namespace cairn::fuzz

extern "C" int LLVMFuzzerInitialize(int* /*argc*/, char*** /*argv*/) {
  cairn::fuzz::seed_files();
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size <= 4096) cairn::fuzz::run(cairn::fuzz::run_script(data, size));
  return 0;
}
