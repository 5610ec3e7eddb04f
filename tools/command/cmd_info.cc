// SPDX-License-Identifier: Apache-2.0
//
// cairn info: what a file says about itself. Names of fields are those of docs/format.md.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <cairn/cairn.h>

#include "engine/api/prometheus.h"
#include "engine/vectors/components.h"
#include "format/bytes/extent_table.h"
#include "format/bytes/features.h"
#include "format/bytes/header_layout.h"
#include "format/bytes/limits.h"
#include "format/bytes/parameters.h"
#include "format/bytes/superblock.h"
#include "format/bytes/superblock_layout.h"
#include "format/io/file.h"
#include "format/log/log_summary.h"
#include "tools/command/command.h"

namespace cairn::tools {
namespace {

struct InfoCommand {
  std::string file;
  bool prometheus = false;
  OutputFlags flags;
};

std::string hex(const format::Uuid& uuid) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : uuid) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

// Names of feature bits, as in the format's specification.
Json features_json(const format::Superblock& superblock) {
  Json names = Json::array();
  for (const format::Feature& feature : format::kFeatures) {
    const std::uint64_t bits =
        feature.is_compat ? superblock.feature_compat : superblock.feature_incompat;
    if ((bits & feature.mask) != 0) names.push_back(feature.name);
  }
  return names;
}

// Node or bucket numbers, which may be none.
Json number_or_none(std::uint32_t number) {
  return number == format::kNoNode ? Json(nullptr) : Json(number);
}

// The blocks that describe the file, as they stand in it.
struct Blocks {
  format::StaticHeader header;
  std::array<std::optional<format::Superblock>, 2> slots;  // empty: not valid
  format::LogSummary log;                                  // of the newer one

