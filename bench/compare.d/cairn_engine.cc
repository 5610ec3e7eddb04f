// SPDX-License-Identifier: Apache-2.0
#include <cairn/cairn.h>

#include <numeric>
#include <optional>
#include <stdexcept>
#include <vector>

#include "compare.d/engine.h"

namespace bench {
namespace {

template <class T>
T checked(cairn::Result<T> result, const char* what) {
  if (!result)
    throw std::runtime_error(std::string("cairn ") + what + ": " + result.error().message());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

class CairnEngine : public Engine {
 public:
  CairnEngine(const Spec& spec, std::size_t dims) : dims_(dims) {
    params_.dimensions = dims;
    params_.metric = spec.metric == "cosine" ? cairn::Metric::cosine : cairn::Metric::l2sq;
    params_.m = static_cast<std::uint32_t>(spec.m);
    params_.ef_construction = static_cast<std::uint32_t>(spec.ef_construction);
    params_.seed = spec.seed;
    params_.traversal = spec.traversal == "code"    ? cairn::Traversal::code
                        : spec.traversal == "exact" ? cairn::Traversal::exact
                                                    : cairn::Traversal::automatic;
  }

  void build(const FloatMatrix& base, unsigned threads) override {
    index_ = checked(cairn::Index::create(params_), "create");
    std::vector<cairn::Key> keys(base.rows);
    std::iota(keys.begin(), keys.end(), cairn::Key{0});
    cairn::BuildOptions options;
    options.threads = threads;
    checked(index_->build(keys, cairn::MatrixView::f32(base.values.data(), base.rows, base.dims),
                          options),
            "build");
  }

  void save(const std::string& path) override { checked(index_->save(path), "save"); }

  void open(const std::string& path, Residency residency, std::size_t) override {
    cairn::OpenOptions options;
    options.residency =
        residency == Residency::map ? cairn::Residency::map : cairn::Residency::load;
    index_ = checked(cairn::Index::open(path, options), "open");
  }

  void add(std::uint64_t key, const float* row) override {
    checked(index_->add(key, cairn::VectorView(row, dims_)), "add");
  }

  void set_ef(std::size_t ef) override { ef_ = ef; }

  std::size_t search(const float* query, std::size_t k, unsigned, std::uint32_t* out) override {
    cairn::Match matches[128];
    const auto n =
        index_->search(cairn::VectorView(query, dims_), {.k = k, .ef = ef_}, std::span(matches, k));
    if (!n) throw std::runtime_error("cairn search: " + n.error().message());
    for (std::size_t i = 0; i < *n; ++i) out[i] = static_cast<std::uint32_t>(matches[i].key);
    return *n;
  }

  struct Filtered : Prepared {
    explicit Filtered(cairn::Filter f) : filter(std::move(f)) {}
    cairn::Filter filter;
  };

  std::unique_ptr<Prepared> prepare(const Words& passing) override {
    return std::make_unique<Filtered>(checked(cairn::Filter::bits(*index_, passing), "filter"));
  }

  std::size_t search_filtered(const float* query, std::size_t k, const Prepared& filter,
                              std::uint32_t* out) override {
    cairn::SearchParams params{.k = k, .filter = &static_cast<const Filtered&>(filter).filter};
    if (ef_ == 0) params.plan = cairn::Plan::exact;
    if (ef_ != 0) params.ef = ef_;
    cairn::Match matches[128];
    const auto n = index_->search(cairn::VectorView(query, dims_), params, std::span(matches, k));
    if (!n) throw std::runtime_error("cairn search: " + n.error().message());
    for (std::size_t i = 0; i < *n; ++i) out[i] = static_cast<std::uint32_t>(matches[i].key);
    return *n;
  }

  Json facts() const override {
    const cairn::Stats s = index_->stats();
    return {{"isa", cairn::simd_info().active},
            {"size", s.live},
            {"hot_bytes", s.hot_bytes},
            {"exact_bytes", s.exact_bytes},
            {"open_ns", s.open_ns},
            {"private_bytes", s.private_bytes}};
  }

 private:
  std::size_t dims_;
  cairn::IndexParams params_;
  std::optional<cairn::Index> index_;
  std::size_t ef_ = 64;
};

}  // namespace

std::unique_ptr<Engine> make_cairn(const Spec& spec, std::size_t dims) {
  return std::make_unique<CairnEngine>(spec, dims);
}

}  // namespace bench
