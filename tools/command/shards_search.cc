// SPDX-License-Identifier: Apache-2.0
#include "tools/command/shards_search.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <cairn/cairn.h>

#include "tools/command/match_output.h"
#include "tools/command/stored_rows.h"
#include "tools/files/text_file.h"
#include "tools/files/vector_file.h"

namespace cairn::tools {
namespace {

constexpr const char* kName = "shards search";

struct ShardsSearch {
  std::string folder;
  std::string queries;
  std::string names;
  std::string only;
  std::string except;
  SearchParams params;
  ShardScope scope;
  std::optional<float> radius;
  bool exact = false;
  bool allow_partial = false;
  std::size_t deadline_ms = 0;
  std::size_t limit = std::numeric_limits<std::size_t>::max();
  OutputFlags flags;
};

Result<std::optional<ShardFilter>> filter_of(const ShardsSearch& command, const ShardSet& set) {
  if (command.only.empty() && command.except.empty()) return std::optional<ShardFilter>();
  const auto keys = read_keys(command.only.empty() ? command.except : command.only);
  if (!keys) return keys.error();
  auto filter =
      command.only.empty() ? ShardFilter::except(set, *keys) : ShardFilter::only(set, *keys);
  if (!filter) return without_operation(filter.error(), "filter");
  return std::optional<ShardFilter>(std::move(*filter));
}

Result<std::vector<Match>> search_set(const ShardsSearch& command, const ShardSet& set,
                                      VectorView query, SearchParams params,
                                      const ShardScope& scope) {
  if (command.deadline_ms != 0) {
    params.deadline =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(command.deadline_ms);
  }
  if (!command.radius) {
    if (params.k == 0) params.k = SearchParams{}.k;
    auto found = set.search(query, params, scope);
    return found ? std::move(found)
                 : Result<std::vector<Match>>(without_operation(found.error(), "search"));
  }
  RangeParams range;
  range.ef = params.ef;
  range.max_results = params.k;
  range.plan = params.plan;
  range.max_distances = params.max_distances;
  range.deadline = params.deadline;
  range.report = params.report;
  auto found = set.search_range(query, *command.radius, range, scope);
  return found ? std::move(found)
               : Result<std::vector<Match>>(without_operation(found.error(), "search_range"));
}

const char* word_of(Plan plan) {
  return plan == Plan::exact ? "exact" : plan == Plan::walk ? "walk" : "mixed";
}

// {"k", "ef"}, with "radius" if there is one, and without its end.
std::string json_begin(const ShardsSearch& command) {
  Json head = {{"k", command.params.k}, {"ef", command.params.ef}};
  if (command.params.k == 0) head["k"] = nullptr;
  if (command.params.k == 0 && !command.radius) head["k"] = SearchParams{}.k;
  if (command.params.ef == 0) head["ef"] = nullptr;  // that of each shard
  if (command.radius) head["radius"] = readable(*command.radius);
  std::string text = json_text(head);
  text.pop_back();
  return text;
}

Exit run_shards_search(const ShardsSearch& command) {
  ShardOptions options;
  options.allow_partial = command.allow_partial;
  const auto set = ShardSet::open(std::filesystem::path(command.folder), options);
  if (!set) return report(kName, set.error());
  for (const ShardProblem& problem : set->problems()) (void)report(kName, problem.error);
  const auto filter = filter_of(command, *set);
  if (!filter) return report(kName, filter.error());
  const auto queries = read_queries(command.queries, set->params().dimensions);
  if (!queries) return report(kName, queries.error());
  const auto rows = StoredRows::of(*queries, command.queries, set->params());
  if (!rows) return report(kName, rows.error());
  Names names;
  if (!command.names.empty()) {
    auto read = read_names(command.names);
    if (!read) return report(kName, read.error());
    names = std::move(*read);
  }
  SearchReport done;
  ShardReport shards;
  SearchParams params = command.params;
  params.plan = command.exact ? Plan::exact : Plan::automatic;
  params.report = &done;
  ShardScope scope = command.scope;
  scope.filter = *filter ? &**filter : nullptr;
  scope.report = &shards;
  const std::size_t count = std::min(queries->rows, command.limit);
  if (command.flags.json) std::printf("%s,\"queries\":[", json_begin(command).c_str());
  for (std::size_t i = 0; i < count; ++i) {
    const auto matches = search_set(command, *set, rows->row(i), params, scope);
    if (!matches) return report(kName, matches.error().with_context("query " + std::to_string(i)));
    if (command.flags.json) {
      Json entry = {{"query", i},
                    {"matches", matches_json(*matches, names, !command.names.empty())},
                    {"plan", word_of(done.plan)},
                    {"complete", done.complete},
                    {"distances", done.distances},
                    {"shards_asked", shards.shards_asked},
                    {"shards_answered", shards.shards_answered}};
      if (!shards.missing.empty()) entry["missing"] = shards.missing;
      std::printf("%s%s", i == 0 ? "" : ",", json_text(entry).c_str());
      continue;
    }
    if (!command.flags.quiet) {
      const bool is_partial = shards.shards_answered < shards.shards_asked;
      std::printf("query %zu%s%s\n", i, done.complete ? "" : ": incomplete, a limit ended it",
                  is_partial ? ": partial, shards are missing" : "");
    }
    print_matches(*matches, names, !command.names.empty());
  }
  if (command.flags.json) std::printf("]}\n");
  return Exit::ok;
}

}  // namespace

Run add_shards_search(CLI::App& shards) {
  auto command = std::make_shared<ShardsSearch>();
  CLI::App* sub = shards.add_subcommand("search", "Find the nearest neighbours in all shards");
  sub->add_option("DIR", command->folder, "The folder of the set")->required()->type_name("");
  sub->add_option("QUERIES", command->queries, std::string("Queries: ") + kVectorFiles)
      ->required()
      ->type_name("")
      ->check(vector_file_name());
  command->params.k = 0;
  sub->add_option("-k", command->params.k,
                  "Neighbours wanted for each query [10; with --radius all within it]")
      ->type_name("K")
      ->check(whole_number(1, kMaxNeighbors));
  sub->add_option("--radius", command->radius,
                  "Everything within this distance; with -k the nearest K of it")
      ->type_name("R");
  command->params.ef = 0;
  sub->add_option("--ef", command->params.ef,
                  "Size of the candidate list in each shard [what is advised in its file, or 64]")
      ->type_name("EF")
      ->check(whole_number(1, kMaxNeighbors));
  sub->add_flag("--exact", command->exact, "Look at every vector instead of walking the graphs");
  auto* only = sub->add_option("--filter", command->only,
                               "Return only the keys in this text file, one a line")
                   ->type_name("KEYS");
  sub->add_option("--except", command->except, "Return all keys but those in this text file")
      ->type_name("KEYS")
      ->excludes(only);
  sub->add_option("--probe", command->scope.probe,
                  "Of clusters: search the N nearest shards at most [all]")
      ->type_name("N")
      ->check(whole_number(1, kAnyNumber));
  sub->add_option("--coverage", command->scope.coverage,
                  "Of clusters, with --probe: stop at the shards that have this part of the votes")
      ->type_name("P")
      ->check(CLI::Range(0.001f, 1.0f));
  sub->add_flag("--allow-partial", command->allow_partial,
                "Answer without the shards that are missing or damaged");
  sub->add_option("--max-distances", command->params.max_distances,
                  "End a search after so many distances, with what it has found")
      ->type_name("N")
      ->check(whole_number(1, kAnyNumber));
  sub->add_option("--deadline", command->deadline_ms,
                  "End a search after so many milliseconds, with what it has found")
      ->type_name("MS")
      ->check(whole_number(1, 1'000'000'000));
  sub->add_option("--names", command->names, "Text file, line i (from 0) is the name of key i")
      ->type_name("NAMES");
  sub->add_option("--limit", command->limit, "Search only the first N queries")
      ->type_name("N")
      ->check(whole_number(0, kAnyNumber));
  add_output_flags(*sub, command->flags);
  return [command] { return run_shards_search(*command); };
}

}  // namespace cairn::tools
