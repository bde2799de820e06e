#include "offline/recovery/lora.hpp"

#include <algorithm>
#include <cmath>

#include "elms/detail/error.hpp"
#include "offline/random.hpp"
#include "offline/train/gemm.hpp"

namespace elms::inline v0::offline {
namespace {

using train::gemm;
using train::GemmForm;
using train::MatrixView;

template <typename T>
MatrixView<T> view(T* data, std::size_t rows, std::size_t cols) {
  return {data, rows, cols, cols};
}

template <typename T>
std::vector<T> scaled(const T* values, std::size_t n, double factor) {
  std::vector<T> out(values, values + n);
  for (T& value : out) value *= static_cast<T>(factor);
  return out;
}

}  // namespace

LoraLayout::LoraLayout(const train::ParameterLayout& level, const LoraShape& shape)
    : rank_(shape.rank), alpha_(shape.alpha) {
  const auto take = [&](std::size_t n) {
    const std::size_t at = size_;
    size_ += n;
    return at;
  };
  const auto n_layers = level.config().layers.size();
  for (std::size_t layer = 0; layer < n_layers; ++layer) {
    for (const std::string& target : shape.targets) {
      const train::ParameterTensor* tensor =
          level.find(detail::concat("blk.", layer, ".", target, ".weight"));
      if (tensor == nullptr) continue;
      const std::size_t a = take(rank_ * tensor->cols), b = take(tensor->rows * rank_);
      matrices_.push_back({tensor->name, tensor->offset, tensor->rows, tensor->cols, a, b});
    }
  }
  for (std::size_t layer = 0; layer < n_layers; ++layer) {
    const auto d = static_cast<std::size_t>(level.config().d_model);
    if (shape.attention_bias) biases_.push_back({layer, false, level.layer(layer).bo, d, take(d)});
    if (shape.ffn_bias) biases_.push_back({layer, true, level.layer(layer).down_bias, d, take(d)});
  }
}

void initialise_update(const LoraLayout& layout, std::uint64_t seed, std::span<float> update) {
  std::fill(update.begin(), update.end(), 0.0f);
  for (const LoraMatrix& matrix : layout.matrices()) {
    const float deviation = 1.0f / std::sqrt(static_cast<float>(matrix.k));
    for (std::size_t r = 0; r < layout.rank(); ++r) {
      draw_row(mixed(seed + matrix.a + r), matrix.k, 0.0f, deviation,
               update.data() + matrix.a + r * matrix.k);
    }
  }
}

template <typename T>
void apply_update(ThreadPool& pool, const LoraLayout& layout, std::span<const T> base,
                  std::span<const T> update, std::span<T> level) {
  const std::size_t rank = layout.rank();
  for (const LoraMatrix& m : layout.matrices()) {
    std::copy_n(base.data() + m.weight, m.n * m.k, level.data() + m.weight);
    const std::vector<T> a = scaled(update.data() + m.a, rank * m.k, layout.factor());
    gemm<T>(pool, GemmForm::kNN, view(update.data() + m.b, m.n, rank), view(a.data(), rank, m.k),
            view(level.data() + m.weight, m.n, m.k), true);
  }
  for (const LoraBias& bias : layout.biases()) {
    for (std::size_t i = 0; i < bias.size; ++i)
      level[bias.bias + i] = base[bias.bias + i] + update[bias.delta + i];
  }
}

template <typename T>
void add_update_gradient(ThreadPool& pool, const LoraLayout& layout, std::span<const T> update,
                         std::span<const T> d_level, std::span<T> d_update) {
  const std::size_t rank = layout.rank();
  for (const LoraMatrix& m : layout.matrices()) {
    // dA = factor * B^T dW, dB = factor * dW A^T.
    const std::vector<T> a = scaled(update.data() + m.a, rank * m.k, layout.factor());
    const std::vector<T> b = scaled(update.data() + m.b, m.n * rank, layout.factor());
    const MatrixView<const T> d_weight = view(d_level.data() + m.weight, m.n, m.k);
    gemm<T>(pool, GemmForm::kTN, view(b.data(), m.n, rank), d_weight, view(d_update.data() + m.a, rank, m.k),
            true);
    gemm<T>(pool, GemmForm::kNT, d_weight, view(a.data(), rank, m.k), view(d_update.data() + m.b, m.n, rank),
            true);
  }
  for (const LoraBias& bias : layout.biases()) {
    for (std::size_t i = 0; i < bias.size; ++i) d_update[bias.delta + i] += d_level[bias.bias + i];
  }
}

#define ELMS_RECOVERY_LORA(T)                                                                               \
  template void apply_update(ThreadPool&, const LoraLayout&, std::span<const T>, std::span<const T>,        \
                             std::span<T>);                                                                 \
  template void add_update_gradient(ThreadPool&, const LoraLayout&, std::span<const T>, std::span<const T>, \
                                    std::span<T>);
ELMS_RECOVERY_LORA(float)
ELMS_RECOVERY_LORA(double)
#undef ELMS_RECOVERY_LORA

}  // namespace elms::inline v0::offline
