// SPDX-License-Identifier: Apache-2.0
//
// How libFuzzer alters the scripts of fuzz/file_patch.h: whole changes are added, removed, and
// altered in one of their parts.
#include <array>
#include <cstring>
#include <random>

#include "fuzz/file_patch.h"

extern "C" __attribute__((weak)) std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size,
                                                              std::size_t max_size);

namespace cairn::fuzz {
namespace {

constexpr std::array<std::uint64_t, 24> kNumbers = {
    0,      1,      2,      3,          7,          8,          15,         16,
    63,     64,     99,     255,        300,        512,        4095,       4096,
    0xFFFF, 0x7FFF, 262144, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF, ~std::uint64_t{0}};

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
