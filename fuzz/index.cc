// SPDX-License-Identifier: Apache-2.0
//
// Sequences of calls on an index in memory and on its saved copy, compared with a map that is
// searched by brute force in double precision.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <cairn/cairn.h>

#include "fuzz/input.h"
#include "fuzz/temporary.h"
#include "simd/kernels.h"

namespace cairn::fuzz {
namespace {

constexpr std::size_t kMostVectors = 150;

using Vector = std::vector<float>;

// A distance and how far from it a result may be.
struct Reference {
  double distance = 0;
  double tolerance = 0;
};

Reference reference(Metric metric, const Vector& a, const Vector& b) {
  double dot = 0;
  double magnitude = 0;
  double a_squares = 0;
  double b_squares = 0;
  double difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = a[i];
    const double y = b[i];
    dot += x * y;
    magnitude += std::fabs(x * y);
    a_squares += x * x;
    b_squares += y * y;
    difference += (x - y) * (x - y);
  }
  constexpr double kRelative = 1e-5;
  const double smallest = double{std::numeric_limits<float>::min()} * 100;
  switch (metric) {
    case Metric::hamming: return {difference, 0};  // of zeros and ones
    case Metric::l2sq: return {difference, kRelative * difference + smallest};
    case Metric::inner_product: return {1 - dot, kRelative * (1 + magnitude)};
    default: break;
  }
  if (a_squares == 0 || b_squares == 0) return {1, 0};
  return {1 - dot / (std::sqrt(a_squares) * std::sqrt(b_squares)), kRelative};
}

bool agrees(float got, const Reference& expected) {
  if (std::isnan(got)) return false;
  if (std::fabs(expected.distance) > 3e38) return true;
  return std::fabs(double{got} - expected.distance) <= expected.tolerance;
}

// Ranks are those of distances in double, which may round to one float.
bool in_order(const Reference& a, const Reference& b) {
  return a.distance <= b.distance + 1e-9 * std::max(a.tolerance, b.tolerance);
}

// Replaces each value by one that the kind can store, or by one that is not finite.
void make_storable(Scalar scalar, Vector& values) {
  const simd::KernelTable& kernels = simd::kernels();
  std::vector<std::uint16_t> bits(values.size());
  if (scalar == Scalar::f16) {
    kernels.f32_to_f16(values.data(), values.size(), bits.data());
    kernels.f16_to_f32(bits.data(), bits.size(), values.data());
  } else if (scalar == Scalar::bf16) {
    kernels.f32_to_bf16(values.data(), values.size(), bits.data());
    kernels.bf16_to_f32(bits.data(), bits.size(), values.data());
  }
  for (float& value : values) {
    if (scalar == Scalar::i8)
      value = std::isfinite(value) ? std::fmod(std::trunc(value), 128.0f) : 0.0f;
    if (scalar == Scalar::b1) value = value > 0 ? 1.0f : 0.0f;
  }
}

// Rows of storable values in their kind.
class Stored {
 public:
  Stored(Scalar scalar, const Vector& values, std::size_t dims, std::size_t rows) {
    const std::size_t stride = vector_bytes(scalar, dims);
    bytes_.resize(rows * stride);
    const simd::KernelTable& kernels = simd::kernels();
    for (std::size_t i = 0; i < rows; ++i) {
      const float* row = values.data() + i * dims;
      std::byte* at = bytes_.data() + i * stride;
      switch (scalar) {
        case Scalar::f32: std::copy_n(row, dims, reinterpret_cast<float*>(at)); break;
        case Scalar::f16:
          kernels.f32_to_f16(row, dims, reinterpret_cast<std::uint16_t*>(at));
          break;
        case Scalar::bf16:
          kernels.f32_to_bf16(row, dims, reinterpret_cast<std::uint16_t*>(at));
          break;
        default:
          for (std::size_t d = 0; d < dims; ++d) {
            const auto value = static_cast<int>(row[d]);
            if (scalar == Scalar::i8) {
              at[d] = static_cast<std::byte>(value);
            } else {
              at[d / 8] |= static_cast<std::byte>(value << d % 8);
            }
          }
      }
    }
    matrix_ = {bytes_.data(), scalar, rows, dims, stride};
  }
  Stored(const Stored&) = delete;
  Stored& operator=(const Stored&) = delete;

