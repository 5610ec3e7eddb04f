// SPDX-License-Identifier: Apache-2.0
#include "format/log/journal.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "format/bytes/checksum.h"
#include "format/bytes/limits.h"
#include "format/bytes/log_layout.h"
#include "format/bytes/superblock_layout.h"

namespace cairn::format {
namespace {

constexpr std::size_t kWritePages = 256;

Error bad(const Superblock& block, const std::string& what) {
  return Error(ErrorCode::corrupt,
               "journal at " + std::to_string(block.journal_offset) + ": " + what);
}

// Writes images [begin, end) one behind the other.
Result<void> write_images(File& file, std::span<const PageImage> images, std::uint64_t offset) {
  if (images.size() == 1) return file.pwrite({images[0].bytes, kPageSize}, offset);
  std::vector<std::byte> buffer;
  for (std::size_t done = 0; done < images.size(); done += kWritePages) {
    const auto piece = images.subspan(done, std::min(kWritePages, images.size() - done));
    buffer.resize(piece.size() * kPageSize);
    for (std::size_t i = 0; i < piece.size(); ++i) {
      std::memcpy(buffer.data() + i * kPageSize, piece[i].bytes, kPageSize);
    }
    if (auto ok = file.pwrite(buffer, offset + done * kPageSize); !ok) return ok;
  }
  return {};
}

class OverlayFile final : public RawFile {
 public:
  OverlayFile(std::unique_ptr<RawFile> base, Journal journal)
      : base_(std::move(base)), journal_(std::move(journal)) {}

  IoOutcome pread(void* out, std::size_t size, std::uint64_t offset) const override {
    const IoOutcome outcome = base_->pread(out, size, offset);
    if (outcome.error == 0 && outcome.value > 0) {
      lay_over(static_cast<std::byte*>(out), static_cast<std::size_t>(outcome.value), offset);
    }
    return outcome;
  }
  IoOutcome map(void* address, std::uint64_t offset, std::size_t size,
                Access access) const override {
    const IoOutcome outcome = base_->map(address, offset, size, access);
    if (outcome.error != 0 || access == Access::read_only) return outcome;
    lay_over(static_cast<std::byte*>(address), size, offset);
    return outcome;
  }
  IoOutcome stat(FileInfo& out) const override { return base_->stat(out); }
  IoOutcome advise(Advice advice, std::uint64_t offset, std::uint64_t size) const override {
    return base_->advise(advice, offset, size);
  }
  IoOutcome map_shared(void* address, std::uint64_t offset, std::size_t size,
                       Access access) const override {
    return base_->map_shared(address, offset, size, access);
  }
  IoOutcome next_data(std::uint64_t offset) const override {
    const IoOutcome behind = base_->next_data(offset);
    const auto image = first_image(offset);
    if (image == journal_.images().end() || (behind.error != 0 && behind.error != ENXIO)) {
      return behind;
    }
    const auto at = static_cast<std::int64_t>(std::max(offset, image->file_offset));
    return behind.error == 0 && behind.value < at ? behind : IoOutcome{at, 0};
  }
  IoOutcome try_lock() override { return base_->try_lock(); }
  IoOutcome is_locked() const override { return base_->is_locked(); }

  IoOutcome pwrite(const void*, std::size_t, std::uint64_t) override { return {0, EROFS}; }
  IoOutcome pwrite_dsync(const void*, std::size_t, std::uint64_t) override { return {0, EROFS}; }
  IoOutcome datasync() override { return {0, EROFS}; }
  IoOutcome sync() override { return {0, EROFS}; }
  IoOutcome allocate(std::uint64_t, std::uint64_t) override { return {0, EROFS}; }
  IoOutcome truncate(std::uint64_t) override { return {0, EROFS}; }
  IoOutcome set_mode(std::uint32_t) override { return {0, EROFS}; }

 private:
  // The first that ends behind `offset`.
  std::vector<PageImage>::const_iterator first_image(std::uint64_t offset) const {
    const auto& images = journal_.images();
    return std::lower_bound(
        images.begin(), images.end(), offset,
        [](const PageImage& a, std::uint64_t at) { return a.file_offset + kPageSize <= at; });
  }
  void lay_over(std::byte* out, std::size_t size, std::uint64_t offset) const {
    const auto& images = journal_.images();
    auto image = first_image(offset);
    for (; image != images.end() && image->file_offset < offset + size; ++image) {
      const std::uint64_t begin = std::max(offset, image->file_offset);
      const std::uint64_t end = std::min(offset + size, image->file_offset + kPageSize);
      std::memcpy(out + (begin - offset), image->bytes + (begin - image->file_offset), end - begin);
    }
  }

