// SPDX-License-Identifier: Apache-2.0
//
// Every instruction set that this processor has, against plain loops in double precision: any
// length and any misalignment that the type allows, in allocations that end with the last
// component.
#include "simd/kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "fuzz/input.h"

namespace cairn::fuzz {
namespace {

using simd::KernelTable;
using simd::Rows;

constexpr std::size_t kMostDims = 320;
constexpr std::size_t kMostRows = 9;

// `count` values of T from the input, at an address of the given misalignment, the last one at the
// end of its allocation.
template <class T>
class Array {
 public:
  Array(Input& input, std::size_t count, std::size_t misalignment)
      : bytes_(new std::byte[misalignment + count * sizeof(T)]),
        data_(bytes_.get() + misalignment) {
    const auto given = input.bytes(count * sizeof(T));
    std::memset(data_, 0, count * sizeof(T));
    if (!given.empty()) std::memcpy(data_, given.data(), given.size());
    // What the input does not reach is derived from what it does.
    for (std::size_t i = given.size(); i < count * sizeof(T) && !given.empty(); ++i) {
      data_[i] = data_[i - given.size()] ^ static_cast<std::byte>(i);
    }
  }
  T* data() { return reinterpret_cast<T*>(data_); }
  std::byte* raw() { return data_; }

