// SPDX-License-Identifier: Apache-2.0
//
// cairn migrate: an index of another library takes the place of an index file once it has answered
// the same queries alike; and the way back.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include <cairn/cairn.h>

#include "tools/command/command.h"
#include "tools/command/import_run.h"
#include "tools/command/overlap.h"
#include "tools/command/stop_on_signal.h"
#include "tools/command/stored_rows.h"
#include "tools/command/swap.h"
#include "tools/files/truth_file.h"
#include "tools/files/vector_file.h"

namespace cairn::tools {
namespace {

struct MigrateCommand {
  ImportRequest request;
  std::string file;
  std::string queries;
  std::string answers;
  bool wide_answers = false;
  double threshold = 0.95;
  std::optional<std::size_t> k;
  std::size_t ef = 64;
  bool force = false;
  bool roll_back = false;
  OutputFlags flags;

  Earlier earlier() const { return force ? Earlier::replace : Earlier::keep; }
};

struct Migrated {
  ImportReport import;
  std::size_t dimensions = 0;
  double import_seconds = 0;
  std::size_t k = 0;
  Overlap overlap;
  bool in_place = false;
  bool had_file = false;
  bool is_saved = false;  // FILE.new is what was imported
};

Error unless_migration_interrupted(const Error& error) {
  if (error.code() != ErrorCode::cancelled) return error;
  return Error(ErrorCode::cancelled, "interrupted; nothing was replaced");
}

// What can be told to be wrong before anything is read at length.
Result<void> check_migration(const MigrateCommand& command, const SwapNames& names) {
  OutputFile output{names.file.string(), true};
  if (auto ok = check_output(output); !ok) return ok;
  if (auto ok = check_place(names.file, command.earlier()); !ok) return ok;
  std::error_code ignored;
  if (!command.force && std::filesystem::exists(symlink_status(names.fresh, ignored))) {
    return Error(ErrorCode::path_exists,
                 names.fresh.string() +
                     " exists: a --rollback has kept it, or a migration was killed; --force "
                     "replaces it");
  }
  for (const auto& written : {names.file, names.fresh, names.before}) {
    if (auto ok = check_apart(command.request.source, written.string()); !ok) return ok;
  }
  return {};
}

// As many may read and write the new file as could the old one.
void take_permissions(const std::filesystem::path& from, const std::filesystem::path& to) {
  struct stat old {};
  if (::stat(from.c_str(), &old) != 0) return;
  mode_t mode = old.st_mode & 0777;
  if (::chown(to.c_str(), static_cast<uid_t>(-1), old.st_gid) != 0) mode &= 0707;
  (void)::chmod(to.c_str(), mode);
}

// The imported index in the file FILE.new.
Result<void> import_to(const MigrateCommand& command, const SwapNames& names,
                       const StopOnSignal& stop, Migrated& migrated) {
  const auto begin = std::chrono::steady_clock::now();
  const auto index = import_source(command.request, command.flags, stop, migrated.import);
  if (!index) return index.error();
  migrated.import_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  migrated.dimensions = index->params().dimensions;
  remark_import(command.flags, migrated.import, migrated.dimensions, migrated.import_seconds);
  SaveOptions options;
  options.existing = command.force ? Existing::replace : Existing::refuse;
  options.stop = stop.flag();
  if (auto ok = index->save(names.fresh, options); !ok) return ok;
  migrated.is_saved = true;
  if (migrated.had_file) take_permissions(names.file, names.fresh);
  return {};
}

// FILE.new, as it lies on the disk, is sound and answers as it should.
Result<void> compare(const MigrateCommand& command, const SwapNames& names,
                     const VectorFile& queries, const std::optional<AnswerFile>& answers,
                     const StopOnSignal& stop, Migrated& migrated) {
  const auto index = Index::open(names.fresh);
  if (!index) return index.error();
  BuildOptions options;
  options.threads = command.request.options.threads;
  options.stop = stop.flag();
  const auto verified = index->verify(options);
  if (!verified) return verified.error();
  if (!verified->ok()) return Error(ErrorCode::corrupt, verified->findings.front());
  if (auto ok = check_queries(queries, command.queries, index->params().dimensions); !ok) return ok;
  const auto rows = StoredRows::of(queries, command.queries, index->params());
  if (!rows) return rows.error();
  const SearchParams params{migrated.k, command.ef};
  auto overlap = answers
                     ? overlap_with(*index, *rows, *answers, params, options.threads, stop.flag())
                     : overlap_with_exact(*index, *rows, params, options.threads, stop.flag());
  if (!overlap) return answers ? overlap.error().with_context(command.answers) : overlap.error();
  migrated.overlap = std::move(*overlap);
  return {};
}

Result<Migrated> migrate(const MigrateCommand& command) {
  const SwapNames names(command.file);
  if (auto ok = check_migration(command, names); !ok) return ok.error();
  const auto queries = read_query_rows(command.queries);
  if (!queries) return queries.error();
  if (queries->rows == 0) {
    return Error(ErrorCode::invalid_argument,
                 command.queries + " holds no queries: there is nothing to compare");
  }
  std::optional<AnswerFile> answers;
  if (!command.answers.empty()) {
    auto read = read_answers(command.answers, command.wide_answers ? IdWidth::u64 : IdWidth::u32);
    if (!read) return read.error();
    answers = std::move(*read);
  }
  Migrated migrated;
  migrated.k = command.k.value_or(answers ? answers->columns : 10);
  if (answers &&
      (answers->rows != queries->rows || answers->columns < migrated.k || migrated.k == 0)) {
    return Error(ErrorCode::invalid_argument,
                 command.answers + " has " + std::to_string(answers->rows) + " answers of " +
                     std::to_string(answers->columns) + " neighbours, " + command.queries +
                     " has " + std::to_string(queries->rows) + " queries, of which " +
                     std::to_string(std::max<std::size_t>(migrated.k, 1)) + " are compared");
  }
  std::error_code ignored;
  migrated.had_file = std::filesystem::exists(names.file, ignored);
  const StopOnSignal stop;
  FileSteps steps;
  auto ok = import_to(command, names, stop, migrated);
  if (ok) ok = compare(command, names, *queries, answers, stop, migrated);
  if (ok && migrated.overlap.mean >= command.threshold) {
    const auto source = std::filesystem::absolute(command.request.source, ignored).string();
    ok = put_in_place(steps, names.file, source, command.earlier());
    migrated.in_place = ok.has_value();
    if (!ok) return ok.error();
  } else if (migrated.is_saved) {
    (void)steps.remove(names.fresh);
  }
  if (!ok) return unless_migration_interrupted(ok.error());
  return migrated;
}

// The queries with the least overlap, worst first.
std::vector<std::size_t> worst_queries(const Overlap& overlap) {
  constexpr std::size_t kShown = 5;
  std::vector<std::size_t> order(overlap.parts.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const std::size_t shown = std::min(kShown, order.size());
  std::partial_sort(
      order.begin(), order.begin() + static_cast<std::ptrdiff_t>(shown), order.end(),
      [&](std::size_t a, std::size_t b) {
        return overlap.parts[a] != overlap.parts[b] ? overlap.parts[a] < overlap.parts[b] : a < b;
      });
  order.resize(shown);
  while (!order.empty() && overlap.parts[order.back()] >= 1) order.pop_back();
  return order;
}

std::string fixed(double value) {
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), "%.4f", value);
  return text.data();
}

Json migrated_json(const MigrateCommand& command, const SwapNames& names, const Migrated& m) {
  Json worst = Json::array();
  for (const std::size_t query : worst_queries(m.overlap))
    worst.push_back({{"query", query}, {"overlap", m.overlap.parts[query]}});
  Json before = nullptr;
  if (m.in_place && m.had_file) before = names.before.string();
  return {{"migrated", m.in_place},
          {"vectors", m.import.vectors},
          {"dimensions", m.dimensions},
          {"skipped", m.import.skipped},
          {"graph_kept", m.import.graph_kept},
          {"notes", m.import.notes},
          {"queries", m.overlap.queries},
          {"k", m.k},
          {"ef", command.ef},
          {"compared_with", command.answers.empty() ? "exact" : "answers"},
          {"overlap", m.overlap.mean},
          {"threshold", command.threshold},
          {"worst", std::move(worst)},
          {"before", std::move(before)}};
}

Exit run_migrate(const MigrateCommand& command) {
  const SwapNames names(command.file);
  const auto migrated = migrate(command);
  if (!migrated) {
    // What is wrong with the foreign file is no matter of an index file of ours.
    const Exit exit = report("migrate", migrated.error());
    return exit == Exit::corrupt ? Exit::failed : exit;
  }
  const Migrated& m = *migrated;
  if (command.flags.json) {
    print_json(migrated_json(command, names, m));
  } else {
    remark(command.flags, "overlap  " + fixed(m.overlap.mean) + " of " + std::to_string(m.k) +
                              " neighbours of " + with_commas(m.overlap.queries) +
                              " queries, compared with " +
                              (command.answers.empty() ? "the exact ones" : command.answers));
    if (!m.in_place) {
      for (const std::size_t query : worst_queries(m.overlap))
        remark(command.flags,
               "worst    query " + std::to_string(query) + ": " + fixed(m.overlap.parts[query]));
    } else if (m.had_file) {
      remark(command.flags,
             "in place " + names.file.string() + "; what was there is " + names.before.string());
    } else {
      remark(command.flags, "in place " + names.file.string());
    }
  }
  if (m.in_place) return Exit::ok;
  std::fflush(stdout);
  std::fprintf(stderr, "cairn: migrate: the overlap %s is below the threshold %s; %s\n",
               fixed(m.overlap.mean).c_str(), fixed(command.threshold).c_str(),
               m.had_file ? printable(names.file.string() + " is as it was").c_str()
                          : "no file was written");
  return Exit::failed;
}

Exit run_roll_back(const MigrateCommand& command) {
  const SwapNames names(command.file);
  FileSteps steps;
  const auto back = roll_back(steps, names.file);
  if (!back) return report("migrate", back.error());
  if (command.flags.json) {
    Json kept = nullptr;
    if (back->swapped) kept = names.fresh.string();
    Json source = nullptr;
    if (!back->source.empty()) source = back->source;
    print_json({{"dump", std::move(source)},
                {"swapped", back->swapped},
                {"restored", back->restored},
                {"kept", std::move(kept)}});
    return Exit::ok;
  }
  if (!back->swapped) {
    remark(command.flags, "nothing had been replaced: the migration did not come that far");
  } else if (back->restored) {
    remark(command.flags, names.file.string() + " is what it was before; what replaced it is " +
                              names.fresh.string());
  } else {
    remark(command.flags, names.file.string() + " is removed, as there was none before; it is " +
                              names.fresh.string() + " now");
  }
  if (!back->source.empty()) std::printf("%s\n", printable(back->source).c_str());
  return Exit::ok;
}

void check_words(const MigrateCommand& command) {
  if (command.roll_back) return;
  if (command.request.source.empty()) throw CLI::RequiredError("DUMP");
  if (command.queries.empty()) throw CLI::RequiredError("--queries");
  check_standard_input(command.queries, command.request.keys);
}

}  // namespace

