// SPDX-License-Identifier: Apache-2.0
#include "tools/command/vector_export.h"

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "tools/command/stored_rows.h"
#include "tools/files/file_sink.h"

namespace cairn::tools {
namespace {

constexpr std::size_t kAtOnce = 1024;

Error interrupted() { return Error(ErrorCode::cancelled, "interrupted; no file was written"); }

Result<std::vector<Key>> sorted_keys(const Index& index, const std::atomic<bool>* stop) {
  std::vector<Key> keys;
  std::array<Key, kAtOnce> some;
  KeyScan scan;
  while (!scan.done) {
    if (stop != nullptr && *stop) return interrupted();
    const auto count = index.keys(scan, some);
    if (!count) return count.error();
    keys.insert(keys.end(), some.begin(), some.begin() + static_cast<std::ptrdiff_t>(*count));
  }
  std::sort(keys.begin(), keys.end());
  return keys;
}

// The key of each row: as often as it has vectors. One without any, and one that cannot be read,
// stands once, so that reading its row tells.
Result<std::vector<Key>> keys_of_rows(const Index& index, const std::atomic<bool>* stop) {
  auto keys = sorted_keys(index, stop);
  if (!keys || !index.params().several_per_key) return keys;
  std::vector<Key> rows;
  rows.reserve(index.size());
  for (const Key key : *keys) {
    if (rows.size() % kAtOnce == 0 && stop != nullptr && *stop) return interrupted();
    rows.insert(rows.end(), std::max<std::size_t>(1, index.count(key)), key);
  }
  return rows;
}

void put_npy_header(FileSink& out, std::string_view descr, const std::string& shape) {
  std::string text =
      "{'descr': '" + std::string(descr) + "', 'fortran_order': False, 'shape': (" + shape + "), }";
  constexpr std::size_t kPrefix = 10;
  while ((kPrefix + text.size() + 1) % 64 != 0) text += ' ';
  text += '\n';
  out.text("\x93NUMPY\1");
  out.number(std::uint8_t{0});
  out.number(static_cast<std::uint16_t>(text.size()));
  out.text(text);
}

// As what components go into an .npy.
const char* npy_word(Scalar scalar) {
  switch (scalar) {
    case Scalar::f32:
    case Scalar::bf16: return "<f4";
    case Scalar::f16: return "<f2";
    case Scalar::i8: return "|i1";
    case Scalar::b1: return "|b1";
  }
  return "";
}

Result<void> put_row(FileSink& out, RowFormat format, Scalar scalar, std::span<const float> row,
                     std::vector<std::byte>& buffer) {
  if (format == RowFormat::fvecs) out.number(static_cast<std::uint32_t>(row.size()));
  const bool floats = format != RowFormat::npy || scalar == Scalar::f32 || scalar == Scalar::bf16;
  if (floats) {
    out.put(std::as_bytes(row));
    return {};
  }
  if (scalar == Scalar::b1) {
    for (const float value : row) out.number(static_cast<std::uint8_t>(value != 0));
    return {};
  }
  buffer.resize(vector_bytes(scalar, row.size()));
  if (auto ok = as_stored(row, scalar, buffer); !ok) return ok;
  out.put(buffer);
  return {};
}

Result<void> write_keys(const std::string& path, std::span<const Key> keys) {
  auto out = FileSink::create(path);
  if (!out) return out.error();
  if (path.ends_with(".npy")) {
    put_npy_header(*out, "<u8", std::to_string(keys.size()) + ",");
    out->put(std::as_bytes(keys));
  } else {
    for (const Key key : keys) out->text(std::to_string(key) + "\n");
  }
  return out->finish();
}

}  // namespace

std::optional<RowFormat> row_format(std::string_view name) {
  if (name.starts_with('.')) name.remove_prefix(1);
  if (name == "fbin") return RowFormat::fbin;
  if (name == "fvecs") return RowFormat::fvecs;
  if (name == "npy") return RowFormat::npy;
  return {};
}

Result<std::size_t> export_rows(const Index& index, const RowExport& to,
                                const std::atomic<bool>* stop,
                                const std::function<void(std::size_t, std::size_t)>& progress) {
  const auto keys = keys_of_rows(index, stop);
  if (!keys) return keys.error();
  const std::size_t dims = index.params().dimensions;
  const Scalar scalar = index.params().scalar;
  auto out = FileSink::create(to.rows);
  if (!out) return out.error();
  if (to.format == RowFormat::fbin) {
    out->number(static_cast<std::uint32_t>(keys->size()));
    out->number(static_cast<std::uint32_t>(dims));
  } else if (to.format == RowFormat::npy) {
    put_npy_header(*out, npy_word(scalar),
                   std::to_string(keys->size()) + ", " + std::to_string(dims));
  }
  std::vector<float> row(dims);
  std::vector<std::byte> buffer;
  std::size_t of_key = 0;  // which vector of its key the row is
  for (std::size_t i = 0; i < keys->size(); ++i) {
    if (i % kAtOnce == 0) {
      if (stop != nullptr && *stop) return interrupted();
      if (progress) progress(i, keys->size());
    }
    of_key = i != 0 && (*keys)[i] == (*keys)[i - 1] ? of_key + 1 : 0;
    const auto got = index.get((*keys)[i], of_key, row);
    if (!got && got.error().code() == ErrorCode::key_not_found)
      return Error(ErrorCode::busy, "key " + std::to_string((*keys)[i]) + " was removed meanwhile");
    if (!got) return got.error();
    if (auto ok = put_row(*out, to.format, scalar, row, buffer); !ok) return ok.error();
  }
  if (!to.keys.empty()) {
    if (auto ok = write_keys(to.keys, *keys); !ok) return ok.error();
  }
  if (auto ok = out->finish(); !ok) return ok.error();
  return keys->size();
}

}  // namespace cairn::tools
