// SPDX-License-Identifier: Apache-2.0
//
// A saved index whose bytes a test changes, with checksums that are right again afterwards.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include <cairn/cairn.h>

#include "format/bytes/parameters.h"
#include "format/bytes/record_layout.h"
#include "format/bytes/superblock_layout.h"
#include "tests/support/file_image.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn::test {

class DamagedFile {
 public:
  explicit DamagedFile(const Index& index) {
    index.save(path()).value();
    good_ = read_bytes(path());
    heal();
  }

  std::filesystem::path path() const { return directory_ / "patient.cairn"; }
  const format::Parameters& parameters() const { return parameters_; }
  const format::Counters& counters() const { return counters_; }
  Bytes& bytes() { return bytes_; }

  // As it was saved.
  void heal() {
    bytes_ = good_;
    parameters_ = header_of(bytes_).parameters;
    counters_ = superblock_of(bytes_).counters;
  }

  // Where a byte of a section stands.
  std::byte* at(format::SectionId section, std::uint64_t offset) {
    return bytes_.data() + place_of(bytes_, section, offset);
  }
  // A field of a node's header in HOT: format::hot.
  std::byte* node(std::uint64_t node, std::size_t field) {
    return at(format::SectionId::hot,
              node * parameters_.hot_stride + parameters_.hot_factor_offset + field);
  }
  std::byte* code(std::uint64_t node) {
    return at(format::SectionId::hot, node * parameters_.hot_stride);
  }
  // The vector as given.
  std::byte* vector(std::uint64_t node) {
    return parameters_.exact_stride == 0
               ? code(node)
               : at(format::SectionId::exact, node * parameters_.exact_stride);
  }
  std::byte* upper(std::uint64_t record, std::size_t field) {
    return at(format::SectionId::upper, record * parameters_.upper_stride + field);
  }

  template <class T>
  static T load(const std::byte* at) {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
  }
  template <class T>
  static void store(std::byte* at, T value) {
    std::memcpy(at, &value, sizeof value);
  }

  // Link i of level 0.
  std::byte* link(std::uint64_t of, std::size_t i) { return node(of, format::hot::kLinks + 4 * i); }
  std::uint32_t degree(std::uint64_t of) {
    return load<std::uint32_t>(node(of, format::hot::kDegree));
  }

  // The first node of at least this level. REQUIRES: there is one.
  std::uint32_t node_of_level(std::uint32_t level) {
    std::uint32_t n = 0;
    while (load<std::uint8_t>(node(n, format::hot::kLevel)) < level) ++n;
    return n;
  }
  std::uint32_t first_upper(std::uint64_t of) {
    return load<std::uint32_t>(node(of, format::hot::kUpper));
  }

  void set_counters(const format::Counters& counters) {
    format::Superblock block = superblock_of(bytes_);
    block.counters = counters;
    set_superblock(bytes_, block);
    counters_ = counters;
  }

  // Writes the changed bytes with the page checksums that belong to them, and opens the file.
  Result<Index> reopen(const OpenOptions& options = {}) {
    repair_pages(bytes_);
    return reopen_as_it_is(options);
  }
  // The same with the checksums of before.
  Result<Index> reopen_as_it_is(const OpenOptions& options = {}) {
    write_bytes(path(), bytes_);
    return Index::open(path(), options);
  }

 private:
  TemporaryDirectory directory_;
  Bytes good_;
  Bytes bytes_;
  format::Parameters parameters_{};
  format::Counters counters_{};
};

}  // namespace cairn::test
