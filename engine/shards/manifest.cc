// SPDX-License-Identifier: Apache-2.0
#include "engine/shards/manifest.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <span>
#include <unordered_set>
#include <utility>

#include <nlohmann/json.hpp>

#include "engine/api/arguments.h"
#include "engine/base/guarded.h"
#include "engine/shards/json_text.h"
#include "engine/vectors/components.h"
#include "format/bytes/checksum.h"

namespace cairn {

namespace {

constexpr std::string_view kFormat = "cairn-shards";
constexpr std::uint64_t kVersion = 1;
constexpr std::string_view kTailBegin = ",\n  \"checksum\": \"";
constexpr std::string_view kTailEnd = "\"\n}\n";
constexpr std::size_t kChecksumDigits = 16;
constexpr std::size_t kTail = kTailBegin.size() + kChecksumDigits + kTailEnd.size();
constexpr std::string_view kDigits = "0123456789abcdef";

std::string checksum_of(std::string_view text) {
  const std::uint64_t hash = format::hash64(std::as_bytes(std::span(text)));
  std::string digits(kChecksumDigits, '0');
  for (std::size_t i = 0; i < kChecksumDigits; ++i) digits[15 - i] = kDigits[hash >> 4 * i & 15];
  return digits;
}

const char* word_of(Partition partition) {
  switch (partition) {
    case Partition::hash: return "hash";
    case Partition::clusters: return "clusters";
    case Partition::rows: return "rows";
  }
  return "";
}

// Each of the words is name_of() its value.
template <class Enum, std::size_t n>
std::optional<Enum> named(std::string_view word, const std::array<Enum, n>& values) {
  for (const Enum value : values) {
    if (word == name_of(value)) return value;
  }
  return {};
}

constexpr std::array kAllMetrics = {Metric::cosine, Metric::l2sq, Metric::inner_product,
                                    Metric::hamming};
constexpr std::array kAllScalars = {Scalar::f32, Scalar::f16, Scalar::bf16, Scalar::i8, Scalar::b1};
constexpr std::array kAllTraversals = {Traversal::automatic, Traversal::code, Traversal::exact};

// Takes a manifest in while it is read: nothing but what it is to hold is ever kept of the text.
// Each call returns false to end the reading, with why() set.
class ManifestReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit ManifestReader(ShardManifest& out, std::string name)
      : out_(out), name_(std::move(name)) {}

  const std::optional<Error>& why() const { return why_; }

  bool null() override { return no_such("null"); }
  bool boolean(bool value) override {
    if (place() == Place::unknown) return true;
    if (place() != Place::file || member_ != "sealed") return no_such("a boolean");
    file_->sealed = value;
    return true;
  }
  bool number_integer(number_integer_t) override { return no_such("a negative number"); }
  bool number_unsigned(number_unsigned_t value) override {
    switch (place()) {
      case Place::unknown: return true;
      case Place::gaps: return take_gap(static_cast<double>(value));
      case Place::top: return take_top(value);
      case Place::parameters: return take_parameter(value);
      case Place::partition:
        return member_ == "seed" ? take(out_.seed, value) : no_such("a number");
      case Place::file:
        if (member_ == "vectors") return take(file_->vectors, value);
        if (member_ == "bytes") return take(file_->bytes, value);
        return no_such("a number");
      default: return no_such("a number");
    }
  }
  bool number_float(number_float_t value, const string_t&) override {
    if (place() == Place::unknown) return true;
    return place() == Place::gaps ? take_gap(value) : no_such("a fraction");
  }
  bool string(string_t& value) override {
    switch (place()) {
      case Place::unknown: return true;
      case Place::needs:
        return fail(ErrorCode::feature_unsupported,
                    std::string("it needs '")
                        .append(value, 0, 64)
                        .append("', which this version does not know"));
      case Place::top: return take_top(value);
      case Place::parameters: return take_parameter(value);
      case Place::partition: return member_ == "kind" ? take_kind(value) : no_such("a string");
      case Place::file:
        if (member_ == "file") return take(file_->file, value);
        if (member_ == "xxh3") return take(file_->xxh3, value);
        return no_such("a string");
      default: return no_such("a string");
    }
  }
  bool binary(binary_t&) override { return no_such("bytes"); }

