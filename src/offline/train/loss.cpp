// Losses over logits, and their gradients.
#include <algorithm>
#include <cmath>

#include "offline/train/ops.hpp"

namespace elms::inline v0::offline::train {
namespace {

/// log(sum(exp(row))).
template <typename T>
double log_sum_exp(const T* row, std::size_t n) {
  const T largest = *std::max_element(row, row + n);
  double total = 0.0;
  for (std::size_t i = 0; i < n; ++i) total += static_cast<double>(std::exp(row[i] - largest));
  return static_cast<double>(largest) + std::log(total);
}

double mean_of(const double* row_loss, std::size_t n_rows, std::size_t n_counted) {
  double sum = 0.0;
  for (std::size_t r = 0; r < n_rows; ++r) sum += row_loss[r];
  return n_counted == 0 ? 0.0 : sum / static_cast<double>(n_counted);
}

}  // namespace

template <typename T>
double cross_entropy(ThreadPool& pool, std::span<const TokenId> targets, std::size_t n_vocab, const T* logits,
                     T* d_logits, double* row_loss) {
  const auto n_ignored = static_cast<std::size_t>(std::count(targets.begin(), targets.end(), kIgnoredTarget));
  const std::size_t n_counted = targets.size() - n_ignored;
  const T weight = n_counted == 0 ? T{0} : T{1} / static_cast<T>(n_counted);
  pool.parallel_for(targets.size(), [&](std::size_t r) {
    const T* row = logits + r * n_vocab;
    T* gradient = d_logits == nullptr ? nullptr : d_logits + r * n_vocab;
    row_loss[r] = 0.0;
    if (targets[r] == kIgnoredTarget) {
      if (gradient != nullptr) std::fill_n(gradient, n_vocab, T{0});
      return;
    }
    const auto target = static_cast<std::size_t>(targets[r]);
    const double normaliser = log_sum_exp(row, n_vocab);
    row_loss[r] = normaliser - static_cast<double>(row[target]);
    if (gradient == nullptr) return;
    for (std::size_t i = 0; i < n_vocab; ++i)
      gradient[i] = std::exp(row[i] - static_cast<T>(normaliser)) * weight;
    gradient[target] -= weight;
  });
  return mean_of(row_loss, targets.size(), n_counted);
}

template <typename T>
double kl_divergence(ThreadPool& pool, std::size_t n, std::size_t n_vocab, const T* teacher, const T* logits,
                     T* d_logits, double* row_loss) {
  const T weight = n == 0 ? T{0} : T{1} / static_cast<T>(n);
  pool.parallel_for(n, [&](std::size_t r) {
    const T* wanted = teacher + r * n_vocab;
    const T* row = logits + r * n_vocab;
    const double wanted_normaliser = log_sum_exp(wanted, n_vocab), normaliser = log_sum_exp(row, n_vocab);
    double loss = 0.0;
    for (std::size_t i = 0; i < n_vocab; ++i) {
      const double log_p = static_cast<double>(wanted[i]) - wanted_normaliser;
      const double log_q = static_cast<double>(row[i]) - normaliser, p = std::exp(log_p);
      loss += p * (log_p - log_q);
      if (d_logits != nullptr) d_logits[r * n_vocab + i] = static_cast<T>(std::exp(log_q) - p) * weight;
    }
    row_loss[r] = loss;
  });
  return mean_of(row_loss, n, n);
}

#define ELMS_TRAIN_LOSSES(T)                                                                                \
  template double cross_entropy(ThreadPool&, std::span<const TokenId>, std::size_t, const T*, T*, double*); \
  template double kl_divergence(ThreadPool&, std::size_t, std::size_t, const T*, const T*, T*, double*);
ELMS_TRAIN_LOSSES(float)
ELMS_TRAIN_LOSSES(double)
#undef ELMS_TRAIN_LOSSES

}  // namespace elms::inline v0::offline::train
