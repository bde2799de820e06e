#include "offline/refiner/train_encoder.hpp"

#include <algorithm>

#include "offline/random.hpp"
#include "offline/train/ops.hpp"

namespace elms::inline v0::offline::refiner {
namespace {

constexpr std::size_t kAddBlock = 16384;

/// to[i] += from[i] for n elements.
template <typename T>
void add_values(ThreadPool& pool, std::size_t n, const T* from, T* to) {
  pool.parallel_for((n + kAddBlock - 1) / kAddBlock, [&](std::size_t block) {
    const std::size_t end = std::min(n, (block + 1) * kAddBlock);
    for (std::size_t i = block * kAddBlock; i < end; ++i) to[i] += from[i];
  });
}

/// The seed of one of a step's dropouts.
std::uint64_t dropout_seed(const Dropout& dropout, std::size_t place) {
  return mixed(dropout.seed + (place + 1) * 0x9e3779b97f4a7c15u);
}
constexpr std::size_t attention_place(std::size_t layer) {
  return 1 + 2 * layer;
}
constexpr std::size_t ffn_place(std::size_t layer) {
  return 2 + 2 * layer;
}

}  // namespace

void PackedBatch::append(std::span<const TokenId> sequence, std::size_t first_position) {
  sequences.push_back({tokens.size(), sequence.size()});
  tokens.insert(tokens.end(), sequence.begin(), sequence.end());
  for (std::size_t i = 0; i < sequence.size(); ++i)
    positions.push_back(static_cast<TokenId>(first_position + i));
}

template <typename T>
Result<TrainEncoder<T>> TrainEncoder<T>::create(const EncoderShape& shape, std::size_t max_tokens,
                                                std::size_t max_layers) {
  TrainEncoder encoder;
  encoder.d_model_ = shape.d_model;
  const std::size_t wide = max_tokens * shape.d_model, ff = max_tokens * shape.d_ff;
  const auto take = [](detail::Buffer<T>& buffer, std::size_t n) -> Status {
    ELMS_ASSIGN_OR_RETURN(buffer, detail::Buffer<T>::uninitialized_streamed(n));
    return {};
  };
  encoder.inputs_.resize(max_layers + 1);
  encoder.activations_.resize(max_layers);
  for (detail::Buffer<T>& input : encoder.inputs_) ELMS_RETURN_IF_ERROR(take(input, wide));
  for (Activations& a : encoder.activations_) {
    for (auto* buffer : {&a.q, &a.k, &a.v, &a.attended, &a.attn_sum, &a.middle, &a.out_sum})
      ELMS_RETURN_IF_ERROR(take(*buffer, wide));
    for (auto* buffer : {&a.raw, &a.activated}) ELMS_RETURN_IF_ERROR(take(*buffer, ff));
    for (auto* buffer : {&a.attn_mean, &a.attn_scale, &a.out_mean, &a.out_scale})
      ELMS_RETURN_IF_ERROR(take(*buffer, max_tokens));
  }
  for (auto* buffer : {&encoder.embedded_, &encoder.gradient_, &encoder.d_middle_, &encoder.d_q_,
                       &encoder.d_k_, &encoder.d_v_})
    ELMS_RETURN_IF_ERROR(take(*buffer, wide));
  for (auto* buffer : {&encoder.embedded_mean_, &encoder.embedded_scale_})
    ELMS_RETURN_IF_ERROR(take(*buffer, max_tokens));
  ELMS_RETURN_IF_ERROR(take(encoder.d_raw_, ff));
  ELMS_RETURN_IF_ERROR(
      take(encoder.scratch_, train::PackedAttentionShape::scratch_elems(max_tokens, shape.n_heads)));
  return encoder;
}

template <typename T>
std::span<const T> TrainEncoder<T>::states() const noexcept {
  return {inputs_[n_layers_].data(), n_tokens_ * d_model_};
}
template <typename T>
std::span<T> TrainEncoder<T>::gradient() noexcept {
  return {gradient_.data(), n_tokens_ * d_model_};
}

template <typename T>
void TrainEncoder<T>::forward(ThreadPool& pool, const EncoderLayout& layout, const T* params,
                              const PackedBatch& batch, Branch branch, const Dropout& dropout) noexcept {
  const EncoderShape& shape = layout.shape();
  const std::span<const EncoderLayerOffsets> path = layout.path(branch);
  n_tokens_ = batch.n_tokens();
  n_layers_ = path.size();
  train::input_embedding_forward<T>(pool, batch.tokens, batch.positions, d_model_,
                                    params + layout.token_embedding, params + layout.position_embedding,
                                    params + layout.type_embedding, embedded_.data());
  train::layer_norm_forward<T>(pool, n_tokens_, d_model_, static_cast<T>(shape.norm_epsilon),
                               embedded_.data(), params + layout.norm, params + layout.norm_bias,
                               inputs_[0].data(), embedded_mean_.data(), embedded_scale_.data());
  train::dropout<T>(pool, n_tokens_ * d_model_, dropout.rate, dropout_seed(dropout, 0), inputs_[0].data());
  for (std::size_t i = 0; i < path.size(); ++i)
    layer_forward(pool, layout, params, batch, path[i], i, dropout);
}

template <typename T>
void TrainEncoder<T>::layer_forward(ThreadPool& pool, const EncoderLayout& layout, const T* params,
                                    const PackedBatch& batch, const EncoderLayerOffsets& at, std::size_t i,
                                    const Dropout& dropout) noexcept {
  const EncoderShape& shape = layout.shape();
  const std::size_t n = n_tokens_, d = d_model_, ff = shape.d_ff;
  const T epsilon = static_cast<T>(shape.norm_epsilon);
  const T* x = inputs_[i].data();
  Activations& a = activations_[i];
  train::linear_forward<T>(pool, n, d, d, x, params + at.wq, params + at.bq, a.q.data());
  train::linear_forward<T>(pool, n, d, d, x, params + at.wk, params + at.bk, a.k.data());
  train::linear_forward<T>(pool, n, d, d, x, params + at.wv, params + at.bv, a.v.data());
  train::packed_attention_forward<T>(pool, {batch.sequences, shape.n_heads, shape.head_dim()}, a.q.data(),
                                     a.k.data(), a.v.data(), a.attended.data(), scratch_.data());
  train::linear_forward<T>(pool, n, d, d, a.attended.data(), params + at.wo, params + at.bo,
                           a.attn_sum.data());
  train::dropout<T>(pool, n * d, dropout.rate, dropout_seed(dropout, attention_place(i)), a.attn_sum.data());
  add_values(pool, n * d, x, a.attn_sum.data());
  train::layer_norm_forward<T>(pool, n, d, epsilon, a.attn_sum.data(), params + at.attn_norm,
                               params + at.attn_norm_bias, a.middle.data(), a.attn_mean.data(),
                               a.attn_scale.data());
  train::linear_forward<T>(pool, n, d, ff, a.middle.data(), params + at.up, params + at.up_bias,
                           a.raw.data());
  train::gelu_forward<T>(pool, n * ff, a.raw.data(), a.activated.data());
  train::linear_forward<T>(pool, n, ff, d, a.activated.data(), params + at.down, params + at.down_bias,
                           a.out_sum.data());
  train::dropout<T>(pool, n * d, dropout.rate, dropout_seed(dropout, ffn_place(i)), a.out_sum.data());
  add_values(pool, n * d, a.middle.data(), a.out_sum.data());
  train::layer_norm_forward<T>(pool, n, d, epsilon, a.out_sum.data(), params + at.out_norm,
                               params + at.out_norm_bias, inputs_[i + 1].data(), a.out_mean.data(),
                               a.out_scale.data());
}

template <typename T>
void TrainEncoder<T>::backward(ThreadPool& pool, const EncoderLayout& layout, const T* params,
                               const PackedBatch& batch, Branch branch, const Dropout& dropout,
                               std::size_t first_layer, T* gradients) noexcept {
  const std::span<const EncoderLayerOffsets> path = layout.path(branch);
  for (std::size_t i = path.size(); i-- > first_layer;)
    layer_backward(pool, layout, params, batch, path[i], i, dropout, gradients);
  if (first_layer > 0) return;
  train::dropout<T>(pool, n_tokens_ * d_model_, dropout.rate, dropout_seed(dropout, 0), gradient_.data());
  train::layer_norm_backward<T>(pool, n_tokens_, d_model_, embedded_.data(), params + layout.norm,
                                embedded_mean_.data(), embedded_scale_.data(), gradient_.data(),
                                gradient_.data(), gradients + layout.norm, gradients + layout.norm_bias);
  train::input_embedding_backward<T>(
      pool, batch.tokens, batch.positions, d_model_, gradient_.data(), gradients + layout.token_embedding,
      gradients + layout.position_embedding, gradients + layout.type_embedding);
}

template <typename T>
void TrainEncoder<T>::layer_backward(ThreadPool& pool, const EncoderLayout& layout, const T* params,
                                     const PackedBatch& batch, const EncoderLayerOffsets& at, std::size_t i,
                                     const Dropout& dropout, T* gradients) noexcept {
  const EncoderShape& shape = layout.shape();
  const std::size_t n = n_tokens_, d = d_model_, ff = shape.d_ff;
  const Activations& a = activations_[i];
  T* const g = gradient_.data();
  // out = LN(middle + ffn(middle)): g becomes the gradient of the sum, and reaches middle on both ways.
  train::layer_norm_backward<T>(pool, n, d, a.out_sum.data(), params + at.out_norm, a.out_mean.data(),
                                a.out_scale.data(), g, g, gradients + at.out_norm,
                                gradients + at.out_norm_bias);
  std::copy_n(g, n * d, d_middle_.data());
  train::dropout<T>(pool, n * d, dropout.rate, dropout_seed(dropout, ffn_place(i)), g);
  train::linear_backward<T>(pool, n, ff, d, a.activated.data(), params + at.down, g, d_raw_.data(), false,
                            gradients + at.down, gradients + at.down_bias);
  train::gelu_backward<T>(pool, n * ff, a.raw.data(), d_raw_.data(), d_raw_.data());
  train::linear_backward<T>(pool, n, d, ff, a.middle.data(), params + at.up, d_raw_.data(), d_middle_.data(),
                            true, gradients + at.up, gradients + at.up_bias);
  // middle = LN(x + attention(x)), likewise.
  train::layer_norm_backward<T>(pool, n, d, a.attn_sum.data(), params + at.attn_norm, a.attn_mean.data(),
                                a.attn_scale.data(), d_middle_.data(), d_middle_.data(),
                                gradients + at.attn_norm, gradients + at.attn_norm_bias);
  std::copy_n(d_middle_.data(), n * d, g);
  train::dropout<T>(pool, n * d, dropout.rate, dropout_seed(dropout, attention_place(i)), d_middle_.data());
  T* const d_attended = d_raw_.data();  // free again, and large enough
  train::linear_backward<T>(pool, n, d, d, a.attended.data(), params + at.wo, d_middle_.data(), d_attended,
                            false, gradients + at.wo, gradients + at.bo);
  train::packed_attention_backward<T>(pool, {batch.sequences, shape.n_heads, shape.head_dim()}, a.q.data(),
                                      a.k.data(), a.v.data(), d_attended, d_q_.data(), d_k_.data(),
                                      d_v_.data(), scratch_.data());
  const T* x = inputs_[i].data();
  train::linear_backward<T>(pool, n, d, d, x, params + at.wq, d_q_.data(), g, true, gradients + at.wq,
                            gradients + at.bq);
  train::linear_backward<T>(pool, n, d, d, x, params + at.wk, d_k_.data(), g, true, gradients + at.wk,
                            gradients + at.bk);
  train::linear_backward<T>(pool, n, d, d, x, params + at.wv, d_v_.data(), g, true, gradients + at.wv,
                            gradients + at.bv);
}

template class TrainEncoder<float>;
template class TrainEncoder<double>;

}  // namespace elms::inline v0::offline::refiner
