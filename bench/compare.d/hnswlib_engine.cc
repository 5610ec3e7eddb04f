// SPDX-License-Identifier: Apache-2.0
#include <hnswlib/hnswlib.h>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include "compare.d/engine.h"

namespace bench {
namespace {

class HnswlibEngine : public Engine {
 public:
  HnswlibEngine(const Spec& spec, std::size_t dims) : spec_(spec), dims_(dims) {
    if (spec.metric == "cosine") {
      space_ = std::make_unique<hnswlib::InnerProductSpace>(dims);
    } else {
      space_ = std::make_unique<hnswlib::L2Space>(dims);
    }
  }

  bool wants_unit_rows() const override { return spec_.metric == "cosine"; }

  void build(const FloatMatrix& base, unsigned threads) override {
    index_ = std::make_unique<Index>(space_.get(), base.rows, spec_.m, spec_.ef_construction);
    index_->addPoint(base.row(0), 0);
    std::atomic<std::size_t> next{1};
    std::vector<std::thread> workers;
    for (unsigned t = 0; t < threads; ++t) {
      workers.emplace_back([&] {
        for (std::size_t i; (i = next.fetch_add(1)) < base.rows;) index_->addPoint(base.row(i), i);
      });
    }
    for (std::thread& w : workers) w.join();
  }

  void save(const std::string& path) override { index_->saveIndex(path); }

  void open(const std::string& path, Residency, std::size_t spare) override {
    index_ = std::make_unique<Index>(space_.get(), path);
    if (spare > 0) {
      index_->resizeIndex(index_->cur_element_count + spare);
      index_->ef_construction_ = spec_.ef_construction;
    }
  }

  void add(std::uint64_t key, const float* row) override { index_->addPoint(row, key); }

  void set_ef(std::size_t ef) override { index_->setEf(ef); }

  std::size_t search(const float* query, std::size_t k, unsigned, std::uint32_t* out) override {
    auto found = index_->searchKnn(query, k);
    const std::size_t n = found.size();
    for (std::size_t i = n; i > 0; --i, found.pop())
      out[i - 1] = static_cast<std::uint32_t>(found.top().second);
    return n;
  }

  struct Functor : Prepared, hnswlib::BaseFilterFunctor {
    explicit Functor(const Words& passing) : words(passing) {}
    bool operator()(hnswlib::labeltype row) override { return passes(words, row); }
    const Words& words;
  };

  std::unique_ptr<Prepared> prepare(const Words& passing) override {
    return std::make_unique<Functor>(passing);
  }

  std::size_t search_filtered(const float* query, std::size_t k, const Prepared& filter,
                              std::uint32_t* out) override {
    auto& functor = const_cast<Functor&>(static_cast<const Functor&>(filter));
    auto found = index_->searchKnn(query, k, &functor);
    const std::size_t n = found.size();
    for (std::size_t i = n; i > 0; --i, found.pop())
      out[i - 1] = static_cast<std::uint32_t>(found.top().second);
    return n;
  }

  Json facts() const override {
    std::size_t upper = 0;
    for (std::size_t i = 0; i < index_->cur_element_count; ++i) {
      upper +=
          static_cast<std::size_t>(index_->element_levels_[i]) * index_->size_links_per_element_;
    }
    const char* isa = "sse";
#if defined(USE_AVX512)
    if (AVX512Capable()) isa = "avx512";
#endif
#if defined(USE_AVX)
    if (isa[0] == 's' && AVXCapable()) isa = "avx";
#endif
    return {{"isa", isa},
            {"size", index_->cur_element_count.load()},
            {"hot_bytes", index_->cur_element_count * index_->size_data_per_element_ + upper}};
  }

 private:
  using Index = hnswlib::HierarchicalNSW<float>;
  Spec spec_;
  std::size_t dims_;
  std::unique_ptr<hnswlib::SpaceInterface<float>> space_;
  std::unique_ptr<Index> index_;
};

}  // namespace

std::unique_ptr<Engine> make_hnswlib(const Spec& spec, std::size_t dims) {
  return std::make_unique<HnswlibEngine>(spec, dims);
}

}  // namespace bench
