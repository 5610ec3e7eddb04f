// SPDX-License-Identifier: Apache-2.0
//
// cairn search: the nearest neighbours of each query.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <cairn/cairn.h>

#include "tools/command/command.h"
#include "tools/command/match_output.h"
#include "tools/command/stored_rows.h"
#include "tools/files/text_file.h"
#include "tools/files/vector_file.h"

namespace cairn::tools {
namespace {

struct SearchCommand {
  std::string file;
  std::string queries;
  std::string names;
  std::string only;
  std::string except;
  SearchParams params;
  std::optional<float> radius;  // all within it, or the nearest params.k of them if that is not 0
  bool exact = false;
  std::size_t deadline_ms = 0;
  std::size_t limit = std::numeric_limits<std::size_t>::max();
  bool check = false;
  OutputFlags flags;
};

// What the searches take.
std::size_t ef_of(const SearchCommand& command, const Index& index) {
  if (command.params.ef != 0) return command.params.ef;
  const std::size_t advised = index.stats().advised_ef;
  return advised != 0 ? advised : SearchParams{}.ef;
}

Result<std::vector<Match>> search_one(const SearchCommand& command, const Index& index,
                                      VectorView query, SearchParams params) {
  if (command.deadline_ms != 0) {
    params.deadline =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(command.deadline_ms);
  }
  if (!command.radius) {
    if (params.k == 0) params.k = SearchParams{}.k;
    return index.search(query, params);
  }
  RangeParams range;
  range.ef = params.ef;
  range.max_results = params.k;
  range.filter = params.filter;
  range.plan = params.plan;
  range.max_distances = params.max_distances;
  range.deadline = params.deadline;
  range.report = params.report;
  return index.search_range(query, *command.radius, range);
}

// {"k", "ef"}, with "radius" if there is one; "k" is null where everything within it is wanted.
std::string json_head(const SearchCommand& command, const Index& index) {
  Json head = {{"k", command.params.k}, {"ef", ef_of(command, index)}};
  if (command.params.k == 0) head["k"] = nullptr;
  if (command.params.k == 0 && !command.radius) head["k"] = SearchParams{}.k;
  if (command.radius) head["radius"] = readable(*command.radius);
  std::string text = json_text(head);
  text.pop_back();
  return text;
}

// The filter that the command line asks for, if it does.
Result<std::optional<Filter>> filter_of(const SearchCommand& command, const Index& index) {
  if (command.only.empty() && command.except.empty()) return std::optional<Filter>();
  const auto keys = read_keys(command.only.empty() ? command.except : command.only);
  if (!keys) return keys.error();
  auto filter = command.only.empty() ? Filter::except(index, *keys) : Filter::only(index, *keys);
  if (!filter) return filter.error();
  return std::optional<Filter>(std::move(*filter));
}

const char* name_of(Plan plan) { return plan == Plan::exact ? "exact" : "walk"; }

Exit run_search(const SearchCommand& command) {
  OpenOptions options;
  if (command.check) options.check = Check::on_first_use;
  const auto index = Index::open(command.file, options);
  if (!index) return report("search", index.error());
  const auto filter = filter_of(command, *index);
  if (!filter) return report("search", without_operation(filter.error(), "filter"));
  SearchReport done;
  SearchParams params = command.params;
  params.filter = *filter ? &**filter : nullptr;
  params.plan = command.exact ? Plan::exact : Plan::automatic;
  params.report = &done;
  const auto queries = read_queries(command.queries, index->params().dimensions);
  if (!queries) return report("search", queries.error());
  const auto rows = StoredRows::of(*queries, command.queries, index->params());
  if (!rows) return report("search", rows.error());
  const bool with_names = !command.names.empty();
  Names names;
  if (with_names) {
    auto read = read_names(command.names);
    if (!read) return report("search", read.error());
    names = std::move(*read);
  }

  const std::size_t count = std::min(queries->rows, command.limit);
  if (command.flags.json) {
    std::printf("%s,\"queries\":[", json_head(command, *index).c_str());
  }
  for (std::size_t i = 0; i < count; ++i) {
    const auto matches = search_one(command, *index, rows->row(i), params);
    if (!matches) {
      const Error error =
          without_operation(matches.error(), command.radius ? "search_range" : "search");
      return report("search", error.with_context("query " + std::to_string(i)));
    }
    if (command.flags.json) {
      const Json entry = {{"query", i},
                          {"matches", matches_json(*matches, names, with_names)},
                          {"plan", name_of(done.plan)},
                          {"complete", done.complete},
                          {"distances", done.distances}};
      std::printf("%s%s", i == 0 ? "" : ",", json_text(entry).c_str());
      continue;
    }
    if (!command.flags.quiet) {
      std::printf("query %zu%s\n", i, done.complete ? "" : ": incomplete, a limit ended it");
    }
    print_matches(*matches, names, with_names);
  }
  if (command.flags.json) std::printf("]}\n");
  return Exit::ok;
}

}  // namespace

Run add_search(CLI::App& app) {
  auto command = std::make_shared<SearchCommand>();
  CLI::App* sub = app.add_subcommand("search", "Find the nearest neighbours of each query");
  add_index_file(*sub, command->file);
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
  sub->add_option(
         "--ef", command->params.ef,
         "Size of the candidate list; more: better recall, slower [what 'tune --store' has "
         "left in the file, or 64]")
      ->type_name("EF")
      ->check(whole_number(1, kMaxNeighbors));
  sub->add_flag("--exact", command->exact, "Look at every vector instead of walking the graph");
  auto* only = sub->add_option("--filter", command->only,
                               "Return only the keys in this text file, one a line")
                   ->type_name("KEYS");
  sub->add_option("--except", command->except, "Return all keys but those in this text file")
      ->type_name("KEYS")
      ->excludes(only);
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
  sub->add_flag(
      "--check", command->check,
      "Compare each page with its checksum before it is first used; exit status 3 if one differs");
  add_output_flags(*sub, command->flags);
  sub->footer(
      "Examples:\n"
      "  cairn search words.cairn queries.fbin -k 5 --names words.txt\n"
      "  cairn search words.cairn queries.npy --limit 100 --json\n"
      "  cairn search words.cairn queries.npy --filter tenant-7.keys --deadline 5");
  return [command] { return run_search(*command); };
}

}  // namespace cairn::tools
