// SPDX-License-Identifier: Apache-2.0
#include "tools/command/command.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <system_error>

#include <cairn/index.h>

#include "tools/command/stop_on_signal.h"
#include "tools/files/vector_file.h"

namespace cairn::tools {

namespace fs = std::filesystem;

namespace {

// Bytes of the UTF-8 character that `text` begins with; 0 if none does, or one that controls a
// terminal (U+0000 ... U+001F, U+007F ... U+009F) or ends a line (U+2028, U+2029) or turns the
// direction of writing (U+202A ... U+202E, U+2066 ... U+2069).
std::size_t character_length(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const std::uint32_t first = byte(0);
  if (first < 0x80) return first >= 0x20 && first != 0x7F ? 1 : 0;
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4) return 0;
  std::uint32_t code = first & (0x7Fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0u) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3Fu);
  }
  constexpr std::array<std::uint32_t, 5> kLeast = {0, 0, 0x80, 0x800, 0x10000};
  const bool encoded =
      code >= kLeast[length] && code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
  const bool controls =
      code < 0xA0 || (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
  return encoded && !controls ? length : 0;
}

}  // namespace

void add_output_flags(CLI::App& command, OutputFlags& flags) {
  command.add_flag("--json", flags.json, "Print one JSON document instead of text");
  command.add_flag("-q,--quiet", flags.quiet,
                   "Print results and errors only: no progress, no headings");
}

void add_index_file(CLI::App& command, std::string& file) {
  command.add_option("FILE", file, "The index file")->required()->type_name("");
}

void add_keys(CLI::App& command, std::vector<Key>& keys) {
  command.add_option("KEY", keys, "Keys (u64)")
      ->required()
      ->type_name("")
      ->check(whole_number(0, kAnyNumber));
}

Exit exit_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::not_a_cairn_file:
    case ErrorCode::version_unsupported:
    case ErrorCode::feature_unsupported:
    case ErrorCode::corrupt:
    case ErrorCode::truncated:
    case ErrorCode::data_loss: return Exit::corrupt;
    default: return Exit::failed;
  }
}

Error without_operation(const Error& error, std::string_view operation) {
  const std::string prefix = std::string(operation) + ": ";
  if (!error.message().starts_with(prefix)) return error;
  return Error(error.code(), error.message().substr(prefix.size()));
}

Exit report(std::string_view command, const Error& error) {
  std::fflush(stdout);
  std::fprintf(stderr, "cairn: %.*s: %s (%d): %s\n", static_cast<int>(command.size()),
               command.data(), error_name(error.code()), static_cast<int>(error.code()),
               printable(without_operation(error, command).message()).c_str());
  return exit_code(error.code());
}

void remark(const OutputFlags& flags, const std::string& text) {
  if (flags.json || flags.quiet) return;
  std::printf("%s\n", printable(text).c_str());
  std::fflush(stdout);  // before what standard error says next
}

Exit report_size(std::string_view command, const std::string& file, const Result<std::size_t>& size,
                 const OutputFlags& flags) {
  if (!size) return report(command, size.error());
  if (flags.json) {
    print_json({{"vectors", *size}});
  } else {
    remark(flags, file + " holds " + with_commas(*size) + " vectors");
  }
  return Exit::ok;
}

Result<void> check_output(const OutputFile& output) {
  std::error_code ignored;
  const fs::path path(output.path);
  if (path.filename().empty() && !fs::is_directory(path, ignored)) {
    return Error(ErrorCode::invalid_argument, "'" + output.path + "' names no file to write");
  }
  if (fs::is_directory(path, ignored)) {
    return Error(ErrorCode::path_exists, output.path + " is a directory");
  }
  if (fs::exists(path, ignored) && !fs::is_regular_file(path, ignored)) {
    return Error(ErrorCode::path_exists, output.path + " is not a regular file");
  }
  if (!output.force && fs::exists(fs::symlink_status(path, ignored))) {
    return Error(ErrorCode::path_exists, output.path + " exists; --force replaces it");
  }
  const fs::path parent = path.has_parent_path() ? path.parent_path() : fs::path(".");
  if (!fs::is_directory(parent, ignored)) {
    return Error(ErrorCode::path_not_found,
                 "no directory " + parent.string() + " to write " + output.path + " into");
  }
  // What it tries stands beside the output for a moment, and must not stay.
  const StopOnSignal stop;
  auto writable = Index::check_save(path, save_options(output));
  if (writable && *stop.flag()) {
    return Error(ErrorCode::cancelled, "interrupted; no file was written");
  }
  return writable;
}

