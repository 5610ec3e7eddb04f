// SPDX-License-Identifier: Apache-2.0
//
// hnswlib's saveIndex(), of the graph and of the brute force index. Neither magic nor version,
// metric nor kind of component: sizes that fit each other are all there is to know it by.
#include <optional>
#include <string>
#include <utility>

#include "engine/store/node_store.h"
#include "engine/transfer/graph_source.h"

namespace cairn {

namespace {

constexpr std::size_t kHnswlibHeader = 96;
constexpr std::size_t kBruteHeader = 24;
constexpr std::uint64_t kLabelBytes = 8;
constexpr std::uint64_t kMostLinks = 65535;  // a count has 16 bits

struct HnswlibHeader {
  std::uint64_t rows, stride, label_at, vector_at, m, m0, ef_construction;
  std::int32_t max_level;
  std::uint32_t entry_point;
};

HnswlibHeader read_hnswlib_header(ByteReader& in) {
  HnswlibHeader h{};
  const auto zero = in.number<std::uint64_t>("offset of level 0");
  in.require(zero == 0, "offset of level 0", "is " + std::to_string(zero) + ", not 0");
  const auto capacity = in.number<std::uint64_t>("max_elements");
  h.rows = in.number<std::uint64_t>("element count");
  in.require(h.rows <= capacity, "element count",
             "is " + std::to_string(h.rows) + ", above the capacity " + std::to_string(capacity));
  h.stride = in.number<std::uint64_t>("size of an element");
  h.label_at = in.number<std::uint64_t>("offset of the label");
  in.require(h.label_at <= ~kLabelBytes && h.stride == h.label_at + kLabelBytes,
             "offset of the label", "does not fit the size of an element");
  h.vector_at = in.number<std::uint64_t>("offset of the vector");
  in.require(h.vector_at < h.label_at, "offset of the vector", "leaves no room for a vector");
  h.max_level = in.number<std::int32_t>("max_level");
  h.entry_point = in.number<std::uint32_t>("entry point");
  h.m = in.number<std::uint64_t>("M of upper levels");
  in.require(h.m <= kMostLinks, "M of upper levels", "is " + std::to_string(h.m));
  h.m0 = in.number<std::uint64_t>("M of level 0");
  in.require(h.m0 <= kMostLinks && h.vector_at == 4 + 4 * h.m0, "M of level 0",
             "does not fit the offset of the vector");
  (void)in.number<std::uint64_t>("M");
  (void)in.number<double>("level factor");
  h.ef_construction = in.number<std::uint64_t>("ef_construction");
  return h;
}

// The sizes fit each other only when their bytes are turned round.
bool is_turned_round(std::span<const std::byte> file) {
  if (file.size() < kHnswlibHeader) return false;
  const auto field = [&](std::size_t at) {
    return __builtin_bswap64(load<std::uint64_t>(file.data() + at));
  };
  const std::uint64_t stride = field(24), label_at = field(32), vector_at = field(40);
  const std::uint64_t m0 = field(64);
  return load<std::uint64_t>(file.data()) == 0 && m0 != 0 && m0 <= kMostLinks &&
         vector_at == 4 + 4 * m0 && vector_at < label_at && label_at <= ~kLabelBytes &&
         stride == label_at + kLabelBytes && field(16) <= field(8);
}

// Behind the elements, for each of them, the bytes of its upper lists and these.
void check_upper_lists(ByteReader& in, const HnswlibHeader& h) {
  const std::uint64_t list = 4 + 4 * h.m;
  for (std::uint64_t i = 0; i < h.rows && !in.failed(); ++i) {
    const auto bytes = in.number<std::uint32_t>("size of upper lists");
    in.require(bytes % list == 0, "size of upper lists",
               "of element " + std::to_string(i) + " is " + std::to_string(bytes) +
                   ", no multiple of " + std::to_string(list));
    in.array(bytes, 1, "upper lists");
  }
}

// Where the file has a size in bytes alone.
Result<void> set_hnswlib_encoding(GraphSource& source, std::uint64_t bytes,
                                  const ImportOptions& options, const std::string& name) {
  const std::uint64_t given = options.dimensions;
  const auto fail = [&](ErrorCode code, const std::string& what) {
    return Error(code, name + ": a vector takes " + std::to_string(bytes) + " bytes: " + what);
  };
  EncodedRows& rows = source.vectors;
  if (given == 0 && bytes % 4 != 0) {
    return fail(ErrorCode::invalid_argument,
                "no f32; give the number of dimensions (--dimensions), which for u8 is that");
  }
  if (given != 0 && given == bytes) {
    rows.encoding = Encoding::u8;
    rows.dimensions = bytes;
  } else if (given != 0 && (bytes % 4 != 0 || given != bytes / 4)) {
    return fail(ErrorCode::dimension_mismatch,
                std::to_string(given) + " dimensions are neither f32 nor u8");
  } else {
    rows.encoding = Encoding::f32;
    rows.dimensions = bytes / 4;
    if (given == 0) {
      source.notes.push_back("The file does not say the kind of its components: taken as " +
                             std::to_string(rows.dimensions) + " dimensions of f32.");
    }
  }
  return {};
}

// A file of no rows may claim any stride: no address is made of it.
void read_labels(GraphSource& source, const std::byte* rows, std::uint64_t stride,
                 std::uint64_t label_at) {
  source.keys.resize(source.rows);
  for (std::size_t i = 0; i < source.rows; ++i) {
    source.keys[i] = load<Key>(rows + i * stride + label_at);
  }
}

struct BruteHeader {
  std::uint64_t stride, rows;
};

// Read once, and bounded: nothing if the file is none of brute force.
std::optional<BruteHeader> brute_header(std::span<const std::byte> file) {
  if (file.size() < kBruteHeader) return {};
  const auto capacity = load<std::uint64_t>(file.data());
  const auto stride = load<std::uint64_t>(file.data() + 8);
  const auto rows = load<std::uint64_t>(file.data() + 16);
  const std::uint64_t body = file.size() - kBruteHeader;
  const bool is_brute =
      stride > kLabelBytes && capacity == body / stride && body % stride == 0 && rows <= capacity;
  return is_brute ? std::optional(BruteHeader{stride, rows}) : std::nullopt;
}

Result<GraphSource> read_brute(MappedFile file, const BruteHeader& header,
                               const ImportOptions& options) {
  const auto bytes = file.bytes();
  const std::uint64_t stride = header.stride;
  GraphSource source;
  source.format = "hnswlib";
  source.rows = header.rows;
  if (auto ok = set_hnswlib_encoding(source, stride - kLabelBytes, options, file.name()); !ok) {
    return ok.error();
  }
  source.vectors.first = bytes.data() + kBruteHeader;
  source.vectors.stride = stride;
  read_labels(source, source.vectors.first, stride, stride - kLabelBytes);
  source.files.push_back(std::move(file));
  return source;
}

}  // namespace

bool looks_like_hnswlib(std::span<const std::byte> file) {
  if (brute_header(file) || is_turned_round(file)) return true;
  const std::string name;
  ByteReader in(file, name);
  (void)read_hnswlib_header(in);
  return !in.failed();
}

Result<GraphSource> read_hnswlib(MappedFile file, const ImportOptions& options) {
  if (const auto brute = brute_header(file.bytes())) {
    return read_brute(std::move(file), *brute, options);
  }
  if (is_turned_round(file.bytes())) {
    return Error(ErrorCode::unsupported,
                 file.name() + ": hnswlib: written on a machine of another byte order");
  }
  ByteReader in(file.bytes(), file.name());
  const HnswlibHeader h = read_hnswlib_header(in);
  const std::byte* elements = in.array(h.rows, h.stride, "elements");
  if (!in.failed()) check_upper_lists(in, h);
  in.expect_end();
  if (in.failed()) return in.error();

  GraphSource source;
  source.format = "hnswlib";
  source.rows = h.rows;
  if (auto ok = set_hnswlib_encoding(source, h.label_at - h.vector_at, options, file.name()); !ok) {
    return ok.error();
  }
  source.vectors.first = elements + h.vector_at;
  source.vectors.stride = h.stride;
  read_labels(source, elements, h.stride, h.label_at);
  source.removed.resize(h.rows);
  for (std::size_t i = 0; i < h.rows; ++i) {
    source.removed[i] = (std::to_integer<unsigned>(elements[i * h.stride + 2]) & 1) != 0;
  }
  source.m = static_cast<std::uint32_t>(h.m);
  source.m0 = static_cast<std::uint32_t>(h.m0);
  source.ef_construction =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(h.ef_construction, format::kNoNode));
  source.links = [elements, h](std::size_t row, std::vector<std::uint32_t>& out) {
    const std::byte* list = elements + row * h.stride;
    const std::size_t count = std::min<std::size_t>(load<std::uint16_t>(list), h.m0);
    for (std::size_t i = 0; i < count; ++i) out.push_back(load<std::uint32_t>(list + 4 + 4 * i));
  };
  source.files.push_back(std::move(file));
  return source;
}

}  // namespace cairn
