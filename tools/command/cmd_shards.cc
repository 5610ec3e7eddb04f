// SPDX-License-Identifier: Apache-2.0
//
// cairn shards: many index files as one. docs/shards.md
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <cairn/cairn.h>

#include "tools/command/build_options.h"
#include "tools/command/choice.h"
#include "tools/command/command.h"
#include "tools/command/progress.h"
#include "tools/command/shard_build.h"
#include "tools/command/shards_search.h"
#include "tools/command/stop_on_signal.h"
#include "tools/command/stored_rows.h"
#include "tools/files/text_file.h"
#include "tools/files/vector_file.h"

namespace cairn::tools {
namespace {

constexpr std::size_t kMostShards = 65'536;
constexpr std::size_t kMaxKept = 1'000'000;
constexpr std::size_t kMostHours = 87'600;

struct ShardsCommand {
  std::string folder;
  std::string vectors;
  std::string keys;
  BuildSettings settings;
  std::optional<Partition> partition;
  std::size_t shards = 0;
  double copies = -1;                        // not given
  std::size_t keep = 2;                      // generations
  std::optional<std::size_t> unnamed_after;  // hours
  bool force = false;
  OutputFlags flags;
};

// The generation that stands in the folder; 0: none. path_exists, unless it may be replaced.
Result<std::uint64_t> generation_in(const ShardsCommand& command) {
  const auto manifest = read_shard_manifest(command.folder);
  if (!manifest && manifest.error().code() == ErrorCode::path_not_found) return std::uint64_t{0};
  if (!manifest) return manifest.error();
  if (command.force) return manifest->generation;
  return Error(ErrorCode::path_exists,
               command.folder + " holds a set; --force publishes another generation of it");
}

// Nothing is read for a folder that cannot be made.
Result<void> check_folder(const std::string& folder) {
  std::error_code code;
  const auto status = std::filesystem::status(folder, code);
  if (std::filesystem::is_directory(status)) return {};
  if (std::filesystem::exists(status))
    return Error(ErrorCode::path_exists, folder + " is there, and no folder");
  const auto parent = std::filesystem::absolute(folder, code).lexically_normal().parent_path();
  if (!std::filesystem::exists(parent, code)) return {};  // is made, too
  if (std::filesystem::is_directory(parent, code)) return {};
  return Error(ErrorCode::path_not_found, parent.string() + " is no folder");
}

// Runs build_shards() with a bar, and tells.
Exit build_and_tell(const char* name, const ShardsCommand& command, const ShardRows& rows,
                    const IndexParams& params, ShardPlan plan) {
  std::optional<Progress> bar;
  std::string label;
  plan.threads = command.settings.threads;
  plan.progress = [&](const char* what, std::size_t done, std::size_t total) {
    if (!bar || label != what) {
      label = what;
      const std::string unit = label == "assign"  ? "vectors"
                               : label == "build" ? "shards"
                                                  : "rounds";
      bar.emplace(label, unit, progress_style(!command.flags.json && !command.flags.quiet));
    }
    bar->update(done, total);
  };
  const auto begin = std::chrono::steady_clock::now();
  const auto built = build_shards(command.folder, rows, params, plan);
  if (bar) bar->clear();
  if (!built) {
    if (built.error().code() != ErrorCode::cancelled) return report(name, built.error());
    return report(name, Error(ErrorCode::cancelled, "interrupted; nothing was published"));
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::uint64_t bytes = 0;
  std::uint64_t largest = 0;
  Json shards = Json::array();
  for (const ShardFile& file : built->manifest.shards) {
    bytes += file.bytes;
    largest = std::max(largest, file.vectors);
    shards.push_back({{"file", file.file}, {"vectors", file.vectors}, {"bytes", file.bytes}});
  }
  if (command.flags.json) {
    print_json({{"generation", built->manifest.generation},
                {"vectors", built->vectors},
                {"copies", built->copies},
                {"dimensions", params.dimensions},
                {"seconds", seconds},
                {"bytes", bytes},
                {"shards", std::move(shards)}});
    return Exit::ok;
  }
  remark(command.flags, "built  " + std::to_string(built->manifest.shards.size()) + " shards of " +
                            with_commas(built->vectors) + " vectors in " + human_seconds(seconds) +
                            ", the largest of " + with_commas(largest));
  remark(command.flags, "published " + command.folder + ", generation " +
                            std::to_string(built->manifest.generation) + ", " + human_bytes(bytes));
  return Exit::ok;
}

Exit run_build(const ShardsCommand& command) {
  constexpr const char* name = "shards build";
  const auto generation = generation_in(command);
  if (!generation) return report(name, generation.error());
  if (auto ok = check_folder(command.folder); !ok) return report(name, ok.error());
  const auto file = map_vectors(command.vectors);
  if (!file) return report(name, file.error());
  const auto keys = keys_of_rows(command.keys, command.vectors, file->rows);
  if (!keys) return report(name, keys.error());
  if (const auto twice = find_repeated(*keys)) {
    return report(name, Error(ErrorCode::key_exists, "rows " + std::to_string(twice->earlier) +
                                                         " and " + std::to_string(twice->place) +
                                                         " have the same key " +
                                                         std::to_string((*keys)[twice->place])));
  }
  remark(command.flags, "read   " + with_commas(file->rows) + " vectors of " +
                            std::to_string(file->dims) + " dimensions from " +
                            input_name(command.vectors));
  const IndexParams params = params_for(command.settings, *file);
  const RowConverter rows(*file, command.vectors, params);
  if (auto ok = rows.check(); !ok) return report(name, ok.error());
  const StopOnSignal stop;
  ShardPlan plan;
  plan.shards = command.shards;
  plan.partition = command.partition.value_or(Partition::hash);
  plan.copies = std::max(command.copies, 0.0);
  plan.generation = *generation;
  plan.stop = stop.flag();
  return build_and_tell(name, command, FileRows(*keys, rows), params, plan);
}

// merge and split: the vectors of the set into another number of shards.
Exit run_again(const char* name, const ShardsCommand& command, bool is_split) {
  const auto current = read_shard_manifest(command.folder);
  if (!current) return report(name, current.error());
  // What may be changed is held, so that nobody changes it meanwhile. What is read is checked:
  // damage would be whole in the files that are built.
  ShardOptions options;
  options.open.check = Check::on_first_use;
  const auto& files = current->shards;
  const bool is_live =
      std::any_of(files.begin(), files.end(), [](const ShardFile& file) { return !file.sealed; });
  if (is_live) options.open.mode = Mode::read_write;
  auto set = ShardSet::open(std::filesystem::path(command.folder), options);
  if (!set) return report(name, set.error());
  const StopOnSignal stop;
  const ShardManifest& manifest = set->manifest();
  const std::size_t now = manifest.shards.size();
  ShardPlan plan;
  plan.shards = command.shards;
  if (plan.shards == 0) plan.shards = is_split ? 2 * now : (now + 1) / 2;
  const bool fits = is_split ? plan.shards > now : plan.shards <= now;
  if (!fits || plan.shards > kMostShards) {
    return report(name, Error(ErrorCode::invalid_argument,
                              command.folder + " has " + std::to_string(now) +
                                  " shards, and is to have " + std::to_string(plan.shards)));
  }
  // Rows that lie anyhow are spread by their keys.
  const Partition partition =
      manifest.partition == Partition::clusters ? Partition::clusters : Partition::hash;
  plan.partition = command.partition.value_or(partition);
  if (command.copies >= 0 && plan.partition != Partition::clusters) {
    return report(name, Error(ErrorCode::invalid_argument,
                              "--copies is for clusters, and the shards are spread by keys"));
  }
  plan.generation = manifest.generation;
  plan.stop = stop.flag();
  if (is_live) plan.held = &*set;
  const auto rows = SetRows::of(*set, stop.flag());
  if (!rows) return report(name, rows.error());
  // As many copies as there are.
  const double copies = static_cast<double>(set->size() - rows->keys().size()) /
                        static_cast<double>(std::max<std::size_t>(1, rows->keys().size()));
  plan.copies = command.copies >= 0 ? command.copies : std::clamp(copies, 0.0, 1.0);
  return build_and_tell(name, command, *rows, manifest.params, plan);
}

Exit run_verify(const ShardsCommand& command) {
  constexpr const char* name = "shards verify";
  ShardOptions options;
  options.allow_partial = true;  // what is missing is a finding
  const auto set = ShardSet::open(std::filesystem::path(command.folder), options);
  if (!set) {
    if (command.flags.json && exit_code(set.error().code()) == Exit::corrupt) {
      print_json({{"ok", false}, {"findings", {set.error().message()}}});
    }
    return report(name, set.error());
  }
  const StopOnSignal stop;
  BuildOptions build;
  build.threads = command.settings.threads;
  build.stop = stop.flag();
  const auto checked = set->verify(build);
  if (!checked) return report(name, checked.error());
  if (command.flags.json) {
    print_json({{"ok", checked->ok()},
                {"generation", set->manifest().generation},
                {"shards", set->shards()},
                {"vectors", set->size()},
                {"pages_checked", checked->pages_checked},
                {"nodes_checked", checked->nodes_checked},
                {"unreachable", checked->unreachable},
                {"findings", checked->findings}});
  } else {
    for (const std::string& finding : checked->findings)
      std::printf("%s\n", printable(finding).c_str());
    const std::string found =
        checked->ok() ? "ok" : with_commas(checked->findings.size()) + " findings";
    remark(command.flags, command.folder + ": " + found + "; generation " +
                              std::to_string(set->manifest().generation) + ", " +
                              std::to_string(set->shards()) + " shards of " +
                              with_commas(set->size()) + " vectors");
  }
  return checked->ok() ? Exit::ok : Exit::corrupt;
}

Exit run_prune(const ShardsCommand& command) {
  PruneOptions options;
  options.keep = command.keep;
  if (command.unnamed_after) options.unnamed_after = std::chrono::hours(*command.unnamed_after);
  const auto pruned = prune_shards(command.folder, options);
  if (!pruned) return report("shards prune", pruned.error());
  if (command.flags.json) {
    print_json({{"removed", pruned->removed},
                {"in_use", pruned->in_use},
                {"files", pruned->files},
                {"bytes", pruned->bytes},
                {"unnamed", pruned->unnamed}});
    return Exit::ok;
  }
  std::string text = command.folder + ": " + with_commas(pruned->removed.size()) +
                     " generations removed, with " + with_commas(pruned->files) + " files, " +
                     human_bytes(pruned->bytes);
  if (pruned->unnamed != 0)
    text += ", " + with_commas(pruned->unnamed) + " of them of no generation";
  for (const std::uint64_t generation : pruned->in_use)
    text += "; generation " + std::to_string(generation) + " is in use, and stays";
  remark(command.flags, text);
  return Exit::ok;
}

void add_folder(CLI::App& sub, ShardsCommand& command) {
  sub.add_option("DIR", command.folder, "The folder of the set")->required()->type_name("");
}

void add_partition(CLI::App& sub, ShardsCommand& command) {
  add_choice<Partition>(sub, "--partition",
                        "hash: by keys, for any query; clusters: near vectors together, of which a "
                        "query needs some [hash, or that of the set]",
                        {{"hash", Partition::hash}, {"clusters", Partition::clusters}},
                        [&command](Partition partition) { command.partition = partition; });
  sub.add_option("--copies", command.copies,
                 "With clusters: part of the vectors that a second shard has, too, 0 to 1")
      ->type_name("P")
      ->check(number_within(0.0, 1.0));
}

void add_threads(CLI::App& sub, ShardsCommand& command) {
  sub.add_option("--threads", command.settings.threads, "Threads; 0 is one a core")
      ->type_name("N")
      ->check(whole_number(0, kMaxThreads))
      ->capture_default_str();
}

Run add_shards_build(CLI::App& shards) {
  auto command = std::make_shared<ShardsCommand>();
  CLI::App* sub = shards.add_subcommand("build", "Index the vectors of a file as several shards");
  sub->add_option("VECTORS", command->vectors, std::string("Vectors: ") + kVectorFiles)
      ->required()
      ->type_name("")
      ->check(vector_file_name());
  sub->add_option("-o,--output", command->folder, "The folder to write")
      ->required()
      ->type_name("DIR");
  sub->add_option("--shards", command->shards, "How many, 1 to 65536")
      ->required()
      ->type_name("N")
      ->check(whole_number(1, kMostShards));
  add_partition(*sub, *command);
  add_build_options(*sub, command->settings);
  sub->add_option("--keys", command->keys,
                  "Text file, line i is the key (u64) of row i, or - for standard input, or .npy; "
                  "default: the row number")
      ->type_name("KEYS");
  sub->add_flag("-f,--force", command->force, "Publish another generation if DIR holds a set");
  add_output_flags(*sub, command->flags);
  sub->callback([command, sub] {
    check_standard_input(command->vectors, command->keys);
    read_build_options(*sub, command->settings);
    if (command->copies >= 0 && command->partition != Partition::clusters)
      throw CLI::ValidationError("--copies", "Only with --partition clusters");
  });
  sub->footer(
      "Examples:\n"
      "  cairn shards build words.fbin -o words --shards 8\n"
      "  cairn shards build words.fbin -o words --shards 16 --partition clusters --copies 0.3");
  return [command] { return run_build(*command); };
}

Run add_shards_again(CLI::App& shards, const char* word, bool is_split) {
  auto command = std::make_shared<ShardsCommand>();
  CLI::App* sub = shards.add_subcommand(
      word, is_split ? "Build a set anew with more shards" : "Build a set anew with fewer shards");
  add_folder(*sub, *command);
  sub->add_option("--shards", command->shards,
                  is_split ? "How many then [twice as many]" : "How many then [half as many]")
      ->type_name("N")
      ->check(whole_number(1, kMostShards));
  add_partition(*sub, *command);
  add_threads(*sub, *command);
  add_output_flags(*sub, command->flags);
  const std::string name = std::string("shards ") + word;
  sub->footer("Examples:\n  cairn " + name + " words\n  cairn " + name + " words --shards " +
              (is_split ? "32" : "2"));
  return [command, name, is_split] { return run_again(name.c_str(), *command, is_split); };
}

Run add_shards_verify(CLI::App& shards) {
  auto command = std::make_shared<ShardsCommand>();
  CLI::App* sub = shards.add_subcommand("verify", "Check every file of a set against its manifest");
  add_folder(*sub, *command);
  add_threads(*sub, *command);
  add_output_flags(*sub, command->flags);
  sub->footer("Examples:\n  cairn shards verify words\n  cairn shards verify words --json");
  return [command] { return run_verify(*command); };
}

Run add_shards_prune(CLI::App& shards) {
  auto command = std::make_shared<ShardsCommand>();
  CLI::App* sub = shards.add_subcommand("prune", "Remove older generations that nobody has open");
  add_folder(*sub, *command);
  sub->add_option("--keep", command->keep, "How many stay, with the one that holds")
      ->type_name("N")
      ->check(whole_number(1, kMaxKept))
      ->capture_default_str();
  sub->add_option("--unnamed-after", command->unnamed_after,
                  "Also files of no generation that came H hours ago or earlier: more than a build "
                  "takes to publish")
      ->type_name("H")
      ->check(whole_number(0, kMostHours));
  add_output_flags(*sub, command->flags);
  sub->footer(
      "Examples:\n  cairn shards prune words\n  cairn shards prune words --keep 1 --unnamed-after "
      "48");
  return [command] { return run_prune(*command); };
}

}  // namespace

Run add_shards(CLI::App& app) {
  CLI::App* sub = app.add_subcommand("shards", "Many index files as one");
  sub->require_subcommand(1);
  sub->get_formatter()->label("SUBCOMMAND", "COMMAND");
  auto runs = std::make_shared<std::vector<std::pair<CLI::App*, Run>>>();
  const auto add = [&](Run run) {
    runs->emplace_back(sub->get_subcommands(nullptr).back(), std::move(run));
  };
  add(add_shards_build(*sub));
  add(add_shards_search(*sub));
  add(add_shards_verify(*sub));
  add(add_shards_again(*sub, "merge", false));
  add(add_shards_again(*sub, "split", true));
  add(add_shards_prune(*sub));
  sub->footer(
      "Examples:\n"
      "  cairn shards build words.fbin -o words --shards 8\n"
      "  cairn shards search words queries.fbin -k 5 --json\n"
      "  cairn shards verify words\n"
      "'cairn shards COMMAND --help' tells more about a command.");
  return [runs] {
    for (const auto& [command, run] : *runs) {
      if (command->parsed()) return run();
    }
    return Exit::wrong_use;
  };
}

}  // namespace cairn::tools
