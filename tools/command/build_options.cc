// SPDX-License-Identifier: Apache-2.0
#include "tools/command/build_options.h"

#include <cairn/index.h>

#include "tools/command/choice.h"
#include "tools/command/command.h"

namespace cairn::tools {

namespace {

void check_options(IndexParams params) {
  params.dimensions = 1;
  const auto index = Index::create(params);
  if (index || index.error().code() != ErrorCode::invalid_argument) return;
  throw CLI::ValidationError(without_operation(index.error(), "create").message());
}

}  // namespace

void add_build_options(CLI::App& sub, BuildSettings& settings) {
  IndexParams& params = settings.params;
  add_choice<Metric>(
      sub, "--metric",
      "cosine, l2sq (squared Euclidean), ip (inner product), or for b1 hamming; default: what an "
      ".hdf5 says, else cosine",
      {{"cosine", Metric::cosine},
       {"l2sq", Metric::l2sq},
       {"ip", Metric::inner_product},
       {"inner_product", Metric::inner_product},
       {"hamming", Metric::hamming}},
      [&params](Metric metric) { params.metric = metric; });
  add_choice<Scalar>(
      sub, "--scalar",
      "Kind of the stored components: f32 (the default), f16, bf16, i8 (rounded) or b1 (1 "
      "where positive)",
      {{"f32", Scalar::f32},
       {"f16", Scalar::f16},
       {"bf16", Scalar::bf16},
       {"i8", Scalar::i8},
       {"b1", Scalar::b1}},
      [&params](Scalar scalar) { params.scalar = scalar; });
  add_choice<Traversal>(
      sub, "--traversal",
      "Walk on 8-bit codes (code) or on the stored vectors (exact); automatic: code but for "
      "i8 and b1",
      {{"automatic", Traversal::automatic}, {"code", Traversal::code}, {"exact", Traversal::exact}},
      [&params](Traversal traversal) { params.traversal = traversal; });
  sub.add_option("--m", params.m,
                 "Links a node on the upper levels, 2 to 256; more: better recall, larger file")
      ->type_name("N")
      ->check(whole_number(2, 256))
      ->capture_default_str();
  sub.add_option(
         "--ef-construction", params.ef_construction,
         "Candidates considered for each node, 1 to 65536; more: better recall, slower build")
      ->type_name("N")
      ->check(whole_number(1, 65536))
      ->capture_default_str();
  sub.add_option("--threads", settings.threads, "Threads; 0 is one a core")
      ->type_name("N")
      ->check(whole_number(0, kMaxThreads))
      ->capture_default_str();
  sub.add_option("--seed", params.seed, "Equal input, parameters and seed give equal files")
      ->type_name("S")
      ->check(whole_number(0, kAnyNumber))
      ->capture_default_str();
}

void read_build_options(const CLI::App& sub, BuildSettings& settings) {
  const bool bits = settings.params.scalar == Scalar::b1;
  if (bits && sub.count("--metric") == 0) settings.params.metric = Metric::hamming;
  settings.metric_given = sub.count("--metric") != 0;
  settings.scalar_given = sub.count("--scalar") != 0;
  check_options(settings.params);
}

IndexParams params_for(const BuildSettings& settings, const VectorFile& file) {
  IndexParams params = settings.params;
  params.dimensions = file.dims;
  if (settings.metric_given || !file.metric || params.scalar == Scalar::b1) return params;
  params.metric = *file.metric;
  if (!settings.scalar_given && params.metric == Metric::hamming) params.scalar = Scalar::b1;
  return params;
}

}  // namespace cairn::tools
