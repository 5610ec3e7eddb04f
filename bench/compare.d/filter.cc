// SPDX-License-Identifier: Apache-2.0
//
// Searches of what a filter lets pass, every system in one process. A cell is one kind of passing
// set of one size. For a slice of queries the sets are made and prepared, untimed; then every lane
// answers the slice, in an order that changes from slice to slice.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <optional>
#include <random>

#include "compare.d/commands.h"
#include "compare.d/passing_sets.h"
#include "compare.d/process.h"
#include "compare.d/race.h"
#include "compare.d/recall.h"

namespace bench {
namespace {

// Of processor time: machines are shared, and a cell is short.
double thread_seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

struct System {
  std::string name;
  std::unique_ptr<Engine> engine;
  std::vector<std::size_t> efs;  // 0: Cairn's exact plan
};

// One system at one ef, and what came of it in a cell.
struct FilterLane {
  System* system;
  std::size_t ef;
  bool filtered;
  bool is_open = true;  // answers more slices
  std::vector<double> qps = {};
  std::vector<double> micros =
      {};  // the least of some turns: what has been interrupted is left out
  double found = 0, wanted = 0;
  double distances = 0, true_distances = 0;  // summed, of the results
  std::size_t few = 0;                       // queries with too few results
};

// A query, and what its filter is.
struct Asked {
  std::size_t row;
  std::vector<float> distances;
  Words words;
  std::vector<std::uint32_t> truth;
};

class FilterRace {
 public:
  explicit FilterRace(const Json& config)
      : metric_(config.at("metric").get<std::string>()),
        k_(config.at("k").get<std::size_t>()),
        slice_(config.at("slice").get<std::size_t>()),
        slices_(config.at("slices").get<std::size_t>()),
        judged_at_(config.at("judged_at").get<std::size_t>()),
        enough_(config.at("enough").get<double>()),
        most_seconds_(config.at("most_seconds").get<double>()),
        base_(read_matrix<float>(config.at("base").get<std::string>(),
                                 config.at("rows").get<std::size_t>())),
        queries_(read_matrix<float>(config.at("queries").get<std::string>())),
        unit_queries_(queries_) {
    if (metric_ == "cosine") {
      normalize(base_);
      normalize(unit_queries_);
    }
    for (const Json& system : config.at("systems")) {
      System one{system.at("name").get<std::string>(),
                 make_engine(parse_spec(system.at("spec")), base_.dims),
                 system.at("efs").get<std::vector<std::size_t>>()};
      one.engine->open(system.at("path").get<std::string>(),
                       parse_residency(system.at("residency").get<std::string>()), 0);
      systems_.push_back(std::move(one));
    }
    if (slice_ * slices_ > queries_.rows) throw std::runtime_error("fewer queries than slices");
  }

  Json run(const Json& cell) {
    const PassKind kind = parse_kind(cell.at("kind").get<std::string>());
    const double percent = cell.at("percent").get<double>();
    const auto count = std::max<std::size_t>(
        1, static_cast<std::size_t>(percent / 100 * static_cast<double>(base_.rows) + 0.5));
    std::vector<FilterLane> lanes;
    for (System& system : systems_) {
      for (const std::size_t ef : system.efs) {
        lanes.push_back({&system, ef, true});
        if (kind == PassKind::all && ef != 0) lanes.push_back({&system, ef, false});
      }
    }
    const auto start = Clock::now();
    for (std::size_t s = 0; s < slices_; ++s) {
      if (s >= 2 && seconds_since(start) > most_seconds_) break;
      const std::vector<Asked> slice = ask(kind, count, s);
      std::shuffle(lanes.begin(), lanes.end(), random_);
      for (FilterLane& lane : lanes) {
        if (lane.is_open) answer(slice, lane);
      }
      if (s == 0) close_needless(lanes);
    }
    return {{"kind", cell.at("kind")},
            {"percent", percent},
            {"passing", kind == PassKind::all ? base_.rows : count},
            {"lanes", results(lanes)}};
  }

 private:
  const FloatMatrix& queries_for(const Engine& engine) const {
    return engine.wants_unit_rows() ? unit_queries_ : queries_;
  }

  // So many that one has about `count` rows.
  void make_clusters(std::size_t count) {
    const std::size_t wanted = std::max<std::size_t>(2, base_.rows / count);
    if (!clusters_ || clusters_->size() != wanted) clusters_.emplace(base_, wanted);
  }

  std::vector<Asked> ask(PassKind kind, std::size_t count, std::size_t slice) {
    const bool depends_on_query = kind != PassKind::random && kind != PassKind::all;
    if (kind == PassKind::cluster) make_clusters(count);
    std::vector<Asked> out;
    for (std::size_t row = slice * slice_; row < (slice + 1) * slice_; ++row) {
      Asked one{row, distances_to_all(base_, unit_queries_.row(row)), {}, {}};
      if (kind == PassKind::cluster) {
        one.words = clusters_->another(one.distances, row + 1);
      } else if (!depends_on_query && !out.empty()) {
        one.words = out.front().words;
      } else {
        one.words = passing_set(kind, count, base_, one.distances,
                                depends_on_query ? row + 1 : std::uint64_t{count});
      }
      one.truth = nearest_passing(one.words, one.distances, k_);
      out.push_back(std::move(one));
    }
    return out;
  }

