// SPDX-License-Identifier: Apache-2.0
//
// Ranges and cursors between changes, compared with a map: a cursor gives no key twice and none
// that has been removed, and at its end it has given each key that was there throughout; an exact
// range is what a scan in double finds, and a walked one a part of that. Keys may have several
// vectors, and a metric of the caller may order what was found.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <cairn/cairn.h>

#include "fuzz/input.h"

namespace cairn::fuzz {
namespace {

using Vector = std::vector<float>;
constexpr Key kKeys = 96;

// Coordinates on a grid, so that distances tie and l2sq is exact.
Vector vector_of(Input& input, std::size_t dims) {
  Vector vector(dims);
  for (float& component : vector) component = static_cast<float>(input.u8() % 16) - 8;
  return vector;
}

double distance(const Vector& a, const Vector& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = double{a[i]} - double{b[i]};
    sum += difference * difference;
  }
  return sum;
}

class Session {
 public:
  explicit Session(Input& input) : input_(input) {
    params_.dimensions = 1 + input.below(8);
    params_.metric = Metric::l2sq;
    params_.m = static_cast<std::uint32_t>(2 + input.below(6));
    params_.ef_construction = static_cast<std::uint32_t>(1 + input.below(30));
    const unsigned kind = input.u8();
    params_.traversal = kind % 2 == 0 ? Traversal::code : Traversal::exact;
    params_.several_per_key = kind / 2 % 2 != 0;
    index_ = Index::create(params_).value();
    even_ = Filter::where(*index_, [](Key key) { return key % 2 == 0; }).value();
  }

  void run() {
    while (!input_.empty()) {
      switch (input_.u8() % 12) {
        case 0: open(); break;
        case 1:
        case 2:
        case 3: next_page(); break;
        case 4: range(); break;
        case 5: remove(); break;
        case 6:
          if (--compactions_ > 0) require(index_->compact().has_value(), "compact");
          break;
        default: upsert(); break;
      }
    }
    to_the_end();
  }

 private:
  using Vectors = std::vector<Vector>;  // of a key, in the order in which they were added

  static double nearest(const Vector& query, const Vectors& vectors) {
    double least = distance(query, vectors.front());
    for (const Vector& vector : vectors) least = std::min(least, distance(query, vector));
    return least;
  }
  // What the caller's own metric makes of a key.
  static float least_of(const Vectors& vectors) {
    float least = vectors.front().front();
    for (const Vector& vector : vectors) least = std::min(least, vector.front());
    return least;
  }
  const std::function<float(Key, VectorView)> first_component_ = [](Key, VectorView vector) {
    return static_cast<const float*>(vector.data())[0];
  };

  bool wanted(Key key) const { return filter_ == nullptr || key % 2 == 0; }

  void open() {
    to_the_end();
    const unsigned choice = input_.u8();
    filter_ = choice % 2 == 0 ? nullptr : &*even_;
    order_ = choice / 2 % 2 == 0 ? Order::relaxed : Order::strict;
    SearchParams params;
    params.filter = filter_;
    params.plan = static_cast<Plan>(choice / 4 % 3);
    params.ef = 1 + choice / 12;
    is_reranked_ = choice % 16 == 15;
    if (is_reranked_) params.rerank = &first_component_;
    cursor_ = index_->open_cursor(vector_of(input_, params_.dimensions), params, order_).value();
    given_.clear();
    throughout_.clear();
    for (const auto& [key, vectors] : vectors_) throughout_.insert(key);
  }

  // The number of results.
  std::size_t next_page(std::size_t room = 0) {
    if (!cursor_) return 0;
    std::vector<Match> page(room != 0 ? room : 1 + input_.below(20));
    const auto found = cursor_->next(page);
    require(found.has_value(), "a page");
    for (std::size_t i = 0; i < *found; ++i) {
      const Match& match = page[i];
      require(vectors_.count(match.key) == 1, "what is given is there:", std::to_string(match.key));
      require(wanted(match.key), "what is given passes the filter");
      require(given_.insert(match.key).second, "no key comes twice:", std::to_string(match.key));
      require(i == 0 || page[i - 1].distance <= match.distance, "nearest first");
      require(!is_reranked_ || match.distance == least_of(vectors_.at(match.key)),
              "with the caller's values");
    }
    return *found;
  }

