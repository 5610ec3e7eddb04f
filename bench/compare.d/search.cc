// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <thread>

#include "compare.d/commands.h"
#include "compare.d/process.h"
#include "compare.d/race.h"
#include "compare.d/recall.h"

namespace bench {
namespace {

using Contestants = std::vector<std::unique_ptr<Contestant>>;

struct Plan {
  std::vector<std::size_t> efs;
  RaceRules rules;
  std::size_t curve_rounds;
};

void say(const std::string& text) { std::fprintf(stderr, "  %s\n", text.c_str()); }

Contestants open_all(const Json& config, const QuerySet& queries, Json& systems) {
  const bool huge = config.at("pages").get<std::string>() == "huge";
  Contestants out;
  for (const Json& system : config.at("systems")) {
    const auto name = system.at("name").get<std::string>();
    auto engine = make_engine(parse_spec(system.at("spec")), queries.raw.dims);
    const Json before = memory_usage();
    engine->open(system.at("path").get<std::string>(),
                 parse_residency(system.at("residency").get<std::string>()), 0);
    if (huge) use_huge_pages();
    auto who = std::make_unique<Contestant>(name, std::move(engine), queries,
                                            config.at("k").get<std::size_t>());
    const Json recalls = system.value("recalls", Json::object());
    for (const auto& [ef, recall] : recalls.items()) {
      who->remember(std::stoul(ef), recall.get<double>());
    }
    // All queries once: every page that searching needs is there before anything is timed.
    who->engine().set_ef(64);
    std::uint32_t found[128];
    for (std::size_t i = 0; i < who->rows().rows; ++i)
      who->engine().search(who->rows().row(i), who->k(), 0, found);
    systems.push_back({{"name", name},
                       {"spec", system.at("spec")},
                       {"residency", system.at("residency")},
                       {"memory", difference(memory_usage(), before)}});
    out.push_back(std::move(who));
  }
  return out;
}

Json curves(Contestants& all, const Plan& plan) {
  Json out = Json::array();
  for (std::size_t i = 0; i < all.size(); ++i) out.push_back(Json::array());
  RaceRules rules = plan.rules;
  rules.rounds = rules.min_rounds = plan.curve_rounds;
  for (std::size_t ef : plan.efs) {
    std::vector<Lane> lanes;
    for (auto& who : all) lanes.push_back({who.get(), ef});
    const auto times = race(lanes, rules);
    for (std::size_t i = 0; i < all.size(); ++i) {
      const std::vector<double> micros(times[i].micros.begin(), times[i].micros.end());
      out[i].push_back({{"ef", ef},
                        {"recall", all[i]->recall(ef)},
                        {"qps", quantile(times[i].qps, 0.5)},
                        {"p50_us", quantile(micros, 0.5)},
                        {"p99_us", quantile(micros, 0.99)}});
    }
  }
  return out;
}

const char* name_of(Bracket::State state) {
  return state == Bracket::State::ok         ? "ok"
         : state == Bracket::State::exceeded ? "exceeded"
                                             : "never";
}

// All systems that reach `target`, raced at the two ef around it; per round the speeds at exactly
// that recall.
Json at_recall(Contestants& all, const Plan& plan, double target) {
  std::vector<Bracket> brackets;
  std::vector<Lane> lanes;
  std::vector<std::size_t> first_lane;
  for (auto& who : all) {
    const Bracket b = who->bracket(target, plan.efs);
    first_lane.push_back(lanes.size());
    if (b.state != Bracket::State::never) {
      lanes.push_back({who.get(), b.low});
      if (b.high != b.low) lanes.push_back({who.get(), b.high});
    }
    brackets.push_back(b);
  }
  const auto times = race(lanes, plan.rules);
  std::vector<std::vector<double>> qps(all.size());
  Json rows = Json::array();
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Bracket& b = brackets[i];
    Json row = {{"name", all[i]->name()},
                {"state", name_of(b.state)},
                {"ef", {b.low, b.high}},
                {"recall", {b.recall_low, b.recall_high}}};
    if (b.state != Bracket::State::never) {
      const std::size_t lane = first_lane[i];
      const std::size_t high = lane + (b.high != b.low ? 1 : 0);
      for (std::size_t r = 0; r < times[lane].qps.size(); ++r) {
        qps[i].push_back(b.interpolate(target, times[lane].qps[r], times[high].qps[r]));
      }
      row["qps"] = spread(qps[i]);
    }
    rows.push_back(row);
  }
  Json ratios = Json::array();
  for (std::size_t a = 0; a < all.size(); ++a) {
    for (std::size_t b = 0; b < all.size(); ++b) {
      if (a == b || qps[a].empty() || qps[b].empty()) continue;
      std::vector<double> ratio;
      for (std::size_t r = 0; r < qps[a].size(); ++r) ratio.push_back(qps[a][r] / qps[b][r]);
      Json entry = spread(ratio);
      entry["of"] = all[a]->name();
      entry["over"] = all[b]->name();
      ratios.push_back(entry);
    }
  }
  return {{"target", target}, {"systems", rows}, {"ratios", ratios}};
}

// Seconds until `threads` threads have each answered `count` queries of their own, from query
// `first` on.
double timed_threads(Contestant& who, unsigned threads, std::size_t first, std::size_t count) {
  std::atomic<unsigned> ready{0};
  std::atomic<bool> go{false};
  std::vector<std::thread> workers;
  for (unsigned t = 0; t < threads; ++t) {
    workers.emplace_back([&, t] {
      std::uint32_t found[128];
      const FloatMatrix& rows = who.rows();
      ++ready;
      while (!go) {
      }
      for (std::size_t i = 0; i < count; ++i) {
        who.engine().search(rows.row((first + t * count + i) % rows.rows), who.k(), t, found);
      }
    });
  }
  while (ready < threads) std::this_thread::yield();
  const auto start = Clock::now();
  go = true;
  for (std::thread& w : workers) w.join();
  return seconds_since(start);
}

// Speed with two threads over speed with one, in turns, at the ef that reaches `target`.
Json two_threads(Contestants& all, const Plan& plan, double target) {
  constexpr std::size_t kRounds = 24;
  constexpr double kSeconds = 0.1;  // of one turn, about
  struct Entry {
    Contestant* who;
    std::size_t ef, count;
    std::vector<double> ratios;
  };
  std::vector<Entry> entries;
  for (auto& who : all) {
    const Bracket b = who->bracket(target, plan.efs);
    if (b.state == Bracket::State::never) continue;
    who->engine().set_ef(b.high);
    const double pace = timed_threads(*who, 1, 0, 500) / 500;
    entries.push_back({who.get(),
                       b.high,
                       std::max<std::size_t>(100, static_cast<std::size_t>(kSeconds / pace)),
                       {}});
  }
  for (std::size_t round = 0; round < kRounds; ++round) {
    for (Entry& e : entries) {
      e.who->engine().set_ef(e.ef);
      const std::size_t first = round * 3 * e.count;
      double one = 0, two = 0;
      if (round % 2 == 0) one = timed_threads(*e.who, 1, first, e.count);
      two = timed_threads(*e.who, 2, first + e.count, e.count);
      if (round % 2 == 1) one = timed_threads(*e.who, 1, first, e.count);
      e.ratios.push_back(2 * one / two);
    }
  }
  Json out = Json::array();
  for (const Entry& e : entries) {
    Json entry = spread(e.ratios);
    entry["name"] = e.who->name();
    entry["ef"] = e.ef;
    out.push_back(entry);
  }
  return out;
}

Plan parse_plan(const Json& config) {
  Plan plan;
  plan.efs = config.at("efs").get<std::vector<std::size_t>>();
  plan.rules.slice = config.at("slice").get<std::size_t>();
  plan.rules.rounds = config.at("rounds").get<std::size_t>();
  plan.rules.min_rounds = std::min(plan.rules.min_rounds, plan.rules.rounds);
  plan.rules.max_seconds = config.at("max_seconds").get<double>();
  plan.curve_rounds = config.at("curve_rounds").get<std::size_t>();
  return plan;
}

// min(0.95, top - 0.005) for the best of the systems that run on USearch's bytes; 0 if there is
// none.
double i8_target(Contestants& all, const Plan& plan) {
  double top = 0;
  for (auto& who : all) {
    if (who->name().find("-i8") != std::string::npos)
      top = std::max(top, who->recall(plan.efs.back()));
  }
  return top > 0 ? std::min(0.95, top - 0.005) : 0;
}

}  // namespace

