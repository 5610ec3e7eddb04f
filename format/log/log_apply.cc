// SPDX-License-Identifier: Apache-2.0
#include "format/log/log_apply.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "format/bytes/log_layout.h"
#include "format/bytes/superblock_layout.h"
#include "format/pages/section_memory.h"

namespace cairn::format {
namespace {

Error bad_record(const std::string& what) { return Error(ErrorCode::corrupt, what); }

}  // namespace

void insert_extent(std::vector<Extent>& extents, const Extent& run) {
  const auto at =
      std::upper_bound(extents.begin(), extents.end(), run, [](const Extent& a, const Extent& b) {
        return std::pair(a.section, a.logical_offset) < std::pair(b.section, b.logical_offset);
      });
  extents.insert(at, run);
}

Result<void> LogApplier::apply(std::uint64_t lsn, std::span<const Record> records) {
  const auto in_frame = [&](const Error& error) {
    return error.with_context("log frame " + std::to_string(lsn));
  };
  if (auto ok = add_runs(records); !ok) return in_frame(ok.error());
  for (const Record& record : records) {
    if (auto ok = check(record); !ok) return in_frame(ok.error());
  }
  for (const Record& record : records) do_record(record);
  return {};
}

Result<void> LogApplier::add_runs(std::span<const Record> records) {
  std::vector<Extent> extents = block_.extents;
  std::vector<Extent> added;
  for (const Record& record : records) {
    if (record.kind != RecordKind::run) continue;
    if (record.data.size() != Extent::kEncodedSize) return bad_record("a run of another size");
    const Extent run = Extent::decode(record.data.first<Extent::kEncodedSize>());
    if (run.root != 0 || run.section == 0 || run.section > kSectionCount ||
        record.section != run.section || record.offset != 0 || extents.size() == kMaxExtents) {
      return bad_record("a run that cannot be");
    }
    insert_extent(extents, run);
    added.push_back(run);
  }
  if (added.empty()) return {};
  // The file may have grown since it was opened.
  const auto file_bytes = file_.size();
  if (!file_bytes) return file_bytes.error();
  auto table = ExtentTable::check(extents, *file_bytes, header_.section_count);
  if (!table) return table.error();
  for (const Extent& run : added) {
    if (run.section == kChecksumId) continue;
    auto grown = append_run(file_, run, residency_, sections_[run.section - 1u]);
    if (!grown) return grown;
    changed_(static_cast<SectionId>(run.section), run.logical_offset, 0);
  }
  block_.extents = std::move(extents);
  table_ = std::move(*table);
  return {};
}

Result<void> LogApplier::check(const Record& record) const {
  switch (record.kind) {
    case RecordKind::bytes:
      if (record.section == 0 || record.section > kDataSectionCount || record.data.empty() ||
          !fits(record.offset, record.data.size(),
                table_.section_bytes(static_cast<SectionId>(record.section)))) {
        return bad_record(std::to_string(record.data.size()) + " bytes at " +
                          std::to_string(record.offset) + " are not in section " +
                          std::to_string(record.section));
      }
      return {};
    case RecordKind::counters:
      if (record.data.size() != Counters::kEncodedSize) {
        return bad_record("counters of another size");
      }
      if (record.section != 0 || record.offset != 0) return bad_record("counters of a section");
      return check_counters(header_.parameters,
                            Counters::decode(record.data.first<Counters::kEncodedSize>()), table_);
    case RecordKind::run: return {};
    case RecordKind::jump: return bad_record("a jump among other records");
  }
  return bad_record("a record of unknown kind");
}

void LogApplier::do_record(const Record& record) {
  if (record.kind == RecordKind::bytes) {
    const auto section = static_cast<SectionId>(record.section);
    std::memcpy(sections_[record.section - 1u].data() + record.offset, record.data.data(),
                record.data.size());
    changed_(section, record.offset, record.data.size());
  } else if (record.kind == RecordKind::counters) {
    block_.counters = Counters::decode(record.data.first<Counters::kEncodedSize>());
  }
}

}  // namespace cairn::format
