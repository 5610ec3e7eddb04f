// SPDX-License-Identifier: Apache-2.0
#include "tools/command.h"

#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "tools/vector_file.h"

namespace cairn::tools {

namespace fs = std::filesystem;

void add_output_flags(CLI::App& command, OutputFlags& flags) {
  command.add_flag("--json", flags.json, "Print one JSON document instead of text");
  command.add_flag("-q,--quiet", flags.quiet,
                   "Print results and errors only: no progress, no headings");
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
  std::fprintf(stderr, "cairn: %.*s: %s\n", static_cast<int>(command.size()), command.data(),
               without_operation(error, command).message().c_str());
  return exit_code(error.code());
}

void remark(const OutputFlags& flags, const std::string& text) {
  if (flags.json || flags.quiet) return;
  std::printf("%s\n", text.c_str());
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
  if (fs::is_directory(path, ignored)) {
    return Error(ErrorCode::path_exists, output.path + " is a directory");
  }
  if (!output.force && fs::exists(fs::symlink_status(path, ignored))) {
    return Error(ErrorCode::path_exists, output.path + " exists; --force replaces it");
  }
  const fs::path parent = path.has_parent_path() ? path.parent_path() : fs::path(".");
  if (!fs::is_directory(parent, ignored)) {
    return Error(ErrorCode::path_not_found,
                 "no directory " + parent.string() + " to write " + output.path + " into");
  }
  return {};
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

}  // namespace cairn::tools
