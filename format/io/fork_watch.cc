// SPDX-License-Identifier: Apache-2.0
#include "format/io/fork_watch.h"

#include <pthread.h>
#include <unistd.h>

#include <mutex>

namespace cairn::format {

// All that live, in a list. Nobody forks while it is changed. It is never destroyed: indexes may be
// at the end of a program.
struct ForkWatches {
  std::mutex mutex;
  ForkWatch* first = nullptr;

  static ForkWatches& all() {
    static ForkWatches& watches = *new ForkWatches;
    return watches;
  }
  ForkWatches() {
    // If there is no memory for it, only HomeProcess notices a fork.
    (void)::pthread_atfork([] { all().mutex.lock(); }, [] { all().mutex.unlock(); },
                           [] {
                             for (ForkWatch* one = all().first; one != nullptr; one = one->after_) {
                               one->in_child_(one->object_);
                             }
                             all().mutex.unlock();
                           });
  }
};

HomeProcess::HomeProcess() : process_(::getpid()) {}

bool HomeProcess::is_here() const noexcept { return ::getpid() == process_; }

ForkWatch::ForkWatch(InChild in_child, void* object) : in_child_(in_child), object_(object) {
  ForkWatches& watches = ForkWatches::all();
  const std::lock_guard lock(watches.mutex);
  after_ = watches.first;
  if (after_ != nullptr) after_->before_ = this;
  watches.first = this;
}

ForkWatch::~ForkWatch() {
  ForkWatches& watches = ForkWatches::all();
  const std::lock_guard lock(watches.mutex);
  if (after_ != nullptr) after_->before_ = before_;
  (before_ != nullptr ? before_->after_ : watches.first) = after_;
}

}  // namespace cairn::format
