// SPDX-License-Identifier: Apache-2.0
//
// cairn recall: how good and how fast searches are, for several sizes of the candidate list.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

#include <cairn/cairn.h>

#include "tools/command/command.h"
#include "tools/command/exact_scan.h"
#include "tools/command/match_output.h"
#include "tools/command/overlap.h"
#include "tools/command/progress.h"
#include "tools/command/range_recall.h"
#include "tools/command/search_run.h"
#include "tools/command/stored_rows.h"
#include "tools/files/text_file.h"
#include "tools/files/truth_file.h"
#include "tools/files/vector_file.h"

namespace cairn::tools {
namespace {

struct RecallCommand {
  std::string file;
  std::string queries;
  std::string truth;
  std::string keys;
  std::optional<std::size_t> given_k;
  std::size_t k = 10;  // of the k nearest
  std::optional<float> radius;
  std::vector<std::size_t> ef = {10, 20, 40, 80, 160, 320};
  std::optional<unsigned> threads;
  OutputFlags flags;
};

// Near ties count as ties: the library's distances are f32.
double tolerant(double distance) { return distance + std::abs(distance) * 1e-6 + 1e-12; }

unsigned scan_threads(const RecallCommand& command) {
  return std::max(1u, command.threads.value_or(std::thread::hardware_concurrency()));
}

// The keys of the rows that were indexed, in their order. Without a key file they are the row
// numbers; all of them must be in the index, and nothing else.
Result<std::vector<Key>> indexed_keys(const RecallCommand& command, const Index& index) {
  std::vector<Key> keys;
  if (!command.keys.empty()) {
    auto read = read_keys(command.keys);
    if (!read) return read;
    keys = std::move(*read);
    std::vector<Key> sorted = keys;
    std::sort(sorted.begin(), sorted.end());
    const bool several = index.params().several_per_key;
    bool same = keys.size() == index.size();
    for (auto at = sorted.begin(); same && at != sorted.end();) {
      const auto end = std::upper_bound(at, sorted.end(), *at);
      const auto times = static_cast<std::size_t>(end - at);
      same = times == (several ? index.count(*at) : 1);
      at = end;
    }
    if (!same) {
      return Error(ErrorCode::invalid_argument,
                   command.keys + " has " + std::to_string(keys.size()) + " keys, " + command.file +
                       " holds " + std::to_string(index.size()) +
                       " vectors: they must be the same keys, each " +
                       (several ? "as often as it has vectors" : "once"));
    }
  } else {
    keys.resize(index.size());
    for (std::size_t row = 0; row < keys.size(); ++row) keys[row] = row;
  }
  for (const Key key : keys) {
    if (index.contains(key)) continue;
    return Error(
        ErrorCode::key_not_found,
        command.file + " has no key " + std::to_string(key) +
            (command.keys.empty() ? ": its keys are not row numbers; tell them with --keys" : ""));
  }
  return keys;
}

// Of each query: the exact distance of the k-th neighbour, and how many there are, k unless there
// are fewer. Of a key with several vectors the nearest is meant.
struct Truth {
  std::vector<double> kth;
  std::vector<std::size_t> wanted;
};

// By scanning all vectors of the index.
Result<Truth> scanned_truth(const RecallCommand& command, const Index& index,
                            const VectorFile& queries) {
  const auto keys = indexed_keys(command, index);
  if (!keys) return keys.error();
  const auto rows = all_rows(index);
  if (!rows) return rows.error();
  Progress progress("exact scan", "queries",
                    progress_style(!command.flags.json && !command.flags.quiet));
  Truth truth;
  truth.kth = kth_distances(
      index.params().metric, rows->floats, queries.values, index.params().dimensions, command.k,
      scan_threads(command), [&](std::size_t done) { progress.update(done, queries.rows); },
      rows->ends);
  truth.wanted.assign(queries.rows, std::min(command.k, rows->ends.size()));
  return truth;
}

// The same from a file of row numbers; rows of one key are one neighbour.
Result<Truth> given_truth(const RecallCommand& command, const Index& index,
                          const VectorFile& queries) {
  const auto truth = read_truth(command.truth);
  if (!truth) return truth.error();
  if (truth->rows != queries.rows) {
    return Error(ErrorCode::invalid_argument,
                 command.truth + " has " + std::to_string(truth->rows) + " rows, " +
                     command.queries + " has " + std::to_string(queries.rows) + " queries");
  }
  const std::size_t k = std::min(command.k, index.size());
  if (truth->columns < k) {
    return Error(ErrorCode::invalid_argument,
                 command.truth + " has " + std::to_string(truth->columns) +
                     " neighbours of each query, recall@" + std::to_string(k) + " needs " +
                     std::to_string(k));
  }
  std::vector<Key> keys;
  if (!command.keys.empty()) {
    auto read = read_keys(command.keys);
    if (!read) return read.error();
    keys = std::move(*read);
  }
  std::vector<float> vector(index.params().dimensions);
  Truth out;
  std::unordered_set<Key> wanted;
  for (std::size_t query = 0; query < queries.rows; ++query) {
    double kth = 0;
    wanted.clear();
    for (std::size_t rank = 0; rank < k; ++rank) {
      const std::uint32_t row = truth->row(query)[rank];
      const bool known = command.keys.empty() || row < keys.size();
      const Key key = command.keys.empty() || !known ? row : keys[row];
      if (!known || !index.contains(key)) {
        return Error(ErrorCode::key_not_found,
                     command.truth + ": neighbour " + std::to_string(rank) + " of query " +
                         std::to_string(query) + " is row " + std::to_string(row) + ", which " +
                         command.file + " does not hold");
      }
      if (index.params().several_per_key && !wanted.insert(key).second) continue;
      const auto distance = distance_to_key(index, queries.row(query), key, vector);
      if (!distance) return distance.error();
      kth = rank == 0 ? *distance : std::max(kth, *distance);
    }
    out.kth.push_back(kth);
    out.wanted.push_back(index.params().several_per_key ? wanted.size() : k);
  }
  return out;
}

// The part of the k nearest that was found, over all queries. Any row at the distance of the k-th
// counts.
Result<double> recall_of(const Index& index, const VectorFile& queries, const Truth& truth,
                         const SearchRun& run) {
  std::vector<float> vector(index.params().dimensions);
  std::size_t wanted = 0;
  std::size_t hits = 0;
  std::unordered_set<Key> seen;
  for (std::size_t query = 0; query < queries.rows; ++query) {
    seen.clear();
    std::size_t found = 0;
    for (const Match& match : run.matches_of(query)) {
      if (!seen.insert(match.key).second) continue;
      const auto distance = distance_to_key(index, queries.row(query), match.key, vector);
      if (!distance) return distance.error();
      if (*distance <= tolerant(truth.kth[query])) ++found;
    }
    hits += std::min(found, truth.wanted[query]);
    wanted += truth.wanted[query];
  }
  return static_cast<double>(hits) / static_cast<double>(wanted);
}

struct Point {
  std::size_t ef;
  double recall;
  Timing timing;
};

void print_points(const RecallCommand& command, const std::vector<Point>& points) {
  const std::string title = "recall@" + std::to_string(command.k);
  const int width = std::max(8, static_cast<int>(title.size()));
  if (!command.flags.quiet) {
    std::printf("%6s  %*s  %10s  %9s  %9s\n", "ef", width, title.c_str(), "QPS", "p50 us",
                "p99 us");
  }
  for (const Point& point : points) {
    std::printf("%6zu  %*.4f  %10s  %9.1f  %9.1f\n", point.ef, width, point.recall,
                with_commas(static_cast<std::uint64_t>(point.timing.qps)).c_str(),
                point.timing.p50_us, point.timing.p99_us);
  }
}

Json points_json(const RecallCommand& command, const VectorFile& queries,
                 const std::vector<Point>& points) {
  Json list = Json::array();
  for (const Point& point : points) {
    list.push_back({{"ef", point.ef},
                    {"recall", point.recall},
                    {"qps", point.timing.qps},
                    {"p50_us", point.timing.p50_us},
                    {"p99_us", point.timing.p99_us}});
  }
  return {{"k", command.k}, {"queries", queries.rows}, {"points", std::move(list)}};
}

Result<std::vector<Point>> measure(const RecallCommand& command, const Index& index,
                                   const StoredRows& rows) {
  // Distances are between what is stored and what the queries are searched as.
  const auto floats = rows.floats();
  if (!floats) return floats.error();
  const VectorFile& queries = *floats;
  const auto truth = command.truth.empty() ? scanned_truth(command, index, queries)
                                           : given_truth(command, index, queries);
  if (!truth) return truth.error();
  if (auto warmed = index.warm(); !warmed && warmed.error().code() != ErrorCode::unsupported)
    return warmed.error();

  Progress progress("search", "queries",
                    progress_style(!command.flags.json && !command.flags.quiet));
  std::vector<Point> points;
  for (const std::size_t ef : command.ef) {
    auto run = run_searches(index, rows.view(), {command.k, ef},
                            std::max(1u, command.threads.value_or(1)));
    if (!run) return run.error();
    const auto recall = recall_of(index, queries, *truth, *run);
    if (!recall) return recall.error();
    points.push_back({ef, *recall, run->timing});
    progress.update(points.size() * queries.rows, command.ef.size() * queries.rows);
  }
  return points;
}

struct RangeRecall {
  RangeTruth truth;
  std::vector<RangePoint> points;
};

Result<RangeRecall> measure_ranges(const RecallCommand& command, const Index& index,
                                   const StoredRows& rows) {
  const std::size_t most = command.given_k.value_or(0);
  const float radius = *command.radius;
  const MatrixView queries = rows.view();
  if (auto warmed = index.warm(); !warmed && warmed.error().code() != ErrorCode::unsupported)
    return warmed.error();
  RangeRecall all;
  auto truth = find_range_truth(index, queries, radius, most);
  if (!truth) return truth.error();
  all.truth = *std::move(truth);
  Progress progress("search", "queries",
                    progress_style(!command.flags.json && !command.flags.quiet));
  for (const std::size_t ef : command.ef) {
    const auto point = measure_range(index, queries, radius, most, ef,
                                     std::max(1u, command.threads.value_or(1)), all.truth);
    if (!point) return point.error();
    all.points.push_back(*point);
    progress.update(all.points.size() * queries.rows, command.ef.size() * queries.rows);
  }
  return all;
}

void print_ranges(const RecallCommand& command, const RangeRecall& all) {
  if (!command.flags.quiet) {
    std::printf("%6s  %8s  %12s  %10s  %9s  %9s\n", "ef", "recall", "found", "QPS", "p50 us",
                "p99 us");
  }
  for (const RangePoint& point : all.points) {
    const std::string found = with_commas(point.found) + "/" + with_commas(all.truth.hits);
    std::printf("%6zu  %8.4f  %12s  %10s  %9.1f  %9.1f\n", point.ef, point.recall, found.c_str(),
                with_commas(static_cast<std::uint64_t>(point.timing.qps)).c_str(),
                point.timing.p50_us, point.timing.p99_us);
  }
}

Json ranges_json(const RecallCommand& command, const VectorFile& queries, const RangeRecall& all) {
  Json list = Json::array();
  for (const RangePoint& point : all.points) {
    list.push_back({{"ef", point.ef},
                    {"recall", point.recall},
                    {"found", point.found},
                    {"qps", point.timing.qps},
                    {"p50_us", point.timing.p50_us},
                    {"p99_us", point.timing.p99_us}});
  }
  Json out = {{"k", nullptr},
              {"radius", readable(*command.radius)},
              {"queries", queries.rows},
              {"empty", all.truth.empty},
              {"hits", all.truth.hits},
              {"points", std::move(list)}};
  if (command.given_k) out["k"] = *command.given_k;
  return out;
}

Exit run_ranges(const RecallCommand& command, const Index& index, const VectorFile& queries,
                const StoredRows& rows) {
  const auto all = measure_ranges(command, index, rows);
  if (!all) return report("recall", all.error());
  if (command.flags.json) {
    print_json(ranges_json(command, queries, *all));
  } else {
    print_ranges(command, *all);
  }
  return Exit::ok;
}

Exit run_recall(const RecallCommand& command) {
  const auto index = Index::open(command.file);
  if (!index) return report("recall", index.error());
  const auto queries = read_queries(command.queries, index->params().dimensions);
  if (!queries) return report("recall", queries.error());
  if (queries->rows == 0 || index->size() == 0) {
    const std::string& empty = queries->rows == 0 ? command.queries : command.file;
    return report("recall", Error(ErrorCode::invalid_argument,
                                  empty + " holds no vectors: there is nothing to measure"));
  }
  const auto rows = StoredRows::of(*queries, command.queries, index->params());
  if (!rows) return report("recall", rows.error());
  if (command.radius) return run_ranges(command, *index, *queries, *rows);
  const auto points = measure(command, *index, *rows);
  if (!points) return report("recall", points.error());
  if (command.flags.json) {
    print_json(points_json(command, *queries, *points));
  } else {
    print_points(command, *points);
  }
  return Exit::ok;
}

}  // namespace

Run add_recall(CLI::App& app) {
  auto command = std::make_shared<RecallCommand>();
  CLI::App* sub = app.add_subcommand(
      "recall", "Measure recall and speed of searches against the exact neighbours");
  add_index_file(*sub, command->file);
  sub->add_option("QUERIES", command->queries, std::string("Queries: ") + kVectorFiles)
      ->required()
      ->type_name("")
      ->check(vector_file_name());
  auto* truth =
      sub->add_option(
             "--truth", command->truth,
             "The exact neighbours as row numbers, .ibin, .ivecs, .npy or .hdf5; default: found by "
             "comparing with every vector")
          ->type_name("T");
  auto* keys = sub->add_option("--keys", command->keys,
                               "The keys that the index was built with, as build takes them")
                   ->type_name("KEYS");
  sub->add_option("-k", command->given_k,
                  "Neighbours wanted for each query [10; with --radius all within it]")
      ->type_name("K")
      ->check(whole_number(1, kMaxNeighbors));
  sub->add_option("--radius", command->radius,
                  "Measure searches for everything within this distance; with -k for the nearest K "
                  "of it")
      ->type_name("R")
      ->check(any_number())
      ->excludes(truth)
      ->excludes(keys);
  sub->add_option("--ef", command->ef,
                  "Sizes of the candidate list to measure [10,20,40,80,160,320]")
      ->type_name("EF,...")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(whole_number(1, kMaxNeighbors));
  sub->add_option("--threads", command->threads,
                  "Threads, of searches [1] and of the exact scan [one a core]")
      ->type_name("N")
      ->check(whole_number(1, kMaxThreads));
  add_output_flags(*sub, command->flags);
  sub->footer(
      "Queries run one at a time; QPS counts all threads, p50 and p99 are of single searches.\n"
      "\n"
      "Examples:\n"
      "  cairn recall words.cairn queries.fbin\n"
      "  cairn recall words.cairn queries.fbin --truth truth.ibin -k 100 --ef 100,200,400 --json\n"
      "  cairn recall words.cairn queries.fbin --radius 0.4 --ef 40,160");
  sub->callback([command] {
    check_standard_input(command->queries, command->keys);
    command->k = command->given_k.value_or(command->k);
  });
  return [command] { return run_recall(*command); };
}

}  // namespace cairn::tools