 private:
  std::unique_ptr<std::byte[]> bytes_;
  std::byte* data_;
};

enum class Values { small, any_bits };

// Whole numbers up to 2047 with a fraction, unless any bit pattern is wanted.
void tame(float* values, std::size_t count, Values kind) {
  if (kind == Values::any_bits) return;
  for (std::size_t i = 0; i < count; ++i) {
    std::int32_t bits;
    std::memcpy(&bits, values + i, sizeof bits);
    values[i] = static_cast<float>(bits % 65521) / 32.0f;
  }
}

bool same_bits(float a, float b) {
  return std::memcmp(&a, &b, sizeof a) == 0 || (std::isnan(a) && std::isnan(b));
}

struct Sum {
  double value = 0;
  double magnitude = 0;  // of its terms
  void add(double term) {
    value += term;
    magnitude += std::fabs(term);
  }
};

// The bound that simd/kernels.h states. Says nothing about sums that leave the range of float, or
// whose terms are lost below it.
void near(const KernelTable& table, const char* kernel, float got, const Sum& exact,
          std::size_t n) {
  if (!(exact.magnitude < 1e37)) return;
  const double u = std::ldexp(1.0, -24);
  const double m = static_cast<double>(n) + 8;
  const double bound = m * u / (1 - m * u) * exact.magnitude;
  const double lost = m * std::ldexp(1.0, -126);
  require(std::fabs(static_cast<double>(got) - exact.value) <= bound + lost, kernel,
          std::string(table.name) + " n " + std::to_string(n) + " got " + std::to_string(got) +
              " exact " + std::to_string(exact.value));
}

struct HalfKernels {
  decltype(KernelTable::f16_to_f32) widen;
  decltype(KernelTable::f32_to_f16) narrow;
  decltype(KernelTable::dot_f16) dot;
  decltype(KernelTable::l2_f16) l2;
  decltype(KernelTable::dot_f16_many) dot_many;
  decltype(KernelTable::l2_f16_many) l2_many;
};

HalfKernels half_kernels_of(const KernelTable& table, bool f16) {
  if (f16) {
    return {table.f16_to_f32, table.f32_to_f16,   table.dot_f16,
            table.l2_f16,     table.dot_f16_many, table.l2_f16_many};
  }
  return {table.bf16_to_f32, table.f32_to_bf16,   table.dot_bf16,
          table.l2_bf16,     table.dot_bf16_many, table.l2_bf16_many};
}

// The first `dim` halves of each row, as both kinds; and the query narrowed to them.
void half_kernels(const float* query, Rows rows, const std::vector<std::uint32_t>& ids,
                  std::size_t dim, const simd::Choices& choices) {
  std::vector<float> dots(ids.size());
  std::vector<float> squares(ids.size());
  std::vector<float> wide(dim);
  std::vector<float> same(dim);
  std::vector<std::uint16_t> narrow(dim);
  std::vector<std::uint16_t> expected(dim);
  for (std::size_t c = 0; c < choices.size; ++c) {
    if (!choices.data[c].available) continue;
    const KernelTable& table = *choices.data[c].table;
    for (const bool f16 : {false, true}) {
      const HalfKernels k = half_kernels_of(table, f16);
      const HalfKernels plain = half_kernels_of(*choices.data[0].table, f16);
      k.narrow(query, dim, narrow.data());
      plain.narrow(query, dim, expected.data());
      require(narrow == expected, "narrowed alike", table.name);
      k.dot_many(query, rows, ids.data(), ids.size(), dim, dots.data());
      k.l2_many(query, rows, ids.data(), ids.size(), dim, squares.data());
      for (std::size_t i = 0; i < ids.size(); ++i) {
        const auto* row = reinterpret_cast<const std::uint16_t*>(rows.base + ids[i] * rows.stride);
        k.widen(row, dim, wide.data());
        plain.widen(row, dim, same.data());
        Sum dot;
        Sum square;
        for (std::size_t d = 0; d < dim; ++d) {
          require(same_bits(wide[d], same[d]), "widened alike", table.name);
          const double a = query[d];
          const double b = wide[d];
          dot.add(a * b);
          square.add((a - b) * (a - b));
        }
        near(table, "dot of halves", dots[i], dot, dim);
        near(table, "l2 of halves", squares[i], square, dim);
        require(same_bits(dots[i], k.dot(query, row, dim)), "dot of a list of halves", table.name);
        require(same_bits(squares[i], k.l2(query, row, dim)), "l2 of a list of halves", table.name);
      }
    }
  }
}

void float_kernels(Input& input, const simd::Choices& choices) {
  const std::size_t dim = input.below(kMostDims);
  const std::size_t rows = 1 + input.below(kMostRows);
  const std::size_t gap = 4 * input.below(4);
  const Values kind = input.u8() % 4 == 0 ? Values::any_bits : Values::small;
  const std::size_t stride = dim * sizeof(float) + gap;
  std::vector<std::uint32_t> ids(input.below(2 * kMostRows));
  for (auto& id : ids) id = static_cast<std::uint32_t>(input.below(rows));
  Array<float> query(input, dim, 4 * input.below(16));
  // The last row ends with its allocation: no gap behind it.
  const std::size_t floats = (rows * stride - gap) / sizeof(float);
  Array<float> base(input, floats, 4 * input.below(16));
  tame(query.data(), dim, kind);
  tame(base.data(), floats, kind);

  std::vector<float> dots(ids.size());
  std::vector<float> squares(ids.size());
  for (std::size_t c = 0; c < choices.size; ++c) {
    if (!choices.data[c].available) continue;
    const KernelTable& table = *choices.data[c].table;
    const Rows where{base.raw(), stride};
    table.dot_f32_many(query.data(), where, ids.data(), ids.size(), dim, dots.data());
    table.l2_f32_many(query.data(), where, ids.data(), ids.size(), dim, squares.data());
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const auto* row = reinterpret_cast<const float*>(base.raw() + ids[i] * stride);
      Sum dot;
      Sum square;
      for (std::size_t d = 0; d < dim; ++d) {
        const double a = query.data()[d];
        const double b = row[d];
        dot.add(a * b);
        square.add((a - b) * (a - b));
      }
      near(table, "dot_f32", dots[i], dot, dim);
      near(table, "l2_f32", squares[i], square, dim);
      require(same_bits(dots[i], table.dot_f32(query.data(), row, dim)), "dot_f32_many = dot_f32",
              table.name);
      require(same_bits(squares[i], table.l2_f32(query.data(), row, dim)), "l2_f32_many = l2_f32",
              table.name);
    }
  }
  half_kernels(query.data(), {base.raw(), stride}, ids, dim, choices);
}

void byte_kernels(Input& input, const simd::Choices& choices) {
  const std::size_t dim = input.below(kMostDims);
  const std::size_t rows = 1 + input.below(kMostRows);
  const std::size_t gap = input.below(9);
  const std::size_t stride = dim + gap;
  std::vector<std::uint32_t> ids(input.below(2 * kMostRows));
  for (auto& id : ids) id = static_cast<std::uint32_t>(input.below(rows));
  Array<std::int8_t> query(input, dim, input.below(64));
  Array<std::int8_t> base(input, rows * stride - gap, input.below(64));
  const auto* query_bits = reinterpret_cast<const std::uint8_t*>(query.data());

  std::vector<std::int32_t> dots(ids.size());
  std::vector<std::uint32_t> squares(ids.size());
  std::vector<std::uint32_t> bits(ids.size());
  for (std::size_t c = 0; c < choices.size; ++c) {
    if (!choices.data[c].available) continue;
    const KernelTable& table = *choices.data[c].table;
    const Rows where{base.raw(), stride};
    table.dot_i8_many(query.data(), where, ids.data(), ids.size(), dim, dots.data());
    table.l2_i8_many(query.data(), where, ids.data(), ids.size(), dim, squares.data());
    table.hamming_many(query_bits, where, ids.data(), ids.size(), dim, bits.data());
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const auto* row = reinterpret_cast<const std::int8_t*>(base.raw() + ids[i] * stride);
      std::int64_t dot = 0;
      std::int64_t square = 0;
      std::uint32_t different = 0;
      for (std::size_t d = 0; d < dim; ++d) {
        const int a = query.data()[d];
        const int b = row[d];
        dot += a * b;
        square += (a - b) * (a - b);
        for (unsigned x = static_cast<unsigned>(a ^ b) & 0xFFu; x != 0; x &= x - 1) ++different;
      }
      const auto* row_bits = reinterpret_cast<const std::uint8_t*>(row);
      require(dots[i] == dot && table.dot_i8(query.data(), row, dim) == dot, "dot_i8", table.name);
      require(squares[i] == square && table.l2_i8(query.data(), row, dim) == square, "l2_i8",
              table.name);
      require(bits[i] == different && table.hamming(query_bits, row_bits, dim) == different,
              "hamming", table.name);
    }
  }
}