  bool start_object(std::size_t) override {
    if (frames_.empty()) return enter(Place::top);
    if (place() == Place::shards) {
      if (out_.shards.size() == kMaxShards) return broken("there are more than 65,536 shards");
      file_ = &out_.shards.emplace_back();
      return enter(Place::file);
    }
    if (place() == Place::top && member_ == "parameters") return enter(Place::parameters);
    if (place() == Place::top && member_ == "partition") return enter(Place::partition);
    if (place() == Place::top && member_ == "router") return enter_file(out_.router);
    if (place() == Place::top && member_ == "fresh") return enter_file(out_.fresh);
    return enter_unknown("an object");
  }
  bool start_array(std::size_t) override {
    if (frames_.empty()) return no_such("a list");
    if (place() == Place::top && member_ == "shards") return enter(Place::shards);
    if (place() == Place::top && member_ == "needs") return enter(Place::needs);
    if (place() == Place::partition && member_ == "gaps") return enter(Place::gaps);
    return enter_unknown("a list");
  }
  bool key(string_t& name) override {
    if (place() == Place::unknown) return true;
    member_ = name;
    const auto known = names_of(place());
    const auto at = std::find(known.begin(), known.end(), name);
    is_known_ = at != known.end();
    if (!is_known_) return true;
    const std::uint32_t bit = 1u << (at - known.begin());
    if ((frames_.back().seen & bit) != 0) return broken(name + " stands there twice");
    frames_.back().seen |= bit;
    return true;
  }
  bool end_object() override {
    if (place() != Place::unknown) {
      const auto known = names_of(place());
      for (std::size_t i = 0; i < known.size(); ++i) {
        const bool is_there = (frames_.back().seen & 1u << i) != 0;
        if (!is_there && is_needed(known[i])) return broken("there is no " + std::string(known[i]));
      }
    }
    frames_.pop_back();
    return true;
  }
  bool end_array() override {
    frames_.pop_back();
    return true;
  }
  bool parse_error(std::size_t at, const std::string&,
                   const nlohmann::detail::exception&) override {
    return fail(ErrorCode::corrupt, "byte " + std::to_string(at) + " is not that of JSON");
  }

 private:
  enum class Place { top, parameters, partition, gaps, needs, shards, file, unknown };
  struct Frame {
    Place place;
    std::uint32_t seen = 0;  // names_of(place), a bit each
  };
  static constexpr std::size_t kMostFrames = 64;

  static std::span<const std::string_view> names_of(Place place) {
    static constexpr std::string_view kTop[] = {"format",     "version",   "needs",  "generation",
                                                "parameters", "partition", "shards", "router",
                                                "fresh",      "checksum"};
    static constexpr std::string_view kParameters[] = {
        "dimensions", "metric", "scalar", "traversal", "m", "ef_construction", "seed"};
    static constexpr std::string_view kPartition[] = {"kind", "seed", "gaps"};
    static constexpr std::string_view kFile[] = {"file", "vectors", "bytes", "sealed", "xxh3"};
    switch (place) {
      case Place::top: return kTop;
      case Place::parameters: return kParameters;
      case Place::partition: return kPartition;
      case Place::file: return kFile;
      default: return {};
    }
  }
  // Of the rest check_manifest() knows.
  bool is_needed(std::string_view name) const {
    if (name == "needs" || name == "router" || name == "fresh" || name == "xxh3") return false;
    if (place() == Place::partition) {
      if (name == "seed") return out_.partition == Partition::hash;
      if (name == "gaps") return out_.partition == Partition::clusters;
    }
    return true;
  }

  Place place() const { return frames_.empty() ? Place::unknown : frames_.back().place; }
  bool enter(Place place) {
    if (frames_.size() == kMostFrames) return broken("it is nested too deeply");
    frames_.push_back({place});
    return true;
  }
  bool enter_file(std::optional<ShardFile>& file) {
    file_ = &file.emplace();
    return enter(Place::file);
  }
  bool enter_unknown(const char* what) {
    if (place() != Place::unknown && is_known_) return no_such(what);
    if (place() == Place::gaps || place() == Place::needs || place() == Place::shards)
      return no_such(what);
    return enter(Place::unknown);
  }

  bool fail(ErrorCode code, const std::string& what) {
    if (!why_) why_ = Error(code, name_ + ": " + what);
    return false;
  }
  bool broken(const std::string& what) { return fail(ErrorCode::corrupt, what); }
  // A member that is not known may be anything.
  bool no_such(const char* what) {
    if (!frames_.empty() && place() == Place::unknown) return true;
    const bool in_object = !names_of(place()).empty();
    if (in_object && !is_known_) return true;
    return broken((in_object ? member_ : std::string("an element")) + " is " + what);
  }
  bool refuse(const std::string& word) {
    return broken(member_ + " is '" + word.substr(0, 64) + "'");
  }

