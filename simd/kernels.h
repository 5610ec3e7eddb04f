// SPDX-License-Identifier: Apache-2.0
//
// The arithmetic of the inner loops, one table of functions per instruction set. A list kernel
// takes one query and a list of rows, so that there is one indirect call per expanded node and not
// per neighbour, and prefetching stands in one place. Nothing here knows what a row means beyond
// what its comment says.
//
// Thread-safety: all functions are pure. Rows are never read past their last component.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cairn::simd {

// Rows of one matrix, `stride` bytes apart; row id begins at base + id * stride.
struct Rows {
  const std::byte* base;
  std::size_t stride;
};

// One query against 8-bit codes. A row is `dim` signed codes, and at `factor_offset` bytes from its
// beginning two floats {a, b}, unaligned to more than 4. The score of a row is
//     c0 + k * a * sum(query[i] * code[i]) + w * b
// which gives all metrics: see engine/vectors/codec.h.
struct CodeQuery {
  const std::int8_t* code;  // dim values in [-127, 127]; never read past dim
  std::size_t dim;
  std::size_t factor_offset;
  float c0;
  float k;
  float w;
  std::uint32_t prefetch_ahead;  // rows to prefetch ahead of the one being scored; 0: none
  // Rows that the next call will probably score: they are prefetched between those of this call.
  const std::uint32_t* coming = nullptr;
  std::size_t coming_count = 0;
  // Of each row, at most so many bytes from its beginning: where the hardware reads on by itself.
  std::size_t prefetch_bytes = SIZE_MAX;
  // Rows that come are asked for as a whole, line by line between those that are scored.
  bool spreads_coming = false;
};

// The sorted candidate array of a search: distances ascending, ids beside them. See
// engine/search/neighbor_pool.h.
struct PoolView {
  float* distance;
  std::uint32_t* id;
  std::size_t size;
  std::size_t capacity;
};

// Many queries against many rows of codes are scored in blocks: kTileRows rows by kPanelColumns
// queries, each laid out beforehand as the instruction set likes it (pack_rows, pack_columns). A
// code, once in the caches, is so compared with many.
inline constexpr std::size_t kTileRows = 12;
inline constexpr std::size_t kPanelColumns = 32;
// What a tile and a panel take at most: 16 bits a component, and a number a query.
constexpr std::size_t row_tile_bytes(std::size_t dim) { return kTileRows * ((dim + 1) / 2) * 4; }
constexpr std::size_t column_panel_bytes(std::size_t dim) {
  return kPanelColumns * ((dim + 1) / 2 + 1) * 4;
}

// What CodeQuery holds beside the code, of the queries of a panel.
struct PanelQueries {
  float c0[kPanelColumns];
  float k[kPanelColumns];
  float limit[kPanelColumns];  // scores beyond it do not matter
  float w;
};
struct RowFactors {
  float a;
  float b;
};

struct KernelTable {
  const char* name;

  // One pair of vectors of n components. No square root. Error of the f32 kernels against exact
  // arithmetic: at most gamma(n + 8) * sum |a_i b_i| (dot) or * sum (a_i - b_i)^2 (l2), gamma(m) =
  // m u / (1 - m u), u = 2^-24 (Higham 2002, section 3.1). The f16 and bf16 kernels compare an f32
  // query with a row of bit patterns of that kind, within the same bound: each component is widened
  // to f32, which is exact. Integer kernels are exact for all bytes and n <= 65,535.
  float (*dot_f32)(const float* a, const float* b, std::size_t n) noexcept;
  float (*l2_f32)(const float* a, const float* b, std::size_t n) noexcept;
  float (*dot_f16)(const float* query, const std::uint16_t* row, std::size_t n) noexcept;
  float (*l2_f16)(const float* query, const std::uint16_t* row, std::size_t n) noexcept;
  float (*dot_bf16)(const float* query, const std::uint16_t* row, std::size_t n) noexcept;
  float (*l2_bf16)(const float* query, const std::uint16_t* row, std::size_t n) noexcept;
  // sum (a[i] * a_scale - b[i] * b_scale)^2, with each operation rounded.
  float (*l2_scaled_f32)(const float* a, float a_scale, const float* b, float b_scale,
                         std::size_t n) noexcept;
  // Dot product and squared distance in double: products are exact, and sums lose at most gamma(n)
  // of 2^-53.
  double (*dot_f64)(const float* a, const float* b, std::size_t n) noexcept;
  double (*l2_f64)(const float* a, const float* b, std::size_t n) noexcept;
  // The same for two sums at once: out[0] = sum a[i] b[i], out[1] = sum b[i]^2.
  void (*dot_square_f64)(const float* a, const float* b, std::size_t n, double* out) noexcept;
  std::int32_t (*dot_i8)(const std::int8_t* a, const std::int8_t* b, std::size_t n) noexcept;
  std::uint32_t (*l2_i8)(const std::int8_t* a, const std::int8_t* b, std::size_t n) noexcept;
  std::uint32_t (*hamming)(const std::uint8_t* a, const std::uint8_t* b,
                           std::size_t bytes) noexcept;