  void answer(const std::vector<Asked>& slice, FilterLane& lane) {
    constexpr std::size_t kWarm = 3;
    constexpr int kTurns = 3;
    Engine& engine = *lane.system->engine;
    const FloatMatrix& rows = queries_for(engine);
    std::vector<std::unique_ptr<Engine::Prepared>> prepared;
    for (const Asked& one : slice) prepared.push_back(engine.prepare(one.words));
    engine.set_ef(lane.ef);
    std::uint32_t found[128];
    const auto search = [&](std::size_t i) {
      const float* query = rows.row(slice[i].row);
      return lane.filtered ? engine.search_filtered(query, k_, *prepared[i], found)
                           : engine.search(query, k_, 0, found);
    };
    for (std::size_t i = 0; i < std::min(kWarm, slice.size()); ++i) search(slice.size() - 1 - i);
    double seconds = 0;
    for (std::size_t i = 0; i < slice.size(); ++i) {
      const double start = thread_seconds();
      const std::size_t n = search(i);
      const double took = thread_seconds() - start;
      seconds += took;
      lane.micros.push_back(took * 1e6);
      count(slice[i], found, n, lane);
    }
    lane.qps.push_back(static_cast<double>(slice.size()) / seconds);
    double* micros = &lane.micros[lane.micros.size() - slice.size()];
    for (int turn = 1; turn < kTurns; ++turn) {
      for (std::size_t i = 0; i < slice.size(); ++i) {
        const double start = thread_seconds();
        search(i);
        micros[i] = std::min(micros[i], (thread_seconds() - start) * 1e6);
      }
    }
  }

  static void count(const Asked& asked, const std::uint32_t* found, std::size_t n,
                    FilterLane& lane) {
    const float farthest = asked.truth.empty() ? 0 : asked.distances[asked.truth.back()];
    lane.wanted += static_cast<double>(asked.truth.size());
    lane.few += n < asked.truth.size() ? 1 : 0;
    for (std::size_t i = 0; i < n; ++i) {
      if (found[i] >= asked.distances.size() || (lane.filtered && !passes(asked.words, found[i]))) {
        throw std::runtime_error(lane.system->name + " returned a row that does not pass");
      }
      lane.distances += asked.distances[found[i]];
      lane.true_distances += asked.distances[asked.truth[i]];
      lane.found += asked.distances[found[i]] <= farthest ? 1 : 0;
    }
  }

  // After the first slice: of each system the ef that is the first to reach what is enough stays,
  // and those below it; and none that takes too long.
  void close_needless(std::vector<FilterLane>& lanes) const {
    for (FilterLane& lane : lanes) {
      const auto is_better = [&](const FilterLane& other) {
        return other.system == lane.system && other.ef != 0 && other.ef < lane.ef &&
               other.found >= enough_ * other.wanted;
      };
      const bool is_needless = std::any_of(lanes.begin(), lanes.end(), is_better);
      const bool is_slow = static_cast<double>(slice_) / lane.qps.front() > most_seconds_ / 4;
      if (lane.ef != judged_at_ && (is_needless || is_slow)) lane.is_open = false;
    }
  }

  static Json results(std::vector<FilterLane>& lanes) {
    std::sort(lanes.begin(), lanes.end(), [](const FilterLane& a, const FilterLane& b) {
      return a.system->name != b.system->name ? a.system->name < b.system->name
             : a.filtered != b.filtered       ? a.filtered
                                              : a.ef < b.ef;
    });
    Json out = Json::array();
    for (const FilterLane& lane : lanes) {
      out.push_back({{"system", lane.system->name},
                     {"ef", lane.ef},
                     {"filtered", lane.filtered},
                     {"recall", lane.found / lane.wanted},
                     {"distance_ratio", lane.distances / lane.true_distances},
                     {"few", lane.few},
                     {"queries", lane.micros.size()},
                     {"slice_qps", lane.qps},
                     {"p50_us", quantile(lane.micros, 0.5)},
                     {"p99_us", quantile(lane.micros, 0.99)}});
    }
    return out;
  }

  std::string metric_;
  std::size_t k_, slice_, slices_, judged_at_;
  double enough_, most_seconds_;
  FloatMatrix base_, queries_, unit_queries_;
  std::vector<System> systems_;
  std::optional<Clusters> clusters_;
  std::mt19937 random_{20260101};
};

}  // namespace

Json filter_command(const Json& config) {
  FilterRace race(config);
  Json out = {{"cells", Json::array()}};
  for (const Json& cell : config.at("cells")) {
    std::fprintf(stderr, "  %s %g %%\n", cell.at("kind").get<std::string>().c_str(),
                 cell.at("percent").get<double>());
    out["cells"].push_back(race.run(cell));
  }
  return out;
}

}  // namespace bench
