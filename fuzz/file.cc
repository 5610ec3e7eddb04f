// SPDX-License-Identifier: Apache-2.0
//
// A whole file: changed somewhere, its checksums put right so that the change gets past them, then
// opened, verified, searched and read. Whatever the file says, the answer is an error or a result;
// and where the checksums were not put right, the damage is reported.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <cairn/cairn.h>

#include "fuzz/file_patch.h"
#include "fuzz/input.h"
#include "fuzz/memory_file.h"
#include "fuzz/temporary.h"

namespace cairn::fuzz {
namespace {

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
