// SPDX-License-Identifier: Apache-2.0
#include "engine/api/c_options.h"

#include <algorithm>
#include <chrono>
#include <functional>

#include "engine/api/c_call.h"
#include "engine/vectors/metric.h"

namespace cairn::c {

namespace {

// `given` as an enumerator, of which `last` is the greatest.
template <class Enum>
Result<void> read_enum(const char* call, const char* name, std::uint8_t given, Enum first,
                       Enum last, Enum& out) {
  if (given < static_cast<unsigned>(first) || given > static_cast<unsigned>(last)) {
    return out_of_range(call, name, given);
  }
  out = static_cast<Enum>(given);
  return {};
}

Result<void> read_switch(const char* call, const char* name, std::uint8_t given, bool& out) {
  if (given > 1) return out_of_range(call, name, given);
  out = given == 1;
  return {};
}

std::function<void(std::size_t, std::size_t)> progress_of(cairn_progress progress, void* context) {
  if (progress == nullptr) return {};
  return [=](std::size_t done, std::size_t total) { progress(context, done, total); };
}

Result<void> read_durability(const char* call, std::uint8_t durability, std::uint32_t group_ms,
                             Durability& out, unsigned& out_ms) {
  if (group_ms != 0) out_ms = group_ms;
  return read_enum(call, "durability", durability, Durability::sync, Durability::none, out);
}

}  // namespace

const std::atomic<bool>* flag_of(const cairn_stop* stop) {
  return stop == nullptr ? nullptr : &stop->flag;
}

cairn_params to_c(const IndexParams& params) {
  cairn_params all{};
  all.size = sizeof all;
  all.dimensions = params.dimensions;
  all.seed = params.seed;
  all.m = params.m;
  all.ef_construction = params.ef_construction;
  all.metric = static_cast<std::uint8_t>(params.metric);
  all.scalar = static_cast<std::uint8_t>(params.scalar);
  all.traversal = static_cast<std::uint8_t>(params.traversal);
  all.several_per_key = params.several_per_key ? 1 : 0;
  return all;
}

Result<IndexParams> params_of(const cairn_params* given) {
  if (given == nullptr) return null_argument("create", "params");
  const auto all = known_part("create", "params", given, to_c(IndexParams{}));
  if (!all) return all.error();
  IndexParams params;
  auto ok = read_enum("create", "metric", all->metric, kMetrics.front().metric,
                      kMetrics.back().metric, params.metric);
  if (ok) ok = read_enum("create", "scalar", all->scalar, Scalar::f32, Scalar::b1, params.scalar);
  if (ok) {
    ok = read_enum("create", "traversal", all->traversal, Traversal::automatic, Traversal::exact,
                   params.traversal);
  }
  if (ok) {
    ok = read_switch("create", "several_per_key", all->several_per_key, params.several_per_key);
  }
  if (!ok) return ok.error();
  params.dimensions = all->dimensions;
  params.m = all->m;
  params.ef_construction = all->ef_construction;
  params.seed = all->seed;
  return params;
}

Result<CreateOptions> options_of(const cairn_create_options* given) {
  const auto all = known_part("create", "options", given);
  if (!all) return all.error();
  CreateOptions options;
  options.max_vectors = all->max_vectors;
  if (auto ok = read_durability("create", all->durability, all->group_ms, options.durability,
                                options.group_ms);
      !ok) {
    return ok.error();
  }
  return options;
}

Result<OpenOptions> options_of(const cairn_open_options* given) {
  const auto all = known_part("open", "options", given);
  if (!all) return all.error();
  OpenOptions options;
  auto ok = read_enum("open", "mode", all->mode, Mode::read_only, Mode::read_write, options.mode);
  if (ok) {
    ok = read_enum("open", "residency", all->residency, Residency::map, Residency::load,
                   options.residency);
  }
  if (ok) {
    ok = read_enum("open", "verify", all->verify, Verify::metadata, Verify::full, options.verify);
  }
  if (ok) {
    ok = read_durability("open", all->durability, all->group_ms, options.durability,
                         options.group_ms);
  }
  if (ok) ok = read_switch("open", "salvage", all->salvage, options.salvage);
  if (ok) ok = read_switch("open", "guard", all->guard, options.guard);
  if (ok) {
    ok = read_enum("open", "check", all->check, Check::none, Check::on_first_use, options.check);
  }
  if (!ok) return ok.error();
  options.max_vectors = all->max_vectors;
  options.stop = flag_of(all->stop);
  options.progress = progress_of(all->progress, all->progress_context);
  return options;
}

Result<BuildOptions> options_of(const char* call, const cairn_build_options* given) {
  const auto all = known_part(call, "options", given);
  if (!all) return all.error();
  BuildOptions options;
  if (auto ok = read_switch(call, "erase", all->erase, options.erase); !ok) return ok.error();
  options.threads = all->threads;
  options.progress = progress_of(all->progress, all->progress_context);
  options.stop = flag_of(all->stop);
  return options;
}

Result<SaveOptions> options_of(const char* call, const cairn_save_options* given) {
  const auto all = known_part(call, "options", given);
  if (!all) return all.error();
  SaveOptions options;
  if (auto ok = read_enum(call, "existing", all->existing, Existing::replace, Existing::refuse,
                          options.existing);
      !ok) {
    return ok.error();
  }
  options.stop = flag_of(all->stop);
  return options;
}

std::chrono::steady_clock::time_point deadline_after(std::uint64_t us) {
  constexpr std::uint64_t kAYear = 366ull * 24 * 3600 * 1'000'000;
  if (us == 0) return {};
  return std::chrono::steady_clock::now() + std::chrono::microseconds(std::min(us, kAYear));
}

Result<void> read_options(const char* call, const cairn_search_options* given, SearchCall& wanted) {
  const auto all = known_part(call, "options", given);
  if (!all) return all.error();
  SearchParams& params = wanted.params;
  if (all->k != 0) params.k = all->k;
  params.ef = all->ef;
  wanted.threads = all->threads;
  if (auto ok = read_enum(call, "plan", all->plan, Plan::automatic, Plan::exact, params.plan);
      !ok) {
    return ok;
  }
  if (all->filter != nullptr) params.filter = &all->filter->filter;
  wanted.filters = all->filters;
  params.max_distances = all->max_distances;
  params.deadline = deadline_after(all->deadline_us);
  params.stop = flag_of(all->stop);
  if (all->rerank != nullptr) {
    wanted.rerank = [rerank = all->rerank, context = all->rerank_context](Key key,
                                                                          VectorView vector) {
      const cairn_vector shown = {vector.data(), vector.dims(),
                                  static_cast<std::uint8_t>(vector.scalar())};
      return rerank(context, key, &shown);
    };
    params.rerank = &wanted.rerank;
  }
  if (all->report != nullptr) params.report = &wanted.report;
  return {};
}

Result<void> read_one(const char* call, const cairn_search_options* given, SearchCall& wanted) {
  if (auto ok = read_options(call, given, wanted); !ok) return ok;
  if (wanted.filters == nullptr) return {};
  return Error(ErrorCode::invalid_argument,
               std::string(call) + ": options->filters is for batches; of one query it is filter");
}

Result<void> tell_report(const char* call, const cairn_search_options* given,
                         const SearchCall& done) {
  if (done.params.report == nullptr) return {};
  cairn_search_report all{};
  all.size = sizeof all;
  all.distances = done.report.distances;
  all.lists = done.report.lists;
  all.plan = static_cast<std::uint8_t>(done.report.plan);
  all.complete = done.report.complete ? 1 : 0;
  return fill_sized(call, "report", given->report, &all, sizeof all);
}

Result<ImportOptions> options_of(const cairn_import_options* given) {
  const auto all = known_part("import", "options", given);
  if (!all) return all.error();
  ImportOptions options;
  auto ok =
      read_enum("import", "source", all->source, Source::automatic, Source::faiss, options.source);
  if (ok && all->metric != 0) {
    ok = read_enum("import", "metric", all->metric, kMetrics.front().metric, kMetrics.back().metric,
                   options.metric.emplace());
  }
  if (ok) ok = read_switch("import", "rebuild", all->rebuild, options.rebuild);
  if (ok) {
    ok = read_switch("import", "several_per_key", all->several_per_key, options.several_per_key);
  }
  if (!ok) return ok.error();
  if (all->keys == nullptr && all->key_count != 0) return null_argument("import", "keys");
  options.keys = {all->keys, all->key_count};
  options.threads = all->threads;
  options.dimensions = all->dimensions;
  if (all->m != 0) options.m = all->m;
  if (all->ef_construction != 0) options.ef_construction = all->ef_construction;
  options.progress = progress_of(all->progress, all->progress_context);
  options.stop = flag_of(all->stop);
  return options;
}

}  // namespace cairn::c
