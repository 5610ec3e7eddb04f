// SPDX-License-Identifier: Apache-2.0
//
// USearch's save() since 2.0: an optional matrix of vectors, a head of 64 bytes, and the graph.
#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <utility>

#include "engine/store/node_store.h"
#include "engine/transfer/graph_source.h"
#include "engine/vectors/metric.h"

namespace cairn {

namespace {

constexpr char kUsearchMagic[] = "usearch";
constexpr std::size_t kMagicBytes = 7;
constexpr std::size_t kHeadBytes = 64;
constexpr std::size_t kCountsAt = 17;   // in the head: count_present, then count_deleted
constexpr unsigned kOldNumbering = 10;  // minor versions below number scalar kinds otherwise
constexpr std::uint8_t kUuidKeys = 3;
constexpr std::uint8_t kWideSlots = 2;  // of 40 bits

bool has_magic(std::span<const std::byte> file, std::uint64_t at) {
  return at <= file.size() && file.size() - at >= kHeadBytes &&
         std::memcmp(file.data() + at, kUsearchMagic, kMagicBytes) == 0;
}

// Where the head stands, and the matrix before it.
struct Matrix {
  std::uint64_t rows = 0;
  std::uint64_t columns = 0;  // bytes
  std::uint64_t begin = 0;    // 0: there is none
  std::uint64_t head = 0;
};

std::optional<Matrix> find_head(std::span<const std::byte> file) {
  if (has_magic(file, 0)) return Matrix{};
  const auto behind = [&](std::uint64_t rows, std::uint64_t columns,
                          std::uint64_t begin) -> std::optional<Matrix> {
    if (columns != 0 && rows > file.size() / columns) return {};
    const Matrix matrix{rows, columns, begin, begin + rows * columns};
    if (!has_magic(file, matrix.head)) return {};
    return matrix;
  };
  if (file.size() < 16) return {};
  if (auto narrow =
          behind(load<std::uint32_t>(file.data()), load<std::uint32_t>(file.data() + 4), 8)) {
    return narrow;
  }
  return behind(load<std::uint64_t>(file.data()), load<std::uint64_t>(file.data() + 8), 16);
}

struct KindNumber {
  std::uint8_t now;
  std::uint8_t before;  // 2.10; 0: it did not exist
  Encoding encoding;
};
constexpr std::array<KindNumber, 17> kKinds = {{{1, 1, Encoding::b1_highest_first},
                                                {4, 0, Encoding::bf16},
                                                {5, 7, Encoding::e5m2},
                                                {6, 0, Encoding::e4m3},
                                                {7, 0, Encoding::e2m3},
                                                {8, 0, Encoding::e3m2},
                                                {10, 4, Encoding::f64},
                                                {11, 5, Encoding::f32},
                                                {12, 6, Encoding::f16},
                                                {14, 8, Encoding::u64},
                                                {15, 9, Encoding::u32},
                                                {16, 10, Encoding::u16},
                                                {17, 11, Encoding::u8},
                                                {20, 12, Encoding::i64},
                                                {21, 13, Encoding::i32},
                                                {22, 14, Encoding::i16},
                                                {23, 15, Encoding::i8}}};

std::optional<Encoding> kind_of(std::uint8_t number, bool old_numbering) {
  for (const KindNumber& kind : kKinds) {
    if (number != 0 && number == (old_numbering ? kind.before : kind.now)) return kind.encoding;
  }
  return {};
}

struct UsearchHead {
  std::uint16_t major, minor, patch;
  std::uint8_t metric, scalar, key, slot, multi;
  std::uint64_t present, deleted, dimensions;
};

UsearchHead read_head(ByteReader& in) {
  UsearchHead h{};
  in.array(kMagicBytes, 1, "magic");
  h.major = in.number<std::uint16_t>("major version");
  h.minor = in.number<std::uint16_t>("minor version");
  h.patch = in.number<std::uint16_t>("patch version");
  h.metric = in.number<std::uint8_t>("metric");
  h.scalar = in.number<std::uint8_t>("scalar kind");
  h.key = in.number<std::uint8_t>("kind of keys");
  h.slot = in.number<std::uint8_t>("kind of slots");
  h.present = in.number<std::uint64_t>("count of vectors");
  h.deleted = in.number<std::uint64_t>("count of removed vectors");
  h.dimensions = in.number<std::uint64_t>("dimensions");
  h.multi = in.number<std::uint8_t>("multi");
  in.array(22, 1, "reserved bytes");
  return h;
}

Error usearch_refuses(const MappedFile& file, const std::string& what) {
  return Error(ErrorCode::unsupported, file.name() + ": USearch: " + what);
}

const char* usearch_metric(std::uint8_t number) {
  switch (number) {
    case 'p': return "pearson";
    case 'h': return "haversine";
    case 'd': return "divergence";
    case 't': return "tanimoto";
    case 's': return "sorensen";
    case 'j': return "jaccard";
    default: return "unknown";
  }
}

Result<void> set_usearch_kinds(GraphSource& source, const UsearchHead& h, const MappedFile& file) {
  if (h.major == 0x0200) return usearch_refuses(file, "written on a machine of another byte order");
  if (h.major != 2) {
    return usearch_refuses(file, "version " + std::to_string(h.major) + "." +
                                     std::to_string(h.minor) + " of the file; 2 can be read");
  }
  const bool old = h.minor < kOldNumbering;
  const auto encoding = kind_of(h.scalar, old);
  if (!encoding) return usearch_refuses(file, "scalar kind " + std::to_string(h.scalar));
  source.vectors.encoding = *encoding;
  if (h.key == kUuidKeys) return usearch_refuses(file, "keys of 128 bits (uuid)");
  const auto key = kind_of(h.key, old);
  if (key != Encoding::u64 && key != Encoding::i64) {
    return usearch_refuses(file,
                           "kind of keys " + std::to_string(h.key) + "; u64 and i64 can be read");
  }
  if (h.slot != kWideSlots && kind_of(h.slot, old) != Encoding::u32) {
    return usearch_refuses(file, "kind of slots " + std::to_string(h.slot));
  }
  const bool bits = stored_as(*encoding) == Scalar::b1;
  switch (h.metric) {
    case 0: break;
    case 'i': source.metric = Metric::inner_product; break;
    case 'c': source.metric = Metric::cosine; break;
    case 'e': source.metric = Metric::l2sq; break;
    case 'b': source.metric = Metric::hamming; break;
    default:
      return usearch_refuses(file, std::string("metric ") + usearch_metric(h.metric) + " (" +
                                       std::to_string(h.metric) + ")");
  }
  if (source.metric && row_of(*source.metric).is_of_bits != bits) {
    return usearch_refuses(file,
                           std::string("its metric over components of ") + name_of(*encoding));
  }
  return {};
}

// What upstream writes as the key of a removed vector: the largest of its kind.
Key free_key_of(const UsearchHead& h) {
  const bool is_signed = kind_of(h.key, h.minor < kOldNumbering) == Encoding::i64;
  return is_signed ? Key{std::numeric_limits<std::int64_t>::max()} : ~Key{0};
}

struct UsearchGraph {
  std::uint64_t size, m, m0;
  std::uint64_t slot_bytes;
  std::vector<std::uint64_t> nodes;  // where each begins
};

// Levels and nodes; keys and removal marks go into the source. `free_key` is that of removed ones.
UsearchGraph read_graph(ByteReader& in, const Matrix& matrix, std::uint64_t slot_bytes,
                        Key free_key, GraphSource& source) {
  UsearchGraph g{};
  g.slot_bytes = slot_bytes;
  g.size = in.number<std::uint64_t>("count of nodes");
  in.require(matrix.begin == 0 || g.size == matrix.rows, "count of nodes",
             "is " + std::to_string(g.size) + ", that of vectors " + std::to_string(matrix.rows));
  g.m = in.number<std::uint64_t>("connectivity");
  g.m0 = in.number<std::uint64_t>("connectivity of level 0");
  in.require(g.m <= format::kNoNode && g.m0 <= format::kNoNode, "connectivity of level 0",
             "is too large");
  (void)in.number<std::uint64_t>("max_level");
  (void)in.number<std::uint64_t>("entry slot");
  const std::byte* levels = in.array(g.size, sizeof(std::int16_t), "levels");
  if (in.failed()) return g;
  g.nodes.reserve(g.size);
  source.keys.reserve(g.size);
  source.removed.resize(g.size);
  for (std::uint64_t i = 0; i < g.size && !in.failed(); ++i) {
    g.nodes.push_back(in.at());
    const Key key = in.number<Key>("key");
    source.keys.push_back(key);
    source.removed[i] = key == free_key;
    const auto level = in.number<std::int16_t>("level of a node");
    in.require(level >= 0 && level == load<std::int16_t>(levels + i * sizeof level),
               "level of a node", "is not the one in the list of levels");
    if (in.failed()) break;
    (void)in.array(1, 4 + g.m0 * slot_bytes, "links of level 0");
    in.array(static_cast<std::uint64_t>(level), 4 + g.m * slot_bytes, "links of upper levels");
  }
  return g;
}

}  // namespace

bool looks_like_usearch(std::span<const std::byte> file) { return find_head(file).has_value(); }

Result<GraphSource> read_usearch(MappedFile file) {
  const auto matrix = find_head(file.bytes());
  if (!matrix) {
    return Error(ErrorCode::corrupt, file.name() + ": no head of USearch where the vectors end");
  }
  ByteReader in(file.bytes(), file.name());
  in.array(matrix->head, 1, "vectors");
  const UsearchHead h = read_head(in);
  GraphSource source;
  source.format = "USearch";
  if (auto ok = set_usearch_kinds(source, h, file); !ok) return ok.error();
  const std::uint64_t slot_bytes = h.slot == kWideSlots ? 5 : 4;
  UsearchGraph g = read_graph(in, *matrix, slot_bytes, free_key_of(h), source);
  in.expect_end();
  if (in.failed()) return in.error();
  const auto removed =
      static_cast<std::uint64_t>(std::count(source.removed.begin(), source.removed.end(), true));
  if (h.deleted != removed || h.present != g.size - removed) {
    return Error(ErrorCode::corrupt,
                 file.name() + ": byte " + std::to_string(matrix->head + kCountsAt) +
                     ": the head counts " + std::to_string(h.present) + " vectors and " +
                     std::to_string(h.deleted) + " removed ones, the graph has " +
                     std::to_string(g.size - removed) + " and " + std::to_string(removed));
  }
  if (matrix->begin == 0 && g.size != 0) return usearch_refuses(file, "the file has no vectors");
  source.vectors.dimensions = h.dimensions;
  if (g.size != 0 && (h.dimensions > format::kMaxDimensions ||
                      matrix->columns != encoded_bytes(source.vectors.encoding, h.dimensions))) {
    return Error(ErrorCode::corrupt, file.name() + ": byte 4: vectors of " +
                                         std::to_string(matrix->columns) + " bytes do not hold " +
                                         std::to_string(h.dimensions) + " dimensions of " +
                                         name_of(source.vectors.encoding));
  }
  source.rows = g.size;
  source.vectors.first = file.bytes().data() + matrix->begin;
  source.vectors.stride = matrix->columns;
  source.m = static_cast<std::uint32_t>(g.m);
  source.m0 = static_cast<std::uint32_t>(g.m0);
  source.links = [bytes = file.bytes().data(), g = std::move(g)](std::size_t row,
                                                                 std::vector<std::uint32_t>& out) {
    const std::byte* list = bytes + g.nodes[row] + sizeof(Key) + sizeof(std::int16_t);
    const std::uint64_t count = std::min<std::uint64_t>(load<std::uint32_t>(list), g.m0);
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::byte* slot = list + 4 + i * g.slot_bytes;
      const bool too_large = g.slot_bytes == 5 && slot[4] != std::byte{0};
      out.push_back(too_large ? format::kNoNode : load<std::uint32_t>(slot));
    }
  };
  source.files.push_back(std::move(file));
  return source;
}

}  // namespace cairn