  template <class T, class Given>
  static bool take(T& out, Given&& value) {
    out = std::forward<Given>(value);
    return true;
  }
  template <class T>
  bool take_known(T& out, std::optional<T> value, const std::string& word) {
    return value ? take(out, *value) : refuse(word);
  }
  bool take_top(std::uint64_t value) {
    if (member_ == "generation") return take(out_.generation, value);
    if (member_ != "version") return no_such("a number");
    if (value == kVersion) return true;
    return fail(ErrorCode::version_unsupported,
                "it is of version " + std::to_string(value) + "; this library reads version 1");
  }
  bool take_top(const std::string& value) {
    if (member_ == "checksum") return true;
    if (member_ != "format") return no_such("a string");
    return value == kFormat || fail(ErrorCode::not_a_cairn_file, "it is no manifest of shards");
  }
  bool take_parameter(std::uint64_t value) {
    const auto narrow = [&](std::uint32_t& out) {
      if (value > UINT32_MAX) return refuse(std::to_string(value));
      return take(out, static_cast<std::uint32_t>(value));
    };
    if (member_ == "dimensions") return take(out_.params.dimensions, value);
    if (member_ == "m") return narrow(out_.params.m);
    if (member_ == "ef_construction") return narrow(out_.params.ef_construction);
    if (member_ == "seed") return take(out_.params.seed, value);
    return no_such("a number");
  }
  bool take_parameter(const std::string& word) {
    if (member_ == "metric") return take_known(out_.params.metric, named(word, kAllMetrics), word);
    if (member_ == "scalar") return take_known(out_.params.scalar, named(word, kAllScalars), word);
    if (member_ == "traversal")
      return take_known(out_.params.traversal, named(word, kAllTraversals), word);
    return no_such("a string");
  }
  bool take_kind(const std::string& word) {
    for (const Partition kind : {Partition::hash, Partition::clusters, Partition::rows}) {
      if (word == word_of(kind)) return take(out_.partition, kind);
    }
    return refuse(word);
  }
  bool take_gap(double value) {
    const auto gap = static_cast<float>(value);
    if (!std::isfinite(gap) || value < 0) return broken("a gap is out of range");
    if (out_.gaps.size() == kMaxShards) return broken("there are more than 65,536 gaps");
    out_.gaps.push_back(gap);
    return true;
  }

  ShardManifest& out_;
  std::string name_;
  std::vector<Frame> frames_;
  std::string member_;  // of the innermost object that is known
  bool is_known_ = false;
  ShardFile* file_ = nullptr;  // that is being read
  std::optional<Error> why_;
};

bool is_hash(std::string_view text) {
  return text.size() == 32 && text.find_first_not_of(kDigits) == std::string_view::npos;
}

void put(const ShardFile& file, std::string_view name, JsonText& json) {
  json.begin(name, '{');
  json.string("file", file.file);
  json.number("vectors", file.vectors);
  json.number("bytes", file.bytes);
  json.boolean("sealed", file.sealed);
  if (file.sealed) json.string("xxh3", file.xxh3);
  json.end('}');
}

// REQUIRES: check_manifest()
std::string json_of(const ShardManifest& manifest) {
  const IndexParams& params = manifest.params;
  JsonText json;
  json.begin({}, '{');
  json.string("format", kFormat);
  json.number("version", kVersion);
  json.number("generation", manifest.generation);
  json.begin("parameters", '{');
  json.number("dimensions", params.dimensions);
  json.string("metric", name_of(params.metric));
  json.string("scalar", name_of(params.scalar));
  json.string("traversal", name_of(params.traversal));
  json.number("m", params.m);
  json.number("ef_construction", params.ef_construction);
  json.number("seed", params.seed);
  json.end('}');
  json.begin("partition", '{');
  json.string("kind", word_of(manifest.partition));
  if (manifest.partition == Partition::hash) json.number("seed", manifest.seed);
  if (manifest.partition == Partition::clusters) {
    json.begin("gaps", '[');
    for (const float gap : manifest.gaps) json.element(nlohmann::json(double{gap}).dump());
    json.end(']');
  }
  json.end('}');
  json.begin("shards", '[');
  for (const ShardFile& file : manifest.shards) put(file, {}, json);
  json.end(']');
  if (manifest.router) put(*manifest.router, "router", json);
  if (manifest.fresh) put(*manifest.fresh, "fresh", json);
  json.end('}');
  return json.take();
}

}  // namespace

