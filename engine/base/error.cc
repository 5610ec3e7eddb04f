// SPDX-License-Identifier: Apache-2.0
#include <cairn/error.h>

namespace cairn {

const char* error_name(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::invalid_argument: return "invalid_argument";
    case ErrorCode::dimension_mismatch: return "dimension_mismatch";
    case ErrorCode::not_finite: return "not_finite";
    case ErrorCode::key_exists: return "key_exists";
    case ErrorCode::key_not_found: return "key_not_found";
    case ErrorCode::unsupported: return "unsupported";
    case ErrorCode::read_only: return "read_only";
    case ErrorCode::not_empty: return "not_empty";
    case ErrorCode::io_error: return "io_error";
    case ErrorCode::no_space: return "no_space";
    case ErrorCode::path_exists: return "path_exists";
    case ErrorCode::path_not_found: return "path_not_found";
    case ErrorCode::path_in_use: return "path_in_use";
    case ErrorCode::permission_denied: return "permission_denied";
    case ErrorCode::out_of_memory: return "out_of_memory";
    case ErrorCode::not_a_cairn_file: return "not_a_cairn_file";
    case ErrorCode::version_unsupported: return "version_unsupported";
    case ErrorCode::feature_unsupported: return "feature_unsupported";
    case ErrorCode::corrupt: return "corrupt";
    case ErrorCode::truncated: return "truncated";
    case ErrorCode::data_loss: return "data_loss";
    case ErrorCode::cancelled: return "cancelled";
    case ErrorCode::deadline_exceeded: return "deadline_exceeded";
    case ErrorCode::poisoned: return "poisoned";
    case ErrorCode::busy: return "busy";
    case ErrorCode::internal: return "internal";
  }
  return "unknown";
}

}  // namespace cairn
