// SPDX-License-Identifier: Apache-2.0
//
// Filters, plans and limits on an index that changes between searches and beside them, compared
// with a map of what it holds. Keys may have several vectors.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <cairn/cairn.h>

#include "fuzz/input.h"

namespace cairn::fuzz {
namespace {

constexpr std::size_t kMostOperations = 200;
constexpr Key kKeys = 200;          // that the script changes
constexpr Key kBeside = 1'000'000;  // from here on, those of the writer beside the searches
constexpr std::size_t kDimensions = 5;

using Vector = std::vector<float>;
using Wanted = std::function<bool(Key)>;

double distance(Metric metric, const Vector& a, const Vector& b) {
  double dot = 0;
  double squares_a = 0;
  double squares_b = 0;
  double difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    dot += double{a[i]} * double{b[i]};
    squares_a += double{a[i]} * double{a[i]};
    squares_b += double{b[i]} * double{b[i]};
    difference += (double{a[i]} - double{b[i]}) * (double{a[i]} - double{b[i]});
  }
  if (metric == Metric::l2sq) return difference;
  if (metric == Metric::inner_product) return 1 - dot;
  return squares_a == 0 || squares_b == 0 ? 1 : 1 - dot / std::sqrt(squares_a * squares_b);
}

class Session {
 public:
  explicit Session(Input& input) : input_(input) {
    IndexParams params;
    params.dimensions = kDimensions;
    const std::size_t kind = input.below(6);
    params.metric = static_cast<Metric>(1 + kind % 3);
    params.several_per_key = kind >= 3;
    params.traversal = static_cast<Traversal>(input.below(3));
    params.m = static_cast<std::uint32_t>(2 + input.below(6));
    params.ef_construction = static_cast<std::uint32_t>(1 + input.below(20));
    metric_ = params.metric;
    has_several_ = params.several_per_key;
    index_ = Index::create(params).value();
  }

  void run() {
    for (std::size_t i = 0; i < kMostOperations && !input_.empty(); ++i) {
      switch (input_.u8() % 10) {
        case 0:
        case 1:
        case 2: upsert(); break;
        case 3: remove(); break;
        case 4: add_filter(); break;
        case 5:
        case 6:
        case 7: search(); break;
        case 8: search_batch(); break;
        case 9: input_.u8() % 4 == 0 ? search_beside_a_writer() : compact(); break;
      }
    }
    filters_.clear();
  }

 private:
  struct Asked {
    Filter filter;
    Wanted wanted;
  };

  Vector vector() {
    Vector values(kDimensions);
    for (float& value : values) value = static_cast<float>(input_.u8() % 16) - 8.0f;
    return values;
  }

  void upsert() {
    const Key key = input_.u8() % kKeys;
    const Vector values = vector();
    if (has_several_ && input_.u8() % 4 != 0) {
      require(index_->add(key, values).has_value(), "a vector is added to a key");
      rows_[key].push_back(values);
      return;
    }
    require(index_->upsert(key, values).has_value(), "a vector is taken");
    rows_[key] = {values};
  }

  void remove() {
    const Key key = input_.u8() % kKeys;
    require(index_->remove(key).has_value() == (rows_.erase(key) == 1), "what is there is removed");
  }

  void compact() { require(index_->compact().has_value(), "it is compacted"); }

  void add_filter() {
    if (filters_.size() == 8) filters_.erase(filters_.begin());
    std::set<Key> some;
    for (std::size_t n = input_.u8() % 32; n > 0; --n) some.insert(input_.u8() % kKeys);
    const std::vector<Key> keys(some.begin(), some.end());
    const auto is_some = [some](Key key) { return some.count(key) == 1; };
    switch (input_.u8() % 4) {
      case 0: keep(Filter::only(*index_, keys), is_some); return;
      case 1: keep(Filter::except(*index_, keys), [=](Key key) { return !is_some(key); }); return;
      case 2: {  // words that may end early, from any key on
        const Key first = input_.u8() % 4 == 0 ? ~Key{0} - 3 : input_.u8();
        std::vector<std::uint64_t> words(input_.u8() % 4);
        for (std::uint64_t& word : words) word = input_.u64();
        keep(Filter::bits(*index_, words, first), [=](Key key) {
          const Key at = key - first;
          return key >= first && at / 64 < words.size() && (words[at / 64] >> at % 64 & 1) != 0;
        });
        return;
      }
      default: {
        const Key divisor = 1 + input_.u8() % 7;
        const Wanted wanted = [=](Key key) { return key % divisor == 0; };
        keep(Filter::where(*index_, wanted), wanted);
      }
    }
  }
  void keep(Result<Filter> filter, Wanted wanted) {
    require(filter.has_value(), "a filter is made");
    filters_.push_back({std::move(*filter), std::move(wanted)});
  }

