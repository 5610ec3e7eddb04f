// SPDX-License-Identifier: Apache-2.0
#include "format/io/address_space.h"

#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <boost/interprocess/mapped_region.hpp>
#include <cerrno>
#include <cstring>
#include <new>
#include <system_error>
#include <utility>

#include "engine/base/assert.h"
#include "format/bytes/limits.h"

namespace cairn::format {
namespace {

namespace ipc = boost::interprocess;

// Growth is by half of what there is, so that growing byte by byte costs few calls, and at most
// this much at once.
constexpr std::size_t kFirstStep = std::size_t{64} << 10;
constexpr std::size_t kLargestStep = std::size_t{1} << 30;

std::size_t system_page() {
  static const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

// qemu's user mode keeps a table entry for every reserved page, so that a terabyte takes it 20
// seconds and gigabytes of memory. It is known by the missing vDSO; there, no more than this is
// reserved beyond the minimum.
constexpr std::size_t kEmulatedReservation = std::size_t{1} << 30;

bool is_emulated() {
  static const bool emulated = ::getauxval(AT_SYSINFO_EHDR) == 0;
  return emulated;
}

// Linux 4.17 and later.
#ifdef MAP_FIXED_NOREPLACE
constexpr int kFixedNoReplace = MAP_FIXED_NOREPLACE;
#else
constexpr int kFixedNoReplace = 0;
#endif

// Of a region that grows where it could not be put apart from others.
constexpr std::size_t kReservedAmongOthers = std::size_t{1} << 30;

// The largest multiple of `unit` if there is no greater one.
constexpr std::size_t round_up_saturating(std::size_t value, std::size_t unit) {
  if (value > SIZE_MAX - (unit - 1)) return SIZE_MAX / unit * unit;
  return (value + unit - 1) / unit * unit;
}

Error out_of_memory(const char* what, std::size_t bytes, int error) {
  return Error(ErrorCode::out_of_memory, std::string(what) + " " + std::to_string(bytes) +
                                             " bytes: " + std::generic_category().message(error) +
                                             limit_of_addresses());
}

Error beyond_capacity(std::size_t bytes, std::size_t capacity) {
  return Error(ErrorCode::out_of_memory, "grow a region to " + std::to_string(bytes) +
                                             " bytes: " + std::to_string(capacity) +
                                             " bytes of addresses are reserved for it");
}

Error pages_too_large(const std::string& what, std::uint64_t offset) {
  return Error(ErrorCode::unsupported,
               what + " at " + std::to_string(offset) + ": the system's pages of " +
                   std::to_string(system_page()) + " bytes are larger than the file's");
}

Error advice_failed(const char* what, int error) {
  return Error(error == ENOMEM ? ErrorCode::out_of_memory : ErrorCode::io_error,
               std::string(what) + ": " + std::generic_category().message(error));
}

void* map_nothing(void* address, std::size_t bytes, int flags) {
  return ::mmap(address, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1,
                0);
}

// Exactly there, or nothing: errno is EEXIST if something is in the way.
bool reserve_at(std::byte* address, std::size_t bytes) {
  void* const got = map_nothing(address, bytes, kFixedNoReplace);
  if (got == address) return true;
  if (got != MAP_FAILED) {  // a system that takes it for a hint
    ::munmap(got, bytes);
    errno = EEXIST;
  }
  return false;
}

// Where the system puts it, on a huge page's boundary if it is as large as one.
std::byte* reserve_anywhere(std::size_t bytes) {
  const std::size_t more = bytes < kHugePage ? 0 : kHugePage;
  if (bytes > SIZE_MAX - more) return nullptr;
  void* const got = map_nothing(nullptr, bytes + more, 0);
  if (got == MAP_FAILED) return nullptr;
  auto* const begin = static_cast<std::byte*>(got);
  if (more == 0) return begin;
  const std::size_t lead =
      (kHugePage - reinterpret_cast<std::uintptr_t>(got) % kHugePage) % kHugePage;
  if (lead != 0) ::munmap(begin, lead);
  if (lead != more) ::munmap(begin + lead + bytes, more - lead);
  return begin + lead;
}

// Addresses that the system gives to nobody as long as it has others: below programs and behind
// what lies lowest. Regions that grow begin there at places far from each other.
struct Middle {
  std::uintptr_t begin;
  std::uintptr_t step;  // from one place to the next
};
constexpr std::size_t kPlaceBits = 15;
constexpr int kPlaceAttempts = 64;

// The stack is in the upper half of the addresses that there are.
Middle middle_of_addresses() {
  const std::byte here{};
  const std::uintptr_t end = std::bit_ceil(reinterpret_cast<std::uintptr_t>(&here));
  const std::uintptr_t step = ((end / 8 * 3) >> kPlaceBits) / kHugePage * kHugePage;
  // Not the same in every process.
  std::uintptr_t random = 0;
  if (const auto at = ::getauxval(AT_RANDOM); at != 0) {
    std::memcpy(&random, reinterpret_cast<const void*>(at), sizeof random);
  }
  const std::uintptr_t shift = step == 0 ? 0 : random % step / kHugePage * kHugePage;
  return {end / 4 + shift, step};
}

// The n-th place lies in the middle of the largest gap between those before.
std::uintptr_t place(std::uint64_t n) {
  std::uintptr_t reversed = 0;
  for (std::size_t bit = 0; bit < kPlaceBits; ++bit) reversed = reversed << 1 | (n >> bit & 1);
  return reversed;
}

// ThreadSanitizer knows no such addresses: it drops them, and has the system map address 0.
#if defined(__SANITIZE_THREAD__)
#define CAIRN_THREAD_SANITIZER
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CAIRN_THREAD_SANITIZER
#endif
#endif
#ifdef CAIRN_THREAD_SANITIZER
constexpr bool kHasMiddle = false;
#else
constexpr bool kHasMiddle = true;
#endif

// Null where there is no such place: then errno tells why.
std::byte* reserve_apart(std::size_t bytes) {
  static const Middle middle = middle_of_addresses();
  static std::atomic<std::uint64_t> next{0};
  errno = EEXIST;
  if (!kHasMiddle || middle.step == 0) return nullptr;
  for (int attempt = 0; attempt < kPlaceAttempts; ++attempt) {
    const std::uint64_t n = next.fetch_add(1, std::memory_order_relaxed);
    auto* const at = reinterpret_cast<std::byte*>(middle.begin + place(n) * middle.step);
    if (reserve_at(at, bytes)) return at;
    if (errno == ENOMEM) return nullptr;
  }
  return nullptr;
}

// What Boost wants to know of a file.
struct Mappable {
  int descriptor;
  ipc::mapping_handle_t get_mapping_handle() const {
    return ipc::ipcdetail::mapping_handle_from_file_handle(descriptor);
  }
};

int map_fixed(int descriptor, void* address, std::uint64_t offset, std::size_t size,
              ipc::mode_t mode) {
  // A mapped_region unmaps itself, which would tear a hole into the reservation that a mapping of
  // another thread could fall into. So it is made in storage of its own and not destroyed: it holds
  // nothing but the address.
  alignas(ipc::mapped_region) std::byte storage[sizeof(ipc::mapped_region)];
  try {
    ::new (storage)
        ipc::mapped_region(Mappable{descriptor}, mode, static_cast<ipc::offset_t>(offset), size,
                           address, MAP_FIXED | MAP_NORESERVE);
  } catch (const ipc::interprocess_exception& failed) {
    return failed.get_native_error() != 0 ? failed.get_native_error() : EINVAL;
  }
  return 0;
}

}  // namespace

std::string limit_of_addresses() {
  for (const auto& [resource, name] : {std::pair(RLIMIT_AS, "addresses (ulimit -v)"),
                                       std::pair(RLIMIT_DATA, "data (ulimit -d)")}) {
    rlimit limit{};
    if (::getrlimit(resource, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
      return "; the process may have " + std::to_string(limit.rlim_cur) + " bytes of " + name;
    }
  }
  return "; the process has no limit of addresses, but may have too many mappings "
         "(vm.max_map_count) or too much memory (vm.overcommit_memory)";
}

int map_over(int descriptor, void* address, std::uint64_t offset, std::size_t size, Access access) {
  return map_fixed(descriptor, address, offset, size,
                   access == Access::read_only ? ipc::read_private : ipc::copy_on_write);
}

int map_shared_over(int descriptor, void* address, std::uint64_t offset, std::size_t size,
                    Access access) {
  return map_fixed(descriptor, address, offset, size,
                   access == Access::read_only ? ipc::read_only : ipc::read_write);
}

Region::Region(Region&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(other.size_.exchange(0)),
      capacity_(std::exchange(other.capacity_, 0)),
      grows_(std::exchange(other.grows_, false)),
      anonymous_bytes_(other.anonymous_bytes_.exchange(0)),
      stores_(std::exchange(other.stores_, false)),
      scratch_(std::move(other.scratch_)) {}

Region& Region::operator=(Region&& other) noexcept {
  std::swap(data_, other.data_);
  size_ = other.size_.exchange(size_);
  std::swap(capacity_, other.capacity_);
  std::swap(grows_, other.grows_);
  anonymous_bytes_ = other.anonymous_bytes_.exchange(anonymous_bytes_);
  std::swap(stores_, other.stores_);
  scratch_.swap(other.scratch_);
  return *this;
}

Region::~Region() {
  if (data_ != nullptr) ::munmap(data_, capacity_);
}

Result<Region> Region::reserve(std::size_t min_bytes, std::size_t max_bytes) {
  const std::size_t most = std::max<std::size_t>({min_bytes, max_bytes, 1});
  const std::size_t unit = most < kHugePage ? system_page() : std::max(kHugePage, system_page());
  const std::size_t smallest = round_up_saturating(std::max<std::size_t>(min_bytes, 1), unit);
  std::size_t wanted = round_up_saturating(most, unit);
  if (is_emulated()) wanted = std::max(smallest, std::min(wanted, kEmulatedReservation));
  for (;;) {
    if (std::byte* const got = reserve_anywhere(wanted)) {
      Region region;
      region.data_ = got;
      region.capacity_ = wanted;
      return region;
    }
    if (wanted == smallest) return out_of_memory("reserve addresses for", wanted, ENOMEM);
    wanted = std::max(round_up_saturating(wanted / 2, unit), smallest);
  }
}

Result<Region> Region::reserve_growing(std::size_t bytes) {
  const std::size_t unit = std::max(kHugePage, system_page());
  const std::size_t wanted = round_up_saturating(std::max<std::size_t>(bytes, 1), unit);
  if (std::byte* const got = reserve_apart(wanted)) {
    Region region;
    region.data_ = got;
    region.capacity_ = wanted;
    region.grows_ = true;
    return region;
  }
  if (errno == ENOMEM) return out_of_memory("reserve addresses for", wanted, ENOMEM);
  auto region = reserve(wanted, std::max(wanted, kReservedAmongOthers));
  if (region) region->grows_ = true;
  return region;
}

void Region::use_file(File file) {
  CAIRN_ASSERT(size_ == 0);
  scratch_ = std::make_unique<File>(std::move(file));
}

Result<void> Region::reserve_more(std::size_t bytes) {
  if (bytes <= capacity_) return {};
  if (!grows_) return beyond_capacity(bytes, capacity_);
  const std::size_t unit = std::max(kHugePage, system_page());
  const std::size_t step = std::min(capacity_ / 2, kLargestStep);
  int error = ENOMEM;
  for (const std::size_t wanted : {std::max(bytes, capacity_ + step), bytes}) {
    const std::size_t end = round_up_saturating(wanted, unit);
    if (end < bytes) break;
    if (reserve_at(data_ + capacity_, end - capacity_)) {
      capacity_ = end;
      return {};
    }
    error = errno;
  }
  if (error == EEXIST) {
    return beyond_capacity(bytes, capacity_)
        .with_context("what follows is in use; max_vectors reserves addresses in advance");
  }
  return out_of_memory("reserve addresses for", bytes, error);
}

Result<void> Region::grow_anonymous(std::size_t bytes) {
  if (bytes <= size_) return {};
  if (auto ok = reserve_more(bytes); !ok) return ok;
  const std::size_t step = std::clamp(size_ / 2, kFirstStep, kLargestStep);
  std::size_t end = std::max(bytes, std::min(size_ + step, capacity_));
  end = std::min(round_up_saturating(end, end >= kHugePage ? kHugePage : system_page()), capacity_);
  return append_anonymous(end - size_);
}

Result<void> Region::append_anonymous(std::size_t length) {
  if (length == 0) return {};
  if (length > SIZE_MAX - size_) return beyond_capacity(SIZE_MAX, capacity_);
  if (auto ok = reserve_more(size_ + length); !ok) return ok;
  if (size_ % system_page() != 0) return pages_too_large("memory behind", size_);
  const std::size_t end = size_ + length;
  if (scratch_) {
    // Blocks first: a full disk is an error here, and no SIGBUS later.
    if (auto ok = scratch_->allocate(size_, length); !ok) return ok;
    auto mapped = scratch_->map_shared(data_ + size_, size_, length, Access::read_write);
    if (!mapped) return mapped;
    size_ = end;
    return {};
  }
  // Without MAP_NORESERVE: the system may refuse what it cannot give, which is an error here and
  // not a kill later.
  if (::mmap(data_ + size_, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
             -1, 0) == MAP_FAILED) {
    return out_of_memory("grow a region to", end, errno);
  }
#ifdef MADV_HUGEPAGE
  // Whole huge pages that end in the new piece; a refusal costs speed, not correctness.
  const std::size_t whole = std::max(size_ - size_ % kHugePage, size_ - anonymous_bytes_);
  if (end >= whole + kHugePage) ::madvise(data_ + whole, end - whole, MADV_HUGEPAGE);
#endif
  anonymous_bytes_ += length;
  size_ = end;
  return {};
}

Result<void> Region::append_file(const File& file, std::uint64_t offset, std::size_t length,
                                 bool writable) {
  if (auto ok = check_append(file, offset, length); !ok) return ok;
  Result<void> mapped =
      file.map(data_ + size_, offset, length, writable ? Access::read_write : Access::read_only);
  if (!mapped) return mapped;
  if (writable) stores_ = true;
  size_ += length;
  return {};
}

Result<void> Region::append_shared(const File& file, std::uint64_t offset, std::size_t length) {
  if (auto ok = check_append(file, offset, length); !ok) return ok;
  if (auto mapped = file.map_shared(data_ + size_, offset, length); !mapped) return mapped;
  size_ += length;
  return {};
}

Result<void> Region::check_append(const File& file, std::uint64_t offset, std::size_t length) {
  if (length > SIZE_MAX - size_) return beyond_capacity(SIZE_MAX, capacity_);
  if (auto ok = reserve_more(size_ + length); !ok) return ok;
  if (offset % system_page() != 0 || size_ % system_page() != 0) {
    return pages_too_large("map " + file.path().string(), offset);
  }
  return {};
}

void Region::clear() {
  if (size_ == 0) return;
  // In one step, so that no other mapping can get in between. If it fails, nothing is lost but
  // memory.
  (void)::mmap(data_, size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
               0);
  size_ = 0;
  anonymous_bytes_ = 0;
  stores_ = false;
  // What is grown from now on is zero again, or memory.
  if (scratch_ && !scratch_->truncate(0)) scratch_.reset();
}

Result<void> Region::protect() {
  if (size_ != 0 && ::mprotect(data_, size_, PROT_READ) != 0) {
    return out_of_memory("protect a region of", size_, errno);
  }
  return {};
}

void Region::drop_private(std::size_t offset, std::size_t length) const {
  CAIRN_ASSERT(offset % kPageSize == 0 && length % kPageSize == 0);
  if (anonymous_bytes_ != 0) return;
  (void)::madvise(data_ + offset, length, MADV_DONTNEED);  // a refusal costs memory, nothing else
}

void Region::advise_huge() const {
#ifdef MADV_HUGEPAGE
  if (size_ > anonymous_bytes_) (void)::madvise(data_, size_, MADV_HUGEPAGE);  // a hint
#endif
}

Result<void> Region::advise_needed() const {
  if (size_ == anonymous_bytes_) return {};
#ifdef MADV_POPULATE_READ
  // Since Linux 5.14: returns when every page is there, with its page table entry. Unlike touching
  // them all it is no SIGBUS if the file has become shorter or cannot be read.
  if (::madvise(data_, size_, MADV_POPULATE_READ) == 0) return {};
  if (errno != EINVAL) return advice_failed("read ahead", errno);
#endif
  // The kernel reads while the process goes on.
  if (::madvise(data_, size_, MADV_WILLNEED) != 0) return advice_failed("read ahead", errno);
  return {};
}

Result<void> Region::advise_not_needed() const {
  // Anonymous memory and stores would be lost.
  if (size_ == 0 || anonymous_bytes_ != 0 || stores_) return {};
  if (::madvise(data_, size_, MADV_DONTNEED) != 0) return advice_failed("release", errno);
  return {};
}

}  // namespace cairn::format
