// SPDX-License-Identifier: Apache-2.0
#include "engine/transfer/importer.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "engine/base/workers.h"
#include "engine/graph/build.h"
#include "engine/graph/hash_seed.h"
#include "engine/transfer/kept_links.h"
#include "engine/vectors/codec.h"
#include "engine/vectors/components.h"
#include "engine/vectors/metric.h"

namespace cairn {

namespace {

// With a larger part of the vectors gone, the rest is no longer the graph that was built.
constexpr std::size_t kMostRemovedPercent = 10;
constexpr double kUnitTolerance = 1e-3;
constexpr std::uint32_t kLeastEfConstruction = 200;

}  // namespace

Result<IndexParams> Importer::prepare() {
  if (auto ok = choose_dimensions(); !ok) return ok.error();
  if (auto ok = choose_keys(); !ok) return ok.error();
  choose_rows();
  if (auto ok = choose_metric(); !ok) return ok.error();
  note_encoding();
  note_rows();
  choose_lists();
  return params_;
}

Result<void> Importer::choose_dimensions() {
  params_.dimensions = source_.vectors.dimensions;
  params_.scalar = stored_as(source_.vectors.encoding);
  params_.several_per_key = options_.several_per_key;
  const std::size_t given = options_.dimensions;
  if (params_.dimensions == 0) {
    return fail(ErrorCode::invalid_argument,
                "the file does not say the number of dimensions; give it (--dimensions)");
  }
  // Of hnswlib the reader has seen to it.
  if (given != 0 && given != params_.dimensions) {
    return fail(ErrorCode::dimension_mismatch, std::to_string(params_.dimensions) +
                                                   " dimensions in the file, " +
                                                   std::to_string(given) + " asked for");
  }
  if (params_.dimensions > format::kMaxDimensions) {
    return fail(ErrorCode::unsupported, std::to_string(params_.dimensions) + " dimensions; " +
                                            std::to_string(format::kMaxDimensions) +
                                            " are the most that an index has");
  }
  if (source_.rows > kMaxNodes) {
    return fail(ErrorCode::unsupported, std::to_string(source_.rows) +
                                            " vectors; one index holds at most " +
                                            std::to_string(kMaxNodes));
  }
  return {};
}

bool Importer::all_of_norm_1(Zeros zeros) const {
  std::vector<std::byte> row(vector_bytes(params_.scalar, params_.dimensions));
  std::vector<float> floats;
  for (const std::uint32_t i : row_of_node_) {
    if (decode_row(source_.vectors, i, row.data())) return false;
    const float* values = as_floats(params_.scalar, row.data(), params_.dimensions, floats);
    const double length = norm(values, params_.dimensions);
    if (length == 0 && zeros == Zeros::allowed) continue;
    if (!(std::abs(length - 1) <= kUnitTolerance)) return false;
  }
  return true;
}

Result<void> Importer::choose_metric() {
  if (!options_.metric && !source_.metric) {
    return fail(ErrorCode::invalid_argument,
                "the file does not say its metric; give it (--metric)");
  }
  const Metric metric = options_.metric ? *options_.metric : *source_.metric;
  if (!exists(metric)) {
    return fail(ErrorCode::invalid_argument,
                "metric " + std::to_string(static_cast<unsigned>(metric)) + " does not exist");
  }
  if (!row_of(metric).goes_with(params_.scalar)) {
    return fail(ErrorCode::invalid_argument, std::string("metric ") + name_of(metric) +
                                                 " does not go with components of " +
                                                 name_of(source_.vectors.encoding));
  }
  params_.metric = metric;
  if (source_.metric && metric != *source_.metric) return change_metric(metric);
  if (!source_.metric && row_of(metric).is_of_direction && !all_of_norm_1(Zeros::allowed)) {
    rebuild("its vectors are not of norm 1, so it was not built for cosine");
  }
  return {};
}

// Among vectors of norm 1 all of these metrics have one order; to a zero vector only the inner
// product has the distance of cosine.
Result<void> Importer::change_metric(Metric to) {
  const Zeros zeros = source_.metric == Metric::inner_product ? Zeros::allowed : Zeros::refused;
  if (!row_of(to).is_of_direction || !all_of_norm_1(zeros)) {
    return fail(ErrorCode::invalid_argument,
                std::string("the metric of the file is ") + name_of(*source_.metric) + ", not " +
                    name_of(to) +
                    "; only cosine can take another's place, if all vectors have norm 1");
  }
  note(std::string("The metric of the file is ") + name_of(*source_.metric) +
       ", its vectors have norm 1: the order is that of cosine, distances are other numbers.");
  return {};
}

Result<void> Importer::choose_keys() {
  const std::span<const Key> given = options_.keys;
  if (given.empty()) return {};
  if (given.size() != source_.rows) {
    return fail(ErrorCode::invalid_argument, std::to_string(given.size()) + " keys for " +
                                                 std::to_string(source_.rows) + " vectors");
  }
  source_.keys.assign(given.begin(), given.end());
  return {};
}

void Importer::note_encoding() {
  const Encoding encoding = source_.vectors.encoding;
  switch (encoding) {
    case Encoding::sq8:
    case Encoding::sq8_uniform:
    case Encoding::sq6:
    case Encoding::sq4:
    case Encoding::sq4_uniform: return;  // the reader has
    default: break;
  }
  if (is_rounded(encoding)) {
    note(std::string("Components of ") + name_of(encoding) + " are rounded to the nearest f32.");
  } else if (is_widened(encoding)) {
    note(std::string("Components of ") + name_of(encoding) +
         " are stored as f32, which holds them exactly.");
  }
}

// Of rows with one key the first stays.
std::size_t Importer::skip_taken_keys(std::vector<bool>& skipped) const {
  if (source_.keys.empty() || options_.several_per_key) return 0;
  std::vector<std::pair<Key, std::uint32_t>> sorted;
  sorted.reserve(source_.rows);
  for (std::size_t i = 0; i < source_.rows; ++i) {
    if (!skipped[i]) sorted.emplace_back(source_.keys[i], static_cast<std::uint32_t>(i));
  }
  std::sort(sorted.begin(), sorted.end());
  std::size_t taken = 0;
  for (std::size_t i = 1; i < sorted.size(); ++i) {
    if (sorted[i].first != sorted[i - 1].first) continue;
    skipped[sorted[i].second] = true;
    ++taken;
  }
  return taken;
}

void Importer::choose_rows() {
  std::vector<bool> skipped = source_.removed;
  skipped.resize(source_.rows);
  removed_ = static_cast<std::size_t>(std::count(skipped.begin(), skipped.end(), true));
  taken_ = skip_taken_keys(skipped);
  node_of_row_.assign(source_.rows, kNoNode);
  row_of_node_.reserve(source_.rows);
  keys_.reserve(source_.rows);
  for (std::size_t i = 0; i < source_.rows; ++i) {
    if (skipped[i]) continue;
    node_of_row_[i] = {static_cast<std::uint32_t>(row_of_node_.size())};
    row_of_node_.push_back(static_cast<std::uint32_t>(i));
    keys_.push_back(source_.keys.empty() ? Key{i} : source_.keys[i]);
  }
  report_.vectors = keys_.size();
  report_.skipped = source_.rows - keys_.size();
}

void Importer::note_rows() {
  if (removed_ != 0)
    note(std::to_string(removed_) + " vectors are skipped, since they were removed.");
  if (taken_ != 0) {
    note(std::to_string(taken_) +
         " vectors are skipped, since one before them in the file has their key.");
  }
  if (report_.skipped * 100 > source_.rows * kMostRemovedPercent) {
    rebuild(std::to_string(report_.skipped) + " of its " + std::to_string(source_.rows) +
            " vectors are not there any more");
  }
}

void Importer::choose_lists() {
  constexpr std::uint32_t kMost = format::kMaxM;
  if (source_.links) {
    const std::uint32_t wanted =
        std::max(source_.m, source_.m0 / 3 + (source_.m0 % 3 != 0 ? 1 : 0));
    params_.m = std::clamp(wanted, format::kMinM, kMost);
  }
  params_.ef_construction =
      std::clamp(source_.ef_construction, kLeastEfConstruction, format::kMaxEfConstruction);
  if (options_.m) params_.m = *options_.m;
  if (options_.ef_construction) params_.ef_construction = *options_.ef_construction;
  if (options_.rebuild) rebuild("that was asked for");
  if (!source_.links) rebuild("the file has none");
}

Result<VectorView> Importer::row(NodeId node, std::vector<std::byte>& buffer) const {
  const std::size_t row = row_of_node_[node.index];
  buffer.resize(vector_bytes(params_.scalar, params_.dimensions));
  const auto place = [&] {
    const MappedFile& file = source_.files.back();  // of a dump it is the one with the vectors
    const auto at = source_.vectors.first + row * source_.vectors.stride - file.bytes().data();
    return file.name() + ": byte " + std::to_string(at) + ": vector of key " +
           std::to_string(keys_[node.index]) + ", ";
  };
  if (const auto bad = decode_row(source_.vectors, row, buffer.data())) {
    return Error(ErrorCode::unsupported, place() + "component " + std::to_string(*bad) + ": " +
                                             name_of(source_.vectors.encoding) +
                                             " with a value that f32 does not hold exactly");
  }
  const VectorView vector = view_of(params_.scalar, buffer.data(), params_.dimensions);
  if (well_formed(vector)) return vector;
  const Error defect = defect_of(vector);
  return Error(defect.code(), place() + defect.message());
}

Result<void> Importer::fill(NodeStore& store, KeyTable& table) {
  const auto read = [this](std::size_t node, std::vector<std::byte>& buffer) {
    return row({static_cast<std::uint32_t>(node)}, buffer);
  };
  KeptLinks kept(source_, node_of_row_, build_);
  LinkLevel0 link;
  if (rebuild_.empty()) {
    link = [&](NodeStore& filled, const GraphView& view) { return kept.link(filled, view); };
  }
  const auto seed = hash_seed_for(store.parameters(), keys_, read);
  if (!seed) return seed.error();
  table.use({params_.seed, *seed});
  if (auto ok = build_graph(store, table, keys_, read, link, build_); !ok) return ok;
  rebuild(kept.reason());
  report_.graph_kept = rebuild_.empty() && !keys_.empty();
  if (report_.graph_kept) {
    report_.links_kept = kept.kept();
    report_.links_dropped = kept.dropped();
    note(
        "The links of level 0 are kept. The levels above are built anew: here a key decides on "
        "which a vector is.");
  } else if (!keys_.empty()) {
    report_.links_dropped = kept.kept() + kept.dropped();
    note("The graph is built anew: " + rebuild_ + ".");
  }
  return {};
}

}  // namespace cairn
