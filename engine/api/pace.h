// SPDX-License-Identifier: Apache-2.0
//
// How something long that has several parts tells how far it is, and asks whether to go on.
#pragma once

#include <cstddef>
#include <cstdint>

#include <cairn/error.h>
#include <cairn/params.h>

#include "format/io/stop.h"

namespace cairn {

class Pace {
 public:
  // `count` units, each of which is met in all `parts`, one part after the other.
  Pace(const BuildOptions& options, std::uint64_t count, std::uint64_t parts)
      : options_(options), count_(count), parts_(parts) {}

  // `done` of count * parts.
  void show(std::uint64_t done) const {
    if (options_.progress && count_ != 0) options_.progress(done / parts_, count_);
  }
  Result<void> operator()(std::uint64_t done) const {
    show(done);
    return format::is_stopped(options_.stop) ? format::stopped() : Result<void>();
  }

 private:
  const BuildOptions& options_;
  const std::uint64_t count_;
  const std::uint64_t parts_;
};

}  // namespace cairn