void code_scores(Input& input, const simd::Choices& choices) {
  const std::size_t dim = 1 + input.below(kMostDims);
  const std::size_t factor_offset = (dim + 3) / 4 * 4;
  const std::size_t rows = 1 + input.below(kMostRows);
  const std::size_t stride = factor_offset + 8 + 4 * input.below(16);
  std::vector<std::uint32_t> ids(input.below(2 * kMostRows));
  for (auto& id : ids) id = static_cast<std::uint32_t>(input.below(rows));
  Array<std::int8_t> code(input, dim, input.below(64));
  Array<float> base(input, rows * stride / 4, 4 * input.below(16));
  const auto clamp = [](std::int8_t* at) { *at = std::max<std::int8_t>(*at, -127); };
  for (std::size_t d = 0; d < dim; ++d) clamp(code.data() + d);
  simd::CodeQuery query{};
  query.code = code.data();
  query.dim = dim;
  query.factor_offset = factor_offset;
  query.prefetch_ahead = input.u8() % 16;
  float numbers[3];
  for (float& number : numbers) number = static_cast<float>(input.number<std::int16_t>()) / 256.0f;
  query.c0 = numbers[0];
  query.k = numbers[1];
  query.w = numbers[2];
  for (std::size_t r = 0; r < rows; ++r) {
    auto* row = reinterpret_cast<std::int8_t*>(base.raw() + r * stride);
    for (std::size_t d = 0; d < dim; ++d) clamp(row + d);
    tame(reinterpret_cast<float*>(base.raw() + r * stride + factor_offset), 2, Values::small);
  }

  std::vector<float> scores(ids.size());
  for (std::size_t c = 0; c < choices.size; ++c) {
    if (!choices.data[c].available) continue;
    const KernelTable& table = *choices.data[c].table;
    table.score_codes(query, Rows{base.raw(), stride}, ids.data(), ids.size(), scores.data());
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const std::byte* row = base.raw() + ids[i] * stride;
      std::int64_t dot = 0;
      for (std::size_t d = 0; d < dim; ++d) {
        dot += code.data()[d] * reinterpret_cast<const std::int8_t*>(row)[d];
      }
      float factors[2];
      std::memcpy(factors, row + factor_offset, sizeof factors);
      Sum exact;
      exact.add(query.c0);
      exact.add(double{query.k} * double{factors[0]} * static_cast<double>(dot));
      exact.add(double{query.w} * double{factors[1]});
      near(table, "score_codes", scores[i], exact, 0);
    }
  }
}

