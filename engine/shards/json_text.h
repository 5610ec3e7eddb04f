// SPDX-License-Identifier: Apache-2.0
//
// JSON in the making, two spaces a level. No document of the library that reads it is made: their
// destructors ask for memory, and where there is none that ends the process. Names and strings are
// such as need no escaping.
//
// Thread-safety: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace cairn {

class JsonText {
 public:
  // Without a name: the document, or an element of a list.
  void begin(std::string_view name, char bracket) {
    lead(name);
    text_ += bracket;
    ++depth_;
    is_first_ = true;
  }
  void end(char bracket) {
    --depth_;
    begin_line();
    text_ += bracket;
    is_first_ = false;
  }
  void string(std::string_view name, std::string_view value) {
    lead(name);
    quote(value);
  }
  void number(std::string_view name, std::uint64_t value) {
    lead(name);
    text_ += std::to_string(value);
  }
  void boolean(std::string_view name, bool value) {
    lead(name);
    text_ += value ? "true" : "false";
  }
  // As it stands.
  void element(std::string_view text) {
    lead({});
    text_ += text;
  }

  std::string take() { return std::move(text_); }

 private:
  void lead(std::string_view name) {
    if (depth_ != 0) {
      if (!is_first_) text_ += ',';
      begin_line();
    }
    is_first_ = false;
    if (name.empty()) return;
    quote(name);
    text_ += ": ";
  }
  void begin_line() { text_.append(1, '\n').append(2 * depth_, ' '); }
  void quote(std::string_view value) { text_.append(1, '"').append(value).append(1, '"'); }

  std::string text_;
  std::size_t depth_ = 0;
  bool is_first_ = true;
};

}  // namespace cairn
