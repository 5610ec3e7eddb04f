// SPDX-License-Identifier: Apache-2.0
#include "tools/files/npy_header.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <utility>

#include "tools/files/little_endian.h"

namespace cairn::tools {
namespace {

// NumPy itself refuses longer ones unless told to trust the file.
constexpr std::uint64_t kMaxHeaderBytes = 10000;

// Reads the few forms of Python literals that numpy.save writes.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  std::size_t position() const { return position_; }

  bool at_end() {
    skip_space();
    return position_ == text_.size();
  }

  bool take(char wanted) {
    skip_space();
    if (position_ == text_.size() || text_[position_] != wanted) return false;
    ++position_;
    return true;
  }

  bool take_word(std::string_view word) {
    skip_space();
    if (!text_.substr(position_).starts_with(word)) return false;
    position_ += word.size();
    return true;
  }

  // A quoted string without escapes.
  bool take_string(std::string& out) {
    skip_space();
    if (position_ == text_.size()) return false;
    const char quote = text_[position_];
    if (quote != '\'' && quote != '"') return false;
    const std::size_t end = text_.find(quote, position_ + 1);
    if (end == std::string_view::npos) return false;
    const std::string_view body = text_.substr(position_ + 1, end - position_ - 1);
    if (body.find('\\') != std::string_view::npos) return false;
    out = body;
    position_ = end + 1;
    return true;
  }

  bool take_number(std::uint64_t& out) {
    skip_space();
    const char* begin = text_.data() + position_;
    const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), out);
    if (error != std::errc() || end == begin) return false;
    position_ += static_cast<std::size_t>(end - begin);
    // Files of Python 2 have an L behind numbers.
    if (position_ < text_.size() && text_[position_] == 'L') ++position_;
    return true;
  }

  // (), (3,), (3, 4)
  bool take_tuple(std::vector<std::uint64_t>& out) {
    if (!take('(')) return false;
    while (!take(')')) {
      std::uint64_t number = 0;
      if (!take_number(number)) return false;
      out.push_back(number);
      if (!take(',')) return take(')');
    }
    return true;
  }

 private:
  void skip_space() {
    while (position_ < text_.size() && (text_[position_] == ' ' || text_[position_] == '\n'))
      ++position_;
  }

  std::string_view text_;
  std::size_t position_ = 0;
};

// The value of one key into `header`; false if it is not of the key's type.
bool take_value(Scanner& scanner, std::string_view key, NpyHeader& header) {
  if (key == "descr") return scanner.take_string(header.descr);
  if (key == "shape") return scanner.take_tuple(header.shape);
  header.fortran_order = scanner.take_word("True");
  return header.fortran_order || scanner.take_word("False");
}

}  // namespace

Result<NpyHeader> parse_npy_dictionary(std::string_view text) {
  constexpr std::array<std::string_view, 3> kKeys = {"descr", "fortran_order", "shape"};
  std::array<bool, 3> seen = {};
  NpyHeader header;
  Scanner scanner(text);
  const auto bad = [&](const std::string& what) {
    return malformed("npy header, character " + std::to_string(scanner.position()) + ": " + what);
  };

  if (!scanner.take('{')) return bad("a dictionary should begin here");
  while (!scanner.take('}')) {
    std::string key;
    if (!scanner.take_string(key)) return bad("a key should stand here");
    const auto known = std::find(kKeys.begin(), kKeys.end(), key);
    if (known == kKeys.end()) return bad("unknown key '" + key.substr(0, kMaxQuoted) + "'");
    bool& was_seen = seen[static_cast<std::size_t>(known - kKeys.begin())];
    if (std::exchange(was_seen, true)) return bad("'" + key + "' stands there twice");
    if (!scanner.take(':')) return bad("':' should stand here");
    if (!take_value(scanner, key, header))
      return bad("the value of '" + key + "' is not understood");
    if (!scanner.take(',')) {
      if (!scanner.take('}')) return bad("',' or '}' should stand here");
      break;
    }
  }
  if (!scanner.at_end()) return bad("something follows the dictionary");
  for (std::size_t i = 0; i < kKeys.size(); ++i) {
    if (!seen[i]) return malformed("npy header: no '" + std::string(kKeys[i]) + "'");
  }
  return header;
}

Result<NpyHeader> read_npy_header(const ByteSource& source) {
  // Magic, major, minor, and a length of two bytes in version 1, of four since 2.
  constexpr char kMagic[] = "\x93NUMPY";
  std::array<std::byte, 12> prefix = {};
  const auto ends_early = [&] {
    return malformed("the file ends at byte " + std::to_string(source.size()) +
                     ", in the npy header");
  };
  if (source.size() < 10) return ends_early();
  const std::size_t prefix_bytes = std::min<std::uint64_t>(prefix.size(), source.size());
  if (auto ok = source.read(0, std::span(prefix).first(prefix_bytes)); !ok) return ok.error();
  if (std::memcmp(prefix.data(), kMagic, 6) != 0)
    return malformed("not an npy file: the magic bytes are missing");

  const unsigned major = std::to_integer<unsigned>(prefix[6]);
  const unsigned minor = std::to_integer<unsigned>(prefix[7]);
  if (major < 1 || major > 3 || minor != 0) {
    return malformed("npy version " + std::to_string(major) + "." + std::to_string(minor) +
                     " is not 1.0, 2.0 or 3.0");
  }
  const std::uint64_t text_offset = major == 1 ? 10 : 12;
  if (source.size() < text_offset) return ends_early();
  const std::uint64_t text_bytes =
      major == 1 ? load_u16(prefix.data() + 8) : load_u32(prefix.data() + 8);
  if (text_bytes > source.size() - text_offset) return ends_early();
  if (text_bytes > kMaxHeaderBytes) {
    return malformed("the npy header has " + std::to_string(text_bytes) + " bytes, more than " +
                     std::to_string(kMaxHeaderBytes));
  }
  std::string text(text_bytes, '\0');
  if (auto ok = source.read(text_offset, std::as_writable_bytes(std::span(text))); !ok)
    return ok.error();
  auto header = parse_npy_dictionary(text);
  if (header) header->data_offset = text_offset + text_bytes;
  return header;
}

}  // namespace cairn::tools