  // One query against rows ids[0..n): out[i] belongs to row ids[i]. Same values as the pair kernels
  // to the bit.
  void (*dot_f32_many)(const float* query, Rows rows, const std::uint32_t* ids, std::size_t n,
                       std::size_t dim, float* out) noexcept;
  void (*l2_f32_many)(const float* query, Rows rows, const std::uint32_t* ids, std::size_t n,
                      std::size_t dim, float* out) noexcept;
  void (*dot_f16_many)(const float* query, Rows rows, const std::uint32_t* ids, std::size_t n,
                       std::size_t dim, float* out) noexcept;
  void (*l2_f16_many)(const float* query, Rows rows, const std::uint32_t* ids, std::size_t n,
                      std::size_t dim, float* out) noexcept;
  void (*dot_bf16_many)(const float* query, Rows rows, const std::uint32_t* ids, std::size_t n,
                        std::size_t dim, float* out) noexcept;
  void (*l2_bf16_many)(const float* query, Rows rows, const std::uint32_t* ids, std::size_t n,
                       std::size_t dim, float* out) noexcept;
  void (*dot_i8_many)(const std::int8_t* query, Rows rows, const std::uint32_t* ids, std::size_t n,
                      std::size_t dim, std::int32_t* out) noexcept;
  void (*l2_i8_many)(const std::int8_t* query, Rows rows, const std::uint32_t* ids, std::size_t n,
                     std::size_t dim, std::uint32_t* out) noexcept;
  void (*hamming_many)(const std::uint8_t* query, Rows rows, const std::uint32_t* ids,
                       std::size_t n, std::size_t bytes, std::uint32_t* out) noexcept;

  // Components of 16 bits and f32. Narrowing rounds to nearest even, what is too large to infinity;
  // a NaN stays one. Every instruction set gives the same bits.
  void (*f16_to_f32)(const std::uint16_t* v, std::size_t n, float* out) noexcept;
  void (*bf16_to_f32)(const std::uint16_t* v, std::size_t n, float* out) noexcept;
  void (*f32_to_f16)(const float* v, std::size_t n, std::uint16_t* out) noexcept;
  void (*f32_to_bf16)(const float* v, std::size_t n, std::uint16_t* out) noexcept;

  // The scores of CodeQuery, (c0 + (k * a) * sum) + w * b with each operation rounded by itself:
  // the same to the bit for every instruction set.
  void (*score_codes)(const CodeQuery& query, Rows rows, const std::uint32_t* ids, std::size_t n,
                      float* out) noexcept;

  // Lays out n <= kTileRows and n <= kPanelColumns codes of `dim` components; n > 0. What is
  // missing is filled with copies of the last one.
  void (*pack_rows)(const std::int8_t* const* codes, std::size_t n, std::size_t dim,
                    std::byte* tile) noexcept;
  void (*pack_columns)(const std::int8_t* const* codes, std::size_t n, std::size_t dim,
                       std::byte* panel) noexcept;
  // out[r * stride + c] = score of row r < n <= kTileRows for query c < kPanelColumns: the bits of
  // score_codes. Bit c of near[r]: it is not greater than the query's limit, or NaN.
  void (*score_tile)(const std::byte* tile, std::size_t n, const RowFactors* factors,
                     const std::byte* panel, const PanelQueries& queries, std::size_t dim,
                     float* out, std::size_t stride, std::uint32_t* near) noexcept;

  // Largest |v[i]| (0 for n = 0; NaN components are ignored).
  float (*max_abs)(const float* v, std::size_t n) noexcept;
  // out[i] = round-to-nearest-even(v[i] * factor), REQUIRES |v[i] * factor| <= 127; returns sum
  // out[i]^2.
  std::int32_t (*quantize_i8)(const float* v, float factor, std::size_t n,
                              std::int8_t* out) noexcept;

  // Inserts (distance[i], id[i]), i < n, in order, into the sorted pool: each that is nearer than
  // the last entry of a full pool, or any while it is not full, goes in behind all entries whose
  // distance is not greater; what falls off the end is dropped. NaN is never inserted. Returns the
  // lowest position at which something was inserted, or the pool's capacity if nothing was.
  // pool.size is updated. Arrays have capacity + kPoolSlack elements.
  std::size_t (*pool_insert)(PoolView& pool, const float* distance, const std::uint32_t* id,
                             std::size_t n) noexcept;

  // Places, in ascending order, of some of distance[0..n), of which none is NaN: all that are not
  // greater than some bound, at least the `k` <= kMostFew nearest, and few more. Returns how many;
  // `places` has n elements.
  std::size_t (*nearest_few)(const float* distance, std::size_t n, std::size_t k,
                             std::uint32_t* places) noexcept;

  // A step of a greedy choice of diverse ones: distance[i] becomes infinity where
  // alpha * from_kept[i] <= distance[i]. Returns the first place of the least that is left; n if
  // none is. With an infinite alpha all stay. REQUIRES: n is a multiple of kPanelColumns; no
  // distance is negative or NaN.
  std::size_t (*next_diverse)(float* distance, const float* from_kept, float alpha,
                              std::size_t n) noexcept;
};

// Readable and writable elements that the pool's arrays need beyond their capacity.
inline constexpr std::size_t kPoolSlack = 16;

inline constexpr std::size_t kMostFew = 16;

// The active table: the best of what is compiled in and available, or what CAIRN_SIMD names.
// Decided on first use. If CAIRN_SIMD names one that is unknown, not compiled in or not available,
// active() says so and kernels() is the scalar table, so callers must ask active() first (engine
// does, when an index is made or opened).
struct Active {
  const KernelTable* table;
  const char* problem;  // nullptr, or what is wrong with CAIRN_SIMD
};
const Active& active() noexcept;
inline const KernelTable& kernels() noexcept { return *active().table; }

// What is compiled in, best last; and whether this processor and its operating system can run it.
struct Choice {
  const KernelTable* table;
  bool available;
};
struct Choices {
  const Choice* data;
  std::size_t size;
};
Choices choices() noexcept;

}  // namespace cairn::simd