  const MatrixView& matrix() const { return matrix_; }
  VectorView row() const { return matrix_.row(0); }

 private:
  std::vector<std::byte> bytes_;
  MatrixView matrix_;
};

class Session {
 public:
  explicit Session(Input& input) : input_(input) {
    params_.dimensions = 1 + input.below(12);
    params_.metric = static_cast<Metric>(1 + input.below(3));
    params_.m = static_cast<std::uint32_t>(2 + input.below(7));
    params_.ef_construction = static_cast<std::uint32_t>(1 + input.below(40));
    params_.seed = input.u8();
    const std::uint16_t choice = input.u16();
    params_.traversal = static_cast<Traversal>(choice % 3);
    if (choice >= 0xFF00) choose_scalar(choice);
    make_empty();
  }

  void run() {
    // What takes milliseconds is done twice at most, so that there can be many runs.
    int saves = 2;
    int builds = 2;
    int verifications = 2;
    int compactions = 2;
    for (int calls = 0; calls < 400 && !input_.empty(); ++calls) {
      switch (input_.u8() % 16) {
        case 0:
          if (saves-- > 0) save_and_open();
          break;
        case 1:
          if (builds-- > 0) build();
          break;
        case 2:
          if (verifications-- > 0) verify(*index_);
          break;
        case 3: wrong_arguments(); break;
        case 4:
        case 5:
        case 6: search(*index_); break;
        case 7: get(*index_, key()); break;
        case 8:
        case 9: remove(); break;
        case 10:
        case 11: upsert(); break;
        case 12:
          if (compactions-- > 0) compact();
          break;
        default: add(); break;
      }
    }
    verify(*index_);
    if (!input_.empty()) return;
    for (const auto& [known, vector] : model_) get(*index_, known);
  }

 private:
  void choose_scalar(unsigned choice) {
    params_.scalar = static_cast<Scalar>(1 + choice % 5);
    if (params_.scalar == Scalar::b1) params_.metric = Metric::hamming;
    if (params_.scalar >= Scalar::i8) params_.traversal = Traversal::exact;
  }

  void make_empty() {
    auto created = Index::create(params_);
    require(created.has_value(), "create", created ? "" : created.error().message());
    index_.emplace(std::move(*created));
    model_.clear();
  }

  Key key() { return input_.u8() % 200; }

  // Mostly eighths, so that there are equal vectors; sometimes zero, huge, tiny, any bits.
  Vector vector() {
    Vector values(params_.dimensions);
    const unsigned kind = input_.u8();
    for (float& value : values) {
      value = static_cast<float>(input_.number<std::int8_t>()) / 8.0f;
      if (kind == 255) value *= 1e37f;
      if (kind == 254) value *= 1e-38f;
      if (kind == 253) value = 0.0f;
      if (kind == 252) value = input_.number<float>();
      if (kind == 251) value *= 1e18f;
      if (kind == 250 && &value == &values.front()) value *= 1e6f;
    }
    make_storable(params_.scalar, values);
    return values;
  }

  static bool finite(const Vector& values) {
    return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
  }

  void add() {
    const Key added = key();
    const Vector values = vector();
    if (model_.size() >= kMostVectors) return;
    const Stored stored(params_.scalar, values, values.size(), 1);
    const auto result = index_->add(added, stored.row());
    if (!finite(values)) {
      require(!result && result.error().code() == ErrorCode::not_finite, "add: not_finite");
    } else if (model_.contains(added)) {
      require(!result && result.error().code() == ErrorCode::key_exists, "add: key_exists");
    } else {
      require(result.has_value(), "add", result ? "" : result.error().message());
      model_[added] = values;
    }
    require(index_->size() == model_.size(), "size after add");
  }

  void upsert() {
    const Key changed = key();
    const Vector values = vector();
    if (model_.size() >= kMostVectors) return;
    const Stored stored(params_.scalar, values, values.size(), 1);
    const auto result = index_->upsert(changed, stored.row());
    require(result.has_value() == finite(values), "upsert", result ? "" : result.error().message());
    if (!result) return;
    model_[changed] = values;
    require(index_->size() == model_.size(), "size after upsert");
  }

