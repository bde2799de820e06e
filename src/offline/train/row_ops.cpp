// Embedding, RMSNorm, linear layers, RoPE and SwiGLU: what treats every token alone.
#include <algorithm>
#include <cmath>

#include "offline/train/gemm.hpp"
#include "offline/train/ops.hpp"
#include "offline/train/rows.hpp"

namespace elms::inline v0::offline::train {
namespace {

constexpr std::size_t kColumnBlock = 16;  // one cache line of floats: threads do not share lines
constexpr std::size_t kElementBlock = 4096;

/// Calls fn(begin, end) for blocks of [0, n).
template <typename Fn>
void for_blocks(ThreadPool& pool, std::size_t n, std::size_t block, Fn&& fn) {
  pool.parallel_for((n + block - 1) / block,
                    [&](std::size_t i) { fn(i * block, std::min(n, (i + 1) * block)); });
}

/// Turns every head by +1 or -1 times its angles.
template <typename T>
void turn(ThreadPool& pool, const RopeConfig& rope, std::size_t n_sequences, std::size_t length,
          std::size_t n_heads, std::size_t head_dim, const T* table, T* x, T direction) {
  const auto half = static_cast<std::size_t>(rope.n_rot / 2);
  const bool interleaved = rope.style == RopeStyle::kInterleaved;
  pool.parallel_for(n_sequences * length, [&](std::size_t row) {
    const T* angles = table + row % length * half * 2;
    for (std::size_t h = 0; h < n_heads; ++h) {
      T* head = x + (row * n_heads + h) * head_dim;
      for (std::size_t i = 0; i < half; ++i) {
        T& a = head[interleaved ? 2 * i : i];
        T& b = head[interleaved ? 2 * i + 1 : i + half];
        const T c = angles[2 * i], s = direction * angles[2 * i + 1], first = a, second = b;
        a = first * c - second * s;
        b = first * s + second * c;
      }
    }
  });
}

}  // namespace

template <typename T>
void embedding_forward(ThreadPool& pool, std::span<const TokenId> tokens, std::size_t d, const T* table,
                       T* y) {
  pool.parallel_for(tokens.size(), [&](std::size_t i) {
    std::copy_n(table + static_cast<std::size_t>(tokens[i]) * d, d, y + i * d);
  });
}

template <typename T>
void embedding_backward(ThreadPool& pool, std::span<const TokenId> tokens, std::size_t d, const T* dy,
                        T* d_table) {
  // Tokens repeat, so threads take columns, not tokens.
  for_blocks(pool, d, kColumnBlock, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      T* row = d_table + static_cast<std::size_t>(tokens[i]) * d;
      for (std::size_t c = begin; c < end; ++c) row[c] += dy[i * d + c];
    }
  });
}

template <typename T>
void rms_norm_forward(ThreadPool& pool, std::size_t n, std::size_t d, T epsilon, const T* x, const T* weight,
                      T* y, T* inv_rms) {
  pool.parallel_for(n, [&](std::size_t r) {
    const T* in = x + r * d;
    const T scale = T{1} / std::sqrt(dot(in, in, d) / static_cast<T>(d) + epsilon);
    inv_rms[r] = scale;
    for (std::size_t c = 0; c < d; ++c) y[r * d + c] = in[c] * scale * weight[c];
  });
}

template <typename T>
void rms_norm_backward(ThreadPool& pool, std::size_t n, std::size_t d, const T* x, const T* weight,
                       const T* inv_rms, const T* dy, T* dx, T* d_weight) {
  for_blocks(pool, d, kColumnBlock, [&](std::size_t begin, std::size_t end) {
    for (std::size_t r = 0; r < n; ++r) {
      for (std::size_t c = begin; c < end; ++c) d_weight[c] += dy[r * d + c] * x[r * d + c] * inv_rms[r];
    }
  });
  // With s = inv_rms: dx = s * (w dy) - x * s^3 / d * sum(w dy x).
  pool.parallel_for(n, [&](std::size_t r) {
    const T* in = x + r * d;
    const T* dout = dy + r * d;
    const T s = inv_rms[r], pull = dot(weight, dout, in, d) * s * s * s / static_cast<T>(d);
    for (std::size_t c = 0; c < d; ++c) dx[r * d + c] = s * weight[c] * dout[c] - in[c] * pull;
  });
}

template <typename T>
void linear_forward(ThreadPool& pool, std::size_t n, std::size_t n_in, std::size_t n_out, const T* x,
                    const T* weight, const T* bias, T* y) {
  if (bias != nullptr) pool.parallel_for(n, [&](std::size_t r) { std::copy_n(bias, n_out, y + r * n_out); });
  gemm<T>(pool, GemmForm::kNT, {x, n, n_in, n_in}, {weight, n_out, n_in, n_in}, {y, n, n_out, n_out},
          bias != nullptr);
}

template <typename T>
void linear_backward(ThreadPool& pool, std::size_t n, std::size_t n_in, std::size_t n_out, const T* x,
                     const T* weight, const T* dy, T* dx, bool add_to_dx, T* d_weight, T* d_bias) {
  gemm<T>(pool, GemmForm::kTN, {dy, n, n_out, n_out}, {x, n, n_in, n_in}, {d_weight, n_out, n_in, n_in},
          true);
  if (dx != nullptr) {
    gemm<T>(pool, GemmForm::kNN, {dy, n, n_out, n_out}, {weight, n_out, n_in, n_in}, {dx, n, n_in, n_in},
            add_to_dx);
  }
  if (d_bias == nullptr) return;
  for_blocks(pool, n_out, kColumnBlock, [&](std::size_t begin, std::size_t end) {
    for (std::size_t r = 0; r < n; ++r) {
      for (std::size_t c = begin; c < end; ++c) d_bias[c] += dy[r * n_out + c];
    }
  });
}

