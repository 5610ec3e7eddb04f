// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <stdexcept>
#include <thread>
#include <usearch/index_dense.hpp>
#include <vector>

#include "compare.d/engine.h"

namespace bench {
namespace {

namespace us = unum::usearch;

template <class T>
T checked(T result, const char* what) {
  if (!result)
    throw std::runtime_error(std::string("usearch ") + what + ": " + result.error.release());
  return result;
}

class UsearchEngine : public Engine {
 public:
  UsearchEngine(const Spec& spec, std::size_t dims) : spec_(spec) {
    const auto scalar =
        spec.engine == "usearch-i8" ? us::scalar_kind_t::i8_k : us::scalar_kind_t::f32_k;
    const auto kind =
        spec.metric == "cosine" ? us::metric_kind_t::cos_k : us::metric_kind_t::l2sq_k;
    const us::metric_punned_t metric(dims, kind, scalar);
    isa_ = metric.isa_name();
    if (isa_ == "serial")
      throw std::runtime_error(
          "usearch runs without SIMD kernels: it was not compiled as intended");
    index_ = std::move(
        checked(us::index_dense_t::make(metric, {spec.m, spec.ef_construction}), "make").index);
  }

  void build(const FloatMatrix& base, unsigned threads) override {
    index_.reserve({base.rows, threads});
    std::atomic<std::size_t> next{0};
    std::atomic<bool> failed{false};
    std::vector<std::thread> workers;
    for (unsigned t = 0; t < threads; ++t) {
      workers.emplace_back([&, t] {
        for (std::size_t i; (i = next.fetch_add(1)) < base.rows;) {
          auto added = index_.add(i, base.row(i), t);
          if (!added) failed = true;
          added.error.release();
        }
      });
    }
    for (std::thread& w : workers) w.join();
    if (failed) throw std::runtime_error("usearch add failed");
  }

  void save(const std::string& path) override { checked(index_.save(path.c_str()), "save"); }

  void open(const std::string& path, Residency residency, std::size_t spare) override {
    if (residency == Residency::map) {
      checked(index_.view(us::memory_mapped_file_t(path.c_str())), "view");
    } else {
      checked(index_.load(path.c_str()), "load");
    }
    index_.change_expansion_add(spec_.ef_construction);
    if (spare > 0) index_.reserve({index_.size() + spare, 64});
  }

  void add(std::uint64_t key, const float* row) override {
    checked(index_.add(key, row, 0), "add");
  }

  void set_ef(std::size_t ef) override { index_.change_expansion_search(ef); }

  std::size_t search(const float* query, std::size_t k, unsigned thread,
                     std::uint32_t* out) override {
    us::default_key_t keys[128];
    auto found = index_.search(query, k, thread);
    if (!found) throw std::runtime_error(std::string("usearch search: ") + found.error.release());
    const std::size_t n = found.dump_to(keys);
    for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<std::uint32_t>(keys[i]);
    return n;
  }

  struct Predicate : Prepared {
    explicit Predicate(const Words& passing) : words(passing) {}
    const Words& words;
  };

  std::unique_ptr<Prepared> prepare(const Words& passing) override {
    return std::make_unique<Predicate>(passing);
  }

  std::size_t search_filtered(const float* query, std::size_t k, const Prepared& filter,
                              std::uint32_t* out) override {
    const Words& words = static_cast<const Predicate&>(filter).words;
    us::default_key_t keys[128];
    auto found = index_.filtered_search(
        query, k, [&](us::default_key_t row) { return passes(words, row); }, 0);
    if (!found) throw std::runtime_error(std::string("usearch search: ") + found.error.release());
    const std::size_t n = found.dump_to(keys);
    for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<std::uint32_t>(keys[i]);
    return n;
  }

  Json facts() const override {
    return {{"isa", isa_},
            {"size", index_.size()},
            {"m0", index_.config().connectivity_base},
            {"hot_bytes", index_.serialized_length()}};
  }

 private:
  Spec spec_;
  us::index_dense_t index_;
  std::string isa_;
};

}  // namespace

std::unique_ptr<Engine> make_usearch(const Spec& spec, std::size_t dims) {
  return std::make_unique<UsearchEngine>(spec, dims);
}

}  // namespace bench
