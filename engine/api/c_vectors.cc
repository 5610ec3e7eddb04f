// SPDX-License-Identifier: Apache-2.0
//
// The C interface where vectors are stored and given back.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <cairn/c.h>
#include <cairn/convert.h>
#include <cairn/index.h>

#include "engine/api/c_call.h"
#include "engine/api/c_options.h"
#include "engine/api/c_rows.h"

namespace cairn::c {

namespace {

using Change = Result<void> (Index::*)(Key, VectorView);

int change(const char* call, cairn_index* index, std::uint64_t key, const cairn_vector* vector,
           Change method) {
  return on_index(call, index, [&](Index& it) -> Result<void> {
    const auto given = view_of(call, "vector", vector);
    if (!given) return given.error();
    const auto rows = Rows::of(it.params(), kind_to_store(it), *given);
    if (!rows) return rows.error().with_context(call);
    return (it.*method)(key, rows->view().row(0));
  });
}

Result<void> build(Index& index, const std::uint64_t* keys, const cairn_matrix* matrix,
                   const BuildOptions& options) {
  const auto given = view_of("build", "rows", matrix);
  if (!given) return given.error();
  if (given->rows != 0 && keys == nullptr) return null_argument("build", "keys");
  const auto rows = Rows::of(index.params(), kind_to_store(index), *given);
  if (!rows) return rows.error().with_context("build");
  return index.build(std::span<const Key>(keys, given->rows), rows->view(), options);
}

Result<void> build_file(const char* path, const cairn_params* given, const std::uint64_t* keys,
                        const cairn_matrix* matrix, const cairn_build_options* options,
                        const cairn_save_options* save) {
  constexpr const char* kCall = "build_file";
  if (path == nullptr) return null_argument(kCall, "path");
  const auto params = params_of(given);
  if (!params) return params.error();
  const auto build_options = options_of(kCall, options);
  if (!build_options) return build_options.error();
  const auto save_options = options_of(kCall, save);
  if (!save_options) return save_options.error();
  const auto view = view_of(kCall, "rows", matrix);
  if (!view) return view.error();
  if (view->rows != 0 && keys == nullptr) return null_argument(kCall, "keys");
  const auto rows = Rows::of(*params, params->scalar, *view);
  if (!rows) return rows.error().with_context(kCall);
  return cairn::build_file(path, *params, std::span<const Key>(keys, view->rows), rows->view(),
                           *build_options, *save_options);
}

// Floats that are of kind `to` already, in memory that is aligned for it.
Result<void> write_as(Scalar to, std::span<const float> floats, void* out) {
  const std::size_t bytes = vector_bytes(to, floats.size());
  if (to != Scalar::i8) return convert(floats, to, {static_cast<std::byte*>(out), bytes});
  auto* integers = static_cast<std::int8_t*>(out);  // -128 may be stored, and is not converted to
  for (const float value : floats) *integers++ = static_cast<std::int8_t>(value);
  return {};
}

Result<void> get(const Index& index, std::uint64_t key, std::size_t i, std::uint8_t scalar,
                 void* out, std::size_t bytes) {
  if (out == nullptr) return null_argument("get", "out");
  const auto to = scalar_of("get", scalar);
  if (!to) return to.error();
  const IndexParams& params = index.params();
  const std::size_t dims = params.dimensions;
  if (*to == Scalar::f32) {
    const auto got =
        index.get(key, i, std::span<float>(static_cast<float*>(out), bytes / sizeof(float)));
    return got ? Result<void>() : got.error();
  }
  if (*to != params.scalar) {
    return Error(ErrorCode::invalid_argument,
                 "get: the vector is wanted in a kind that is neither f32 nor the index's");
  }
  if (bytes < vector_bytes(*to, dims)) {
    return Error(ErrorCode::dimension_mismatch, "get: room for " + std::to_string(bytes) +
                                                    " bytes, a vector has " +
                                                    std::to_string(vector_bytes(*to, dims)));
  }
  std::vector<float> floats(dims);
  if (const auto got = index.get(key, i, floats); !got) return got.error();
  auto written = write_as(*to, floats, out);
  return written ? written : written.error().with_context("get");
}

}  // namespace

}  // namespace cairn::c

extern "C" {

using cairn::Index;
using cairn::Result;

int cairn_add(cairn_index* index, uint64_t key, const float* vector, size_t dims) {
  const cairn_vector given = cairn::c::floats_of(vector, dims);
  return cairn_add_vector(index, key, &given);
}

int cairn_upsert(cairn_index* index, uint64_t key, const float* vector, size_t dims) {
  const cairn_vector given = cairn::c::floats_of(vector, dims);
  return cairn_upsert_vector(index, key, &given);
}

int cairn_add_vector(cairn_index* index, uint64_t key, const cairn_vector* vector) {
  return cairn::c::change("add", index, key, vector, &Index::add);
}

int cairn_upsert_vector(cairn_index* index, uint64_t key, const cairn_vector* vector) {
  return cairn::c::change("upsert", index, key, vector, &Index::upsert);
}

int cairn_build(cairn_index* index, const uint64_t* keys, const float* rows, size_t n, size_t dims,
                unsigned threads) {
  return cairn::c::on_index("build", index, [&](Index& it) {
    const cairn_matrix given = cairn::c::floats_of(rows, n, dims);
    cairn::BuildOptions options;
    options.threads = threads;
    return cairn::c::build(it, keys, &given, options);
  });
}

int cairn_build_with(cairn_index* index, const uint64_t* keys, const cairn_matrix* rows,
                     const cairn_build_options* options) {
  return cairn::c::on_index("build", index, [&](Index& it) -> Result<void> {
    const auto wanted = cairn::c::options_of("build", options);
    if (!wanted) return wanted.error();
    return cairn::c::build(it, keys, rows, *wanted);
  });
}

int cairn_build_file(const char* path, const cairn_params* params, const uint64_t* keys,
                     const cairn_matrix* rows, const cairn_build_options* options,
                     const cairn_save_options* save) {
  return cairn::c::guarded(
      "build_file", [&] { return cairn::c::build_file(path, params, keys, rows, options, save); });
}

int cairn_get(const cairn_index* index, uint64_t key, float* out, size_t dims) {
  return cairn::c::on_index("get", index, [&](const Index& it) -> Result<void> {
    if (out == nullptr) return cairn::c::null_argument("get", "out");
    const auto got = it.get(key, std::span<float>(out, dims));
    return got ? Result<void>() : got.error();
  });
}

int cairn_get_vector(const cairn_index* index, uint64_t key, uint8_t scalar, void* out,
                     size_t bytes) {
  return cairn_get_vector_at(index, key, 0, scalar, out, bytes);
}

int cairn_get_vector_at(const cairn_index* index, uint64_t key, size_t i, uint8_t scalar, void* out,
                        size_t bytes) {
  return cairn::c::on_index(
      "get", index, [&](const Index& it) { return cairn::c::get(it, key, i, scalar, out, bytes); });
}

size_t cairn_count(const cairn_index* index, uint64_t key) {
  size_t count = 0;
  cairn::c::on_index("count", index, [&](const Index& it) -> Result<void> {
    count = it.count(key);
    return {};
  });
  return count;
}

}  // extern "C"
