// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>

#include "compare.d/commands.h"
#include "compare.d/process.h"
#include "compare.d/race.h"
#include "compare.d/recall.h"

namespace bench {
namespace {

FloatMatrix read_base(const Json& config, const Engine& engine) {
  FloatMatrix base = read_matrix<float>(config.at("base").get<std::string>(),
                                        config.value("rows", std::size_t{0}));
  if (engine.wants_unit_rows()) normalize(base);
  return base;
}

std::size_t dims_of(const Json& config, const char* field) {
  return read_matrix<float>(config.at(field).get<std::string>(), 1).dims;
}

double sync_seconds(const std::string& path) {
  const auto start = Clock::now();
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw std::runtime_error("cannot open " + path);
  fsync(fd);
  ::close(fd);
  return seconds_since(start);
}

// "save_s" as the system's own call takes, "sync_s" an fsync after it, "bytes" of the file.
void timed_save(Engine& engine, const std::string& path, Json& out) {
  const auto start = Clock::now();
  engine.save(path);
  out["save_s"] = seconds_since(start);
  out["sync_s"] = sync_seconds(path);
  out["bytes"] = std::filesystem::file_size(path);
}

}  // namespace

Json build_command(const Json& config) {
  const Spec spec = parse_spec(config.at("spec"));
  const unsigned threads = config.at("threads").get<unsigned>();
  auto engine = make_engine(spec, dims_of(config, "base"));
  Json out;
  {
    const FloatMatrix base = read_base(config, *engine);
    const double cpu = cpu_seconds();
    const auto start = Clock::now();
    engine->build(base, threads);
    const double wall = seconds_since(start);
    out["build_s"] = wall;
    out["cpu_s"] = cpu_seconds() - cpu;
    out["threads"] = threads;
    // Below about 0.95 others worked on the machine, or the build does not keep its threads busy.
    out["busy"] = out["cpu_s"].get<double>() / (wall * threads);
  }
  out["facts"] = engine->facts();
  if (config.contains("truth")) {
    const QuerySet queries = QuerySet::read(config.at("queries").get<std::string>(),
                                            config.at("truth").get<std::string>(), spec.metric);
    for (std::size_t ef : config.at("efs").get<std::vector<std::size_t>>()) {
      out["recalls"][std::to_string(ef)] = measure_recall(*engine, queries, 10, ef, threads);
    }
  }
  if (config.contains("path")) timed_save(*engine, config.at("path").get<std::string>(), out);
  return out;
}

Json probe_command(const Json& config) {
  const Spec spec = parse_spec(config.at("spec"));
  const auto path = config.at("path").get<std::string>();
  const QuerySet queries = QuerySet::read(config.at("queries").get<std::string>(), "", spec.metric);
  auto engine = make_engine(spec, queries.raw.dims);
  const FloatMatrix& rows = queries.rows_for(*engine);
  if (config.at("cold").get<bool>()) evict_file(path);
  Json out;
  out["cached_before"] = cached_fraction(path);
  out["memory_before"] = memory_usage();
  std::uint32_t found[128];

  io_counters();  // its own page faults
  const Json overhead = difference(io_counters(), io_counters());
  const Json before = io_counters();
  const auto start = Clock::now();
  engine->open(path, parse_residency(config.at("residency").get<std::string>()), 0);
  out["open_s"] = seconds_since(start);
  const Json opened = io_counters();
  out["memory_open"] = memory_usage();
  const Json resumed = io_counters();
  engine->set_ef(config.at("ef").get<std::size_t>());
  const auto asked = Clock::now();
  engine->search(rows.row(0), 10, 0, found);
  out["first_answer_s"] = out["open_s"].get<double>() + seconds_since(asked);
  out["answer_io"] = difference(io_counters(), resumed);
  out["open_io"] = difference(opened, before);
  out["open_io"]["asked_bytes"] = out["open_io"]["asked_bytes"].get<std::int64_t>() +
                                  overhead["asked_bytes"].get<std::int64_t>();

  const auto searches = config.at("searches").get<std::size_t>();
  for (std::size_t i = 0; i < searches; ++i) engine->search(rows.row(i % rows.rows), 10, 0, found);
  out["memory_searched"] = memory_usage();
  out["facts"] = engine->facts();
  if (config.contains("save_to")) timed_save(*engine, config.at("save_to").get<std::string>(), out);
  return out;
}

Json add_command(const Json& config) {
  const auto slice = config.at("slice").get<std::size_t>();
  const FloatMatrix raw = read_matrix<float>(config.at("added").get<std::string>());
  FloatMatrix unit = raw;
  normalize(unit);
  const std::size_t count =
      std::min(config.at("count").get<std::size_t>(), raw.rows) / slice * slice;

  struct Adder {
    std::string name;
    std::unique_ptr<Engine> engine;
    std::size_t size;
    std::vector<double> micros;  // of one add, one value a slice
  };
  std::vector<Adder> adders;
  for (const Json& system : config.at("systems")) {
    auto engine = make_engine(parse_spec(system.at("spec")), raw.dims);
    if (system.contains("path")) {
      engine->open(system.at("path").get<std::string>(), Residency::load, count);
    } else {
      engine->build(read_base(config, *engine), config.at("threads").get<unsigned>());
    }
    const auto size = engine->facts().at("size").get<std::size_t>();
    adders.push_back({system.at("name").get<std::string>(), std::move(engine), size, {}});
  }
  for (std::size_t first = 0; first < count; first += slice) {
    for (std::size_t a = 0; a < adders.size(); ++a) {
      Adder& adder = adders[(a + first / slice) % adders.size()];
      const FloatMatrix& rows = adder.engine->wants_unit_rows() ? unit : raw;
      const auto start = Clock::now();
      for (std::size_t i = first; i < first + slice; ++i)
        adder.engine->add(adder.size + i, rows.row(i));
      adder.micros.push_back(seconds_since(start) * 1e6 / static_cast<double>(slice));
    }
  }
  Json out;
  for (const Adder& adder : adders) {
    Json entry = {{"name", adder.name}, {"micros", spread(adder.micros)}};
    std::vector<double> ratios;
    for (std::size_t i = 0; i < adder.micros.size(); ++i)
      ratios.push_back(adders[0].micros[i] / adder.micros[i]);
    entry["first_over_this"] = spread(ratios);
    out["systems"].push_back(entry);
  }
  return out;
}

}  // namespace bench
