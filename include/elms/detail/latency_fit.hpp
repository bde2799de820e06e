// Non-negative least squares of relative errors, robust to outliers: how times become coefficients of a law.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace elms::inline v0::detail {

/// The q-quantile of ascending values, interpolated; 0 where there are none.
[[nodiscard]] inline double quantile(std::span<const double> ascending, double q) noexcept {
  if (ascending.empty()) return 0.0;
  const double at = std::clamp(q, 0.0, 1.0) * static_cast<double>(ascending.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, ascending.size() - 1);
  return ascending[below] + (at - static_cast<double>(below)) * (ascending[above] - ascending[below]);
}

/// Times the median distance from the middle: the standard deviation of normal values.
inline constexpr double kRobustDeviation = 1.4826;

[[nodiscard]] inline double median_of(std::vector<double> values) noexcept {
  std::sort(values.begin(), values.end());
  return quantile(values, 0.5);
}

/// x >= 0 that minimises x' A x / 2 - b' x for a symmetric positive semidefinite A [n, n]: coordinate
/// descent, which for a handful of unknowns is exact enough. The diagonal should be near 1. A coordinate
/// without curvature stays 0.
[[nodiscard]] inline std::vector<double> solve_non_negative(const std::vector<double>& a,
                                                            const std::vector<double>& b) {
  constexpr int kSweeps = 20000;
  const std::size_t n = b.size();
  std::vector<double> x(n, 0.0);
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    double moved = 0.0, size = 0.0;
    for (std::size_t i = 0; i < n; ++i) {
      const double curvature = a[i * n + i];
      if (curvature <= 1e-12) continue;
      double gradient = -b[i];
      for (std::size_t j = 0; j < n; ++j) gradient += a[i * n + j] * x[j];
      const double next = std::max(0.0, x[i] - gradient / curvature);
      moved += std::abs(next - x[i]);
      size += next;
      x[i] = next;
    }
    if (moved <= 1e-10 * size) break;
  }
  return x;
}

/// Times and what was done in them: row i of terms is [n_terms].
struct FitData {
  std::size_t n_terms = 0;
  std::vector<double> terms;    ///< [n_points, n_terms]
  std::vector<double> times;    ///< [n_points], ms, > 0
  std::vector<double> weights;  ///< [n_points]; empty: all 1

  void add(std::span<const double> row, double ms, double weight = 1.0) {
    terms.insert(terms.end(), row.begin(), row.end());
    times.push_back(ms);
    weights.push_back(weight);
  }
  [[nodiscard]] std::size_t n_points() const noexcept { return times.size(); }
};

[[nodiscard]] inline double predict(std::span<const double> coefficients,
                                    std::span<const double> terms) noexcept {
  double ms = 0.0;
  for (std::size_t i = 0; i < std::min(coefficients.size(), terms.size()); ++i)
    ms += coefficients[i] * terms[i];
  return ms;
}

/// One weighted fit: minimises the sum of weight * (predicted / time - 1)^2.
[[nodiscard]] inline std::vector<double> fit_once(const FitData& data, std::span<const double> weights) {
  const std::size_t n = data.n_terms;
  std::vector<double> scale(n, 0.0), a(n * n, 0.0), b(n, 0.0);
  double total = 0.0;
  for (const double weight : weights) total += weight;
  const auto value = [&](std::size_t point, std::size_t term) {
    return data.terms[point * n + term] / data.times[point];
  };
  for (std::size_t p = 0; p < data.n_points(); ++p) {
    for (std::size_t i = 0; i < n; ++i) scale[i] += weights[p] * value(p, i) * value(p, i) / total;
  }
  for (double& s : scale) s = s > 0.0 ? 1.0 / std::sqrt(s) : 0.0;
  for (std::size_t p = 0; p < data.n_points(); ++p) {
    for (std::size_t i = 0; i < n; ++i) {
      const double left = weights[p] / total * value(p, i) * scale[i];
      b[i] += left;
      for (std::size_t j = 0; j < n; ++j) a[i * n + j] += left * value(p, j) * scale[j];
    }
  }
  // A trace of ridge decides between terms that the points cannot tell apart.
  for (std::size_t i = 0; i < n; ++i) a[i * n + i] *= 1.0 + 1e-7;
  std::vector<double> x = solve_non_negative(a, b);
  for (std::size_t i = 0; i < n; ++i) x[i] *= scale[i];
  return x;
}

/// Coefficients [n_terms], all >= 0: a fit of relative errors, repeated with Tukey's weights so that points
/// far from the law do not bend it. Empty for no points.
[[nodiscard]] inline std::vector<double> fit_law(const FitData& data) {
  constexpr int kRounds = 8;
  if (data.n_points() == 0 || data.n_terms == 0) return {};
  std::vector<double> weights = data.weights;
  weights.resize(data.n_points(), 1.0);
  const std::vector<double> given = weights;
  std::vector<double> x = fit_once(data, weights);
  for (int round = 0; round < kRounds; ++round) {
    std::vector<double> errors(data.n_points()), sizes(data.n_points());
    for (std::size_t p = 0; p < data.n_points(); ++p) {
      const double predicted = predict(x, std::span(data.terms).subspan(p * data.n_terms, data.n_terms));
      errors[p] = std::log(std::max(predicted, 1e-9) / data.times[p]);
      sizes[p] = std::abs(errors[p]);
    }
    // 4.685 robust deviations, the usual cut; of a fit that is perfect, one in a thousand.
    const double cut =
        4.685 * std::max(kRobustDeviation * median_of(sizes), 1e-3 / 4.685) * (round < 2 ? 2.0 : 1.0);
    for (std::size_t p = 0; p < data.n_points(); ++p) {
      const double u = errors[p] / cut;
      weights[p] = std::abs(u) >= 1.0 ? given[p] * 1e-4 : given[p] * (1.0 - u * u) * (1.0 - u * u);
    }
    x = fit_once(data, weights);
  }
  return x;
}

}  // namespace elms::inline v0::detail