Json search_command(const Json& config) {
  const Plan plan = parse_plan(config);
  const QuerySet queries =
      QuerySet::read(config.at("queries").get<std::string>(), config.at("truth").get<std::string>(),
                     config.at("metric").get<std::string>());
  Json out;
  Contestants all = open_all(config, queries, out["systems"]);
  say("recall");
  for (auto& who : all) {
    for (std::size_t ef : plan.efs) who->recall(ef);
  }
  std::vector<double> targets = config.at("targets").get<std::vector<double>>();
  out["targets"] = Json::array();
  for (double target : targets) {
    say("race at recall " + std::to_string(target));
    out["targets"].push_back(at_recall(all, plan, target));
  }
  if (const double target = i8_target(all, plan); target > 0) {
    say("race at USearch i8's recall " + std::to_string(target));
    out["i8"] = at_recall(all, plan, target);
  }
  if (plan.curve_rounds > 0) {
    say("curves");
    const Json points = curves(all, plan);
    for (std::size_t i = 0; i < all.size(); ++i) out["systems"][i]["curve"] = points[i];
  }
  if (config.at("two_threads").get<bool>()) {
    say("two threads");
    out["two_threads"] = two_threads(all, plan, 0.95);
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    out["systems"][i]["facts"] = all[i]->engine().facts();
    for (const auto& [ef, recall] : all[i]->recalls())
      out["systems"][i]["recalls"][std::to_string(ef)] = recall;
  }
  out["memory"] = memory_usage();
  return out;
}

}  // namespace bench