SaveOptions save_options(const OutputFile& output, const std::atomic<bool>* stop) {
  return {output.force ? Existing::replace : Existing::refuse, stop};
}

std::string printable(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const std::size_t length = character_length(text);
    if (length != 0) {
      result.append(text.substr(0, length));
    } else {
      constexpr std::string_view kDigits = "0123456789abcdef";
      const auto byte = static_cast<unsigned char>(text.front());
      result.append("\\x").append({kDigits[byte >> 4], kDigits[byte & 15]});
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return result;
}

std::string json_text(const Json& document) {
  return document.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void print_json(const Json& document) { std::printf("%s\n", json_text(document).c_str()); }

double readable(float value) {
  std::array<char, 32> text;
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), value);
  double result = static_cast<double>(value);
  if (error == std::errc()) std::from_chars(text.data(), end, result);
  return result;
}

std::string with_commas(std::uint64_t number) {
  const std::string digits = std::to_string(number);
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

namespace {

std::string formatted(double number, const char* unit) {
  std::array<char, 64> text;
  const int decimals = number < 9.995 ? 2 : number < 99.95 ? 1 : 0;
  std::snprintf(text.data(), text.size(), "%.*f %s", decimals, number, unit);
  return text.data();
}

}  // namespace

std::string human_bytes(std::uint64_t bytes) {
  if (bytes < 1000) return std::to_string(bytes) + " bytes";
  constexpr std::array<const char*, 5> kUnits = {"kB", "MB", "GB", "TB", "PB"};
  double number = static_cast<double>(bytes) / 1000;
  std::size_t unit = 0;
  while (number >= 999.5 && unit + 1 < kUnits.size()) {
    number /= 1000;
    ++unit;
  }
  return formatted(number, kUnits[unit]);
}

std::string human_seconds(double seconds) {
  if (seconds < 1e-6) return formatted(seconds * 1e9, "ns");
  if (seconds < 1e-3) return formatted(seconds * 1e6, "us");
  if (seconds < 1) return formatted(seconds * 1e3, "ms");
  return formatted(seconds, "s");
}

CLI::Validator vector_file_name() {
  return CLI::Validator(
      [](std::string& name) {
        if (name == "-") return std::string();
        const auto format = vector_format(name);
        return format ? std::string() : name + ": " + format.error().message();
      },
      "", "vector file");
}

void check_standard_input(const std::string& one, const std::string& other) {
  if (one == "-" && other == "-")
    throw CLI::ValidationError("standard input (-) stands for one input only");
}

CLI::Validator whole_number(std::uint64_t min, std::uint64_t max) {
  return CLI::Validator(
      [min, max](std::string& text) {
        std::uint64_t number = 0;
        const char* last = text.data() + text.size();
        const auto [end, error] = std::from_chars(text.data(), last, number);
        if (error == std::errc() && end == last && number >= min && number <= max) {
          return std::string();
        }
        return "'" + text + "' is not a whole number from " + std::to_string(min) + " to " +
               std::to_string(max);
      },
      "", "whole number");
}

CLI::Validator number_within(double min, double max) {
  return CLI::Validator(
      [min, max](std::string& text) {
        double number = 0;
        if (CLI::detail::lexical_cast(text, number) && number >= min && number <= max) {
          return std::string();
        }
        std::ostringstream ends;
        ends << min << " to " << max;
        return "Value " + text + " not in range " + ends.str();
      },
      "", "number");
}

CLI::Validator any_number() {
  return CLI::Validator(
      [](std::string& text) {
        double number = 0;
        if (CLI::detail::lexical_cast(text, number) && !std::isnan(number)) return std::string();
        return "'" + text + "' is not a number";
      },
      "", "number");
}

}  // namespace cairn::tools
