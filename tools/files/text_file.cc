// SPDX-License-Identifier: Apache-2.0
#include "tools/files/text_file.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <exception>
#include <numeric>
#include <span>
#include <utility>

#include "tools/files/byte_source.h"
#include "tools/files/npy_header.h"

namespace cairn::tools {
namespace {

constexpr std::size_t kMaxStreamBytes = std::size_t{1} << 32;

// Takes the next line off `text`, without its end.
std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

Result<std::string> read_text(const std::string& path) {
  auto opened = open_file(path);
  if (!opened) return opened.error();
  if (!opened->regular) {
    auto text = read_stream(opened->descriptor.get(), kMaxStreamBytes);
    return text ? std::move(text) : text.error().with_context("read " + path);
  }
  const FileSource source(std::move(opened->descriptor), opened->size);
  std::string text;
  try {
    text.resize(source.size());
  } catch (const std::exception&) {  // bad_alloc, length_error
    return Error(ErrorCode::out_of_memory, "read " + path + ": no memory for its contents");
  }
  if (auto ok = source.read(0, std::as_writable_bytes(std::span(text))); !ok) {
    return ok.error().with_context("read " + path);
  }
  return text;
}

Result<std::vector<Key>> read_npy_keys(const std::string& path) {
  auto opened = open_regular_file(path);
  if (!opened) return opened.error();
  auto array = parse_npy_integers(FileSource(std::move(opened->descriptor), opened->size));
  if (array && array->shape.size() != 1) {
    array =
        Error(ErrorCode::invalid_argument,
              "the array has " + std::to_string(array->shape.size()) + " dimensions, not 1 (keys)");
  }
  if (!array) return array.error().with_context("read " + path);
  return std::move(array->values);
}

}  // namespace

std::string input_name(const std::string& path) { return path == "-" ? "standard input" : path; }

Result<std::vector<Key>> parse_keys(std::string_view text) {
  std::vector<Key> keys;
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    Key key = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), key);
    if (error != std::errc() || end != line.data() + line.size()) {
      return Error(ErrorCode::invalid_argument,
                   "line " + std::to_string(keys.size() + 1) + ": '" +
                       std::string(line.substr(0, 40)) +
                       "' is not a number from 0 to 18446744073709551615");
    }
    keys.push_back(key);
  }
  return keys;
}

Names::Names(std::string text) : text_(std::move(text)) {
  for (std::string_view rest = text_; !rest.empty(); ++size_) {
    if (size_ % kLinesAMark == 0) marks_.push_back(text_.size() - rest.size());
    take_line(rest);
  }
}

std::string_view Names::operator[](Key key) const {
  std::string_view rest = std::string_view(text_).substr(marks_[key / kLinesAMark]);
  for (std::size_t line = key % kLinesAMark; line > 0; --line) take_line(rest);
  return take_line(rest);
}

Result<std::vector<Key>> read_keys(const std::string& path) {
  if (path.ends_with(".npy")) return read_npy_keys(path);
  const bool standard_input = path == "-";
  const auto text = standard_input ? read_stream(STDIN_FILENO, kMaxStreamBytes) : read_text(path);
  if (!text) return standard_input ? text.error().with_context("read keys") : text.error();
  auto keys = parse_keys(*text);
  if (!keys) return keys.error().with_context("read " + input_name(path));
  return keys;
}

Result<Names> read_names(const std::string& path) {
  auto text = read_text(path);
  if (!text) return text.error();
  return Names(std::move(*text));
}

Result<std::vector<Key>> keys_of_rows(const std::string& path, const std::string& vectors,
                                      std::size_t rows) {
  if (path.empty()) {
    std::vector<Key> keys(rows);
    std::iota(keys.begin(), keys.end(), Key{0});
    return keys;
  }
  auto keys = read_keys(path);
  if (keys && keys->size() != rows) {
    return Error(ErrorCode::invalid_argument,
                 input_name(path) + " has " + std::to_string(keys->size()) + " keys, " +
                     input_name(vectors) + " has " + std::to_string(rows) + " rows");
  }
  return keys;
}

std::optional<RepeatedKey> find_repeated(std::span<const Key> keys) {
  std::vector<std::size_t> order(keys.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return keys[a] != keys[b] ? keys[a] < keys[b] : a < b;
  });
  std::optional<RepeatedKey> found;
  for (std::size_t i = 1; i < order.size(); ++i) {
    const bool second =
        keys[order[i]] == keys[order[i - 1]] && (i == 1 || keys[order[i]] != keys[order[i - 2]]);
    if (second && (!found || order[i] < found->place)) found = {order[i], order[i - 1]};
  }
  return found;
}

}  // namespace cairn::tools
