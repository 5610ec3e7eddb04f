// SPDX-License-Identifier: Apache-2.0
//
// What a search has spent, and where it must end: after so many distances, at a moment, or when
// somebody says so. A clock is read once in thousands of distances.
//
// Thread-safety: none.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace cairn {

class Effort {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();
  // What reading a neighbor list costs, in distances.
  static constexpr std::uint64_t kListCost = 4;

  struct Limits {
    std::uint64_t distances = kNoLimit;
    Clock::time_point deadline = {};  // none: the clock's epoch
    const std::atomic<bool>* stop = nullptr;
    std::uint64_t between_looks = 1024;  // distances, after which clock and flag are looked at
  };

  // Nothing is spent; over at once if the deadline has passed.
  void begin(const Limits& limits) {
    *this = Effort();
    limits_ = limits;
    ask();
  }

  // So much work, distances and lists together, ends the walk without making the search partial.
  void bound_walk(std::uint64_t most_work) {
    most_work_ = most_work;
    plan_next_look();
  }
  // The same from now on.
  void end_walk() { is_walked_out_ = true; }
  void unbound_walk() {
    most_work_ = kNoLimit;
    is_walked_out_ = false;
    plan_next_look();
  }

  // Counts a list, and `n` distances that are to be computed. Returns how many of them may be.
  std::size_t take(std::size_t n) {
    distances_ += n;
    ++lists_;
    return work() < next_look_ ? n : look(n);
  }
  // The same of distances alone.
  std::size_t take_rows(std::size_t n) {
    distances_ += n;
    return work() < next_look_ ? n : look(n);
  }

  // The search ends with what it has.
  bool is_over() const { return is_over_; }
  // The same for want of time, as of now.
  bool is_late() {
    ask();
    return is_late_;
  }
  // The walk ends, the search goes on without it.
  bool is_walked_out() const { return is_walked_out_ || is_over_; }
  std::uint64_t distances() const { return distances_; }
  std::uint64_t lists() const { return lists_; }
  std::uint64_t work() const { return distances_ + kListCost * lists_; }

  // Looks at clock and flag now.
  void ask() {
    const bool is_stopped =
        limits_.stop != nullptr && limits_.stop->load(std::memory_order_relaxed);
    const bool has_deadline = limits_.deadline != Clock::time_point();
    is_late_ |= is_stopped || (has_deadline && Clock::now() >= limits_.deadline);
    is_over_ |= is_late_;
    plan_next_look();
  }

 private:
  std::size_t look(std::size_t n) {
    if (distances_ > limits_.distances) {
      n -= std::min<std::uint64_t>(n, distances_ - limits_.distances);
      distances_ = limits_.distances;
      is_over_ = true;
    }
    if (work() >= most_work_) is_walked_out_ = true;
    ask();
    return n;
  }

  void plan_next_look() {
    const bool asks = limits_.stop != nullptr || limits_.deadline != Clock::time_point();
    const std::uint64_t asked = asks ? work() + limits_.between_looks : kNoLimit;
    next_look_ = std::min({asked, limits_.distances, most_work_});
  }

  Limits limits_;
  std::uint64_t distances_ = 0;
  std::uint64_t lists_ = 0;
  std::uint64_t most_work_ = kNoLimit;
  std::uint64_t next_look_ = kNoLimit;  // in work
  bool is_over_ = false;
  bool is_late_ = false;
  bool is_walked_out_ = false;
};

}  // namespace cairn
