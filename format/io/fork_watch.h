// SPDX-License-Identifier: Apache-2.0
//
// What becomes of open files, locks and threads when the process forks. The child has copies of all
// memory, but shares open files with the parent, and none of the other threads goes on there: what
// they had locked stays locked.
//
// Thread-safety: any thread.
#pragma once

#include <sys/types.h>

namespace cairn::format {

// The process in which an object was made, as opposed to children of it that have a copy.
class HomeProcess {
 public:
  HomeProcess();
  bool is_here() const noexcept;

 private:
  pid_t process_;
};

// Calls in_child(object) in the child right after each fork, where only the thread that forked
// exists, as long as it lives. Not after what passes by pthread_atfork, such as a clone() of one's
// own: HomeProcess notices that, too.
class ForkWatch {
 public:
  using InChild = void (*)(void* object) noexcept;
  ForkWatch(InChild in_child, void* object);
  ForkWatch(const ForkWatch&) = delete;
  ForkWatch& operator=(const ForkWatch&) = delete;
  ~ForkWatch();

 private:
  friend struct ForkWatches;
  InChild in_child_;
  void* object_;
  ForkWatch* before_ = nullptr;
  ForkWatch* after_ = nullptr;
};

}  // namespace cairn::format
