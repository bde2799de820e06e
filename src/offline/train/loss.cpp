// Losses over logits, and their gradients.
#include <algorithm>
#include <cmath>

#include "offline/train/ops.hpp"
#include "offline/train/rows.hpp"

namespace elms::inline v0::offline::train {
namespace {

/// sum(exp(row - shift)), and its terms in out where that is not null. out may be row.
template <typename T>
double exponentials(const T* row, std::size_t n, T shift, T* out) {
  T unused[kRowChunk];
  double total = 0.0;
  for_row_chunks(n, [&](std::size_t begin, std::size_t size) {
    total +=
        static_cast<double>(exp_sum(row + begin, size, shift, T{1}, out == nullptr ? unused : out + begin));
  });
  return total;
}

/// sum(weight * ((a - a_shift) - (b - b_shift))), in a fixed order.
template <typename T>
double weighted_difference(const T* weight, const T* a, T a_shift, const T* b, T b_shift, std::size_t n) {
  double lanes[4] = {};
  const auto term = [&](std::size_t i) {
    return static_cast<double>(weight[i] * ((a[i] - a_shift) - (b[i] - b_shift)));
  };
  std::size_t i = 0;
  for (; i + 4 <= n; i += 4) {
    for (std::size_t l = 0; l < 4; ++l) lanes[l] += term(i + l);
  }
  double sum = (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
  for (; i < n; ++i) sum += term(i);
  return sum;
}

/// KL(softmax(teacher) || softmax(row)) of one row, and its gradient times weight where that is not null.
template <typename T>
double row_divergence(const T* teacher, const T* row, std::size_t n, T weight, T* gradient) {
  const T teacher_shift = largest(teacher, n), shift = largest(row, n);
  T wanted[kRowChunk], unused[kRowChunk];
  double teacher_total = 0.0, total = 0.0, difference = 0.0;
  for_row_chunks(n, [&](std::size_t begin, std::size_t size) {
    teacher_total += static_cast<double>(exp_sum(teacher + begin, size, teacher_shift, T{1}, wanted));
    difference += weighted_difference(wanted, teacher + begin, teacher_shift, row + begin, shift, size);
    T* out = gradient == nullptr ? unused : gradient + begin;  // may be the row: no longer needed
    total += static_cast<double>(exp_sum(row + begin, size, shift, T{1}, out));
  });
  if (gradient != nullptr) {
    const T factor = static_cast<T>(static_cast<double>(weight) / total);
    const T teacher_factor = static_cast<T>(static_cast<double>(weight) / teacher_total);
    for_row_chunks(n, [&](std::size_t begin, std::size_t size) {
      exp_sum(teacher + begin, size, teacher_shift, T{1}, wanted);
      for (std::size_t i = 0; i < size; ++i)
        gradient[begin + i] = gradient[begin + i] * factor - wanted[i] * teacher_factor;
    });
  }
  return difference / teacher_total - (std::log(teacher_total) - std::log(total));
}

double sum_of(const double* row_loss, std::size_t n_rows) {
  double sum = 0.0;
  for (std::size_t r = 0; r < n_rows; ++r) sum += row_loss[r];
  return sum;
}

/// The loss of every row times weight_of(row), and their sum.
template <typename T, typename WeightOf>
double sum_cross_entropy(ThreadPool& pool, std::span<const TokenId> targets, WeightOf&& weight_of,
                         std::size_t n_vocab, const T* logits, T* d_logits, double* row_loss) {
  pool.parallel_for(targets.size(), [&](std::size_t r) {
    const T* row = logits + r * n_vocab;
    T* gradient = d_logits == nullptr ? nullptr : d_logits + r * n_vocab;
    row_loss[r] = 0.0;
    if (targets[r] == kIgnoredTarget) {
      if (gradient != nullptr) std::fill_n(gradient, n_vocab, T{0});
      return;
    }
    const auto target = static_cast<std::size_t>(targets[r]);
    const T shift = largest(row, n_vocab);
    const double above_target = static_cast<double>(shift) - static_cast<double>(row[target]);
    const double total = exponentials(row, n_vocab, shift, gradient),
                 weight = static_cast<double>(weight_of(r));
    row_loss[r] = weight * (above_target + std::log(total));
    if (gradient == nullptr) return;
    const T factor = static_cast<T>(weight / total);
    for (std::size_t i = 0; i < n_vocab; ++i) gradient[i] *= factor;
    gradient[target] -= weight_of(r);
  });
  return sum_of(row_loss, targets.size());
}

}  // namespace

template <typename T>
double cross_entropy(ThreadPool& pool, std::span<const TokenId> targets, std::size_t n_vocab, const T* logits,
                     T* d_logits, double* row_loss) {
  const auto n_ignored = static_cast<std::size_t>(std::count(targets.begin(), targets.end(), kIgnoredTarget));
  const T weight = n_ignored == targets.size() ? T{0} : T{1} / static_cast<T>(targets.size() - n_ignored);
  return sum_cross_entropy(
      pool, targets, [=](std::size_t) { return weight; }, n_vocab, logits, d_logits, row_loss);
}

template <typename T>
double weighted_cross_entropy(ThreadPool& pool, std::span<const TokenId> targets, const T* weights,
                              std::size_t n_vocab, const T* logits, T* d_logits, double* row_loss) {
  return sum_cross_entropy(
      pool, targets, [=](std::size_t r) { return weights[r]; }, n_vocab, logits, d_logits, row_loss);
}

template <typename T>
void equal_weights(std::span<const TokenId> targets, std::size_t group, T* weights) {
  const auto count = [&](std::size_t begin) {
    const auto first = targets.begin() + static_cast<std::ptrdiff_t>(begin);
    return group - static_cast<std::size_t>(
                       std::count(first, first + static_cast<std::ptrdiff_t>(group), kIgnoredTarget));
  };
  std::size_t n_groups = 0;
  for (std::size_t begin = 0; begin < targets.size(); begin += group) n_groups += count(begin) != 0 ? 1 : 0;
  for (std::size_t begin = 0; begin < targets.size(); begin += group) {
    const std::size_t n = count(begin);
    const T weight =
        n == 0 ? T{0} : static_cast<T>(1.0 / (static_cast<double>(n) * static_cast<double>(n_groups)));
    for (std::size_t i = begin; i < begin + group; ++i)
      weights[i] = targets[i] == kIgnoredTarget ? T{0} : weight;
  }
}

template <typename T>
double kl_divergence(ThreadPool& pool, std::size_t n, std::size_t n_vocab, const T* teacher, const T* logits,
                     T* d_logits, double* row_loss) {
  const T weight = n == 0 ? T{0} : T{1} / static_cast<T>(n);
  pool.parallel_for(n, [&](std::size_t r) {
    row_loss[r] = row_divergence(teacher + r * n_vocab, logits + r * n_vocab, n_vocab, weight,
                                 d_logits == nullptr ? nullptr : d_logits + r * n_vocab);
  });
  return n == 0 ? 0.0 : sum_of(row_loss, n) / static_cast<double>(n);
}

#define ELMS_TRAIN_LOSSES(T)                                                                                \
  template double cross_entropy(ThreadPool&, std::span<const TokenId>, std::size_t, const T*, T*, double*); \
  template double weighted_cross_entropy(ThreadPool&, std::span<const TokenId>, const T*, std::size_t,      \
                                         const T*, T*, double*);                                            \
  template void equal_weights(std::span<const TokenId>, std::size_t, T*);                                   \
  template double kl_divergence(ThreadPool&, std::size_t, std::size_t, const T*, const T*, T*, double*);
ELMS_TRAIN_LOSSES(float)
ELMS_TRAIN_LOSSES(double)
#undef ELMS_TRAIN_LOSSES

}  // namespace elms::inline v0::offline::train
