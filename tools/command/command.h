// SPDX-License-Identifier: Apache-2.0
//
// What the subcommands share. Results go to standard output, everything else to standard error.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <cairn/error.h>
#include <cairn/params.h>
#include <cairn/types.h>

namespace cairn::tools {

// Exit codes; programs depend on them.
enum class Exit : int { ok = 0, failed = 1, wrong_use = 2, corrupt = 3 };

// Keeps the order in which fields are added.
using Json = nlohmann::ordered_json;

// The flags that every command has.
struct OutputFlags {
  bool json = false;
  bool quiet = false;
};
void add_output_flags(CLI::App& command, OutputFlags& flags);
// The arguments FILE and KEY..., both required.
void add_index_file(CLI::App& command, std::string& file);
void add_keys(CLI::App& command, std::vector<Key>& keys);

// Each adds its subcommand, and returns what to run after the command line has been parsed and
// named it.
using Run = std::function<Exit()>;
Run add_build(CLI::App& app);
Run add_search(CLI::App& app);
Run add_recall(CLI::App& app);
Run add_tune(CLI::App& app);
Run add_info(CLI::App& app);
Run add_verify(CLI::App& app);
Run add_get(CLI::App& app);
Run add_add(CLI::App& app);
Run add_remove(CLI::App& app);
Run add_compact(CLI::App& app);
Run add_recover(CLI::App& app);
Run add_backup(CLI::App& app);
Run add_import(CLI::App& app);
Run add_export(CLI::App& app);
Run add_migrate(CLI::App& app);
Run add_shards(CLI::App& app);

// The error without the "OPERATION: " that the library puts in front, where something else says it.
Error without_operation(const Error& error, std::string_view operation);

// Prints "cairn: COMMAND: NAME (NUMBER): message", the message printable and without the library's
// word for the same command, and returns the exit code that the error's code stands for.
Exit report(std::string_view command, const Error& error);
Exit exit_code(ErrorCode code);

// What a command that changes a file says at its end: how many vectors it holds, or the error.
Exit report_size(std::string_view command, const std::string& file, const Result<std::size_t>& size,
                 const OutputFlags& flags);

// Prints a remark that --quiet and --json suppress.
void remark(const OutputFlags& flags, const std::string& text);

// What is printed of words that come from elsewhere, such as names of files and what stands in
// them: each byte that is not UTF-8, or part of a character that controls a terminal, as \xNN.
std::string printable(std::string_view text);

// One JSON document on one line. Bytes that are not UTF-8 become U+FFFD.
void print_json(const Json& document);
std::string json_text(const Json& document);

// The double whose shortest decimal form is that of `value`: 0.1f as 0.1, not as
// 0.10000000149011612.
double readable(float value);

// "1,234,567"; "12.3 MB" in units of 1000; "1.25 s", "340 ms", "25.0 us".
std::string with_commas(std::uint64_t number);
std::string human_bytes(std::uint64_t bytes);
std::string human_seconds(double seconds);

// A file that a command writes; with `force` it replaces one that is there.
struct OutputFile {
  std::string path;
  bool force = false;
};
// Told before hours of work rather than after them: path_exists (a link that leads nowhere counts
// without `force`, and only a regular file is ever replaced), path_not_found (no directory to write
// into), and whatever else Index::check_save() knows.
Result<void> check_output(const OutputFile& output);
// How it is written then: without `force` nothing is replaced that has appeared meanwhile.
SaveOptions save_options(const OutputFile& output, const std::atomic<bool>* stop = nullptr);

// What such a name may be, for help.
inline constexpr char kVectorFiles[] =
    ".fbin, .u8bin, .i8bin, .fvecs, .bvecs, .npy or .hdf5; - is .fbin from standard input";

// An option check: a name ends in a suffix of a vector file, or is "-".
CLI::Validator vector_file_name();

// Standard input ("-") stands for one input at most: throws CLI::ValidationError.
void check_standard_input(const std::string& one, const std::string& other);

// An option check: a whole number in [min, max], in decimal digits. (CLI11 by itself reads -1 into
// an unsigned.)
CLI::Validator whole_number(std::uint64_t min, std::uint64_t max);
// The same: a number in [min, max], so not NaN. (CLI11's own range takes NaN.)
CLI::Validator number_within(double min, double max);
// The same: any number, the infinite ones among them, but not NaN.
CLI::Validator any_number();
inline constexpr std::uint64_t kAnyNumber = ~std::uint64_t{0};
inline constexpr std::uint64_t kMaxThreads = 1024;
inline constexpr std::uint64_t kMaxNeighbors =
    0xFFFFFFFF;  // -k and --ef: more than any index holds

}  // namespace cairn::tools
