// Embeddings, LayerNorm, GELU, dropout and the loss of an encoder: what treats every token alone.
#include "offline/train/encoder_ops.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "offline/random.hpp"
#include "offline/train/ops.hpp"
#include "offline/train/rows.hpp"

namespace elms::inline v0::offline::train {
namespace {

constexpr std::size_t kNormColumns = 16;  // a cache line of floats: threads do not share lines
constexpr std::size_t kGeluBlock = kRowChunk;

/// out[c] += sum over rows of value(row, c) for the columns [0, d).
template <typename T, typename Value>
void add_column_sums(ThreadPool& pool, std::size_t n, std::size_t d, T* out, Value&& value) {
  pool.parallel_for((d + kNormColumns - 1) / kNormColumns, [&](std::size_t block) {
    const std::size_t begin = block * kNormColumns, end = std::min(d, begin + kNormColumns);
    for (std::size_t r = 0; r < n; ++r) {
      for (std::size_t c = begin; c < end; ++c) out[c] += value(r, c);
    }
  });
}

/// Phi of x [n] (n <= kGeluBlock), and exp(-x^2 / 2), of which the density is a multiple.
void normal_distribution(const float* x, std::size_t n, float* probability, float* exponential) {
  for (std::size_t i = 0; i < n; ++i) exponential[i] = -0.5f * std::min(x[i] * x[i], 170.0f);
  exp_sum(exponential, n, 0.0f, 1.0f, exponential);
  constexpr float kScale = 0.3275911f * 0.70710678f;
  for (std::size_t i = 0; i < n; ++i) {
    const float t = 1.0f / (1.0f + kScale * std::abs(x[i]));
    const float tail =
        0.5f * exponential[i] * t *
        (0.254829592f + t * (-0.284496736f + t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f))));
    probability[i] = x[i] < 0.0f ? tail : 1.0f - tail;
  }
}
void normal_distribution(const double* x, std::size_t n, double* probability, double* exponential) {
  for (std::size_t i = 0; i < n; ++i) {
    exponential[i] = std::exp(-0.5 * x[i] * x[i]);
    probability[i] = 0.5 * std::erfc(-x[i] * std::numbers::sqrt2 / 2.0);
  }
}

/// Calls fn(begin, n, Phi, exp(-x^2 / 2)) for blocks of x.
template <typename T, typename Fn>
void for_gelu_blocks(ThreadPool& pool, std::size_t n, const T* x, Fn&& fn) {
  pool.parallel_for((n + kGeluBlock - 1) / kGeluBlock, [&](std::size_t block) {
    const std::size_t begin = block * kGeluBlock, size = std::min(kGeluBlock, n - begin);
    T probability[kGeluBlock], exponential[kGeluBlock];
    normal_distribution(x + begin, size, probability, exponential);
    fn(begin, size, probability, exponential);
  });
}

}  // namespace

template <typename T>
void input_embedding_forward(ThreadPool& pool, std::span<const TokenId> tokens,
                             std::span<const TokenId> positions, std::size_t d, const T* token_table,
                             const T* position_table, const T* type_row, T* y) {
  pool.parallel_for(tokens.size(), [&](std::size_t i) {
    const T* token = token_table + static_cast<std::size_t>(tokens[i]) * d;
    const T* position = position_table + static_cast<std::size_t>(positions[i]) * d;
    for (std::size_t c = 0; c < d; ++c) y[i * d + c] = token[c] + position[c] + type_row[c];
  });
}

template <typename T>
void input_embedding_backward(ThreadPool& pool, std::span<const TokenId> tokens,
                              std::span<const TokenId> positions, std::size_t d, const T* dy,
                              T* d_token_table, T* d_position_table, T* d_type_row) {
  embedding_backward<T>(pool, tokens, d, dy, d_token_table);
  embedding_backward<T>(pool, positions, d, dy, d_position_table);
  add_column_sums(pool, tokens.size(), d, d_type_row,
                  [=](std::size_t r, std::size_t c) { return dy[r * d + c]; });
}

template <typename T>
void layer_norm_forward(ThreadPool& pool, std::size_t n, std::size_t d, T epsilon, const T* x,
                        const T* weight, const T* bias, T* y, T* mean, T* inv_deviation) {
  pool.parallel_for(n, [&](std::size_t r) {
    const T* in = x + r * d;
    T* out = y + r * d;
    T sum{};
    for (std::size_t c = 0; c < d; ++c) sum += in[c];
    const T center = sum / static_cast<T>(d);
    for (std::size_t c = 0; c < d; ++c) out[c] = in[c] - center;
    const T scale = T{1} / std::sqrt(dot(out, out, d) / static_cast<T>(d) + epsilon);
    for (std::size_t c = 0; c < d; ++c) out[c] = out[c] * scale * weight[c] + bias[c];
    mean[r] = center;
    inv_deviation[r] = scale;
  });
}