  std::size_t passing(const Wanted& wanted) const {
    return static_cast<std::size_t>(std::count_if(
        rows_.begin(), rows_.end(), [&](const auto& row) { return wanted(row.first); }));
  }

  // How many vectors these have.
  std::size_t passing_vectors(const Wanted& wanted) const {
    std::size_t n = 0;
    for (const auto& [key, vectors] : rows_) n += wanted(key) ? vectors.size() : 0;
    return n;
  }

  // Distances of the keys that pass, ascending.
  std::vector<double> truth(const Wanted& wanted, const Vector& query) const {
    std::vector<double> distances;
    for (const auto& [key, vectors] : rows_) {
      if (!wanted(key)) continue;
      double least = distance(metric_, query, vectors.front());
      for (const Vector& row : vectors) least = std::min(least, distance(metric_, query, row));
      distances.push_back(least);
    }
    std::sort(distances.begin(), distances.end());
    return distances;
  }

  SearchParams params_of(const Asked* asked) {
    SearchParams params;
    params.k = 1 + input_.u8() % 40;
    params.ef = 1 + input_.u8() % 80;
    params.plan = static_cast<Plan>(input_.u8() % 3);
    params.filter = asked == nullptr ? nullptr : &asked->filter;
    return params;
  }

  const Asked* pick() {
    const std::size_t at = input_.below(filters_.size() + 1);
    return at == filters_.size() ? nullptr : &filters_[at];
  }

  void search() {
    const Asked* asked = pick();
    const Wanted wanted = asked == nullptr ? [](Key) { return true; } : asked->wanted;
    SearchParams params = params_of(asked);
    SearchReport report;
    params.report = &report;
    if (asked != nullptr) {
      require(asked->filter.count() == passing_vectors(wanted), "a filter knows how many pass");
    }
    const std::uint8_t limit = input_.u8();
    if (limit % 4 == 1) params.max_distances = 1 + limit / 4;
    if (limit == 2) params.deadline = std::chrono::steady_clock::now();
    const std::function<float(Key, VectorView)> odd = [](Key key, VectorView vector) {
      const float first = static_cast<const float*>(vector.data())[0];
      return key % 3 == 0 ? NAN : first;
    };
    if (limit % 16 == 3) params.rerank = &odd;
    if (limit == 255 && has_several_ && params.rerank == nullptr) return search_documents(params);
    const Vector query = vector();
    const auto found = index_->search(query, params);
    if (!found) {
      require(limit == 2 && found.error().code() == ErrorCode::deadline_exceeded,
              "only a deadline ends a search in an error", found.error().message());
      return;
    }
    check(*found, wanted, params, report, query);
  }

  // Two query vectors: the sum of the distances of the nearest vectors of a key.
  void search_documents(SearchParams params) {
    const Vector rows[2] = {vector(), vector()};
    std::vector<float> both(rows[0]);
    both.insert(both.end(), rows[1].begin(), rows[1].end());
    params.max_distances = 0;
    const auto found =
        index_->search_documents(MatrixView::f32(both.data(), 2, kDimensions), params);
    require(found.has_value(), "documents are searched");
    std::set<Key> seen;
    for (const Match& match : *found) {
      require(rows_.count(match.key) == 1 && seen.insert(match.key).second,
              "a document is there, once");
      double sum = 0;
      for (const Vector& row : rows) {
        double least = INFINITY;
        for (const Vector& own : rows_.at(match.key)) {
          least = std::min(least, distance(metric_, row, own));
        }
        sum += least;
      }
      require(std::fabs(sum - double{match.distance}) <= 1e-4 * (1 + std::fabs(sum)),
              "a document has the sum of its best matches");
    }
  }

