// SPDX-License-Identifier: Apache-2.0
//
// One query against a list of codes, and what it asks the memory for meanwhile (see CodeQuery).
// Included by one source per instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/group.h"
#include "simd/kernels.h"
#include "simd/kernels_impl.h"
#include "simd/prefetch.h"

namespace cairn::simd {
namespace {

constexpr std::size_t kCodeFactorBytes = 2 * sizeof(float);

// How much of a row is asked for: of one that is scored soon, and of one that comes.
struct AskedBytes {
  std::size_t now;
  std::size_t coming;
};

// Whether there is a whole line between code and factors.
inline bool has_gap(const CodeQuery& query) noexcept {
  return query.factor_offset - query.dim >= kLineBytes;
}

inline AskedBytes asked_bytes(const CodeQuery& query, bool spreads) noexcept {
  const std::size_t all = has_gap(query) ? query.dim : query.factor_offset + kCodeFactorBytes;
  const std::size_t beginning = query.prefetch_bytes < all ? query.prefetch_bytes : all;
  return {beginning, spreads ? all : beginning};
}

// Lines of its code and of its factors, into the second cache, also of rows that are scored soon:
// docs/decisions/0046.
inline void prefetch_code(const std::byte* row, const CodeQuery& query,
                          std::size_t bytes) noexcept {
  prefetch_lines<kLater>(row, bytes);
  if (has_gap(query)) {
    prefetch_lines<kLater>(row + query.factor_offset, kCodeFactorBytes);
  }
}

// Rows of which each line is asked for while that line of a group is scored, one after the other:
// where many lines are asked for at once, those of the group wait behind them.
class SpreadRows {
 public:
  static constexpr std::size_t kMost = 8;

  void add(const std::byte* row) noexcept { rows_[count_++] = row; }
  bool is_full() const noexcept { return count_ == kMost; }

  void ask(std::size_t at) const noexcept {
    for (std::size_t i = 0; i < count_; ++i) prefetch_lines<kLater>(rows_[i] + at, 1);
  }

 private:
  const std::byte* rows_[kMost];
  std::size_t count_ = 0;
};

// The sums of a group, while `coming` rows are asked for.
template <class Dot>
inline typename Dot::Four four_rows_asking(const CodeQuery& query, const Group& group,
                                           std::uint32_t bias, std::size_t bytes,
                                           const SpreadRows& coming) noexcept {
  const auto* code = static_cast<const std::byte*>(static_cast<const void*>(query.code));
  std::size_t next = 0;
  const auto dots = four_rows<Dot>(code, group, query.dim, bias, [&](std::size_t i) {
    if (i != next) return;
    coming.ask(i);
    next += kLineBytes;
  });
  for (; next < bytes; next += kLineBytes) coming.ask(next);
  return dots;
}

template <class Dot>
void score_codes(const CodeQuery& asked, Rows rows, const std::uint32_t* ids, std::size_t n,
                 float* out) noexcept {
  const CodeQuery query = asked;  // in registers: the barrier of a prefetch leaves it there
  const auto* code = static_cast<const std::byte*>(static_cast<const void*>(query.code));
  const std::uint32_t bias = Dot::bias(code, query.dim);
  const bool spreads = query.spreads_coming && !has_gap(query);
  const AskedBytes bytes = asked_bytes(query, spreads);
  const std::size_t ahead = query.prefetch_ahead;
  for (std::size_t i = 0; i < n && i < ahead; ++i) {
    prefetch_code(row_at(rows, ids[i]), query, bytes.now);
  }
  // The rows that come are spread over the groups, so that their lines arrive while others are
  // being scored. A list is short, and 32 bits are divided in half the time of 64.
  const std::size_t groups = (n + kGroup - 1) / kGroup;
  const std::size_t coming_a_group =
      static_cast<std::uint32_t>(query.coming_count) / (static_cast<std::uint32_t>(groups) + 1) + 1;
  std::size_t coming = 0;
  for (std::size_t i = 0; i < n; i += kGroup) {
    if (ahead != 0) {
      for (std::size_t j = i + ahead; j < n && j < i + ahead + kGroup; ++j) {
        prefetch_code(row_at(rows, ids[j]), query, bytes.now);
      }
    }
    SpreadRows spread;
    const std::size_t until = coming + coming_a_group;
    for (; coming < until && coming < query.coming_count; ++coming) {
      const std::byte* row = row_at(rows, query.coming[coming]);
      if (spreads && !spread.is_full()) {
        spread.add(row);
      } else {
        prefetch_code(row, query, bytes.coming);
      }
    }
    const std::size_t left = n - i;
    const Group group = gather(rows, ids + i, left);
    const auto dots = spreads ? four_rows_asking<Dot>(query, group, bias, bytes.coming, spread)
                              : four_rows<Dot>(code, group, query.dim, bias);
    if (left >= kGroup) {
      Dot::score4(dots, group, query, out + i);
    } else {
      float four[kGroup];
      Dot::score4(dots, group, query, four);
      for (std::size_t r = 0; r < kGroup && r < left; ++r) out[i + r] = four[r];
    }
  }
  for (; coming < query.coming_count; ++coming) {
    prefetch_code(row_at(rows, query.coming[coming]), query, bytes.coming);
  }
}

}  // namespace
}  // namespace cairn::simd
