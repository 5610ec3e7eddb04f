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
#include "tools/command/search_call.h"
#include "tools/command/stored_rows.h"
#include "tools/files/text_file.h"
#include "tools/files/vector_file.h"

namespace cairn::tools {
namespace {

constexpr const char* kName = "shards search";

struct ShardsSearch {
  std::string folder;
  SearchCall call;
  ShardScope scope;
  bool allow_partial = false;
  OutputFlags flags;
};

const char* word_of(Plan plan) {
  return plan == Plan::exact ? "exact" : plan == Plan::walk ? "walk" : "mixed";
}

Exit run_shards_search(const ShardsSearch& command) {
  ShardOptions options;
  options.allow_partial = command.allow_partial;
  const auto set = ShardSet::open(std::filesystem::path(command.folder), options);
  if (!set) return report(kName, set.error());
  for (const ShardProblem& problem : set->problems()) (void)report(kName, problem.error);
  const SearchCall& call = command.call;
  const auto filter = filter_of<ShardFilter>(call, *set);
  if (!filter) return report(kName, filter.error());
  const auto queries = read_queries(call.queries, set->params().dimensions);
  if (!queries) return report(kName, queries.error());
  const auto rows = StoredRows::of(*queries, call.queries, set->params());
  if (!rows) return report(kName, rows.error());
  Names names;
  if (!call.names.empty()) {
    auto read = read_names(call.names);
    if (!read) return report(kName, read.error());
    names = std::move(*read);
  }
  SearchReport done;
  ShardReport shards;
  const SearchParams params = call.params(done);
  ShardScope scope = command.scope;
  scope.filter = *filter ? &**filter : nullptr;
  scope.report = &shards;
  const std::size_t count = std::min(queries->rows, call.limit);
  // Without one each shard takes its own.
  const auto ef = call.ef != 0 ? std::optional(call.ef) : std::nullopt;
  // All of it, so that an error leaves no half of a document.
  std::string document = json_head(call, ef) + ",\"queries\":[";
  for (std::size_t i = 0; i < count; ++i) {
    const auto matches = search_one(call, *set, rows->row(i), params, scope);
    if (!matches) return report(kName, matches.error().with_context("query " + std::to_string(i)));
    if (command.flags.json) {
      Json entry = {{"query", i},
                    {"matches", matches_json(*matches, names, !call.names.empty())},
                    {"plan", word_of(done.plan)},
                    {"complete", done.complete},
                    {"distances", done.distances},
                    {"shards_asked", shards.shards_asked},
                    {"shards_answered", shards.shards_answered}};
      if (!shards.missing.empty()) entry["missing"] = shards.missing;
      document.append(i == 0 ? "" : ",").append(json_text(entry));
      continue;
    }
    if (!command.flags.quiet) {
      const bool is_partial = shards.shards_answered < shards.shards_asked;
      std::printf("query %zu%s%s\n", i, done.complete ? "" : ": incomplete, a limit ended it",
                  is_partial ? ": partial, shards are missing" : "");
    }
    print_matches(*matches, names, !call.names.empty());
  }
  if (command.flags.json) std::printf("%s]}\n", document.c_str());
  return Exit::ok;
}

}  // namespace

Run add_shards_search(CLI::App& shards) {
  auto command = std::make_shared<ShardsSearch>();
  CLI::App* sub = shards.add_subcommand("search", "Find the nearest neighbours in all shards");
  sub->add_option("DIR", command->folder, "The folder of the set")->required()->type_name("");
  add_search_options(
      *sub, command->call,
      "Size of the candidate list in each shard [what is advised in its file, or 64]");
  auto* probe = sub->add_option("--probe", command->scope.probe,
                                "Of clusters: search the N nearest shards at most [all]")
                    ->type_name("N")
                    ->check(whole_number(1, kAnyNumber));
  sub->add_option("--coverage", command->scope.coverage,
                  "Of clusters, with --probe: stop at the shards that have this part of the votes")
      ->type_name("P")
      ->check(number_within(0.001, 1.0))
      ->needs(probe);
  sub->add_flag("--allow-partial", command->allow_partial,
                "Answer without the shards that are missing or damaged");
  add_output_flags(*sub, command->flags);
  sub->footer(
      "Examples:\n"
      "  cairn shards search words queries.fbin -k 5 --json\n"
      "  cairn shards search words queries.fbin --probe 6 --coverage 0.95");
  return [command] { return run_shards_search(*command); };
}

}  // namespace cairn::tools
