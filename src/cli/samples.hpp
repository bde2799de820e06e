// What repeated measurements say.
#pragma once

#include <algorithm>
#include <vector>

namespace elms_cli {

/// Measurements of one thing. median() and spread() need at least one.
struct Samples {
  std::vector<double> values;

  void add(double value) { values.push_back(value); }

  [[nodiscard]] double median() const {
    std::vector<double> sorted = values;
    std::sort(sorted.begin(), sorted.end());
    const std::size_t n = sorted.size();
    return n % 2 == 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0;
  }
  [[nodiscard]] double least() const { return *std::min_element(values.begin(), values.end()); }
  [[nodiscard]] double greatest() const { return *std::max_element(values.begin(), values.end()); }
  /// Greatest minus least, over the median.
  [[nodiscard]] double spread() const { return (greatest() - least()) / median(); }
};

}  // namespace elms_cli
