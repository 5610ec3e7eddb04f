// SPDX-License-Identifier: Apache-2.0
//
// SIGINT and SIGTERM as a stop flag for something long.
#pragma once

#include <csignal>

#include <atomic>

namespace cairn::tools {

// While it lives, SIGINT and SIGTERM set the flag instead of ending the process. One at a time.
class StopOnSignal {
 public:
  StopOnSignal();
  ~StopOnSignal();
  StopOnSignal(const StopOnSignal&) = delete;
  StopOnSignal& operator=(const StopOnSignal&) = delete;

  const std::atomic<bool>* flag() const;
  bool is_set() const { return flag()->load(); }

 private:
  struct sigaction old_int_ {};
  struct sigaction old_term_ {};
};

}  // namespace cairn::tools
