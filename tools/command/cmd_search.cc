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
#include "tools/command/search_call.h"
#include "tools/command/stored_rows.h"
#include "tools/files/text_file.h"
#include "tools/files/vector_file.h"

namespace cairn::tools {
namespace {

struct SearchCommand {
  std::string file;
  SearchCall call;
  bool check = false;
  OutputFlags flags;
};

// What the searches take.
std::size_t ef_of(const SearchCommand& command, const Index& index) {
  if (command.call.ef != 0) return command.call.ef;
  const std::size_t advised = index.stats().advised_ef;
  return advised != 0 ? advised : SearchParams{}.ef;
}

const char* name_of(Plan plan) { return plan == Plan::exact ? "exact" : "walk"; }

Exit run_search(const SearchCommand& command) {
  OpenOptions options;
  if (command.check) options.check = Check::on_first_use;
  const auto index = Index::open(command.file, options);
  if (!index) return report("search", index.error());
  const SearchCall& call = command.call;
  const auto filter = filter_of<Filter>(call, *index);
  if (!filter) return report("search", filter.error());
  SearchReport done;
  SearchParams params = call.params(done);
  params.filter = *filter ? &**filter : nullptr;
  const auto queries = read_queries(call.queries, index->params().dimensions);
  if (!queries) return report("search", queries.error());
  const auto rows = StoredRows::of(*queries, call.queries, index->params());
  if (!rows) return report("search", rows.error());
  const bool with_names = !call.names.empty();
  Names names;
  if (with_names) {
    auto read = read_names(call.names);
    if (!read) return report("search", read.error());
    names = std::move(*read);
  }

  const std::size_t count = std::min(queries->rows, call.limit);
  // All of it, so that an error leaves no half of a document.
  std::string document = json_head(call, ef_of(command, *index)) + ",\"queries\":[";
  for (std::size_t i = 0; i < count; ++i) {
    const auto matches = search_one(call, *index, rows->row(i), params);
    if (!matches) {
      return report("search", matches.error().with_context("query " + std::to_string(i)));
    }
    if (command.flags.json) {
      const Json entry = {{"query", i},
                          {"matches", matches_json(*matches, names, with_names)},
                          {"plan", name_of(done.plan)},
                          {"complete", done.complete},
                          {"distances", done.distances}};
      document.append(i == 0 ? "" : ",").append(json_text(entry));
      continue;
    }
    if (!command.flags.quiet) {
      std::printf("query %zu%s\n", i, done.complete ? "" : ": incomplete, a limit ended it");
    }
    print_matches(*matches, names, with_names);
  }
  if (command.flags.json) std::printf("%s]}\n", document.c_str());
  return Exit::ok;
}

}  // namespace

Run add_search(CLI::App& app) {
  auto command = std::make_shared<SearchCommand>();
  CLI::App* sub = app.add_subcommand("search", "Find the nearest neighbours of each query");
  add_index_file(*sub, command->file);
  add_search_options(*sub, command->call,
                     "Size of the candidate list; more: better recall, slower [what 'tune --store' "
                     "has left in the file, or 64]");
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
