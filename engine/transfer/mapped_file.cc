// SPDX-License-Identifier: Apache-2.0
#include "engine/transfer/mapped_file.h"

#include <utility>

#include "format/bytes/coding.h"
#include "format/bytes/limits.h"
#include "format/io/file.h"

namespace cairn {

Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  auto file = format::default_file_system().open(path, format::Access::read_only);
  if (!file) return file.error();
  const auto size = file->size();
  if (!size) return size.error();
  MappedFile mapped;
  mapped.name_ = path.string();
  if (*size == 0) return mapped;
  if (*size > format::kMaxFileSize) {
    return Error(ErrorCode::unsupported, mapped.name_ + ": the file is too large to be mapped");
  }
  const std::size_t length = format::round_up(*size, format::kPageSize);
  auto region = format::Region::reserve(length, format::round_up(length, format::kHugePage));
  if (!region) return region.error();
  // What is behind the end on the last page reads as zero.
  if (auto ok = region->append_file(*file, 0, length, false); !ok) return ok.error();
  mapped.region_ = std::move(*region);
  mapped.size_ = *size;
  return mapped;
}

}  // namespace cairn
