// SPDX-License-Identifier: Apache-2.0
//
// faiss's write_index(): records that begin with four letters and may hold other records.
#include <algorithm>
#include <string>
#include <utility>

#include "engine/store/node_store.h"
#include "engine/transfer/graph_source.h"

namespace cairn {

namespace {

constexpr int kDeepest = 8;  // records within records

struct Letters {
  char letters[5] = {};
  bool operator==(const char* other) const { return std::memcmp(letters, other, 4) == 0; }
};

struct KnownRefusal {
  const char* letters;
  const char* name;
};
constexpr KnownRefusal kRefusals[] = {
    {"IHNp", "HNSW over product quantisation (PQ)"},
    {"IHN2", "HNSW over a two-level quantiser (2Level)"},
    {"IHNr", "HNSW over RaBitQ"},
    {"IxPq", "product quantisation (PQ)"},
    {"IxPQ", "product quantisation (PQ)"},
    {"IxPo", "product quantisation (PQ)"},
    {"Ixrq", "RaBitQ"},
    {"Ixrr", "RaBitQ"},
    {"IwFl", "inverted lists (IVF)"},
    {"IwFd", "inverted lists (IVF)"},
    {"IvFl", "inverted lists (IVF)"},
    {"IvFL", "inverted lists (IVF)"},
    {"IwSq", "inverted lists (IVF) over a scalar quantiser"},
    {"IwSQ", "inverted lists (IVF) over a scalar quantiser"},
    {"IwPQ", "inverted lists (IVF) over product quantisation (PQ)"},
    {"IvPQ", "inverted lists (IVF) over product quantisation (PQ)"},
    {"IwPn", "inverted lists (IVF)"},
    {"IBwF", "inverted lists (IVF) of bits"},
    {"IxHe", "locality-sensitive hashing (LSH)"},
    {"IxHE", "locality-sensitive hashing (LSH)"},
    {"INSG", "NSG"},
    {"INSf", "NSG"},
    {"IxFP", "flat Panorama storage"},
    {"IxFp", "flat Panorama storage"},
    {"null", "no vectors: saved without its storage"}};

const char* quantiser_name(std::int32_t type) {
  static constexpr const char* kNames[] = {"8bit",         "4bit", "8bit_uniform",
                                           "4bit_uniform", "fp16", "8bit_direct",
                                           "6bit",         "bf16", "8bit_direct_signed"};
  return type >= 0 && type < 9 ? kNames[type] : "unknown";
}

class FaissReader {
 public:
  explicit FaissReader(const MappedFile& file) : in_(file.bytes(), file.name()) {}

  Result<void> read(GraphSource& source) {
    source.format = "faiss";
    read_record(source, 0);
    in_.expect_end();
    if (in_.failed()) return in_.error();
    return {};
  }

 private:
  struct Header {
    std::uint64_t dimensions = 0;
    std::uint64_t rows = 0;
  };

  Letters read_letters() {
    Letters letters;
    const std::byte* from = in_.array(1, 4, "letters of a record");
    if (from != nullptr) std::memcpy(letters.letters, from, 4);
    return letters;
  }
  void refuse(const std::string& what) { in_.fail(ErrorCode::unsupported, "faiss: " + what); }
  void refuse_record(const Letters& letters);
  // The elements of a vector, which its length stands before.
  struct Array {
    const std::byte* first = nullptr;
    std::uint64_t count = 0;
  };
  Array read_array(std::uint64_t size, const char* field) {
    const auto count = in_.number<std::uint64_t>(field);
    const std::byte* first = in_.array(count, size, field);
    return {first, first == nullptr ? 0 : count};
  }
  Array read_array_of(std::uint64_t expected, std::uint64_t size, const char* field) {
    const Array array = read_array(size, field);
    in_.require(
        array.count == expected, field,
        "has " + std::to_string(array.count) + " elements, not " + std::to_string(expected));
    return array;
  }

