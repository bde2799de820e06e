// What commands print: JSON, tables, numbers as people read them, a progress bar; and how Ctrl-C reaches
// them.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "elms/offline/progress.hpp"
#include "elms/types.hpp"

namespace elms_cli {

/// Keys keep the order in which they were written.
using Json = nlohmann::ordered_json;

/// To stdout, indented; text that is not UTF-8 is replaced, not refused.
void print_json(const Json& json);

/// Rows of text with aligned columns: the first to the left, the others to the right.
class Table {
 public:
  explicit Table(std::vector<std::string> header) : rows_{std::move(header)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  void print() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

/// With a fixed number of digits after the point.
std::string fixed(double value, int digits);
/// In B, KB, MB or GB (powers of 1000).
std::string readable_bytes(std::uint64_t bytes);
/// "45 s", "3 min 20 s", "2 h 5 min".
std::string readable_seconds(double seconds);
/// In thousands, millions or billions: "1.10 B".
std::string readable_count(std::uint64_t count);

[[nodiscard]] bool stderr_is_terminal();
[[nodiscard]] bool stdout_is_terminal();

/// While it lives, Ctrl-C sets the token; a second Ctrl-C ends the process as usual. One at a time.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  [[nodiscard]] const elms::CancelToken& token() const noexcept;
};

/// A line on stderr that shows how far a phase is and when it will be done; nothing where stderr is no
/// terminal.
class ProgressBar {
 public:
  ProgressBar();
  ~ProgressBar();  ///< wipes the line
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void update(const elms::offline::Progress& progress);
  /// For work of the offline library: shows, and stops the work when `interrupt` was hit. Both must outlive
  /// the work.
  [[nodiscard]] elms::offline::ProgressCallback callback(const InterruptGuard& interrupt);

 private:
  using Clock = std::chrono::steady_clock;
  bool visible_;
  bool drawn_ = false;
  std::string phase_;
  double first_fraction_ = 0.0;
  Clock::time_point phase_start_;
};

}  // namespace elms_cli