  // The newer one; slot 0 if they are equally new.
  std::size_t newest() const {
    if (!slots[0]) return 1;
    return slots[1] && slots[1]->generation > slots[0]->generation ? 1 : 0;
  }
  const format::Superblock& superblock() const { return *slots[newest()]; }
};

Result<Blocks> read_blocks(const std::string& path) {
  const auto file = format::default_file_system().open(path, format::Access::read_only);
  if (!file) return file.error();
  std::array<std::byte, format::StaticHeader::kEncodedSize> header_bytes;
  if (auto ok = file->pread(header_bytes, format::kHeaderOffset); !ok) return ok.error();
  auto header = format::StaticHeader::decode(header_bytes);
  if (!header) return header.error();
  Blocks blocks{*header, {}, {}};
  std::vector<std::byte> slot_bytes(format::Superblock::kEncodedSize);
  for (std::size_t slot = 0; slot < blocks.slots.size(); ++slot) {
    if (auto ok = file->pread(slot_bytes, format::kSuperblockOffsets[slot]); !ok) return ok.error();
    const std::span<const std::byte, format::Superblock::kEncodedSize> bytes(slot_bytes);
    auto superblock = format::Superblock::decode(bytes, blocks.header.uuid);
    if (superblock) blocks.slots[slot] = std::move(*superblock);
  }
  if (!blocks.slots[0] && !blocks.slots[1]) {
    return Error(ErrorCode::corrupt, path + ": no valid superblock");
  }
  const auto log = format::summarize_log(*file, blocks.superblock());
  if (!log) return log.error().with_context(path);
  blocks.log = *log;
  return blocks;
}

Json header_json(const format::StaticHeader& header) {
  const format::Parameters& p = header.parameters;
  return {{"format_major", format::kFormatMajor},
          {"format_minor", format::kFormatMinor},
          {"uuid", hex(header.uuid)},
          {"page_size", format::kPageSize},
          {"huge_page_size", format::kHugePage},
          {"dimensions", p.dimensions},
          {"metric", name_of(p.metric)},
          {"scalar", name_of(p.scalar)},
          {"traversal", name_of(p.traversal)},
          {"m", p.m},
          {"m_max0", p.m_max0},
          {"ef_construction", p.ef_construction},
          {"hot_factor_offset", p.hot_factor_offset},
          {"seed", p.seed},
          {"hot_stride", p.hot_stride},
          {"exact_stride", p.exact_stride},
          {"upper_stride", p.upper_stride},
          {"section_count", header.section_count}};
}

Json superblock_json(const Blocks& blocks) {
  const format::Superblock& s = blocks.superblock();
  return {{"slot", blocks.newest()},
          {"slot_0", blocks.slots[0] ? "valid" : "not valid"},
          {"slot_1", blocks.slots[1] ? "valid" : "not valid"},
          {"generation", s.generation},
          {"feature_incompat", s.feature_incompat},
          {"feature_ro_compat", s.feature_ro_compat},
          {"feature_compat", s.feature_compat},
          {"file_size", s.file_size},
          {"checkpoint_lsn", s.checkpoint_lsn},
          {"log_offset", s.log_offset},
          {"log_salt", s.log_salt},
          {"log_first_lsn", s.log_first_lsn},
          {"journal_offset", s.journal_offset},
          {"journal_bytes", s.journal_bytes},
          {"flags", s.flags},
          {"extent_count", s.extents.size()}};
}

bool is_clean(const Blocks& blocks) {
  return (blocks.superblock().flags & format::kSuperblockClean) != 0;
}

// Of the file with its log: the blocks below are those of the last checkpoint.
Json state_json(const Blocks& blocks, const Stats& stats) {
  return {{"clean", is_clean(blocks)},
          {"features", features_json(blocks.superblock())},
          {"log_bytes", blocks.log.bytes},
          {"log_frames", blocks.log.frames},
          {"last_lsn", blocks.log.last_lsn},
          {"dirty_pages", blocks.log.dirty_pages},
          {"live", stats.live},
          {"deleted", stats.deleted},
          {"free_slots", stats.slots - stats.live - stats.deleted},
          {"recovery_ns", stats.recovery_ns}};
}

Json counters_json(const format::Counters& c) {
  Json upper_free = Json::array();
  for (const std::uint32_t first : c.upper_free) upper_free.push_back(number_or_none(first));
  return {{"slots_used", c.slots_used},
          {"live", c.live},
          {"deleted", c.deleted},
          {"upper_used", c.upper_used},
          {"hash_buckets", c.hash_buckets},
          {"overflow_used", c.overflow_used},
          {"applied_up_to", c.applied_up_to},
          {"advised_ef", c.advised_ef},
          {"overflow_free", number_or_none(c.overflow_free)},
          {"entry_point", number_or_none(c.entry_point)},
          {"max_level", c.max_level},
          {"slot_free", number_or_none(c.slot_free)},
          {"upper_free", std::move(upper_free)}};
}

Json extents_json(const std::vector<format::Extent>& extents) {
  Json list = Json::array();
  for (const format::Extent& extent : extents) {
    list.push_back({{"section", format::section_name(extent.section)},
                    {"flags", extent.flags},
                    {"logical_offset", extent.logical_offset},
                    {"length", extent.length},
                    {"file_offset", extent.file_offset},
                    {"tree_offset", extent.tree_offset},
                    {"root", extent.root}});
  }
  return list;
}

Json info_json(const Blocks& blocks, const Stats& stats) {
  const format::Parameters& p = blocks.header.parameters;
  const std::string version =
      std::to_string(format::kFormatMajor) + "." + std::to_string(format::kFormatMinor);
  Json info = {{"vectors", stats.live},
               {"dimensions", p.dimensions},
               {"metric", name_of(p.metric)},
               {"scalar", name_of(p.scalar)},
               {"m", p.m},
               {"ef_construction", p.ef_construction},
               {"format", version},
               {"bytes", stats.file_bytes},
               {"open_ns", stats.open_ns},
               {"hot_bytes", stats.hot_bytes},
               {"exact_bytes", stats.exact_bytes},
               {"private_bytes", stats.private_bytes},
               {"simd", stats.simd},
               {"state", state_json(blocks, stats)},
               {"header", header_json(blocks.header)},
               {"superblock", superblock_json(blocks)},
               {"counters", counters_json(blocks.superblock().counters)},
               {"extents", extents_json(blocks.superblock().extents)}};
  if (p.several_per_key) info["keys"] = stats.keys;
  return info;
}

void print_field(const char* name, const std::string& value) {
  std::printf("  %-18s %s\n", name, value.c_str());
}

std::string plain_text(const Json& value) {
  if (value.is_null()) return "none";
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return value.dump();
  const bool all_null = std::all_of(value.begin(), value.end(),
                                    [](const Json& element) { return element.is_null(); });
  if (all_null) return "none";
  std::string text;
  for (const Json& element : value) text += (text.empty() ? "" : " ") + plain_text(element);
  return text;
}

void print_group(const char* title, const Json& group) {
  std::printf("%s\n", title);
  for (const auto& field : group.items())
    print_field(field.key().c_str(), plain_text(field.value()));
}

void print_extents(const std::vector<format::Extent>& extents) {
  std::printf("extents\n  %-10s %15s %15s %15s %12s  %s\n", "section", "logical_offset", "length",
              "file_offset", "tree_offset", "root");
  for (const format::Extent& extent : extents) {
    std::printf("  %-10s %15llu %15llu %15llu %12llu  %016llx\n",
                format::section_name(extent.section).c_str(),
                static_cast<unsigned long long>(extent.logical_offset),
                static_cast<unsigned long long>(extent.length),
                static_cast<unsigned long long>(extent.file_offset),
                static_cast<unsigned long long>(extent.tree_offset),
                static_cast<unsigned long long>(extent.root));
  }
}

void print_info(const InfoCommand& command, const Blocks& blocks, const Stats& stats) {
  const Json info = info_json(blocks, stats);
  std::printf("%s\n", printable(command.file).c_str());
  print_field("vectors", with_commas(stats.live));
  if (info.contains("keys")) print_field("keys", with_commas(stats.keys));
  for (const char* name : {"dimensions", "metric", "scalar", "m", "ef_construction", "format"}) {
    print_field(name, plain_text(info[name]));
  }
  print_field("bytes", with_commas(stats.file_bytes) + " (" + human_bytes(stats.file_bytes) + ")");
  print_field("hot_bytes", with_commas(stats.hot_bytes));
  print_field("exact_bytes", with_commas(stats.exact_bytes));
  print_field("private_bytes", with_commas(stats.private_bytes));
  print_field("opened in", human_seconds(static_cast<double>(stats.open_ns) * 1e-9));
  print_field("simd", stats.simd);
  if (command.flags.quiet) return;
  print_group("state", info["state"]);
  print_group("header", info["header"]);
  print_group("superblock", info["superblock"]);
  print_group("counters", info["counters"]);
  print_extents(blocks.superblock().extents);
}

void print_prometheus(const std::string& file, const Blocks& blocks, const IndexParams& params,
                      const Stats& stats) {
  const format::Superblock& superblock = blocks.superblock();
  const PrometheusText::Label name{"file", file};
  const PrometheusText::Label uuid{"uuid", hex(blocks.header.uuid)};
  PrometheusText text("cairn_", {&name, 1});
  add_contents(text, params, stats, {&uuid, 1});
  text.gauge("clean", "1 if the file was closed, 0 if it is or was being written.",
             is_clean(blocks) ? 1 : 0);
  text.gauge("feature_incompat", "Bits of features without which it cannot be read.",
             superblock.feature_incompat);
  text.gauge("extents", "Runs of pages.", superblock.extents.size());
  text.gauge("checkpoint_lsn", "Last log frame that the sections contain.",
             superblock.checkpoint_lsn);
  add_log(text, blocks.log.last_lsn, blocks.log.frames, blocks.log.bytes, blocks.log.dirty_pages);
  text.gauge("journal_bytes", "Journal of a checkpoint that was not finished.",
             superblock.journal_bytes);
  text.gauge("applied_up_to", "The host's log position at the last checkpoint.",
             superblock.counters.applied_up_to);
  std::fputs(text.text().c_str(), stdout);
}

struct Shown {
  Blocks blocks;
  IndexParams params;
  Stats stats;
};

Result<Shown> look_once(const std::string& path) {
  // Opened first: its refusal is the one that counts.
  const auto index = Index::open(path);
  if (!index) return index.error();
  auto blocks = read_blocks(path);
  if (!blocks) return blocks.error();
  return Shown{std::move(*blocks), index->params(), index->stats()};
}

// Beside a writer that works a reader may see two states at once, as if something were lost.
Result<Shown> look(const std::string& path) {
  constexpr int kAttempts = 10;
  for (int attempt = 1;; ++attempt) {
    auto shown = look_once(path);
    const bool may_pass = !shown && (shown.error().code() == ErrorCode::busy ||
                                     shown.error().code() == ErrorCode::data_loss);
    if (!may_pass || attempt == kAttempts) return shown;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

Exit run_info(const InfoCommand& command) {
  const auto shown = look(command.file);
  if (!shown) return report("info", shown.error());
  if (command.prometheus) {
    print_prometheus(command.file, shown->blocks, shown->params, shown->stats);
  } else if (command.flags.json) {
    print_json(info_json(shown->blocks, shown->stats));
  } else {
    print_info(command, shown->blocks, shown->stats);
  }
  return Exit::ok;
}

}  // namespace

Run add_info(CLI::App& app) {
  auto command = std::make_shared<InfoCommand>();
  CLI::App* sub =
      app.add_subcommand("info", "Show what a file holds: parameters, counters, sections");
  add_index_file(*sub, command->file);
  add_output_flags(*sub, command->flags);
  sub->add_flag("--prometheus", command->prometheus,
                "Print gauges in the text format of Prometheus instead of text")
      ->excludes("--json");
  sub->footer(
      "Names are those of the file format's specification. --quiet leaves out the blocks of the "
      "file.\n"
      "\n"
      "Examples:\n"
      "  cairn info words.cairn\n"
      "  cairn info words.cairn --json\n"
      "  cairn info words.cairn --prometheus > /var/lib/node_exporter/words.prom");
  return [command] { return run_info(*command); };
}

}  // namespace cairn::tools