  Header read_header(GraphSource& source);
  Header read_binary_header();
  void read_record(GraphSource& source, int depth);
  void read_hnsw(GraphSource& source, const Letters& letters, int depth);
  void read_graph(GraphSource& source, std::uint64_t rows);
  void read_flat(GraphSource& source);
  void read_quantised(GraphSource& source);
  void read_bits(GraphSource& source);
  void read_id_map(GraphSource& source, bool binary, int depth);
  void read_transformed(GraphSource& source, int depth);
  void read_refined(GraphSource& source, int depth);
  void require_inner(const GraphSource& source, const Header& outer);
  void set_vectors(GraphSource& source, const Header& header, Encoding encoding,
                   const Array& codes);

  ByteReader in_;
};

void FaissReader::refuse_record(const Letters& letters) {
  if (in_.failed()) return;
  std::string what = "no reader for a record '" + std::string(letters.letters) + "'";
  for (const KnownRefusal& known : kRefusals) {
    if (letters == known.letters) what += ", " + std::string(known.name);
  }
  refuse(what);
}

FaissReader::Header FaissReader::read_header(GraphSource& source) {
  Header header;
  const auto dimensions = in_.number<std::int32_t>("dimensions");
  in_.require(dimensions >= 0, "dimensions", "is negative");
  header.dimensions = static_cast<std::uint64_t>(dimensions);
  const auto rows = in_.number<std::int64_t>("ntotal");
  in_.require(rows >= 0, "ntotal", "is negative");
  header.rows = static_cast<std::uint64_t>(rows);
  in_.array(2, 8, "reserved");
  (void)in_.number<std::uint8_t>("is_trained");
  const auto metric = in_.number<std::int32_t>("metric");
  if (in_.failed()) return header;
  switch (metric) {
    case 0: source.metric = Metric::inner_product; break;
    case 1: source.metric = Metric::l2sq; break;
    default:
      refuse("metric " + std::to_string(metric) + "; 0 (inner product) and 1 (L2) can be read");
  }
  return header;
}

FaissReader::Header FaissReader::read_binary_header() {
  Header header;
  const auto bits = in_.number<std::int32_t>("dimensions");
  in_.require(bits >= 0, "dimensions", "is negative");
  const auto bytes = in_.number<std::int32_t>("code_size");
  in_.require(bytes >= 0 && static_cast<std::int64_t>(bytes) * 8 == bits, "code_size",
              "does not fit the dimensions");
  header.dimensions = static_cast<std::uint64_t>(bits);
  const auto rows = in_.number<std::int64_t>("ntotal");
  in_.require(rows >= 0, "ntotal", "is negative");
  header.rows = static_cast<std::uint64_t>(rows);
  (void)in_.number<std::uint8_t>("is_trained");
  (void)in_.number<std::int32_t>("metric");
  return header;
}

void FaissReader::read_record(GraphSource& source, int depth) {
  if (depth > kDeepest) return in_.fail(ErrorCode::corrupt, "faiss: records nest too deep");
  const Letters letters = read_letters();
  if (in_.failed()) return;
  if (letters == "IxF2" || letters == "IxFI" || letters == "IxFl") return read_flat(source);
  if (letters == "IxSQ") return read_quantised(source);
  if (letters == "IBxF") return read_bits(source);
  if (letters == "IxMp" || letters == "IxM2") return read_id_map(source, false, depth);
  if (letters == "IBMp" || letters == "IBM2") return read_id_map(source, true, depth);
  if (letters == "IxPT") return read_transformed(source, depth);
  if (letters == "IxRF") return read_refined(source, depth);
  for (const char* known : {"IHNf", "IHNs", "IH00", "IHfP", "IHNc", "IHc2", "IBHf", "IBHc"}) {
    if (letters == known) return read_hnsw(source, letters, depth);
  }
  refuse_record(letters);
}

void FaissReader::read_hnsw(GraphSource& source, const Letters& letters, int depth) {
  const bool bits = letters == "IBHf" || letters == "IBHc";
  const Header header = bits ? read_binary_header() : read_header(source);
  if (letters == "IHfP") {
    const auto levels = in_.number<std::uint64_t>("num_levels");
    in_.require(levels < 65536, "num_levels", "is " + std::to_string(levels));
    read_array(sizeof(float), "cum_sums");
  } else if (letters == "IHNc" || letters == "IHc2" || letters == "IBHc") {
    in_.array(1, 1 + 1 + 4, "fields of a Cagra graph");
    if (letters == "IHc2") (void)in_.number<std::int32_t>("numeric_type");
  }
  if (in_.failed()) return;
  read_graph(source, header.rows);
  if (!in_.failed()) read_record(source, depth + 1);
  require_inner(source, header);
}

void FaissReader::require_inner(const GraphSource& source, const Header& outer) {
  in_.require(source.rows == outer.rows && source.vectors.dimensions == outer.dimensions,
              "inner record",
              "has " + std::to_string(source.rows) + " x " +
                  std::to_string(source.vectors.dimensions) + " components, the outer one " +
                  std::to_string(outer.rows) + " x " + std::to_string(outer.dimensions));
}

void FaissReader::read_graph(GraphSource& source, std::uint64_t rows) {
  read_array(sizeof(double), "assign_probas");
  const Array widths = read_array(sizeof(std::int32_t), "cum_nneighbor_per_level");
  in_.require(widths.count >= 2, "cum_nneighbor_per_level", "has less than two elements");
  for (std::uint64_t l = 0; l < widths.count && !in_.failed(); ++l) {
    const auto end = load<std::int32_t>(widths.first + 4 * l);
    const auto begin = l == 0 ? 0 : load<std::int32_t>(widths.first + 4 * (l - 1));
    in_.require(l == 0 ? end == 0 : end >= begin, "cum_nneighbor_per_level",
                "does not ascend from 0");
  }
  const Array levels = read_array_of(rows, sizeof(std::int32_t), "levels");
  const Array offsets = read_array(sizeof(std::uint64_t), "offsets");
  in_.require(offsets.count != 0 && offsets.count - 1 == rows, "offsets", "are not ntotal + 1");
  const Array links = read_array(sizeof(std::int32_t), "neighbors");
  if (in_.failed()) return;
  for (std::uint64_t i = 0; i < rows && !in_.failed(); ++i) {
    const auto level = load<std::int32_t>(levels.first + 4 * i);
    const bool exists = level >= 1 && static_cast<std::uint64_t>(level) < widths.count;
    in_.require(exists, "levels", "of row " + std::to_string(i) + " is " + std::to_string(level));
    if (!exists) return;
    const auto begin = load<std::uint64_t>(offsets.first + 8 * i);
    const auto end = load<std::uint64_t>(offsets.first + 8 * i + 8);
    const auto width = static_cast<std::uint64_t>(load<std::int32_t>(widths.first + 4 * level));
    in_.require(begin <= end && end <= links.count && end - begin == width, "offsets",
                "of row " + std::to_string(i) + " do not fit its level");
  }
  in_.array(2, 4, "entry point and max_level");
  const auto ef_construction = in_.number<std::int32_t>("efConstruction");
  in_.array(2, 4, "efSearch and upper_beam");
  if (in_.failed()) return;
  const auto width = [&](std::uint64_t l) { return load<std::uint32_t>(widths.first + 4 * l); };
  source.m0 = width(1);
  source.m = widths.count > 2 ? width(2) - source.m0 : (source.m0 + 1) / 2;
  source.ef_construction = static_cast<std::uint32_t>(std::max(ef_construction, 0));
  source.links = [offsets = offsets.first, links, m0 = source.m0](std::size_t row,
                                                                  std::vector<std::uint32_t>& out) {
    // It has been bounded, but the file may have been changed since, and so may the widths.
    const auto begin = load<std::uint64_t>(offsets + 8 * row);
    if (!format::fits(begin, m0, links.count)) return;
    const std::byte* list = links.first + 4 * begin;
    for (std::uint32_t i = 0; i < m0; ++i) {
      const auto link = load<std::int32_t>(list + std::size_t{4} * i);
      if (link < 0) return;
      out.push_back(static_cast<std::uint32_t>(link));
    }
  };
}

void FaissReader::set_vectors(GraphSource& source, const Header& header, Encoding encoding,
                              const Array& codes) {
  source.rows = header.rows;
  source.vectors.encoding = encoding;
  source.vectors.dimensions = header.dimensions;
  source.vectors.first = codes.first;
  source.vectors.stride = encoded_bytes(encoding, header.dimensions);
}

void FaissReader::read_flat(GraphSource& source) {
  const Header header = read_header(source);
  const Array values = read_array(sizeof(float), "vectors");
  const bool fit = header.dimensions == 0 ? header.rows == 0 && values.count == 0
                                          : values.count % header.dimensions == 0 &&
                                                values.count / header.dimensions == header.rows;
  in_.require(fit, "vectors",
              "have " + std::to_string(values.count) + " components, not ntotal x dimensions");
  set_vectors(source, header, Encoding::f32, values);
}

void FaissReader::read_quantised(GraphSource& source) {
  const Header header = read_header(source);
  const auto type = in_.number<std::int32_t>("qtype");
  if (in_.failed()) return;
  static constexpr Encoding kTypes[] = {
      Encoding::sq8, Encoding::sq4, Encoding::sq8_uniform, Encoding::sq4_uniform, Encoding::f16,
      Encoding::u8,  Encoding::sq6, Encoding::bf16,        Encoding::u8_minus_128};
  if (type < 0 || static_cast<std::size_t>(type) >= std::size(kTypes)) {
    return refuse("scalar quantiser of type " + std::to_string(type) + "; 0 to 8 can be read");
  }
  const Encoding encoding = kTypes[type];
  in_.array(2, 4, "rangestat");
  const auto dimensions = in_.number<std::uint64_t>("dimensions of the quantiser");
  in_.require(dimensions == header.dimensions, "dimensions of the quantiser", "are others");
  const auto code_size = in_.number<std::uint64_t>("code_size");
  in_.require(code_size == encoded_bytes(encoding, header.dimensions), "code_size",
              "is " + std::to_string(code_size));
  const Array trained = read_array(sizeof(float), "trained");
  const bool uniform = encoding == Encoding::sq8_uniform || encoding == Encoding::sq4_uniform;
  const bool each =
      encoding == Encoding::sq8 || encoding == Encoding::sq6 || encoding == Encoding::sq4;
  const std::uint64_t needed = uniform ? 2 : each ? 2 * header.dimensions : 0;
  in_.require(trained.count >= needed || header.rows == 0, "trained",
              "has " + std::to_string(trained.count) + " elements, not " + std::to_string(needed));
  const Array codes = read_array(1, "codes");
  in_.require(code_size == 0
                  ? codes.count == 0 && header.rows == 0
                  : codes.count % code_size == 0 && codes.count / code_size == header.rows,
              "codes", "are not ntotal x code_size");
  set_vectors(source, header, encoding, codes);
  source.vectors.trained = trained.first;
  if (!in_.failed() && (uniform || each)) {
    source.notes.push_back("Vectors of the scalar quantiser " + std::string(quantiser_name(type)) +
                           " are stored as the f32 that it decodes them to.");
  }
}

void FaissReader::read_bits(GraphSource& source) {
  const Header header = read_binary_header();
  const Array codes = read_array(1, "codes");
  const std::uint64_t bytes = header.dimensions / 8;
  in_.require(bytes == 0 ? codes.count == 0 && header.rows == 0
                         : codes.count % bytes == 0 && codes.count / bytes == header.rows,
              "codes", "are not ntotal x code_size");
  set_vectors(source, header, Encoding::b1, codes);
  source.metric = Metric::hamming;
}

void FaissReader::read_id_map(GraphSource& source, bool binary, int depth) {
  const Header header = binary ? read_binary_header() : read_header(source);
  if (!in_.failed()) read_record(source, depth + 1);
  const Array ids = read_array(sizeof(std::int64_t), "id_map");
  in_.require(
      ids.count == header.rows && ids.count == source.rows, "id_map",
      "has " + std::to_string(ids.count) + " ids for " + std::to_string(source.rows) + " vectors");
  if (in_.failed()) return;
  std::size_t negative = 0;
  source.keys.resize(ids.count);
  for (std::uint64_t i = 0; i < ids.count; ++i) {
    source.keys[i] = load<Key>(ids.first + 8 * i);
    negative += source.keys[i] >> 63;
  }
  if (negative != 0) {
    source.notes.push_back(std::to_string(negative) +
                           " negative ids keep their 64 bits: as keys they are from 2^63 on.");
  }
}

void FaissReader::read_transformed(GraphSource& source, int depth) {
  const Header header = read_header(source);
  const auto count = in_.number<std::int32_t>("number of transforms");
  if (in_.failed()) return;
  if (count != 1) {
    return refuse(std::to_string(count) + " transforms; one, VNrm, can be read");
  }
  const Letters letters = read_letters();
  if (in_.failed()) return;
  if (!(letters == "VNrm")) {
    return refuse("transform '" + std::string(letters.letters) + "'; VNrm, of norm 2, can be read");
  }
  const auto norm = in_.number<float>("norm");
  if (!in_.failed() && norm != 2) return refuse("transform VNrm of norm " + std::to_string(norm));
  const auto from = in_.number<std::int32_t>("d_in");
  const auto to = in_.number<std::int32_t>("d_out");
  in_.require(from == to && static_cast<std::uint64_t>(from) == header.dimensions, "d_out",
              "is not that of the index");
  (void)in_.number<std::uint8_t>("is_trained");
  if (in_.failed()) return;
  read_record(source, depth + 1);
  require_inner(source, header);
  if (in_.failed()) return;
  source.metric = Metric::cosine;
  source.notes.push_back(
      "The index divided queries by their norm, as it had its vectors: its metric is cosine here.");
}

void FaissReader::read_refined(GraphSource& source, int depth) {
  const Header header = read_header(source);
  if (!in_.failed()) read_record(source, depth + 1);
  GraphSource exact;
  if (!in_.failed()) read_record(exact, depth + 1);
  require_inner(source, header);
  require_inner(exact, header);
  (void)in_.number<float>("k_factor");
  if (in_.failed()) return;
  if (exact.metric != source.metric && source.metric == Metric::cosine) {
    return refuse(
        "a refined index over an L2 norm: it finds by cosine and ranks by another metric");
  }
  if (exact.metric != source.metric) {
    return in_.fail(ErrorCode::corrupt, "faiss: the refined index has another metric");
  }
  source.vectors = exact.vectors;
  source.notes = exact.notes;
  source.notes.push_back("Of a refined index the vectors are those that it refined with.");
}

}  // namespace

bool looks_like_faiss(std::span<const std::byte> file) {
  if (file.size() < 4) return false;
  char letters[4];
  std::memcpy(letters, file.data(), 4);
  const auto is_record = [](char first, char second) {
    return first == 'I' && (second == 'x' || second == 'H' || second == 'B' || second == 'w' ||
                            second == 'v' || second == 'N' || second == '2');
  };
  return is_record(letters[0], letters[1]) || is_record(letters[3], letters[2]);
}

Result<GraphSource> read_faiss(MappedFile file) {
  const auto bytes = file.bytes();
  if (bytes.size() >= 4 && bytes[0] != std::byte{'I'} && bytes[3] == std::byte{'I'}) {
    return Error(ErrorCode::unsupported,
                 file.name() + ": faiss: written on a machine of another byte order");
  }
  GraphSource source;
  FaissReader reader(file);
  if (auto ok = reader.read(source); !ok) return ok.error();
  source.files.push_back(std::move(file));
  return source;
}

}  // namespace cairn