  void remove() {
    const Key removed = key();
    const auto result = index_->remove(removed);
    require(result.has_value() == (model_.erase(removed) == 1), "remove finds what is there");
    require(result || result.error().code() == ErrorCode::key_not_found, "remove: key_not_found");
    require(index_->size() == model_.size(), "size after remove");
  }

  void compact() {
    require(index_->compact().has_value(), "compact");
    require(index_->size() == model_.size(), "size after compact");
    verify(*index_);
    for (const auto& [known, vector] : model_) get(*index_, known);
  }

  // All at once, from what is known and some more.
  void build() {
    std::vector<Key> keys;
    Vector rows;
    for (const auto& [known, values] : model_) {
      keys.push_back(known);
      rows.insert(rows.end(), values.begin(), values.end());
    }
    if (input_.u8() % 2 == 0) {
      keys.push_back(key());
      const Vector more = vector();
      rows.insert(rows.end(), more.begin(), more.end());
    }
    BuildOptions options;
    options.threads = static_cast<unsigned>(1 + input_.below(3));
    const Stored stored(params_.scalar, rows, params_.dimensions, keys.size());
    const MatrixView matrix = stored.matrix();
    if (!model_.empty()) {
      const auto refused = index_->build(keys, matrix, options);
      require(!refused && refused.error().code() == ErrorCode::not_empty, "build: not_empty");
    }
    make_empty();
    const bool unique = std::set<Key>(keys.begin(), keys.end()).size() == keys.size();
    const auto result = index_->build(keys, matrix, options);
    require(result.has_value() == (unique && finite(rows)), "build takes what is right",
            result ? "" : result.error().message());
    for (std::size_t i = 0; result && i < keys.size(); ++i) {
      const auto row = rows.begin() + static_cast<std::ptrdiff_t>(i * params_.dimensions);
      model_[keys[i]] = Vector(row, row + static_cast<std::ptrdiff_t>(params_.dimensions));
    }
    require(index_->size() == model_.size(), "size after build");
    verify(*index_);
  }

  void get(const Index& index, Key wanted) {
    Vector out(params_.dimensions);
    const auto known = model_.find(wanted);
    const auto got = index.get(wanted, out);
    require(got.has_value() == (known != model_.end()), "get finds what is there");
    require(index.contains(wanted) == got.has_value(), "contains agrees with get");
    if (!got) {
      require(got.error().code() == ErrorCode::key_not_found, "get: key_not_found");
      return;
    }
    require(*got == params_.dimensions, "get returns the dimensions");
    require(std::equal(out.begin(), out.end(), known->second.begin()), "get gives what was added");
  }

  std::vector<Match> search(const Index& index) {
    const Vector query = vector();
    SearchParams wanted;
    wanted.k = 1 + input_.below(20);
    wanted.ef = 1 + input_.below(2 * kMostVectors);
    return search(index, query, wanted);
  }

  std::vector<Match> search(const Index& index, const Vector& query, SearchParams wanted) {
    const Stored stored(params_.scalar, query, query.size(), 1);
    const auto found = index.search(stored.row(), wanted);
    if (!finite(query)) {
      require(!found && found.error().code() == ErrorCode::not_finite, "search: not_finite");
      return {};
    }
    require(found.has_value(), "search", found ? "" : found.error().message());
    std::vector<Match> again(wanted.k);
    const auto count = index.search(stored.row(), wanted, again);
    require(count.has_value() && *count == found->size(), "both forms find the same");
    std::set<Key> keys;
    for (std::size_t i = 0; i < found->size(); ++i) {
      const Match& match = (*found)[i];
      require(match.key == again[i].key && match.distance == again[i].distance,
              "both forms find the same");
      const auto known = model_.find(match.key);
      require(known != model_.end(), "search finds keys that are there");
      require(keys.insert(match.key).second, "search finds a key once");
      const Reference expected = reference(params_.metric, query, known->second);
      require(agrees(match.distance, expected), "the distance is right:",
              std::to_string(match.distance) + " for " + std::to_string(expected.distance));
      if (i == 0) continue;
      const Match& before = (*found)[i - 1];
      const Reference of_before = reference(params_.metric, query, model_.at(before.key));
      require(before.distance < match.distance || before.key < match.key ||
                  (before.distance == match.distance && in_order(of_before, expected)),
              "nearest first, ties by key");
    }
    const std::size_t all = std::min(wanted.k, model_.size());
    require(found->size() <= all, "no more than k and no more than there are");
    if (wanted.ef >= model_.size()) {
      require(found->size() == all, "ef = size finds min(k, size) results");
      if (params_.traversal == Traversal::exact) expect_nearest(query, *found);
    }
    return *found;
  }