template <typename T>
void rope_table(const RopeConfig& rope, std::size_t length, T* table) {
  const auto half = static_cast<std::size_t>(rope.n_rot / 2);
  for (std::size_t p = 0; p < length; ++p) {
    for (std::size_t i = 0; i < half; ++i) {
      const double divisor = rope.divisors.empty() ? 1.0 : static_cast<double>(rope.divisors[i]);
      const double frequency = std::pow(static_cast<double>(rope.theta),
                                        -2.0 * static_cast<double>(i) / static_cast<double>(rope.n_rot));
      const double angle =
          static_cast<double>(p) * frequency / (static_cast<double>(rope.linear_factor) * divisor);
      *table++ = static_cast<T>(std::cos(angle));
      *table++ = static_cast<T>(std::sin(angle));
    }
  }
}

template <typename T>
void rope_forward(ThreadPool& pool, const RopeConfig& rope, std::size_t n_sequences, std::size_t length,
                  std::size_t n_heads, std::size_t head_dim, const T* table, T* x) {
  turn(pool, rope, n_sequences, length, n_heads, head_dim, table, x, T{1});
}
template <typename T>
void rope_backward(ThreadPool& pool, const RopeConfig& rope, std::size_t n_sequences, std::size_t length,
                   std::size_t n_heads, std::size_t head_dim, const T* table, T* dx) {
  turn(pool, rope, n_sequences, length, n_heads, head_dim, table, dx, T{-1});
}

template <typename T>
void swiglu_forward(ThreadPool& pool, std::size_t n, const T* gate, const T* up, T* y) {
  for_blocks(pool, n, kElementBlock, [&](std::size_t begin, std::size_t end) {
    if constexpr (std::is_same_v<T, float>) {
      return training_kernels().swiglu(gate + begin, up + begin, static_cast<int32_t>(end - begin),
                                       y + begin);
    }
    for (std::size_t i = begin; i < end; ++i) y[i] = gate[i] / (T{1} + std::exp(-gate[i])) * up[i];
  });
}

template <typename T>
void swiglu_backward(ThreadPool& pool, std::size_t n, const T* gate, const T* up, const T* dy, T* d_gate,
                     T* d_up) {
  for_blocks(pool, n, kElementBlock, [&](std::size_t begin, std::size_t end) {
    if constexpr (std::is_same_v<T, float>) {
      return training_kernels().swiglu_backward(gate + begin, up + begin, dy + begin,
                                                static_cast<int32_t>(end - begin), d_gate + begin,
                                                d_up + begin);
    }
    for (std::size_t i = begin; i < end; ++i) {
      const T sigmoid = T{1} / (T{1} + std::exp(-gate[i])), dout = dy[i];
      d_up[i] = dout * gate[i] * sigmoid;
      d_gate[i] = dout * up[i] * sigmoid * (T{1} + gate[i] * (T{1} - sigmoid));
    }
  });
}

template <typename T>
void unit_gradients(ThreadPool& pool, std::size_t n_sequences, std::size_t length, std::size_t n_units,
                    std::size_t unit_size, const T* activation, const T* gradient, T* scores) {
  const std::size_t width = n_units * unit_size;
  pool.parallel_for(n_sequences, [&](std::size_t s) {
    T* out = scores + s * n_units;
    std::fill_n(out, n_units, T{0});
    for (std::size_t i = s * length * width; i < (s + 1) * length * width; ++i) {
      out[i % width / unit_size] += activation[i] * gradient[i];
    }
  });
}

#define ELMS_TRAIN_ROW_OPS(T)                                                                             \
  template void embedding_forward(ThreadPool&, std::span<const TokenId>, std::size_t, const T*, T*);      \
  template void embedding_backward(ThreadPool&, std::span<const TokenId>, std::size_t, const T*, T*);     \
  template void rms_norm_forward(ThreadPool&, std::size_t, std::size_t, T, const T*, const T*, T*, T*);   \
  template void rms_norm_backward(ThreadPool&, std::size_t, std::size_t, const T*, const T*, const T*,    \
                                  const T*, T*, T*);                                                      \
  template void linear_forward(ThreadPool&, std::size_t, std::size_t, std::size_t, const T*, const T*,    \
                               const T*, T*);                                                             \
  template void linear_backward(ThreadPool&, std::size_t, std::size_t, std::size_t, const T*, const T*,   \
                                const T*, T*, bool, T*, T*);                                              \
  template void rope_table(const RopeConfig&, std::size_t, T*);                                           \
  template void rope_forward(ThreadPool&, const RopeConfig&, std::size_t, std::size_t, std::size_t,       \
                             std::size_t, const T*, T*);                                                  \
  template void rope_backward(ThreadPool&, const RopeConfig&, std::size_t, std::size_t, std::size_t,      \
                              std::size_t, const T*, T*);                                                 \
  template void swiglu_forward(ThreadPool&, std::size_t, const T*, const T*, T*);                         \
  template void swiglu_backward(ThreadPool&, std::size_t, const T*, const T*, const T*, T*, T*);          \
  template void unit_gradients(ThreadPool&, std::size_t, std::size_t, std::size_t, std::size_t, const T*, \
                               const T*, T*);
ELMS_TRAIN_ROW_OPS(float)
ELMS_TRAIN_ROW_OPS(double)
#undef ELMS_TRAIN_ROW_OPS

}  // namespace elms::inline v0::offline::train
