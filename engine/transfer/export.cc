// SPDX-License-Identifier: Apache-2.0
#include "engine/transfer/export.h"

#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "engine/transfer/file_writer.h"
#include "engine/transfer/live_graph.h"
#include "engine/vectors/codec.h"
#include "engine/vectors/components.h"
#include "engine/vectors/metric.h"

namespace cairn {

namespace {

constexpr Key kUsearchFreeKey = ~Key{0};

// Links of one list: how many, and room for `capacity`.
template <class Count>
void put_list(FileWriter& out, Count count, std::span<const std::uint32_t> links,
              std::size_t capacity) {
  out.number(count);
  out.put(std::as_bytes(links));
  out.zeros((capacity - links.size()) * sizeof(std::uint32_t));
}

// As hnswlib stores it: f32, and for cosine of norm 1.
void put_as_f32(FileWriter& out, const IndexParams& params, const std::byte* vector,
                std::vector<float>& buffer) {
  buffer.resize(params.dimensions);
  to_floats(params.scalar, vector, 0, params.dimensions, buffer.data());
  if (row_of(params.metric).is_of_direction) {
    const double length = norm(buffer.data(), params.dimensions);
    const double scale = length == 0 ? 0 : 1 / length;
    for (float& value : buffer) value = static_cast<float>(value * scale);
  }
  out.put(std::as_bytes(std::span(buffer)));
}

Result<void> write_hnswlib(const LiveGraph& graph, const IndexParams& params, FileWriter& out) {
  if (params.scalar == Scalar::b1) {
    return Error(ErrorCode::unsupported, "hnswlib has no vectors of bits");
  }
  if (params.several_per_key) {
    return Error(ErrorCode::unsupported, "hnswlib has one vector a key");
  }
  const GraphView& view = graph.view();
  const std::uint64_t vector = params.dimensions * sizeof(float);
  const std::uint64_t lists = sizeof(std::uint32_t) * (std::uint64_t{view.m_max0} + 1);
  const bool empty = graph.size() == 0;
  out.number(std::uint64_t{0});              // offset of level 0
  out.number(std::uint64_t{graph.size()});   // capacity
  out.number(std::uint64_t{graph.size()});   // elements
  out.number(lists + vector + sizeof(Key));  // bytes of an element
  out.number(lists + vector);                // where its label is
  out.number(lists);                         // where its vector is
  out.number(empty ? -1 : static_cast<std::int32_t>(graph.max_level()));
  out.number(graph.entry());
  out.number(std::uint64_t{view.m});
  out.number(std::uint64_t{view.m_max0});
  out.number(std::uint64_t{view.m});
  out.number(1 / std::log(static_cast<double>(view.m)));
  out.number(std::uint64_t{params.ef_construction});
  std::vector<std::uint32_t> links;
  std::vector<float> buffer;
  for (std::uint32_t i = 0; i < graph.size(); ++i) {
    graph.links(i, 0, links);
    put_list(out, static_cast<std::uint32_t>(links.size()), links, view.m_max0);
    put_as_f32(out, params, view.vector(graph.node(i)), buffer);
    out.number(view.key(graph.node(i)));
  }
  for (std::uint32_t i = 0; i < graph.size(); ++i) {
    const std::uint32_t level = graph.level(i);
    out.number(static_cast<std::uint32_t>(level * sizeof(std::uint32_t) * (view.m + 1)));
    for (std::uint32_t l = 1; l <= level; ++l) {
      graph.links(i, l, links);
      put_list(out, static_cast<std::uint32_t>(links.size()), links, view.m);
    }
  }
  return {};
}

// Numbers of version 2.10 and later.
std::uint8_t usearch_number(Scalar scalar) {
  switch (scalar) {
    case Scalar::f32: return 11;
    case Scalar::f16: return 12;
    case Scalar::bf16: return 4;
    case Scalar::i8: return 23;
    case Scalar::b1: return 1;
  }
  return 0;
}

char usearch_letter(Metric metric) {
  switch (metric) {
    case Metric::cosine: return 'c';
    case Metric::l2sq: return 'e';
    case Metric::inner_product: return 'i';
    case Metric::hamming: return 'b';
  }
  return 0;
}

// USearch has the highest bit of a byte first.
void put_bits(FileWriter& out, const std::byte* vector, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) {
    unsigned reversed = 0;
    for (unsigned bit = 0; bit < 8; ++bit) {
      reversed |= (std::to_integer<unsigned>(vector[i]) >> bit & 1) << (7 - bit);
    }
    out.number(static_cast<std::uint8_t>(reversed));
  }
}

void put_usearch_head(const LiveGraph& graph, const IndexParams& params, FileWriter& out) {
  constexpr std::array<std::uint16_t, 3> kVersion = {2, 13, 5};
  out.put(std::as_bytes(std::span("usearch", 7)));
  for (const std::uint16_t part : kVersion) out.number(part);
  out.number(usearch_letter(params.metric));
  out.number(usearch_number(params.scalar));
  out.number(std::uint8_t{14});  // keys of u64
  out.number(std::uint8_t{15});  // slots of u32
  out.number(std::uint64_t{graph.size()});
  out.number(std::uint64_t{0});  // removed
  out.number(std::uint64_t{params.dimensions});
  out.number(static_cast<std::uint8_t>(params.several_per_key));  // several vectors a key
  out.zeros(22);
  out.number(std::uint64_t{graph.size()});
  out.number(std::uint64_t{graph.view().m});
  out.number(std::uint64_t{graph.view().m_max0});
  out.number(std::uint64_t{graph.max_level()});
  out.number(std::uint64_t{graph.size() == 0 ? 0 : graph.entry()});
}

Result<void> write_usearch(const LiveGraph& graph, const IndexParams& params, FileWriter& out) {
  const GraphView& view = graph.view();
  for (std::uint32_t i = 0; i < graph.size(); ++i) {
    if (view.key(graph.node(i)) != kUsearchFreeKey) continue;
    return Error(ErrorCode::unsupported,
                 "key " + std::to_string(kUsearchFreeKey) + " marks removed vectors in USearch");
  }
  const std::size_t bytes = vector_bytes(params.scalar, params.dimensions);
  out.number(graph.size());
  out.number(static_cast<std::uint32_t>(bytes));
  for (std::uint32_t i = 0; i < graph.size(); ++i) {
    const std::byte* vector = view.vector(graph.node(i));
    if (params.scalar == Scalar::b1) {
      put_bits(out, vector, bytes);
    } else {
      out.put({vector, bytes});
    }
  }
  put_usearch_head(graph, params, out);
  for (std::uint32_t i = 0; i < graph.size(); ++i) {
    out.number(static_cast<std::int16_t>(graph.level(i)));
  }
  std::vector<std::uint32_t> links;
  for (std::uint32_t i = 0; i < graph.size(); ++i) {
    out.number(view.key(graph.node(i)));
    out.number(static_cast<std::int16_t>(graph.level(i)));
    for (std::uint32_t l = 0; l <= graph.level(i); ++l) {
      graph.links(i, l, links);
      put_list(out, static_cast<std::uint32_t>(links.size()), links, l == 0 ? view.m_max0 : view.m);
    }
  }
  return {};
}

}  // namespace

Result<void> write_graph(const GraphView& view, const IndexParams& params,
                         const std::filesystem::path& path, Source kind) {
  const LiveGraph graph(view);
  auto out = FileWriter::create(path);
  if (!out) return out.error();
  auto ok = kind == Source::hnswlib ? write_hnswlib(graph, params, *out)
                                    : write_usearch(graph, params, *out);
  if (!ok) return ok;
  if (!view.is_whole()) {
    return Error(ErrorCode::busy, "the file was changed while it was read");
  }
  return out->finish();
}

}  // namespace cairn
