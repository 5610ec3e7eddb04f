// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "churn.d/setup.h"

int main(int argc, char** argv) {
  bench::Options options;
  CLI::App app("Measures an index under change; bench/churn runs it.");
  app.require_subcommand(1);
  const auto command = [&](const char* name, const char* what, void (*run)(const bench::Options&)) {
    CLI::App* sub = app.add_subcommand(name, what);
    sub->add_option("base", options.base, ".fbin")->required();
    sub->add_option("queries", options.queries, ".fbin")->required();
    sub->add_option("--metric", options.metric, "cosine or l2")->capture_default_str();
    sub->add_option("--rows", options.rows, "of the base; 0: all")->capture_default_str();
    sub->add_option("--threads", options.threads)->capture_default_str();
    sub->add_option("--seed", options.seed)->capture_default_str();
    sub->add_option("--m", options.m)->capture_default_str();
    sub->add_option("--ef-construction", options.ef_construction)->capture_default_str();
    sub->callback([&options, run] { run(options); });
    return sub;
  };
  CLI::App* adds = command("adds", "one thread against several", bench::measure_adds);
  adds->add_option("--count", options.count, "vectors to add")->capture_default_str();
  adds->add_option("--slice", options.slice, "adds in turn")->capture_default_str();
  CLI::App* replace = command("replace", "replaces all vectors", bench::measure_replacing);
  replace->add_option("--rounds", options.rounds)->capture_default_str();
  replace->add_option("--ef", options.ef)->capture_default_str();
  replace->add_option("--queries", options.query_rows, "how many")->capture_default_str();
  replace->add_option("--folder", options.folder, "for files")->capture_default_str();
  CLI::App* cluster = command("cluster", "removes what is near", bench::measure_cluster);
  cluster->add_option("--gone", options.gone, "how many")->capture_default_str();
  cluster->add_option("--ef", options.ef)->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "churn: %s\n", e.what());
    return 1;
  }
  return 0;
}