void quantizing(Input& input, const simd::Choices& choices) {
  const std::size_t n = input.below(kMostDims);
  const Values kind = input.u8() % 4 == 0 ? Values::any_bits : Values::small;
  Array<float> values(input, n, 4 * input.below(16));
  tame(values.data(), n, kind);
  float largest = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const float size = std::fabs(values.data()[i]);
    if (size > largest) largest = size;
  }
  const float factor = 126.5f / largest;
  const bool quantizable =
      std::isfinite(factor) && std::isfinite(largest) &&
      std::none_of(values.data(), values.data() + n, [](float v) { return std::isnan(v); });
  for (std::size_t c = 0; c < choices.size; ++c) {
    if (!choices.data[c].available) continue;
    const KernelTable& table = *choices.data[c].table;
    require(table.max_abs(values.data(), n) == largest, "max_abs", table.name);
    if (!quantizable) continue;
    const std::unique_ptr<std::int8_t[]> code(new std::int8_t[n]);
    const std::int32_t squares = table.quantize_i8(values.data(), factor, n, code.get());
    std::int64_t expected = 0;
    for (std::size_t i = 0; i < n; ++i) {
      require(code[i] == std::nearbyint(values.data()[i] * factor), "quantize_i8", table.name);
      expected += code[i] * code[i];
    }
    require(squares == expected, "quantize_i8's sum of squares", table.name);
  }
}

void pool(Input& input, const simd::Choices& choices) {
  const std::size_t capacity = 1 + input.below(70);
  struct Entry {
    float distance;
    std::uint32_t id;
  };
  std::vector<Entry> batch_entries;
  const std::size_t batches = 1 + input.below(6);
  std::vector<std::size_t> sizes(batches);
  for (auto& size : sizes) size = input.below(40);
  std::uint32_t next = 0;
  for (const std::size_t size : sizes) {
    for (std::size_t i = 0; i < size; ++i) {
      // Few different distances, so that there are ties; some NaN and infinities.
      const unsigned raw = input.u8();
      float distance = static_cast<float>(raw % 50) - 10.0f;
      if (raw == 255) distance = std::numeric_limits<float>::quiet_NaN();
      if (raw == 254) distance = std::numeric_limits<float>::infinity();
      batch_entries.push_back({distance, next++});
    }
  }
  for (std::size_t c = 0; c < choices.size; ++c) {
    if (!choices.data[c].available) continue;
    const KernelTable& table = *choices.data[c].table;
    const std::unique_ptr<float[]> distances(new float[capacity + simd::kPoolSlack]);
    const std::unique_ptr<std::uint32_t[]> ids(new std::uint32_t[capacity + simd::kPoolSlack]);
    simd::PoolView view{distances.get(), ids.get(), 0, capacity};
    std::vector<Entry> model;
    std::size_t begin = 0;
    for (const std::size_t size : sizes) {
      std::vector<float> batch_distances;
      std::vector<std::uint32_t> batch_ids;
      std::size_t lowest = capacity;
      for (std::size_t i = begin; i < begin + size; ++i) {
        const Entry entry = batch_entries[i];
        batch_distances.push_back(entry.distance);
        batch_ids.push_back(entry.id);
        if (std::isnan(entry.distance)) continue;
        if (model.size() == capacity && !(entry.distance < model.back().distance)) continue;
        auto at = std::upper_bound(
            model.begin(), model.end(), entry,
            [](const Entry& a, const Entry& b) { return a.distance < b.distance; });
        lowest = std::min(lowest, static_cast<std::size_t>(at - model.begin()));
        model.insert(at, entry);
        if (model.size() > capacity) model.pop_back();
      }
      begin += size;
      const std::size_t got =
          table.pool_insert(view, batch_distances.data(), batch_ids.data(), size);
      require(got == lowest, "pool_insert's lowest position", table.name);
      require(view.size == model.size(), "pool size", table.name);
      for (std::size_t i = 0; i < model.size(); ++i) {
        require(ids[i] == model[i].id && distances[i] == model[i].distance, "pool entry",
                table.name);
      }
    }
  }
}

}  // namespace
}  // namespace cairn::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  cairn::fuzz::Input input(data, size);
  const cairn::simd::Choices choices = cairn::simd::choices();
  switch (input.u8() % 5) {
    case 0: cairn::fuzz::float_kernels(input, choices); break;
    case 1: cairn::fuzz::byte_kernels(input, choices); break;
    case 2: cairn::fuzz::code_scores(input, choices); break;
    case 3: cairn::fuzz::quantizing(input, choices); break;
    case 4: cairn::fuzz::pool(input, choices); break;
  }
  return 0;
}
