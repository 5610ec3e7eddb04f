// SPDX-License-Identifier: Apache-2.0
//
// cairn tune: the size of the candidate list that reaches a recall.
#include <atomic>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include <cairn/cairn.h>

#include "tools/command/command.h"
#include "tools/command/progress.h"
#include "tools/command/stop_on_signal.h"
#include "tools/command/stored_rows.h"
#include "tools/files/vector_file.h"

namespace cairn::tools {
namespace {

struct TuneCommand {
  std::string file;
  std::string queries;
  double recall = 0;
  std::size_t k = 10;
  std::optional<unsigned> threads;
  bool store = false;
  OutputFlags flags;
};

struct Tuned {
  std::size_t ef;
  RecallReport report;
};

Result<Tuned> tune(const TuneCommand& command, const Index& index, const MatrixView& queries,
                   const std::atomic<bool>* stop) {
  Progress progress("tune", "searches",
                    progress_style(!command.flags.json && !command.flags.quiet));
  BuildOptions options;
  options.threads = command.threads.value_or(0);
  options.stop = stop;
  options.progress = [&](std::size_t done, std::size_t total) { progress.update(done, total); };
  const auto ef = index.ef_for(command.recall, queries, command.k, options);
  if (!ef) return without_operation(ef.error(), "ef_for");
  options.progress = nullptr;
  const auto measured = index.measure_recall(queries, {.k = command.k, .ef = *ef}, options);
  if (!measured) return without_operation(measured.error(), "measure_recall");
  return Tuned{*ef, *measured};
}

// Opened last, so that nobody is kept from writing while it is measured.
Result<void> store(const TuneCommand& command, std::size_t ef) {
  OpenOptions options;
  options.mode = Mode::read_write;
  auto index = Index::open(command.file, options);
  if (!index) return index.error();
  if (auto set = index->set_advised_ef(ef); !set) return set;
  return index->checkpoint();
}

void print(const TuneCommand& command, const Tuned& tuned) {
  if (command.flags.quiet) {
    std::printf("%zu\n", tuned.ef);
    return;
  }
  const RecallReport& found = tuned.report;
  std::printf("ef %zu: recall@%zu %.4f, with 95 %% certainty %.4f to %.4f\n", tuned.ef, command.k,
              found.recall, found.lower, found.upper);
}

Json json_of(const TuneCommand& command, const Tuned& tuned) {
  return {{"ef", tuned.ef},
          {"k", command.k},
          {"recall", tuned.report.recall},
          {"lower", tuned.report.lower},
          {"upper", tuned.report.upper},
          {"queries", tuned.report.queries},
          {"stored", command.store}};
}

Exit run_tune(const TuneCommand& command) {
  std::optional<Tuned> tuned;
  {
    const auto index = Index::open(command.file);
    if (!index) return report("tune", index.error());
    const auto queries = read_queries(command.queries, index->params().dimensions);
    if (!queries) return report("tune", queries.error());
    if (queries->rows == 0 || index->size() == 0) {
      const std::string& empty = queries->rows == 0 ? command.queries : command.file;
      return report("tune", Error(ErrorCode::invalid_argument,
                                  empty + " holds no vectors: there is nothing to measure"));
    }
    const auto rows = StoredRows::of(*queries, command.queries, index->params());
    if (!rows) return report("tune", rows.error());
    const StopOnSignal stopping;
    const auto found = tune(command, *index, rows->view(), stopping.flag());
    if (!found) return report("tune", found.error());
    tuned = *found;
  }
  if (command.store) {
    if (auto stored = store(command, tuned->ef); !stored) return report("tune", stored.error());
  }
  if (command.flags.json) {
    print_json(json_of(command, *tuned));
  } else {
    print(command, *tuned);
  }
  return Exit::ok;
}

}  // namespace

Run add_tune(CLI::App& app) {
  auto command = std::make_shared<TuneCommand>();
  CLI::App* sub =
      app.add_subcommand("tune", "Find the size of the candidate list that reaches a recall");
  add_index_file(*sub, command->file);
  sub->add_option("QUERIES", command->queries,
                  "Queries: .fbin, .fvecs or .npy of f32; - is .fbin from standard input")
      ->required()
      ->type_name("")
      ->check(vector_file_name());
  sub->add_option("--recall", command->recall, "The part of the true neighbours that is wanted")
      ->required()
      ->type_name("R")
      ->check(CLI::Validator(
          [](const std::string& text) -> std::string {
            double value = 0;
            const bool is_part = CLI::detail::lexical_cast(text, value) && value > 0 && value <= 1;
            return is_part ? "" : text + " is not a number above 0 and at most 1";
          },
          ""));
  sub->add_option("-k", command->k, "Neighbours wanted for each query")
      ->type_name("K")
      ->check(whole_number(1, kMaxNeighbors))
      ->capture_default_str();
  sub->add_option("--threads", command->threads, "Threads [one a core]")
      ->type_name("N")
      ->check(whole_number(1, kMaxThreads));
  sub->add_flag("--store", command->store,
                "Write it into the file, for searches that are not told another one");
  add_output_flags(*sub, command->flags);
  sub->footer(
      "Use queries as they come from users, some hundreds or more: the interval tells how sure the "
      "recall is.\n"
      "\n"
      "Examples:\n"
      "  cairn tune words.cairn queries.fbin --recall 0.95\n"
      "  cairn tune words.cairn queries.fbin --recall 0.99 -k 100 --store");
  return [command] { return run_tune(*command); };
}

}  // namespace cairn::tools
