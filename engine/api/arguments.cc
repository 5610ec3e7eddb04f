// SPDX-License-Identifier: Apache-2.0
#include "engine/api/arguments.h"

#include <string>
#include <utility>

#include "engine/store/node_store.h"
#include "engine/vectors/components.h"
#include "engine/vectors/metric.h"
#include "format/bytes/limits.h"
#include "simd/kernels.h"

namespace cairn {

namespace {

using format::kMaxEfConstruction;
using format::kMaxM;
using format::kMinM;

std::size_t component_alignment(Scalar scalar) {
  switch (scalar) {
    case Scalar::f32: return alignof(float);
    case Scalar::f16:
    case Scalar::bf16: return alignof(std::uint16_t);
    case Scalar::i8:
    case Scalar::b1: break;
  }
  return 1;
}

Result<void> check_kind(const char* what, const char* given, Scalar scalar,
                        const IndexParams& params, Purpose purpose) {
  const bool half = params.scalar == Scalar::f16 || params.scalar == Scalar::bf16;
  if (scalar == params.scalar) return {};
  if (purpose == Purpose::query && half && scalar == Scalar::f32) return {};
  return Error(ErrorCode::invalid_argument, std::string(what) + ": " + given + " " +
                                                name_of(scalar) + ", the index holds " +
                                                name_of(params.scalar));
}

}  // namespace

Result<void> check_simd() {
  if (const char* problem = simd::active().problem) {
    return Error(ErrorCode::unsupported, std::string("CAIRN_SIMD: ") + problem);
  }
  return {};
}

Result<void> check_params(const IndexParams& params) {
  const auto invalid = [](std::string message) {
    return Error(ErrorCode::invalid_argument, "create: " + std::move(message));
  };
  if (params.dimensions == 0 || params.dimensions > format::kMaxDimensions) {
    return invalid("dimensions is " + std::to_string(params.dimensions) + ", must be 1 to " +
                   std::to_string(format::kMaxDimensions));
  }
  if (!exists(params.metric)) {
    return invalid("metric " + std::to_string(static_cast<std::uint8_t>(params.metric)) +
                   " is unknown");
  }
  if (params.scalar < Scalar::f32 || params.scalar > Scalar::b1) {
    return invalid("scalar " + std::to_string(static_cast<std::uint8_t>(params.scalar)) +
                   " is unknown");
  }
  if (params.traversal > Traversal::exact) {
    return invalid("traversal " + std::to_string(static_cast<std::uint8_t>(params.traversal)) +
                   " is unknown");
  }
  if (params.m < kMinM || params.m > kMaxM) {
    return invalid("m is " + std::to_string(params.m) + ", must be " + std::to_string(kMinM) +
                   " to " + std::to_string(kMaxM));
  }
  if (params.ef_construction == 0 || params.ef_construction > kMaxEfConstruction) {
    return invalid("ef_construction is " + std::to_string(params.ef_construction) +
                   ", must be 1 to " + std::to_string(kMaxEfConstruction));
  }
  const std::string kind = name_of(params.scalar);
  if (!row_of(params.metric).goes_with(params.scalar)) {
    return invalid(params.scalar == Scalar::b1 ? "scalar b1 needs metric hamming, not " +
                                                     std::string(name_of(params.metric))
                                               : "metric hamming needs scalar b1, not " + kind);
  }
  if (params.traversal == Traversal::code &&
      (params.scalar == Scalar::i8 || params.scalar == Scalar::b1)) {
    return invalid("scalar " + kind + " has no codes: traversal must be automatic or exact");
  }
  return {};
}

Result<void> check_vector(const char* what, VectorView vector, const IndexParams& params,
                          Purpose purpose) {
  if (auto ok = check_kind(what, "the vector is", vector.scalar(), params, purpose); !ok) return ok;
  if (vector.dims() != params.dimensions) {
    return Error(ErrorCode::dimension_mismatch,
                 std::string(what) + ": the vector has " + std::to_string(vector.dims()) +
                     " dimensions, the index " + std::to_string(params.dimensions));
  }
  if (vector.data() == nullptr) {
    return Error(ErrorCode::invalid_argument, std::string(what) + ": the vector is null");
  }
  if (!well_formed(vector)) return defect_of(vector).with_context(what);
  return {};
}

Result<void> check_durability(const char* what, Durability durability, unsigned group_ms) {
  if (durability < Durability::sync || durability > Durability::none) {
    return Error(ErrorCode::invalid_argument, std::string(what) + ": durability " +
                                                  std::to_string(static_cast<int>(durability)) +
                                                  " is unknown");
  }
  if (durability != Durability::group || group_ms != 0) return {};
  return Error(
      ErrorCode::invalid_argument,
      std::string(what) + ": group_ms is 0; Durability::sync waits for the disk each time");
}

Result<void> check_max_vectors(const char* what, std::uint64_t max_vectors) {
  if (max_vectors <= kMaxNodes) return {};
  return Error(ErrorCode::invalid_argument,
               std::string(what) + ": max_vectors is " + std::to_string(max_vectors) +
                   "; one index holds at most " + std::to_string(kMaxNodes));
}

Result<void> check_search(const char* what, const SearchParams& params) {
  const auto fail = [&](const char* problem) {
    return Error(ErrorCode::invalid_argument, std::string(what) + ": " + problem);
  };
  if (params.k == 0) return fail("k is 0");
  if (params.plan > Plan::exact) {
    return fail(
        ("plan " + std::to_string(static_cast<unsigned>(params.plan)) + " is unknown").c_str());
  }
  if (params.rerank != nullptr && !*params.rerank) return fail("rerank is empty");
  return {};
}

Result<void> check_matrix(const char* what, const MatrixView& rows, const IndexParams& params,
                          Purpose purpose) {
  const auto fail = [&](ErrorCode code, std::string message) {
    return Error(code, std::string(what) + ": " + std::move(message));
  };
  if (auto ok = check_kind(what, "the rows are", rows.scalar, params, purpose); !ok) return ok;
  if (rows.dims != params.dimensions) {
    return fail(ErrorCode::dimension_mismatch, "the rows have " + std::to_string(rows.dims) +
                                                   " dimensions, the index " +
                                                   std::to_string(params.dimensions));
  }
  if (rows.rows == 0) return {};
  if (rows.data == nullptr) return fail(ErrorCode::invalid_argument, "the rows are null");
  if (rows.stride_bytes < vector_bytes(rows.scalar, rows.dims) ||
      rows.stride_bytes % component_alignment(rows.scalar) != 0) {
    return fail(ErrorCode::invalid_argument,
                "a stride of " + std::to_string(rows.stride_bytes) + " bytes does not fit " +
                    std::to_string(rows.dims) + " dimensions of " + name_of(rows.scalar));
  }
  return {};
}

}  // namespace cairn
