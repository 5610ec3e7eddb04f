// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include "compare.d/process.h"
#include "compare.d/recall.h"
#include "durability.d/common.h"

namespace bench {
namespace {

Json checkpoint_of_cairn(const Json& config, const FloatMatrix& rows, std::size_t first_key) {
  cairn::Index index = open_for_writing(working_copy(config), "none");
  const Json before = io_counters();
  for (std::size_t i = 0; i < rows.rows; ++i) {
    checked(index.add(first_key + i, cairn::VectorView(rows.row(i), rows.dims)), "add");
  }
  const cairn::Stats stats = index.stats();
  const Json added = io_counters();
  const auto start = Clock::now();
  checked(index.checkpoint(), "checkpoint");
  const double seconds = seconds_since(start);
  return {{"seconds", seconds},
          {"dirty_pages", stats.dirty_pages},
          {"automatic_checkpoints", stats.checkpoints},
          {"adding_io", difference(added, before)},
          {"io", difference(io_counters(), added)}};
}

// The whole file, and an fsync, without which it is not on disk.
Json save_of_rival(const Json& config, const Spec& spec, FloatMatrix rows, std::size_t first_key) {
  auto engine = make_engine(spec, rows.dims);
  if (engine->wants_unit_rows()) normalize(rows);
  engine->open(config.at("index").get<std::string>(), Residency::load, rows.rows);
  for (std::size_t i = 0; i < rows.rows; ++i) engine->add(first_key + i, rows.row(i));
  const auto path = config.at("work").get<std::string>();
  const Json before = io_counters();
  const auto start = Clock::now();
  engine->save(path);
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 || ::fsync(fd) != 0) throw std::runtime_error("cannot sync " + path);
  ::close(fd);
  const double seconds = seconds_since(start);
  return {{"seconds", seconds}, {"io", difference(io_counters(), before)}};
}

}  // namespace

Json checkpoint_command(const Json& config) {
  const Spec spec = parse_spec(config.at("spec"));
  const auto base = read_matrix<float>(config.at("base").get<std::string>(),
                                       config.at("rows").get<std::size_t>());
  FloatMatrix rows = fresh_vectors(base, config.at("count").get<std::size_t>());
  if (spec.engine == "cairn") return checkpoint_of_cairn(config, rows, base.rows);
  return save_of_rival(config, spec, std::move(rows), base.rows);
}

}  // namespace bench
