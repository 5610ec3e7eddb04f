// SPDX-License-Identifier: Apache-2.0
//
// Files of lines: keys of rows, names of keys. A line ends with LF or CR LF; the last one may lack
// it. A pipe will do, for up to 4 GiB.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <cairn/error.h>
#include <cairn/types.h>

namespace cairn::tools {

// How an input is called in messages: its path, or "standard input" for "-".
std::string input_name(const std::string& path);

// Line i is the key of row i, a decimal u64. invalid_argument names the first line (from 1) that is
// none.
Result<std::vector<Key>> parse_keys(std::string_view text);
// Of a file of lines, of standard input ("-"), or of a NumPy array of one dimension, of integers
// that are not negative (.npy).
Result<std::vector<Key>> read_keys(const std::string& path);

// Line i is the name of key i; any bytes. Takes the memory of the text and an eighth of it, however
// short the lines are.
class Names {
 public:
  Names() = default;
  explicit Names(std::string text);

  std::uint64_t size() const { return size_; }
  // REQUIRES: key < size(). Reads at most kLinesAMark lines.
  std::string_view operator[](Key key) const;

 private:
  static constexpr std::size_t kLinesAMark = 64;

  std::string text_;
  std::vector<std::size_t> marks_;  // where each kLinesAMark-th line begins
  std::uint64_t size_ = 0;
};
Result<Names> read_names(const std::string& path);

// The keys of a file's rows: those that read_keys(path) finds, as many as rows, or the row numbers
// if it is
// "".
Result<std::vector<Key>> keys_of_rows(const std::string& path, const std::string& vectors,
                                      std::size_t rows);

// The first place in a list whose key stands at an earlier one, too.
struct RepeatedKey {
  std::size_t place;
  std::size_t earlier;  // the first one with this key
};
std::optional<RepeatedKey> find_repeated(std::span<const Key> keys);

}  // namespace cairn::tools