Run add_migrate(CLI::App& app) {
  auto command = std::make_shared<MigrateCommand>();
  CLI::App* sub = app.add_subcommand(
      "migrate", "Move from another library if the answers agree, with a way back");
  sub->add_option("DUMP", command->request.source,
                  "An index of hnswlib, USearch or faiss; of hnsw_rs either file of a dump or what "
                  "their names have in common. Only read")
      ->type_name("");
  sub->add_option("-o,--output", command->file,
                  "The index file that is served; one that is there becomes FILE.before")
      ->required()
      ->type_name("FILE");
  sub->add_option("--queries", command->queries, std::string("Queries: ") + kVectorFiles)
      ->type_name("Q")
      ->check(vector_file_name());
  sub->add_option("--answers", command->answers,
                  "What the old engine answers, as keys, nearest first: .ibin, .ivecs or .npy; "
                  "default: the exact neighbours, by comparing with every vector")
      ->type_name("A");
  sub->add_flag("--answers-keys", command->wide_answers, "The ids in A.ibin are u64, not u32");
  sub->add_option("--threshold", command->threshold,
                  "The least overlap with which FILE is replaced")
      ->type_name("PART")
      ->check(number_within(0.0, 1.0))
      ->capture_default_str();
  sub->add_option("-k", command->k, "Neighbours compared; default: all in A, else 10")
      ->type_name("K")
      ->check(whole_number(1, kMaxNeighbors));
  sub->add_option("--ef", command->ef, "Size of the candidate list of the searches")
      ->type_name("EF")
      ->check(whole_number(1, kMaxNeighbors))
      ->capture_default_str();
  sub->add_flag("--rollback", command->roll_back,
                "Put FILE.before back, or take FILE away if there was none, and print the DUMP");
  sub->add_flag("-f,--force", command->force,
                "Replace a FILE.before or FILE.new of an earlier migration");
  add_import_options(*sub, command->request);
  add_output_flags(*sub, command->flags);
  sub->footer(
      "Examples:\n"
      "  cairn migrate storage.hnsw.graph -o storage.cairn --queries q.fbin --answers old.ibin\n"
      "  cairn migrate -o storage.cairn --rollback");
  sub->callback([command] { check_words(*command); });
  return [command] { return command->roll_back ? run_roll_back(*command) : run_migrate(*command); };
}

}  // namespace cairn::tools
