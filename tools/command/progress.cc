// SPDX-License-Identifier: Apache-2.0
#include "tools/command/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "tools/command/command.h"

namespace cairn::tools {
namespace {

constexpr auto kBarAfter = std::chrono::seconds(1);
constexpr auto kBarEvery = std::chrono::milliseconds(100);
constexpr auto kLineEvery = std::chrono::seconds(1);

int terminal_columns(std::FILE* out) {
  winsize size{};
  if (::ioctl(::fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

std::uint64_t rate(std::size_t done, double seconds) {
  return seconds > 0 ? static_cast<std::uint64_t>(static_cast<double>(done) / seconds) : 0;
}

}  // namespace

ProgressStyle progress_style(bool wanted) {
  if (!wanted) return ProgressStyle::none;
  return ::isatty(STDERR_FILENO) == 1 ? ProgressStyle::bar : ProgressStyle::lines;
}

std::string clock_text(double seconds) {
  const auto whole = static_cast<unsigned long long>(std::max(seconds, 0.0) + 0.5);
  std::array<char, 48> text;
  if (whole >= 3600) {
    std::snprintf(text.data(), text.size(), "%llu:%02llu:%02llu", whole / 3600, whole / 60 % 60,
                  whole % 60);
  } else {
    std::snprintf(text.data(), text.size(), "%llu:%02llu", whole / 60, whole % 60);
  }
  return text.data();
}

Progress::Progress(std::string label, std::string unit, ProgressStyle style, std::FILE* out)
    : label_(std::move(label)),
      unit_(std::move(unit)),
      style_(style),
      out_(out),
      begin_(Clock::now()),
      last_(begin_) {}

Progress::~Progress() { clear(); }

void Progress::update(std::size_t done, std::size_t total, Clock::time_point now) {
  if (style_ == ProgressStyle::none || ended_ || total == 0) return;
  const double seconds = std::chrono::duration<double>(now - begin_).count();
  ended_ = done >= total;
  if (style_ == ProgressStyle::bar) {
    if (ended_) return clear();
    if (now - begin_ < kBarAfter || now - last_ < kBarEvery) return;
    last_ = now;
    return draw_bar(done, total, seconds);
  }
  const std::size_t tenth = done * 10 / total;
  if (!ended_ && (tenth == last_tenth_ || now - last_ < kLineEvery)) return;
  last_ = now;
  last_tenth_ = tenth;
  print_line(done, total, seconds);
}

void Progress::clear() {
  if (!drawn_) return;
  std::fprintf(out_, "\r\033[K");
  std::fflush(out_);
  drawn_ = false;
}

void Progress::draw_bar(std::size_t done, std::size_t total, double seconds) {
  const double part = static_cast<double>(done) / static_cast<double>(total);
  std::string left = "?";
  if (done > 0) left = clock_text(seconds / part - seconds);
  std::array<char, 160> tail;
  std::snprintf(tail.data(), tail.size(), "] %3.0f %%  %s %s/s  %s left", part * 100,
                with_commas(rate(done, seconds)).c_str(), unit_.c_str(), left.c_str());
  const std::string head = label_ + " [";
  const int room = terminal_columns(out_) -
                   static_cast<int>(head.size() + std::char_traits<char>::length(tail.data())) - 1;
  const auto width = static_cast<std::size_t>(std::clamp(room, 4, 40));
  std::string bar(width, ' ');
  std::fill_n(bar.begin(), static_cast<std::size_t>(part * static_cast<double>(width)), '#');
  std::fprintf(out_, "\r%s%s%s\033[K", head.c_str(), bar.c_str(), tail.data());
  std::fflush(out_);
  drawn_ = true;
}

void Progress::print_line(std::size_t done, std::size_t total, double seconds) {
  std::string text = label_ + ": " + with_commas(done) + " of " + with_commas(total) + " " + unit_;
  if (!ended_ && done > 0) {
    const double left = seconds * static_cast<double>(total - done) / static_cast<double>(done);
    text += ", " + clock_text(left) + " left";
  } else if (ended_) {
    text += " in " + human_seconds(seconds);
  }
  std::fprintf(out_, "%s\n", text.c_str());
  std::fflush(out_);
}

}  // namespace cairn::tools
