// SPDX-License-Identifier: Apache-2.0
#include "tools/command/search_call.h"

#include "tools/command/match_output.h"
#include "tools/files/vector_file.h"

namespace cairn::tools {

SearchParams SearchCall::params(SearchReport& done) const {
  SearchParams params;
  if (k != 0) params.k = k;
  params.ef = ef;
  params.plan = exact ? Plan::exact : Plan::automatic;
  params.max_distances = max_distances;
  params.report = &done;
  return params;
}

void add_search_options(CLI::App& sub, SearchCall& call, const char* ef) {
  sub.add_option("QUERIES", call.queries, std::string("Queries: ") + kVectorFiles)
      ->required()
      ->type_name("")
      ->check(vector_file_name());
  sub.add_option("-k", call.k, "Neighbours wanted for each query [10; with --radius all within it]")
      ->type_name("K")
      ->check(whole_number(1, kMaxNeighbors));
  sub.add_option("--radius", call.radius,
                 "Everything within this distance; with -k the nearest K of it")
      ->type_name("R")
      ->check(any_number());
  sub.add_option("--ef", call.ef, ef)->type_name("EF")->check(whole_number(1, kMaxNeighbors));
  sub.add_flag("--exact", call.exact, "Look at every vector instead of walking the graph");
  auto* only =
      sub.add_option("--filter", call.only, "Return only the keys in this text file, one a line")
          ->type_name("KEYS");
  sub.add_option("--except", call.except, "Return all keys but those in this text file")
      ->type_name("KEYS")
      ->excludes(only);
  sub.add_option("--max-distances", call.max_distances,
                 "End a search after so many distances, with what it has found")
      ->type_name("N")
      ->check(whole_number(1, kAnyNumber));
  sub.add_option("--deadline", call.deadline_ms,
                 "End a search after so many milliseconds, with what it has found")
      ->type_name("MS")
      ->check(whole_number(1, 1'000'000'000));
  sub.add_option("--names", call.names, "Text file, line i (from 0) is the name of key i")
      ->type_name("NAMES");
  sub.add_option("--limit", call.limit, "Search only the first N queries")
      ->type_name("N")
      ->check(whole_number(0, kAnyNumber));
}

std::string json_head(const SearchCall& call, std::optional<std::size_t> ef) {
  Json head = {{"k", call.k}, {"ef", nullptr}};
  if (call.k == 0) head["k"] = nullptr;
  if (call.k == 0 && !call.radius) head["k"] = SearchParams{}.k;
  if (ef) head["ef"] = *ef;
  if (call.radius) head["radius"] = readable(*call.radius);
  std::string text = json_text(head);
  text.pop_back();
  return text;
}

}  // namespace cairn::tools
