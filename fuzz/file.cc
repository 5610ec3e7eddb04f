// SPDX-License-Identifier: Apache-2.0
//
// A whole file: changed somewhere, its checksums put right so that the change gets past them, then
// opened, verified, searched and read. Whatever the file says, the answer is an error or a result;
// and where the checksums were not put right, the damage is reported.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <cairn/cairn.h>

#include "fuzz/file_patch.h"
#include "fuzz/input.h"
#include "fuzz/temporary.h"

extern "C" __attribute__((weak)) std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size,
                                                              std::size_t max_size);

namespace cairn::fuzz {
namespace {

// A file in memory that has a path. Only pages that differ from the last content are written.
class MemoryFile {
 public:
  MemoryFile() : descriptor_(memfd_create("cairn-fuzz", MFD_CLOEXEC)) {
    require(descriptor_ >= 0, "a file in memory can be made");
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { close(descriptor_); }

  std::filesystem::path path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

  void set(const std::vector<std::byte>& content) {
    if (content.size() != content_.size()) {
      require(ftruncate(descriptor_, static_cast<off_t>(content.size())) == 0, "ftruncate");
      content_.resize(content.size());
    }
    for (std::size_t at = 0; at < content.size(); at += format::kPageSize) {
      const std::size_t size = std::min(format::kPageSize, content.size() - at);
      if (std::memcmp(&content[at], &content_[at], size) == 0) continue;
      const ssize_t written = pwrite(descriptor_, &content[at], size, static_cast<off_t>(at));
      require(written == static_cast<ssize_t>(size), "pwrite");
      std::memcpy(&content_[at], &content[at], size);
    }
  }

 private:
  int descriptor_;
  std::vector<std::byte> content_;
};

bool same(const Script& script, std::uint64_t at, std::size_t size) {
  return format::fits(at, size, script.image.size()) &&
         std::memcmp(&script.image[at], &script.seed->bytes[at], size) == 0;
}

// A file that is not the one its identity was made of and is longer than it should be may be a copy
// that was taken while it was written: each page is checked.
bool looks_like_a_copy(const Script& script) {
  return script.image.size() > script.seed->superblock.file_size;
}

// Whether header and superblocks are those of the seed file, which has all its bytes.
bool metadata_intact(const Script& script) {
  return script.image.size() >= script.seed->bytes.size() &&
         same(script, format::kHeaderOffset, format::header_at::kSize) &&
         same(script, format::kSuperblockOffsets[0], format::superblock_at::kSize) &&
         same(script, format::kSuperblockOffsets[1], format::superblock_at::kSize);
}

bool pages_intact(const Script& script) {
  const auto& runs = script.seed->superblock.extents;
  return std::all_of(runs.begin(), runs.end(), [&](const format::Extent& run) {
    return same(script, run.file_offset, run.length);
  });
}

void expect_a_refusal(const Error& error) {
  static const std::set<ErrorCode> refusals = {
      ErrorCode::not_a_cairn_file, ErrorCode::version_unsupported,
      ErrorCode::truncated,        ErrorCode::feature_unsupported,
      ErrorCode::unsupported,      ErrorCode::corrupt,
      ErrorCode::data_loss};
  require(refusals.contains(error.code()), "a bad file is refused as what it is:", error.message());
}

void search(const Index& index, std::minstd_rand& random) {
  const std::size_t dims = index.params().dimensions;
  std::vector<float> query(dims);
  for (int round = 0; round < 4; ++round) {
    for (float& value : query) {
      value = round == 3 ? 0.0f : static_cast<float>(random() % 2001) / 1000.0f - 1.0f;
    }
    SearchParams params;
    params.k = round == 2 ? 1000 : 1 + random() % 10;
    params.ef = round == 1 ? 1000 : 1 + random() % 50;
    std::vector<Match> matches(params.k);
    const auto count = index.search(query, params, matches);
    require(count.has_value(), "search", count ? "" : count.error().message());
    require(*count <= params.k, "no more than k");
    for (std::size_t i = 0; i < *count; ++i) {
      require(!std::isnan(matches[i].distance), "distances are numbers");
      require(i == 0 || matches[i - 1].distance <= matches[i].distance, "nearest first");
    }
  }
}

void read(const Index& index, std::minstd_rand& random) {
  std::vector<float> row(index.params().dimensions);
  for (int round = 0; round < 20; ++round) {
    const Key key = round < 15 ? random() % 310 : random();
    const auto got = index.get(key, row);
    require(got.has_value() == index.contains(key), "get agrees with contains");
  }
  (void)index.size();
  (void)index.stats();
  require(index.warm().has_value(), "warm");
  require(index.release().has_value(), "release");
}

void use(const Index& index, const Script& script) {
  std::minstd_rand random(script.queries + 1u);
  search(index, random);
  read(index, random);
  BuildOptions options;
  options.threads = 1;
  const auto report = index.verify(options);
  require(report.has_value(), "verify", report ? "" : report.error().message());
  if (metadata_intact(script)) {
    const bool whole = pages_intact(script);
    require(report->ok() == whole, "verify finds damage, and nothing where there is none:",
            whole && !report->ok() ? report->findings.front() : "");
  }
  if ((script.options & kSaveAgain) != 0) {
    const auto saved = index.save(temporary_folder() / "again.cairn");
    if (!saved) expect_a_refusal(saved.error());
  }
}

void run(const Script& script) {
  static MemoryFile file;
  file.set(script.image);
  OpenOptions options;
  options.residency = (script.options & kLoad) != 0 ? Residency::load : Residency::map;
  options.verify = (script.options & kFull) != 0 ? Verify::full : Verify::metadata;
  const auto index = Index::open(file.path(), options);
  const bool every_page = (script.options & (kLoad | kFull)) != 0 || looks_like_a_copy(script);
  if (metadata_intact(script)) {
    const bool whole = pages_intact(script);
    require(index.has_value() || (every_page && !whole),
            "an undamaged file is opened:", index ? "" : index.error().message());
    require(!index || !every_page || whole, "damaged pages are refused when all are checked");
  }
  if (!index) return expect_a_refusal(index.error());
  use(*index, script);
}

constexpr std::array<std::uint64_t, 24> kNumbers = {
    0,      1,      2,      3,          7,          8,          15,         16,
    63,     64,     99,     255,        300,        512,        4095,       4096,
    0xFFFF, 0x7FFF, 262144, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF, ~std::uint64_t{0}};

// Whole changes are added, removed and altered in one of their parts.
std::size_t mutate(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned seed) {
  std::minstd_rand random(seed);
  if (size < kScriptHeader) {
    if (max_size < kScriptHeader) return size;
    std::memset(data + size, 0, kScriptHeader - size);
    size = kScriptHeader;
  }
  const std::size_t changes = (size - kScriptHeader) / kChangeSize;
  size = kScriptHeader + changes * kChangeSize;
  const auto change = [&](std::size_t i) { return data + kScriptHeader + i * kChangeSize; };
  const unsigned what = random() % 16;
  if (what < 5 && size + kChangeSize <= max_size) {
    std::uint8_t* added = change(changes);
    std::memset(added, 0, kChangeSize);
    added[0] = static_cast<std::uint8_t>(random() % static_cast<unsigned>(Place::count));
    added[1] = static_cast<std::uint8_t>(random() % 16);
    const std::uint32_t a = static_cast<std::uint32_t>(random() % 64);
    const std::uint32_t b = static_cast<std::uint32_t>(random() % 400);
    const std::uint64_t value = kNumbers[random() % kNumbers.size()];
    std::memcpy(added + 2, &a, 2);
    std::memcpy(added + 4, &b, 4);
    std::memcpy(added + 8, &value, 8);
    return size + kChangeSize;
  }
  if (what < 7 && changes > 1) {
    std::memmove(change(random() % (changes - 1)), change(changes - 1), kChangeSize);
    return size - kChangeSize;
  }
  if (what < 10 && changes > 0) {
    const std::uint64_t value = kNumbers[random() % kNumbers.size()];
    std::memcpy(change(random() % changes) + 8, &value, 8);
    return size;
  }
  if (what < 12) {
    data[random() % 2] = static_cast<std::uint8_t>(random());
    return size;
  }
  if (LLVMFuzzerMutate == nullptr) return size;
  if (what < 15 && changes > 0) {
    LLVMFuzzerMutate(change(random() % changes), kChangeSize, kChangeSize);
    return size;
  }
  return LLVMFuzzerMutate(data, size, max_size);
}

}  // namespace
}  // namespace cairn::fuzz

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  return cairn::fuzz::mutate(data, size, max_size, seed);
}

extern "C" int LLVMFuzzerInitialize(int* /*argc*/, char*** /*argv*/) {
  cairn::fuzz::seed_files();
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size <= 4096) cairn::fuzz::run(cairn::fuzz::run_script(data, size));
  return 0;
}
