// SPDX-License-Identifier: Apache-2.0
//
// What callers of the public class can get wrong, told with names and values.
#pragma once

#include <cairn/error.h>
#include <cairn/params.h>
#include <cairn/types.h>

namespace cairn {

// What a vector is given for: queries of f16 and bf16 indexes may be f32.
enum class Purpose { store, query };

// unsupported: CAIRN_SIMD names what this processor does not have.
Result<void> check_simd();
// All errors are invalid_argument.
Result<void> check_params(const IndexParams& params);
// Of create and open.
Result<void> check_durability(const char* what, Durability durability, unsigned group_ms);
Result<void> check_max_vectors(const char* what, std::uint64_t max_vectors);
Result<void> check_search(const char* what, const SearchParams& params);
// invalid_argument, dimension_mismatch, not_finite.
Result<void> check_vector(const char* what, VectorView vector, const IndexParams& params,
                          Purpose purpose);
// The same but for the components.
Result<void> check_matrix(const char* what, const MatrixView& rows, const IndexParams& params,
                          Purpose purpose);

}  // namespace cairn
