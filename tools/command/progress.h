// SPDX-License-Identifier: Apache-2.0
//
// Progress of something long on standard error: a bar with rate and time left on a terminal, once
// it has taken a second; otherwise a plain line for each tenth, at most one a second, and one at
// the end.
//
// Thread-safety: none; calls come from one thread at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <string>

namespace cairn::tools {

enum class ProgressStyle { none, lines, bar };

// none if the user wants to see nothing; else by what standard error is.
ProgressStyle progress_style(bool wanted);

class Progress {
 public:
  using Clock = std::chrono::steady_clock;

  // `label` is what is being done ("build"), `unit` what is counted ("vectors").
  Progress(std::string label, std::string unit, ProgressStyle style, std::FILE* out = stderr);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(std::size_t done, std::size_t total) { update(done, total, Clock::now()); }
  void update(std::size_t done, std::size_t total, Clock::time_point now);

  // Takes the bar off the terminal.
  void clear();

 private:
  void draw_bar(std::size_t done, std::size_t total, double seconds);
  void print_line(std::size_t done, std::size_t total, double seconds);

  std::string label_;
  std::string unit_;
  ProgressStyle style_;
  std::FILE* out_;
  Clock::time_point begin_;
  Clock::time_point last_;
  std::size_t last_tenth_ = 0;
  bool ended_ = false;
  bool drawn_ = false;
};

// "0:07", "12:34", "1:02:03"
std::string clock_text(double seconds);

}  // namespace cairn::tools
