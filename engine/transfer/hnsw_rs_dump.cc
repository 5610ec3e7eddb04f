// SPDX-License-Identifier: Apache-2.0
//
// The two files that hnsw_rs's file_dump() writes, NAME.hnsw.graph and NAME.hnsw.data, of its
// versions 2, 3 and 4.
#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "engine/store/node_store.h"
#include "engine/transfer/graph_source.h"

namespace cairn {

namespace {

constexpr std::uint32_t kVersion2 = 0x002a677f;
constexpr std::uint32_t kVersion3 = 0x002a6771;
constexpr std::uint32_t kVersion4 = 0x002a6779;
constexpr std::uint32_t kVersion1 = 0x001a677f;
constexpr std::uint32_t kFirstVersion1 = 0x000a677f;
constexpr std::uint32_t kLayerMagic = 0x000a676f;
constexpr std::uint32_t kPointMagic = 0x000a678f;
constexpr std::uint32_t kDataMagic = 0xa67f0000;
constexpr std::size_t kLayers = 16;
constexpr std::size_t kPointHead = 4 + 8 + 1 + 4;  // magic, id, layer, rank
constexpr std::size_t kNeighbor = 8 + 1 + 4 + 4;   // id, layer, rank, distance
constexpr std::uint64_t kLongestName = 256;

constexpr std::uint32_t swapped(std::uint32_t word) { return __builtin_bswap32(word); }

struct Description {
  std::uint32_t version = 0;
  std::uint32_t m = 0;
  std::uint64_t ef_construction = 0;
  std::uint64_t points = 0;
  std::uint64_t dimensions = 0;
  std::string distance;
  std::string element;
};

std::string read_text(ByteReader& in, const char* field) {
  const auto length = in.number<std::uint64_t>(field);
  in.require(length <= kLongestName, field, "has " + std::to_string(length) + " bytes");
  const std::byte* text = in.array(length, 1, field);
  return text == nullptr ? "" : std::string(reinterpret_cast<const char*>(text), length);
}

void read_version(ByteReader& in, Description& d) {
  const auto magic = in.number<std::uint32_t>("magic");
  switch (magic) {
    case kVersion2: d.version = 2; return;
    case kVersion3: d.version = 3; return;
    case kVersion4: d.version = 4; return;
    case kVersion1:
    case kFirstVersion1:
      return in.fail(ErrorCode::unsupported, "hnsw_rs: a dump of version 1; 2 to 4 can be read");
    case swapped(kVersion2):
    case swapped(kVersion3):
    case swapped(kVersion4):
      return in.fail(ErrorCode::unsupported, "hnsw_rs: written on a machine of another byte order");
    default: in.fail(ErrorCode::corrupt, "magic is not that of a hnsw_rs graph");
  }
}

Description read_description(ByteReader& in) {
  Description d;
  read_version(in, d);
  const auto mode = in.number<std::uint8_t>("dump mode");
  if (mode == 0) in.fail(ErrorCode::unsupported, "hnsw_rs: a light dump; full ones can be read");
  in.require(mode == 1, "dump mode", "is " + std::to_string(mode));
  d.m = in.number<std::uint8_t>("max_nb_connection");
  if (d.m == 0) d.m = 256;
  if (d.version == 4) (void)in.number<double>("level scale");
  const auto layers = in.number<std::uint8_t>("nb_layer");
  if (!in.failed() && layers != kLayers && in.left() == 0) {
    in.fail(ErrorCode::truncated, "hnsw_rs gave up writing this dump: it has " +
                                      std::to_string(layers) + " layers, and only 16 are dumped");
  }
  in.require(layers == kLayers, "nb_layer", "is " + std::to_string(layers) + ", not 16");
  d.ef_construction = in.number<std::uint64_t>("ef_construction");
  d.points = in.number<std::uint64_t>("nb_point");
  d.dimensions = in.number<std::uint64_t>("dimension");
  d.distance = read_text(in, "name of the distance");
  d.element = read_text(in, "name of the element type");
  return d;
}

// Which points there are, layer by layer.
struct Points {
  std::uint64_t count_bytes = 8;                   // of the number of neighbors
  std::array<std::uint64_t, kLayers + 1> first{};  // number of the first point of a layer
  std::vector<std::uint64_t> at;                   // byte where the lists of each begin
  std::vector<Key> ids;
};

std::uint64_t read_count(ByteReader& in, std::uint64_t count_bytes) {
  return count_bytes == 8 ? in.number<std::uint64_t>("number of neighbors")
                          : in.number<std::uint8_t>("number of neighbors");
}

void read_point(ByteReader& in, std::size_t layer, std::uint64_t rank, Points& points) {
  const auto magic = in.number<std::uint32_t>("magic of a point");
  in.require(magic == kPointMagic, "magic of a point", "is wrong");
  points.ids.push_back(in.number<std::uint64_t>("id of a point"));
  const auto own_layer = in.number<std::uint8_t>("layer of a point");
  in.require(own_layer == layer, "layer of a point", "is not that of its block");
  const auto own_rank = in.number<std::int32_t>("rank of a point");
  in.require(static_cast<std::uint64_t>(own_rank) == rank, "rank of a point", "is not its place");
  points.at.push_back(in.at());
  for (std::size_t list = 0; list < kLayers; ++list) {
    in.array(read_count(in, points.count_bytes), kNeighbor, "neighbors");
  }
}

Points read_points(ByteReader& in, const Description& d, std::uint64_t count_bytes) {
  Points points;
  points.count_bytes = count_bytes;
  in.require(d.points <= in.left() / kPointHead, "nb_point",
             "is " + std::to_string(d.points) + ", more than the file has room for");
  if (in.failed()) return points;
  points.at.reserve(d.points);
  points.ids.reserve(d.points);
  const auto layers = in.number<std::uint8_t>("number of layers");
  in.require(layers == kLayers, "number of layers", "is " + std::to_string(layers) + ", not 16");
  for (std::size_t layer = 0; layer < kLayers && !in.failed(); ++layer) {
    const auto magic = in.number<std::uint32_t>("magic of a layer");
    in.require(magic == kLayerMagic, "magic of a layer", "is wrong");
    const auto count = in.number<std::uint64_t>("points of a layer");
    points.first[layer] = points.at.size();
    in.require(count <= d.points - points.at.size(), "points of a layer",
               "are " + std::to_string(count) + ", with those before more than nb_point");
    for (std::uint64_t rank = 0; rank < count && !in.failed(); ++rank) {
      read_point(in, layer, rank, points);
    }
  }
  points.first[kLayers] = points.at.size();
  in.require(
      points.at.size() == d.points, "nb_point",
      "is " + std::to_string(d.points) + ", the layers have " + std::to_string(points.at.size()));
  if (d.points != 0) in.array(1, 8 + 1 + 4, "entry point");
  in.expect_end();
  return points;
}

std::optional<Encoding> element_kind(const std::string& name) {
  static constexpr Encoding kElements[] = {
      Encoding::f32, Encoding::f64, Encoding::u8,  Encoding::u16, Encoding::u32,
      Encoding::u64, Encoding::i8,  Encoding::i16, Encoding::i32, Encoding::i64};
  for (const Encoding kind : kElements) {
    if (name == name_of(kind)) return kind;
  }
  return {};
}

// The last part of a path of Rust, without what the type is made of.
std::string last_part(const std::string& path) {
  const std::string plain = path.substr(0, path.find('<'));
  const std::size_t colons = plain.rfind("::");
  return colons == std::string::npos ? plain : plain.substr(colons + 2);
}

Result<void> set_dump_kinds(GraphSource& source, const Description& d, const std::string& name) {
  const auto encoding = element_kind(d.element);
  if (!encoding) {
    return Error(ErrorCode::unsupported, name + ": hnsw_rs: elements of type '" + d.element + "'");
  }
  source.vectors.encoding = *encoding;
  const std::string distance = last_part(d.distance);
  if (distance == "DistL2") {
    source.metric = Metric::l2sq;
    source.notes.push_back("Distances are squared: those of DistL2 were the roots of them.");
  } else if (distance == "DistCosine") {
    source.metric = Metric::cosine;
  } else if (distance == "DistDot") {
    source.metric = Metric::inner_product;
  } else if (distance != "NoDist" && distance != "DistFn" && distance != "DistPtr" &&
             distance != "DistCFFI") {
    return Error(ErrorCode::unsupported,
                 name + ": hnsw_rs: distance '" + distance +
                     "'; DistL2, DistCosine and DistDot have a counterpart");
  }
  return {};
}

// Header and records, which stand in the order of the points.
Result<void> read_data(GraphSource& source, const Description& d, const Points& points,
                       const MappedFile& data) {
  ByteReader in(data.bytes(), data.name());
  const auto magic = in.number<std::uint32_t>("magic");
  in.require(magic == kDataMagic, "magic", "is not that of hnsw_rs data");
  const auto dimensions = in.number<std::uint64_t>("dimension");
  in.require(dimensions == d.dimensions, "dimension",
             "is " + std::to_string(dimensions) + ", in the graph " + std::to_string(d.dimensions));
  in.require(dimensions <= format::kMaxDimensions, "dimension",
             "is " + std::to_string(dimensions) + ", above 65535");
  if (in.failed()) return in.error();
  const std::uint64_t prefix = d.version == 2 ? 8 : 0;  // how many elements there are
  const std::uint64_t bytes = prefix + encoded_bytes(source.vectors.encoding, dimensions);
  source.vectors.dimensions = dimensions;
  source.vectors.first = in.here() + 4 + 8 + 8 + prefix;
  source.vectors.stride = 4 + 8 + 8 + bytes;
  for (std::size_t i = 0; i < points.ids.size() && !in.failed(); ++i) {
    const auto record = in.number<std::uint32_t>("magic of a vector");
    in.require(record == kDataMagic, "magic of a vector", "is wrong");
    const auto id = in.number<std::uint64_t>("id of a vector");
    in.require(id == points.ids[i], "id of a vector",
               "is " + std::to_string(id) + ", in the graph " + std::to_string(points.ids[i]));
    const auto length = in.number<std::uint64_t>("bytes of a vector");
    in.require(length == bytes, "bytes of a vector",
               "are " + std::to_string(length) + ", not " + std::to_string(bytes));
    if (prefix != 0) {
      const auto elements = in.number<std::uint64_t>("elements of a vector");
      in.require(elements == dimensions, "elements of a vector", "are not as many as dimensions");
    }
    in.array(bytes - prefix, 1, "vector");
  }
  in.expect_end();
  if (in.failed()) return in.error();
  return {};
}

std::uint32_t point_number(const std::byte* neighbor, const Points& points) {
  const auto layer = load<std::uint8_t>(neighbor + 8);
  const auto rank = load<std::int32_t>(neighbor + 9);
  if (layer >= kLayers || rank < 0) return format::kNoNode;
  const std::uint64_t number = points.first[layer] + static_cast<std::uint64_t>(rank);
  return number < points.first[layer + 1u] ? static_cast<std::uint32_t>(number) : format::kNoNode;
}

}  // namespace

bool looks_like_hnsw_rs(std::span<const std::byte> file) {
  if (file.size() < 4) return false;
  const auto magic = load<std::uint32_t>(file.data());
  for (const std::uint32_t known : {kVersion2, kVersion3, kVersion4, kVersion1, kDataMagic}) {
    if (magic == known || magic == swapped(known)) return true;
  }
  return false;
}

Result<GraphSource> read_hnsw_rs(MappedFile graph, MappedFile data, const ImportOptions& options) {
  ByteReader in(graph.bytes(), graph.name());
  const Description d = read_description(in);
  if (in.failed()) return in.error();
  // Version 2 has had counts of 8 bytes and of one, and does not say which: only one of the two
  // readings meets all the magic numbers.
  ByteReader wide = in;
  Points points = read_points(wide, d, 8);
  if (wide.failed() && d.version == 2) {
    ByteReader narrow = in;
    Points bytes = read_points(narrow, d, 1);
    if (!narrow.failed() || narrow.at() > wide.at()) {
      points = std::move(bytes);
      if (narrow.failed()) return narrow.error();
    } else {
      return wide.error();
    }
  } else if (wide.failed()) {
    return wide.error();
  }

  GraphSource source;
  source.format = "hnsw_rs";
  if (auto ok = set_dump_kinds(source, d, graph.name()); !ok) return ok.error();
  if (auto ok = read_data(source, d, points, data); !ok) return ok.error();
  if (d.points == 0 && d.dimensions == 0) source.vectors.dimensions = options.dimensions;
  source.rows = points.ids.size();
  source.keys = std::move(points.ids);
  source.m = d.m;
  source.m0 = 2 * d.m;
  source.ef_construction =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(d.ef_construction, format::kNoNode));
  source.links = [bytes = graph.bytes(), points = std::move(points)](
                     std::size_t row, std::vector<std::uint32_t>& out) {
    const std::byte* list = bytes.data() + points.at[row];
    const std::uint64_t stated =
        points.count_bytes == 8 ? load<std::uint64_t>(list) : load<std::uint8_t>(list);
    // It has been bounded, but the file may have been changed since.
    const std::uint64_t end = row + 1 < points.at.size() ? points.at[row + 1] : bytes.size();
    const std::uint64_t room = end - points.at[row] - points.count_bytes;
    const std::uint64_t count = std::min(stated, room / kNeighbor);
    const std::byte* neighbor = list + points.count_bytes;
    for (std::uint64_t i = 0; i < count; ++i) {
      out.push_back(point_number(neighbor + i * kNeighbor, points));
    }
  };
  source.files.push_back(std::move(graph));
  source.files.push_back(std::move(data));
  return source;
}

}  // namespace cairn