template <typename T>
void layer_norm_backward(ThreadPool& pool, std::size_t n, std::size_t d, const T* x, const T* weight,
                         const T* mean, const T* inv_deviation, const T* dy, T* dx, T* d_weight, T* d_bias) {
  add_column_sums(pool, n, d, d_weight, [=](std::size_t r, std::size_t c) {
    return dy[r * d + c] * (x[r * d + c] - mean[r]) * inv_deviation[r];
  });
  add_column_sums(pool, n, d, d_bias, [=](std::size_t r, std::size_t c) { return dy[r * d + c]; });
  // With z = (x - mean) * s: dx = s * (w dy - mean(w dy) - z * mean(w dy z)).
  pool.parallel_for(n, [&](std::size_t r) {
    const T* in = x + r * d;
    const T* dout = dy + r * d;
    const T s = inv_deviation[r], center = mean[r], share = T{1} / static_cast<T>(d);
    const T pull = dot(weight, dout, d), tilt = (dot(weight, dout, in, d) - center * pull) * s;
    for (std::size_t c = 0; c < d; ++c) {
      dx[r * d + c] = s * (weight[c] * dout[c] - share * (pull + (in[c] - center) * s * tilt));
    }
  });
}

template <typename T>
void gelu_forward(ThreadPool& pool, std::size_t n, const T* x, T* y) {
  for_gelu_blocks(pool, n, x, [&](std::size_t begin, std::size_t size, const T* probability, const T*) {
    for (std::size_t i = 0; i < size; ++i) y[begin + i] = x[begin + i] * probability[i];
  });
}

template <typename T>
void gelu_backward(ThreadPool& pool, std::size_t n, const T* x, const T* dy, T* dx) {
  constexpr T kDensity = static_cast<T>(0.39894228040143267794);  // 1 / sqrt(2 pi)
  for_gelu_blocks(
      pool, n, x, [&](std::size_t begin, std::size_t size, const T* probability, const T* exponential) {
        for (std::size_t i = 0; i < size; ++i) {
          dx[begin + i] = dy[begin + i] * (probability[i] + x[begin + i] * kDensity * exponential[i]);
        }
      });
}

template <typename T>
void dropout(ThreadPool& pool, std::size_t n, double rate, std::uint64_t seed, T* x) {
  if (rate <= 0.0) return;
  const auto limit = static_cast<std::uint64_t>(rate * 65536.0);
  const T factor = static_cast<T>(1.0 / (1.0 - static_cast<double>(limit) / 65536.0));
  constexpr std::size_t kBlock = 4096;  // a multiple of the four draws of a hash
  pool.parallel_for((n + kBlock - 1) / kBlock, [&](std::size_t block) {
    const std::size_t end = std::min(n, (block + 1) * kBlock);
    for (std::size_t begin = block * kBlock; begin < end; begin += 4) {
      std::uint64_t draws = mixed(seed + (begin + 4) * 0x9e3779b97f4a7c15u);
      for (std::size_t i = begin; i < std::min(end, begin + 4); ++i, draws >>= 16)
        x[i] *= (draws & 0xffffu) < limit ? T{0} : factor;
    }
  });
}

template <typename T>
double binary_cross_entropy(std::size_t n, const T* targets, const T* weights, const T* logits, T* d_logits) {
  double sum = 0.0;
  for (std::size_t i = 0; i < n; ++i) {
    const double z = static_cast<double>(logits[i]), target = static_cast<double>(targets[i]),
                 weight = static_cast<double>(weights[i]);
    // -(t log p + (1 - t) log(1 - p)) without a logarithm of 0.
    sum += weight * (std::max(z, 0.0) - z * target + std::log1p(std::exp(-std::abs(z))));
    if (d_logits != nullptr) d_logits[i] = static_cast<T>(weight * (1.0 / (1.0 + std::exp(-z)) - target));
  }
  return sum;
}

#define ELMS_TRAIN_ENCODER_OPS(T)                                                                          \
  template void input_embedding_forward(ThreadPool&, std::span<const TokenId>, std::span<const TokenId>,   \
                                        std::size_t, const T*, const T*, const T*, T*);                    \
  template void input_embedding_backward(ThreadPool&, std::span<const TokenId>, std::span<const TokenId>,  \
                                         std::size_t, const T*, T*, T*, T*);                               \
  template void layer_norm_forward(ThreadPool&, std::size_t, std::size_t, T, const T*, const T*, const T*, \
                                   T*, T*, T*);                                                            \
  template void layer_norm_backward(ThreadPool&, std::size_t, std::size_t, const T*, const T*, const T*,   \
                                    const T*, const T*, T*, T*, T*);                                       \
  template void gelu_forward(ThreadPool&, std::size_t, const T*, T*);                                      \
  template void gelu_backward(ThreadPool&, std::size_t, const T*, const T*, T*);                           \
  template void dropout(ThreadPool&, std::size_t, double, std::uint64_t, T*);                              \
  template double binary_cross_entropy(std::size_t, const T*, const T*, const T*, T*);
ELMS_TRAIN_ENCODER_OPS(float)
ELMS_TRAIN_ENCODER_OPS(double)
#undef ELMS_TRAIN_ENCODER_OPS

}  // namespace elms::inline v0::offline::train