  std::unique_ptr<RawFile> base_;
  Journal journal_;
};

}  // namespace

std::uint64_t journal_head_bytes(std::uint64_t pages) {
  return round_up(journal_at::kSize + pages * journal_entry_at::kSize, kPageSize);
}

std::uint64_t journal_bytes(std::uint64_t pages) {
  return journal_head_bytes(pages) + pages * kPageSize;
}

Result<std::uint64_t> write_journal(File& file, std::uint64_t offset, std::uint64_t generation,
                                    std::span<const PageImage> images) {
  std::vector<std::byte> head(journal_head_bytes(images.size()));
  std::memcpy(head.data() + journal_at::kMagic.offset, kJournalMagic.data(),
              journal_at::kMagic.size);
  store<journal_at::kGeneration>(head.data(), generation);
  store<journal_at::kPages>(head.data(), images.size());
  for (std::size_t i = 0; i < images.size(); ++i) {
    std::byte* const entry = head.data() + journal_at::kSize + i * journal_entry_at::kSize;
    store<journal_entry_at::kFileOffset>(entry, images[i].file_offset);
    store<journal_entry_at::kChecksum>(entry, images[i].checksum);
  }
  if (auto ok = file.pwrite(head, offset); !ok) return ok.error();
  if (auto ok = write_images(file, images, offset + head.size()); !ok) return ok.error();
  return hash64(head);
}

Result<void> write_in_place(File& file, std::span<const PageImage> images) {
  for (std::size_t begin = 0; begin < images.size();) {
    std::size_t end = begin + 1;
    while (end < images.size() &&
           images[end].file_offset == images[end - 1].file_offset + kPageSize) {
      ++end;
    }
    if (auto ok = write_images(file, images.subspan(begin, end - begin), images[begin].file_offset);
        !ok) {
      return ok;
    }
    begin = end;
  }
  return {};
}

Result<Journal> Journal::read(const File& file, const Superblock& block) {
  // No memory for what has not been checked: the first page, then the head, then the images, as
  // many at a time as are known to be good twice over.
  Journal journal;
  journal.bytes_.resize(kPageSize);
  if (auto ok = file.pread(journal.bytes_, block.journal_offset); !ok) return ok.error();
  const std::byte* at = journal.bytes_.data();
  const std::uint64_t pages = load<journal_at::kPages>(at);
  if (std::memcmp(at, kJournalMagic.data(), kJournalMagic.size()) != 0) {
    return bad(block, "wrong magic number");
  }
  if (load<journal_at::kGeneration>(at) != block.generation) {
    return bad(block, "belongs to generation " + std::to_string(load<journal_at::kGeneration>(at)) +
                          ", not to " + std::to_string(block.generation));
  }
  if (pages > block.journal_bytes / kPageSize || journal_bytes(pages) != block.journal_bytes) {
    return bad(block, std::to_string(pages) + " pages do not take " +
                          std::to_string(block.journal_bytes) + " bytes");
  }
  const std::uint64_t head = journal_head_bytes(pages);
  if (auto ok = journal.read_up_to(head, file, block.journal_offset); !ok) return ok.error();
  if (hash64(std::span(journal.bytes_).first(head)) != block.journal_checksum) {
    return bad(block, "wrong checksum of its head");
  }
  for (std::uint64_t i = 0; i < pages; ++i) {
    if (head + (i + 1) * kPageSize > journal.bytes_.size()) {
      const std::uint64_t more =
          std::min(block.journal_bytes, std::max(2 * std::uint64_t{journal.bytes_.size()},
                                                 head + kWritePages * std::uint64_t{kPageSize}));
      if (auto ok = journal.read_up_to(more, file, block.journal_offset); !ok) return ok.error();
    }
    at = journal.bytes_.data();
    const std::byte* const entry = at + journal_at::kSize + i * journal_entry_at::kSize;
    const PageImage image{load<journal_entry_at::kFileOffset>(entry),
                          load<journal_entry_at::kChecksum>(entry), at + head + i * kPageSize};
    const bool in_order =
        journal.images_.empty() || journal.images_.back().file_offset < image.file_offset;
    const bool in_runs =
        std::any_of(block.extents.begin(), block.extents.end(), [&](const Extent& run) {
          return image.file_offset >= run.file_offset &&
                 fits(image.file_offset - run.file_offset, kPageSize, run.length);
        });
    if (!in_order || !in_runs || image.file_offset % kPageSize != 0) {
      return bad(block, "page " + std::to_string(i) + " is said to belong at " +
                            std::to_string(image.file_offset));
    }
    if (page_checksum(image.bytes) != image.checksum) {
      return bad(block, "wrong checksum of page " + std::to_string(i));
    }
    journal.images_.push_back(image);
  }
  for (std::uint64_t i = 0; i < pages; ++i) {
    journal.images_[i].bytes = journal.bytes_.data() + head + i * kPageSize;
  }
  return journal;
}

Result<void> Journal::read_up_to(std::uint64_t bytes, const File& file, std::uint64_t offset) {
  const std::size_t have = bytes_.size();
  bytes_.resize(bytes);
  return file.pread(std::span(bytes_).subspan(have), offset + have);
}

std::unique_ptr<RawFile> overlay_journal(std::unique_ptr<RawFile> raw, Journal journal) {
  return std::make_unique<OverlayFile>(std::move(raw), std::move(journal));
}

}  // namespace cairn::format