  void to_the_end() {
    if (!cursor_) return;
    while (next_page(16) != 0) {
    }
    if (order_ == Order::relaxed) {
      for (const Key key : throughout_) {
        require(!wanted(key) || given_.count(key) == 1,
                "what stays is given:", std::to_string(key));
      }
    }
    cursor_.reset();
  }

  void range() {
    const Vector query = vector_of(input_, params_.dimensions);
    const auto radius = static_cast<float>(input_.below(300));
    const unsigned choice = input_.u8();
    RangeParams params;
    params.plan = static_cast<Plan>(choice % 3);
    params.filter = choice / 3 % 2 == 0 ? nullptr : &*even_;
    params.ef = 1 + choice / 6 % 16;
    params.max_results = choice / 96 == 0 ? 0 : 1 + choice % 7;
    const bool is_reranked = choice % 11 == 10;
    if (is_reranked) params.rerank = &first_component_;
    SearchReport report;
    params.report = &report;
    const auto found = index_->search_range(query, radius, params);
    require(found.has_value(), "a range");
    std::size_t within = 0;
    for (const auto& [key, vectors] : vectors_) {
      const bool passes = params.filter == nullptr || key % 2 == 0;
      if (passes && nearest(query, vectors) <= double{radius}) ++within;
    }
    if (params.max_results != 0) within = std::min(within, params.max_results);
    require(found->size() <= within, "a range has no more than there is");
    require(report.plan != Plan::exact || found->size() == within, "a scan misses nothing");
    std::set<Key> keys;
    for (std::size_t i = 0; i < found->size(); ++i) {
      const Match& match = (*found)[i];
      const auto known = vectors_.find(match.key);
      require(known != vectors_.end() && keys.insert(match.key).second,
              "keys that are there, once");
      require(nearest(query, known->second) <= double{radius}, "within the radius");
      // A walk may have met another vector of the key than the nearest.
      const bool is_right =
          is_reranked ? match.distance == least_of(known->second)
          : report.plan == Plan::exact
              ? double{match.distance} == nearest(query, known->second)
              : std::any_of(known->second.begin(), known->second.end(), [&](const Vector& one) {
                  return double{match.distance} == distance(query, one);
                });
      require(is_right, "with their distances");
      require(is_reranked || match.distance <= radius, "a distance within the radius");
      require(i == 0 || (*found)[i - 1].distance <= match.distance, "nearest first");
    }
  }

  void upsert() {
    const Key key = input_.below(kKeys);
    const Vector vector = vector_of(input_, params_.dimensions);
    if (params_.several_per_key && input_.u8() % 4 != 0) {
      require(index_->add(key, vector).has_value(), "add");
      vectors_[key].push_back(vector);
      return;
    }
    require(index_->upsert(key, vector).has_value(), "upsert");
    vectors_[key] = {vector};
  }

  void remove() {
    const Key key = input_.below(kKeys);
    const bool was_there = vectors_.erase(key) == 1;
    require(index_->remove(key).has_value() == was_there, "remove");
    throughout_.erase(key);
  }

  Input& input_;
  IndexParams params_;
  std::optional<Index> index_;
  std::optional<Filter> even_;
  std::map<Key, Vectors> vectors_;
  bool is_reranked_ = false;  // the cursor
  std::optional<Cursor> cursor_;
  const Filter* filter_ = nullptr;
  Order order_ = Order::relaxed;
  std::set<Key> given_;
  std::set<Key> throughout_;
  int compactions_ = 8;
};

}  // namespace
}  // namespace cairn::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  cairn::fuzz::Input input(data, size);
  cairn::fuzz::Session(input).run();
  return 0;
}
