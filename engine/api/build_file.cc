// SPDX-License-Identifier: Apache-2.0
//
// An index that is built for its file alone. Where it is large beside the memory, its sections lie
// in files without a name beside the target: the system writes out what it has no room for.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <optional>
#include <utility>

#include <cairn/index.h>

#include "engine/api/arguments.h"
#include "engine/api/index_impl.h"
#include "engine/api/index_parts.h"
#include "engine/base/guarded.h"
#include "format/container/save_target.h"
#include "format/io/file.h"

namespace cairn {

using format::Region;

namespace {

// What this process may have of the memory: of the machine's, its container's, its limit.
std::uint64_t memory_to_be_had() {
  const auto pages = ::sysconf(_SC_PHYS_PAGES);
  const auto page = ::sysconf(_SC_PAGESIZE);
  std::uint64_t most = UINT64_MAX;
  if (pages > 0 && page > 0)
    most = static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page);
  std::uint64_t of_container = 0;  // not there, or "max": without a limit
  if (std::ifstream("/sys/fs/cgroup/memory.max") >> of_container)
    most = std::min(most, of_container);
  rlimit limit{};
  if (::getrlimit(RLIMIT_DATA, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
    most = std::min<std::uint64_t>(most, limit.rlim_cur);
  return most;
}

bool fits_into_memory(const IndexParams& params, std::uint64_t rows) {
  const auto layout = NodeStore::layout(params);
  const std::uint64_t a_row = std::uint64_t{layout.hot_stride} + layout.exact_stride;
  return rows * a_row <= memory_to_be_had() / 2;
}

// A region in a file of its own that has no name any more when it is given.
Result<Region> reserve_in_file(format::FileSystem& fs, const format::Target& target,
                               std::size_t bytes) {
  auto region = Region::reserve_growing(bytes);
  if (!region) return region;
  std::optional<format::Unfinished> made;
  auto file = format::create_temporary(fs, target, made);
  if (!file) return file.error();
  region->use_file(std::move(*file));
  return region;
}

Result<Index> create_for(const std::filesystem::path& path, const IndexParams& params,
                         std::uint64_t rows, Existing existing) {
  if (fits_into_memory(params, rows)) return Index::create(params);
  format::FileSystem& fs = format::default_file_system();
  const auto target = format::find_target(fs, path, existing);
  if (!target) return target.error();
  return IndexParts::create(params,
                            [&](std::size_t bytes) { return reserve_in_file(fs, *target, bytes); });
}

}  // namespace

Result<void> build_file(const std::filesystem::path& path, const IndexParams& params,
                        std::span<const Key> keys, MatrixView rows, const BuildOptions& options,
                        const SaveOptions& save) {
  return guarded("build_file", [&]() -> Result<void> {
    if (auto ok = check_params(params); !ok) return ok;
    if (auto ok = Index::check_save(path, save); !ok) return ok;
    auto index = create_for(path, params, rows.rows, save.existing);
    if (!index) return index.error();
    if (auto built = index->build(keys, rows, options); !built) return built;
    SaveOptions stoppable = save;
    if (stoppable.stop == nullptr) stoppable.stop = options.stop;
    return index->save(path, stoppable);
  });
}

}  // namespace cairn
