#include "cli/console.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>

#if defined(_WIN32)
#include <io.h>
#else
#include <unistd.h>
#endif

namespace elms_cli {

void print_json(const Json& json) {
  const std::string text = json.dump(2, ' ', false, Json::error_handler_t::replace);
  std::printf("%s\n", text.c_str());
}

void Table::print() const {
  std::vector<std::size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()), 0);
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  }
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t c = 0; c < row.size(); ++c) {
      const std::string padding(widths[c] - row[c].size(), ' ');
      line += c == 0 ? row[c] + padding : "  " + padding + row[c];
    }
    line.erase(line.find_last_not_of(' ') + 1);
    std::printf("%s\n", line.c_str());
  }
}

std::string fixed(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string readable_bytes(std::uint64_t bytes) {
  const auto n = static_cast<double>(bytes);
  if (n >= 1e9) return fixed(n / 1e9, 2) + " GB";
  if (n >= 1e6) return fixed(n / 1e6, 1) + " MB";
  if (n >= 1e3) return fixed(n / 1e3, 1) + " KB";
  return std::to_string(bytes) + " B";
}

std::string readable_count(std::uint64_t count) {
  const auto n = static_cast<double>(count);
  if (n >= 1e9) return fixed(n / 1e9, 2) + " B";
  if (n >= 1e6) return fixed(n / 1e6, 1) + " M";
  if (n >= 1e3) return fixed(n / 1e3, 1) + " K";
  return std::to_string(count);
}

namespace {

// A signal handler reaches only what is static.
elms::CancelToken interrupted;

void on_interrupt(int) {
  interrupted.cancel();
  std::signal(SIGINT, SIG_DFL);
}

}  // namespace

bool stderr_is_terminal() {
#if defined(_WIN32)
  return _isatty(_fileno(stderr)) != 0;
#else
  return isatty(STDERR_FILENO) != 0;
#endif
}

bool stdout_is_terminal() {
#if defined(_WIN32)
  return _isatty(_fileno(stdout)) != 0;
#else
  return isatty(STDOUT_FILENO) != 0;
#endif
}

std::string readable_seconds(double seconds) {
  const auto whole = static_cast<long>(seconds + 0.5);
  if (whole < 60) return std::to_string(whole) + " s";
  if (whole < 3600) return std::to_string(whole / 60) + " min " + std::to_string(whole % 60) + " s";
  return std::to_string(whole / 3600) + " h " + std::to_string(whole % 3600 / 60) + " min";
}

InterruptGuard::InterruptGuard() {
  interrupted.reset();
  std::signal(SIGINT, on_interrupt);
}

InterruptGuard::~InterruptGuard() {
  std::signal(SIGINT, SIG_DFL);
}

const elms::CancelToken& InterruptGuard::token() const noexcept {
  return interrupted;
}

ProgressBar::ProgressBar() : visible_(stderr_is_terminal()) {}

ProgressBar::~ProgressBar() {
  if (drawn_) std::fputs("\r\x1b[K", stderr);
}

void ProgressBar::update(const elms::offline::Progress& progress) {
  constexpr int kCells = 30;
  if (!visible_) return;
  const Clock::time_point now = Clock::now();
  if (phase_ != progress.phase) {
    phase_ = progress.phase;
    phase_start_ = now;
    first_fraction_ = progress.fraction;
  }
  const double fraction = std::clamp(progress.fraction, 0.0, 1.0);
  const int filled = static_cast<int>(fraction * kCells);
  const std::string bar = std::string(static_cast<std::size_t>(filled), '#') +
                          std::string(static_cast<std::size_t>(kCells - filled), '.');
  const double elapsed = std::chrono::duration<double>(now - phase_start_).count();
  const double advanced = fraction - first_fraction_;
  const std::string left =
      advanced > 0.0 ? readable_seconds(elapsed * (1.0 - fraction) / advanced) + " left" : std::string();
  std::fprintf(stderr, "\r\x1b[K%-10s [%s] %3.0f%%  %s", phase_.c_str(), bar.c_str(), 100.0 * fraction,
               left.c_str());
  std::fflush(stderr);
  drawn_ = true;
}

elms::offline::ProgressCallback ProgressBar::callback(const InterruptGuard& interrupt) {
  return [this, &interrupt](const elms::offline::Progress& progress) {
    update(progress);
    return interrupt.token().cancelled() ? elms::Flow::kStop : elms::Flow::kContinue;
  };
}

}  // namespace elms_cli