bool is_shard_name(std::string_view name) {
  constexpr std::string_view kSuffix = ".cairn";
  constexpr std::string_view kAllowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
  return name.size() > kSuffix.size() && name.size() <= 128 && name.front() != '.' &&
         name.ends_with(kSuffix) && name.find_first_not_of(kAllowed) == std::string_view::npos;
}

Result<void> check_manifest(const ShardManifest& manifest, ErrorCode code,
                            const std::string& name) {
  const auto fail = [&](const std::string& what) { return Error(code, name + ": " + what); };
  if (auto ok = check_params(manifest.params); !ok) return fail(ok.error().message());
  if (manifest.params.several_per_key) return fail("keys of a set have one vector");
  if (manifest.shards.empty()) return fail("there are no shards");
  if (manifest.shards.size() > kMaxShards) return fail("there are more than 65,536 shards");
  const bool clusters = manifest.partition == Partition::clusters;
  if (clusters != manifest.router.has_value()) {
    return fail(clusters ? "there is no router" : "there is a router, but there are no clusters");
  }
  if (manifest.gaps.size() != (clusters ? manifest.shards.size() : 0)) {
    return fail("there are " + std::to_string(manifest.gaps.size()) + " gaps for " +
                std::to_string(manifest.shards.size()) + " shards");
  }
  for (const float gap : manifest.gaps) {
    if (!std::isfinite(gap) || gap < 0) return fail("a gap is out of range");
  }
  if (manifest.fresh && manifest.partition == Partition::hash)
    return fail("there is a fresh shard among hash shards");
  if (manifest.fresh && manifest.fresh->sealed) return fail("the fresh shard is sealed");
  if (manifest.router && !manifest.router->sealed) return fail("the router is not sealed");
  std::unordered_set<std::string_view> names;
  const auto check = [&](const ShardFile& file) -> Result<void> {
    if (!is_shard_name(file.file))
      return fail(std::string("'").append(file.file, 0, 130).append("' is no name of a shard"));
    if (!names.insert(file.file).second) return fail(file.file + " stands there twice");
    if (file.sealed && !is_hash(file.xxh3)) return fail(file.file + ": xxh3 is no hash");
    return {};
  };
  for (const ShardFile& file : manifest.shards) {
    if (auto ok = check(file); !ok) return ok;
  }
  for (const auto* file : {&manifest.router, &manifest.fresh}) {
    if (!*file) continue;
    if (auto ok = check(**file); !ok) return ok;
  }
  return {};
}

Result<ShardManifest> parse_shard_manifest(std::string_view text, const std::string& name) {
  return guarded("manifest", [&]() -> Result<ShardManifest> {
    if (text.size() > kMaxManifestBytes)
      return Error(ErrorCode::corrupt, name + ": it is larger than 16 MiB");
    const std::string_view body = text.substr(0, text.size() - std::min(kTail, text.size()));
    const std::string_view tail = text.substr(body.size());
    if (!tail.starts_with(kTailBegin) || !tail.ends_with(kTailEnd))
      return Error(ErrorCode::corrupt, name + ": it does not end in a checksum");
    const std::string_view stored = tail.substr(kTailBegin.size(), kChecksumDigits);
    if (const std::string computed = checksum_of(body); computed != stored) {
      return Error(ErrorCode::corrupt, name + ": its checksum is " + computed +
                                           ", that stored in it " + std::string(stored));
    }
    ShardManifest manifest;
    ManifestReader reader(manifest, name);
    if (!nlohmann::json::sax_parse(text, &reader)) {
      return reader.why().value_or(Error(ErrorCode::corrupt, name + ": it is no JSON"));
    }
    if (manifest.generation == 0) return Error(ErrorCode::corrupt, name + ": generation is 0");
    if (auto ok = check_manifest(manifest, ErrorCode::corrupt, name); !ok) return ok.error();
    return manifest;
  });
}

Result<std::string> shard_manifest_text(const ShardManifest& manifest) {
  return guarded("manifest", [&]() -> Result<std::string> {
    if (auto ok = check_manifest(manifest, ErrorCode::invalid_argument, "manifest"); !ok)
      return ok.error();
    std::string text = json_of(manifest);
    text.resize(text.size() - 2);  // "\n}"
    const std::string checksum = checksum_of(text);
    text.append(kTailBegin).append(checksum).append(kTailEnd);
    if (text.size() <= kMaxManifestBytes) return text;
    return Error(ErrorCode::invalid_argument, "manifest: it is larger than 16 MiB");
  });
}

}  // namespace cairn
