// SPDX-License-Identifier: Apache-2.0
#include "compare.d/engine.h"

#include <stdexcept>

namespace bench {

Spec parse_spec(const Json& json) {
  Spec s;
  s.engine = json.at("engine").get<std::string>();
  s.metric = json.at("metric").get<std::string>();
  s.m = json.value("m", s.m);
  s.ef_construction = json.value("ef_construction", s.ef_construction);
  s.traversal = json.value("traversal", s.traversal);
  s.seed = json.value("seed", s.seed);
  return s;
}

Residency parse_residency(const std::string& name) {
  if (name == "map") return Residency::map;
  if (name == "load") return Residency::load;
  throw std::runtime_error("unknown residency '" + name + "'");
}

std::unique_ptr<Engine> make_engine(const Spec& spec, std::size_t dims) {
  if (spec.engine == "hnswlib") return make_hnswlib(spec, dims);
  if (spec.engine == "usearch-f32" || spec.engine == "usearch-i8") return make_usearch(spec, dims);
#ifdef COMPARE_CAIRN
  if (spec.engine == "cairn") return make_cairn(spec, dims);
#endif
  throw std::runtime_error("unknown engine '" + spec.engine + "'");
}

}  // namespace bench
