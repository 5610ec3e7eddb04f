// SPDX-License-Identifier: Apache-2.0
#include "format/io/fault_guard.h"

#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <cstdint>
#include <mutex>
#include <system_error>

namespace cairn::format {
namespace {

struct GuardedCall {
  std::span<const AddressRange> ranges;
  GuardedCall* outer;
  sigjmp_buf edge;
};

// Memory of the thread from its beginning: a signal handler must not be what asks for it.
__attribute__((tls_model("initial-exec"))) thread_local GuardedCall* volatile innermost = nullptr;

struct sigaction before_us;  // written once, before the handler can run

bool is_in(const GuardedCall& call, const void* address) {
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  for (const AddressRange& range : call.ranges) {
    const auto begin = reinterpret_cast<std::uintptr_t>(range.begin);
    if (at >= begin && at - begin < range.size) return true;
  }
  return false;
}

// What would have happened without us.
void hand_on(int signal, siginfo_t* info, void* context) {
  if ((before_us.sa_flags & SA_SIGINFO) != 0) {
    before_us.sa_sigaction(signal, info, context);
  } else if (before_us.sa_handler != SIG_DFL && before_us.sa_handler != SIG_IGN) {
    before_us.sa_handler(signal);
  } else if (info->si_code > 0 || before_us.sa_handler == SIG_DFL) {
    // A fault cannot be ignored: the instruction runs again, or the signal comes again, and ends
    // the process.
    struct sigaction plain {};
    plain.sa_handler = SIG_DFL;
    (void)::sigaction(signal, &plain, nullptr);
    if (info->si_code <= 0) (void)::raise(signal);
  }
}

// A fault has a positive code; what another process sends has not, and tells no address.
void handle(int signal, siginfo_t* info, void* context) {
  for (GuardedCall* call = innermost; call != nullptr && info->si_code > 0; call = call->outer) {
    if (is_in(*call, info->si_addr)) siglongjmp(call->edge, 1);
  }
  hand_on(signal, info, context);
}

}  // namespace

Result<void> install_fault_guard() {
  static std::mutex mutex;
  static bool installed = false;  // guarded by mutex
  const std::lock_guard lock(mutex);
  if (installed) return {};
  struct sigaction ours {};
  ours.sa_sigaction = handle;
  // SIGBUS is not blocked in the handler, so leaving it by a jump leaves no mask to be put right:
  // the edge of a guarded call costs no system call.
  ours.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK | SA_RESTART;
  (void)::sigemptyset(&ours.sa_mask);
  if (::sigaction(SIGBUS, nullptr, &before_us) != 0 || ::sigaction(SIGBUS, &ours, nullptr) != 0) {
    return Error(ErrorCode::io_error,
                 "guard: sigaction: " + std::generic_category().message(errno));
  }
  installed = true;
  return {};
}

bool survives_faults(std::span<const AddressRange> ranges, void (*body)(void*), void* context) {
  struct Guard {
    GuardedCall call;
    ~Guard() { innermost = call.outer; }
  };
  Guard guard{{ranges, innermost, {}}};
  if (sigsetjmp(guard.call.edge, 0) != 0) return false;
  innermost = &guard.call;
  body(context);
  return true;
}

}  // namespace cairn::format