  // With ef = size a walk on the vectors themselves sees everything: the result is the exact one.
  void expect_nearest(const Vector& query, const std::vector<Match>& found) {
    std::vector<Reference> exact;
    for (const auto& [known, values] : model_) {
      exact.push_back(reference(params_.metric, query, values));
    }
    std::sort(exact.begin(), exact.end(),
              [](const Reference& a, const Reference& b) { return a.distance < b.distance; });
    for (std::size_t i = 0; i < found.size(); ++i) {
      // Neighbors may have changed places within their tolerances.
      Reference expected = exact[i];
      for (const Reference& other : exact) {
        expected.tolerance = std::max(expected.tolerance, other.tolerance);
        if (other.distance > 3e38) return;
      }
      require(agrees(found[i].distance, expected), "the exact neighbors are found:",
              std::to_string(found[i].distance) + " for " + std::to_string(expected.distance));
    }
  }

  void verify(const Index& index) {
    BuildOptions options;
    options.threads = 1;
    const auto report = index.verify(options);
    require(report.has_value(), "verify");
    require(report->ok(), "verify finds nothing:", report->ok() ? "" : report->findings.front());
    require(report->unreachable == 0, "every vector can be reached",
            std::to_string(report->unreachable) + " of " + std::to_string(model_.size()));
  }

  void save_and_open() {
    const std::filesystem::path path = temporary_folder() / "index.cairn";
    const auto saved = index_->save(path);
    require(saved.has_value(), "save", saved ? "" : saved.error().message());
    OpenOptions options;
    options.residency = input_.u8() % 2 == 0 ? Residency::map : Residency::load;
    auto opened = Index::open(path, options);
    require(opened.has_value(), "open what was saved", opened ? "" : opened.error().message());
    require(opened->size() == model_.size(), "as many in the file");
    verify(*opened);
    for (const auto& [known, values] : model_) get(*opened, known);
    const Vector query = vector();
    const SearchParams wanted{5, 30};
    const auto here = search(*index_, query, wanted);
    const auto there = search(*opened, query, wanted);
    require(here.size() == there.size(), "the file finds the same");
    for (std::size_t i = 0; i < here.size(); ++i) {
      require(here[i].key == there[i].key && here[i].distance == there[i].distance,
              "the file finds the same");
    }
    const auto refused = opened->add(1000, Vector(params_.dimensions, 1.0f));
    require(!refused && refused.error().code() == ErrorCode::read_only, "a file is read only");
  }

  void wrong_arguments() {
    const std::size_t dims = params_.dimensions;
    const Stored short_one(params_.scalar, Vector(dims - 1), dims - 1, 1);
    const Stored right_one(params_.scalar, Vector(dims, 1.0f), dims, 1);
    const VectorView shorter = short_one.row();
    const VectorView right = right_one.row();
    Vector room(params_.dimensions - 1);
    const auto code = [](const auto& result) {
      return result ? ErrorCode{0} : result.error().code();
    };
    require(code(index_->add(1000, shorter)) == ErrorCode::dimension_mismatch, "add, short");
    require(code(index_->search(shorter)) == ErrorCode::dimension_mismatch, "search, short");
    require(code(index_->search(right, {0, 1})) == ErrorCode::invalid_argument, "k 0");
    require(code(index_->get(1, room)) == ErrorCode::dimension_mismatch, "get, short");
    require(index_->size() == model_.size(), "wrong calls change nothing");
  }

  Input& input_;
  IndexParams params_;
  std::optional<Index> index_;
  std::map<Key, Vector> model_;
};

}  // namespace
}  // namespace cairn::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  cairn::fuzz::Input input(data, size);
  cairn::fuzz::Session(input).run();
  return 0;
}