  void check(const std::vector<Match>& found, const Wanted& wanted, const SearchParams& params,
             const SearchReport& report, const Vector& query) const {
    std::set<Key> seen;
    for (const Match& match : found) {
      require(rows_.count(match.key) == 1 && wanted(match.key), "a result is there, and passes");
      require(seen.insert(match.key).second, "a key comes once");
      require(!std::isnan(match.distance), "a distance is a number");
    }
    const auto nearer = [](const Match& a, const Match& b) { return a.distance < b.distance; };
    require(std::is_sorted(found.begin(), found.end(), nearer), "results come nearest first");
    require(params.max_distances == 0 || report.distances <= params.max_distances,
            "no more distances than allowed");
    if (!report.complete) return;
    const std::size_t all = passing(wanted);
    if (params.filter != nullptr || report.plan == Plan::exact) {
      require(found.size() == std::min(params.k, all), "as many as pass");
    }
    if (report.plan != Plan::exact || params.rerank != nullptr) return;
    const auto distances = truth(wanted, query);
    for (std::size_t i = 0; i < found.size(); ++i) {
      const double error = std::fabs(distances[i] - double{found[i].distance});
      require(error <= 1e-5 * (1 + std::fabs(distances[i])), "the exact plan finds the nearest");
    }
  }

  void search_batch() {
    const std::size_t rows = 1 + input_.u8() % 20;
    const bool one_a_row = input_.u8() % 2 == 0;
    const Asked* shared = one_a_row ? nullptr : pick();
    SearchParams params = params_of(shared);
    SearchReport report;
    params.report = &report;
    std::vector<float> queries;
    std::vector<const Filter*> filters;
    std::vector<const Asked*> asked(rows, shared);
    for (std::size_t i = 0; i < rows; ++i) {
      const Vector row = vector();
      queries.insert(queries.end(), row.begin(), row.end());
      if (one_a_row) asked[i] = pick();
      filters.push_back(asked[i] == nullptr ? nullptr : &asked[i]->filter);
    }
    std::vector<Match> out(rows * params.k);
    std::vector<std::size_t> counts(rows);
    const MatrixView matrix = MatrixView::f32(queries.data(), rows, kDimensions);
    const auto done = one_a_row ? index_->search_batch(matrix, params, filters, out, counts, 2)
                                : index_->search_batch(matrix, params, out, counts, 2);
    require(done.has_value(), "a batch is searched");
    for (std::size_t i = 0; i < rows; ++i) {
      SearchParams alone = params;
      alone.filter = filters[i];
      alone.report = nullptr;
      const Vector query(queries.begin() + static_cast<std::ptrdiff_t>(i * kDimensions),
                         queries.begin() + static_cast<std::ptrdiff_t>((i + 1) * kDimensions));
      const auto one = index_->search(query, alone);
      require(one.has_value() && one->size() == counts[i], "a row finds as many as alone");
      for (std::size_t j = 0; j < counts[i]; ++j) {
        require(out[i * params.k + j].key == (*one)[j].key, "a row finds the same as alone");
      }
    }
  }

  // Keys of the writer's come and go; those of the script stay.
  void search_beside_a_writer() {
    const std::size_t changes = input_.u8() % 32;
    const Vector values = vector();
    std::atomic<bool> is_right{true};
    std::thread writer([&] {
      for (std::size_t i = 0; i < changes; ++i) {
        if (!index_->upsert(kBeside + i % 5, values)) is_right = false;
        if (i % 3 == 0 && !index_->remove(kBeside + i % 5)) is_right = false;
      }
    });
    for (const Asked& asked : filters_) {
      SearchParams params = params_of(&asked);
      const auto found = index_->search(values, params);
      require(found.has_value(), "a search beside a writer finds something");
      std::set<Key> seen;
      for (const Match& match : *found) {
        require(asked.wanted(match.key), "a result passes beside a writer");
        require(match.key >= kBeside || rows_.count(match.key) == 1, "a result is there");
        require(seen.insert(match.key).second, "a key comes once beside a writer");
      }
    }
    writer.join();
    require(is_right, "the writer writes");
    for (Key key = kBeside; key < kBeside + 5; ++key) (void)index_->remove(key);
  }

  Input& input_;
  Metric metric_ = Metric::l2sq;
  std::optional<Index> index_;
  bool has_several_ = false;
  std::map<Key, std::vector<Vector>> rows_;
  std::vector<Asked> filters_;
};

}  // namespace
}  // namespace cairn::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  cairn::fuzz::Input input(data, size);
  cairn::fuzz::Session(input).run();
  return 0;
}
