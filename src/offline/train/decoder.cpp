#include "offline/train/decoder.hpp"

#include <algorithm>

#include "elms/detail/error.hpp"

namespace elms::inline v0::offline::train {

namespace {

struct LayerSizes {
  std::size_t d, q, kv, ff, head_dim, q_heads, kv_heads;

  LayerSizes(const ModelConfig& config, const LayerShape& layer)
      : d(static_cast<std::size_t>(config.d_model)),
        q(static_cast<std::size_t>(layer.q_heads * config.head_dim)),
        kv(static_cast<std::size_t>(layer.kv_heads * config.head_dim)),
        ff(static_cast<std::size_t>(layer.ff)),
        head_dim(static_cast<std::size_t>(config.head_dim)),
        q_heads(static_cast<std::size_t>(layer.q_heads)),
        kv_heads(static_cast<std::size_t>(layer.kv_heads)) {}
};

constexpr std::size_t kElementsPerTask = 16384;

/// to[i] += from[i] for n elements.
template <typename T>
void add(ThreadPool& pool, std::size_t n, const T* from, T* to) {
  pool.parallel_for((n + kElementsPerTask - 1) / kElementsPerTask, [&](std::size_t task) {
    const std::size_t end = std::min(n, (task + 1) * kElementsPerTask);
    for (std::size_t i = task * kElementsPerTask; i < end; ++i) to[i] += from[i];
  });
}

/// y [n, n_out] = x * weight^T + bias + residual.
template <typename T>
void linear_onto_residual(ThreadPool& pool, std::size_t n, std::size_t n_in, std::size_t n_out, const T* x,
                          const T* weight, const T* bias, const T* residual, T* y) {
  linear_forward<T>(pool, n, n_in, n_out, x, weight, bias, y);
  add(pool, n * n_out, residual, y);
}

LayerShape largest_layer(const ModelConfig& config) {
  LayerShape largest;
  for (const LayerShape& layer : config.layers) {
    largest.q_heads = std::max(largest.q_heads, layer.q_heads);
    largest.kv_heads = std::max(largest.kv_heads, layer.kv_heads);
    largest.ff = std::max(largest.ff, layer.ff);
  }
  return largest;
}

template <typename T>
T* offset_into(T* array, std::size_t offset) {
  return offset == ParameterLayout::kAbsent ? nullptr : array + offset;
}

}  // namespace

template <typename T>
Status TrainDecoder<T>::take(detail::Buffer<T>& buffer, std::size_t n) {
  ELMS_ASSIGN_OR_RETURN(buffer, detail::Buffer<T>::uninitialized_streamed(n));
  memory_bytes_ += n * sizeof(T);
  return {};
}

template <typename T>
Status TrainDecoder<T>::take_activations(const ModelConfig& config, const LayerShape& layer, Activations& a) {
  const LayerSizes s(config, layer);
  const std::size_t n = shape_.n_tokens();
  ELMS_RETURN_IF_ERROR(take(a.normed, n * s.d));
  ELMS_RETURN_IF_ERROR(take(a.inv_rms, n));
  if (config.qk_norm) {
    ELMS_RETURN_IF_ERROR(take(a.raw_q, n * s.q));
    ELMS_RETURN_IF_ERROR(take(a.raw_k, n * s.kv));
    ELMS_RETURN_IF_ERROR(take(a.inv_rms_q, n * s.q_heads));
    ELMS_RETURN_IF_ERROR(take(a.inv_rms_k, n * s.kv_heads));
  }
  ELMS_RETURN_IF_ERROR(take(a.q, n * s.q));
  ELMS_RETURN_IF_ERROR(take(a.k, n * s.kv));
  ELMS_RETURN_IF_ERROR(take(a.v, n * s.kv));
  ELMS_RETURN_IF_ERROR(take(a.attended, n * s.q));
  ELMS_RETURN_IF_ERROR(take(a.middle, n * s.d));
  ELMS_RETURN_IF_ERROR(take(a.middle_normed, n * s.d));
  ELMS_RETURN_IF_ERROR(take(a.middle_inv_rms, n));
  ELMS_RETURN_IF_ERROR(take(a.gate, n * s.ff));
  ELMS_RETURN_IF_ERROR(take(a.up, n * s.ff));
  return take(a.activated, n * s.ff);
}

template <typename T>
Result<TrainDecoder<T>> TrainDecoder<T>::create(const ModelConfig& config, BatchShape shape,
                                                ActivationMemory memory) {
  if (shape.n_sequences == 0 || shape.length == 0) {
    return detail::invalid_argument("training: a batch of ", shape.n_sequences, " sequences of ",
                                    shape.length, " tokens");
  }
  TrainDecoder decoder;
  decoder.shape_ = shape;
  decoder.memory_ = memory;
  const LayerSizes s(config, largest_layer(config));
  const std::size_t n = shape.n_tokens();
  decoder.inputs_.resize(config.layers.size() + 1);
  for (detail::Buffer<T>& input : decoder.inputs_) ELMS_RETURN_IF_ERROR(decoder.take(input, n * s.d));
  decoder.activations_.resize(memory == ActivationMemory::kKeepAll ? config.layers.size() : 1);
  for (std::size_t i = 0; i < decoder.activations_.size(); ++i) {
    const LayerShape layer = memory == ActivationMemory::kKeepAll ? config.layers[i] : largest_layer(config);
    ELMS_RETURN_IF_ERROR(decoder.take_activations(config, layer, decoder.activations_[i]));
  }
  ELMS_RETURN_IF_ERROR(
      decoder.take(decoder.rope_, shape.length * static_cast<std::size_t>(config.rope.n_rot)));
  rope_table<T>(config.rope, shape.length, decoder.rope_.data());
  ELMS_RETURN_IF_ERROR(decoder.take(decoder.normed_, n * s.d));
  ELMS_RETURN_IF_ERROR(decoder.take(decoder.inv_rms_, n));
  ELMS_RETURN_IF_ERROR(decoder.take(decoder.logits_, n * static_cast<std::size_t>(config.n_vocab)));
  ELMS_RETURN_IF_ERROR(decoder.take(decoder.gradient_, n * s.d));
  ELMS_RETURN_IF_ERROR(decoder.take(decoder.d_normed_, n * s.d));
  ELMS_RETURN_IF_ERROR(decoder.take(decoder.d_q_, n * s.q));
  ELMS_RETURN_IF_ERROR(decoder.take(decoder.d_k_, n * s.kv));
  ELMS_RETURN_IF_ERROR(decoder.take(decoder.d_v_, n * s.kv));
  ELMS_RETURN_IF_ERROR(decoder.take(decoder.d_attended_, n * s.q));
  ELMS_RETURN_IF_ERROR(decoder.take(decoder.d_gate_, n * s.ff));
  ELMS_RETURN_IF_ERROR(decoder.take(decoder.d_up_, n * s.ff));
  ELMS_RETURN_IF_ERROR(
      decoder.take(decoder.scratch_, decoder.attention_shape(config, largest_layer(config)).scratch_elems()));
  ELMS_ASSIGN_OR_RETURN(decoder.row_loss_, detail::Buffer<double>::uninitialized(n));
  return decoder;
}

template <typename T>
AttentionShape TrainDecoder<T>::attention_shape(const ModelConfig& config,
                                                const LayerShape& layer) const noexcept {
  const LayerSizes s(config, layer);
  return {shape_.n_sequences, shape_.length, s.q_heads, s.kv_heads, s.head_dim};
}

template <typename T>
void TrainDecoder<T>::head_norms_and_rope(ThreadPool& pool, const ModelConfig& config, const Layer& layer,
                                          Activations& a) noexcept {
  const LayerSizes s(config, layer.shape);
  const std::size_t n = shape_.n_tokens();
  const T epsilon = static_cast<T>(config.rms_epsilon);
  if (config.qk_norm) {
    rms_norm_forward<T>(pool, n * s.q_heads, s.head_dim, epsilon, a.raw_q.data(),
                        layer.param(layer.at->q_norm), a.q.data(), a.inv_rms_q.data());
    rms_norm_forward<T>(pool, n * s.kv_heads, s.head_dim, epsilon, a.raw_k.data(),
                        layer.param(layer.at->k_norm), a.k.data(), a.inv_rms_k.data());
  }
  rope_forward<T>(pool, config.rope, shape_.n_sequences, shape_.length, s.q_heads, s.head_dim, rope_.data(),
                  a.q.data());
  rope_forward<T>(pool, config.rope, shape_.n_sequences, shape_.length, s.kv_heads, s.head_dim, rope_.data(),
                  a.k.data());
}

template <typename T>
void TrainDecoder<T>::layer_forward(ThreadPool& pool, const ModelConfig& config, const Layer& layer,
                                    const T* x, Activations& a, T* y) noexcept {
  attention_part_forward(pool, config, layer, x, a);
  ffn_part_forward(pool, config, layer, a, y);
}

template <typename T>
void TrainDecoder<T>::attention_part_forward(ThreadPool& pool, const ModelConfig& config, const Layer& layer,
                                             const T* x, Activations& a) noexcept {
  const LayerSizes s(config, layer.shape);
  const std::size_t n = shape_.n_tokens();
  const T epsilon = static_cast<T>(config.rms_epsilon);
  const LayerOffsets& at = *layer.at;
  rms_norm_forward<T>(pool, n, s.d, epsilon, x, layer.param(at.attn_norm), a.normed.data(), a.inv_rms.data());
  T* const q = config.qk_norm ? a.raw_q.data() : a.q.data();
  T* const k = config.qk_norm ? a.raw_k.data() : a.k.data();
  linear_forward<T>(pool, n, s.d, s.q, a.normed.data(), layer.param(at.wq), layer.param(at.bq), q);
  linear_forward<T>(pool, n, s.d, s.kv, a.normed.data(), layer.param(at.wk), layer.param(at.bk), k);
  linear_forward<T>(pool, n, s.d, s.kv, a.normed.data(), layer.param(at.wv), layer.param(at.bv), a.v.data());
  head_norms_and_rope(pool, config, layer, a);
  attention_forward<T>(pool, attention_shape(config, layer.shape), a.q.data(), a.k.data(), a.v.data(),
                       a.attended.data(), scratch_.data());
  linear_onto_residual<T>(pool, n, s.q, s.d, a.attended.data(), layer.param(at.wo), layer.param(at.bo), x,
                          a.middle.data());
}

template <typename T>
void TrainDecoder<T>::ffn_part_forward(ThreadPool& pool, const ModelConfig& config, const Layer& layer,
                                       Activations& a, T* y) noexcept {
  const LayerSizes s(config, layer.shape);
  const std::size_t n = shape_.n_tokens();
  const T epsilon = static_cast<T>(config.rms_epsilon);
  const LayerOffsets& at = *layer.at;
  rms_norm_forward<T>(pool, n, s.d, epsilon, a.middle.data(), layer.param(at.ffn_norm),
                      a.middle_normed.data(), a.middle_inv_rms.data());
  linear_forward<T>(pool, n, s.d, s.ff, a.middle_normed.data(), layer.param(at.gate), nullptr, a.gate.data());
  linear_forward<T>(pool, n, s.d, s.ff, a.middle_normed.data(), layer.param(at.up), nullptr, a.up.data());
  swiglu_forward<T>(pool, n * s.ff, a.gate.data(), a.up.data(), a.activated.data());
  linear_onto_residual<T>(pool, n, s.ff, s.d, a.activated.data(), layer.param(at.down),
                          layer.param(at.down_bias), a.middle.data(), y);
}

template <typename T>
void TrainDecoder<T>::embed(ThreadPool& pool, const ParameterLayout& layout, const T* params,
                            std::span<const TokenId> tokens) noexcept {
  embedding_forward<T>(pool, tokens, static_cast<std::size_t>(layout.config().d_model),
                       params + layout.embedding(), inputs_[0].data());
}

template <typename T>
void TrainDecoder<T>::attention_block(ThreadPool& pool, const ParameterLayout& layout, const T* params,
                                      std::size_t i) noexcept {
  Activations& a = activations_[memory_ == ActivationMemory::kKeepAll ? i : 0];
  attention_part_forward(pool, layout.config(), {&layout.layer(i), layout.config().layers[i], params},
                         inputs_[i].data(), a);
}

template <typename T>
void TrainDecoder<T>::ffn_block(ThreadPool& pool, const ParameterLayout& layout, const T* params,
                                std::size_t i) noexcept {
  Activations& a = activations_[memory_ == ActivationMemory::kKeepAll ? i : 0];
  ffn_part_forward(pool, layout.config(), {&layout.layer(i), layout.config().layers[i], params}, a,
                   inputs_[i + 1].data());
}

template <typename T>
void TrainDecoder<T>::forward(ThreadPool& pool, const ParameterLayout& layout, const T* params,
                              std::span<const TokenId> tokens, std::size_t first_layer) noexcept {
  const ModelConfig& config = layout.config();
  const std::size_t n = shape_.n_tokens(), d = static_cast<std::size_t>(config.d_model);
  if (first_layer == 0) embed(pool, layout, params, tokens);
  for (std::size_t i = first_layer; i < config.layers.size(); ++i) {
    Activations& a = activations_[memory_ == ActivationMemory::kKeepAll ? i : 0];
    layer_forward(pool, config, {&layout.layer(i), config.layers[i], params}, inputs_[i].data(), a,
                  inputs_[i + 1].data());
  }
  rms_norm_forward<T>(pool, n, d, static_cast<T>(config.rms_epsilon), inputs_[config.layers.size()].data(),
                      params + layout.output_norm(), normed_.data(), inv_rms_.data());
  linear_forward<T>(pool, n, d, static_cast<std::size_t>(config.n_vocab), normed_.data(),
                    params + layout.head(), nullptr, logits_.data());
}

template <typename T>
void TrainDecoder<T>::ffn_backward(ThreadPool& pool, const ModelConfig& config, const Layer& layer,
                                   Activations& a, T* gradients, T* gates) noexcept {
  const LayerSizes s(config, layer.shape);
  const std::size_t n = shape_.n_tokens();
  const LayerOffsets& at = *layer.at;
  linear_backward<T>(pool, n, s.ff, s.d, a.activated.data(), layer.param(at.down), gradient_.data(),
                     d_gate_.data(), false, gradients + at.down, offset_into(gradients, at.down_bias));
  if (gates != nullptr) {
    unit_gradients<T>(pool, shape_.n_sequences, shape_.length, s.ff, 1, a.activated.data(), d_gate_.data(),
                      gates);
  }
  swiglu_backward<T>(pool, n * s.ff, a.gate.data(), a.up.data(), d_gate_.data(), d_gate_.data(),
                     d_up_.data());
  linear_backward<T>(pool, n, s.d, s.ff, a.middle_normed.data(), layer.param(at.gate), d_gate_.data(),
                     d_normed_.data(), false, gradients + at.gate, nullptr);
  linear_backward<T>(pool, n, s.d, s.ff, a.middle_normed.data(), layer.param(at.up), d_up_.data(),
                     d_normed_.data(), true, gradients + at.up, nullptr);
  rms_norm_backward<T>(pool, n, s.d, a.middle.data(), layer.param(at.ffn_norm), a.middle_inv_rms.data(),
                       d_normed_.data(), d_normed_.data(), gradients + at.ffn_norm);
  add(pool, n * s.d, d_normed_.data(), gradient_.data());
}

template <typename T>
void TrainDecoder<T>::attention_part_backward(ThreadPool& pool, const ModelConfig& config, const Layer& layer,
                                              const T* x, Activations& a, T* gradients, T* gates) noexcept {
  const LayerSizes s(config, layer.shape);
  const std::size_t n = shape_.n_tokens();
  const LayerOffsets& at = *layer.at;
  linear_backward<T>(pool, n, s.q, s.d, a.attended.data(), layer.param(at.wo), gradient_.data(),
                     d_attended_.data(), false, gradients + at.wo, offset_into(gradients, at.bo));
  if (gates != nullptr) {
    unit_gradients<T>(pool, shape_.n_sequences, shape_.length, s.q_heads, s.head_dim, a.attended.data(),
                      d_attended_.data(), gates);
  }
  attention_backward<T>(pool, attention_shape(config, layer.shape), a.q.data(), a.k.data(), a.v.data(),
                        d_attended_.data(), d_q_.data(), d_k_.data(), d_v_.data(), scratch_.data());
  rope_backward<T>(pool, config.rope, shape_.n_sequences, shape_.length, s.q_heads, s.head_dim, rope_.data(),
                   d_q_.data());
  rope_backward<T>(pool, config.rope, shape_.n_sequences, shape_.length, s.kv_heads, s.head_dim, rope_.data(),
                   d_k_.data());
  if (config.qk_norm) {
    rms_norm_backward<T>(pool, n * s.q_heads, s.head_dim, a.raw_q.data(), layer.param(at.q_norm),
                         a.inv_rms_q.data(), d_q_.data(), d_q_.data(), gradients + at.q_norm);
    rms_norm_backward<T>(pool, n * s.kv_heads, s.head_dim, a.raw_k.data(), layer.param(at.k_norm),
                         a.inv_rms_k.data(), d_k_.data(), d_k_.data(), gradients + at.k_norm);
  }
  linear_backward<T>(pool, n, s.d, s.q, a.normed.data(), layer.param(at.wq), d_q_.data(), d_normed_.data(),
                     false, gradients + at.wq, offset_into(gradients, at.bq));
  linear_backward<T>(pool, n, s.d, s.kv, a.normed.data(), layer.param(at.wk), d_k_.data(), d_normed_.data(),
                     true, gradients + at.wk, offset_into(gradients, at.bk));
  linear_backward<T>(pool, n, s.d, s.kv, a.normed.data(), layer.param(at.wv), d_v_.data(), d_normed_.data(),
                     true, gradients + at.wv, offset_into(gradients, at.bv));
  rms_norm_backward<T>(pool, n, s.d, x, layer.param(at.attn_norm), a.inv_rms.data(), d_normed_.data(),
                       d_normed_.data(), gradients + at.attn_norm);
  add(pool, n * s.d, d_normed_.data(), gradient_.data());
}

template <typename T>
void TrainDecoder<T>::layer_backward(ThreadPool& pool, const ModelConfig& config, const Layer& layer,
                                     const T* x, Activations& a, T* gradients, T* head_gates,
                                     T* ffn_gates) noexcept {
  ffn_backward(pool, config, layer, a, gradients, ffn_gates);
  attention_part_backward(pool, config, layer, x, a, gradients, head_gates);
}

template <typename T>
void TrainDecoder<T>::backward(ThreadPool& pool, const ParameterLayout& layout, const T* params,
                               std::span<const TokenId> tokens, T* gradients, UnitGradients<T>* units) {
  const ModelConfig& config = layout.config();
  const std::size_t n = shape_.n_tokens(), d = static_cast<std::size_t>(config.d_model),
                    n_layers = config.layers.size();
  if (units != nullptr) {
    units->heads.resize(n_layers);
    units->ffn_units.resize(n_layers);
  }
  linear_backward<T>(pool, n, d, static_cast<std::size_t>(config.n_vocab), normed_.data(),
                     params + layout.head(), logits_.data(), gradient_.data(), false,
                     gradients + layout.head(), nullptr);
  rms_norm_backward<T>(pool, n, d, inputs_[n_layers].data(), params + layout.output_norm(), inv_rms_.data(),
                       gradient_.data(), gradient_.data(), gradients + layout.output_norm());
  for (std::size_t i = n_layers; i-- > 0;) {
    const Layer layer{&layout.layer(i), config.layers[i], params};
    Activations& a = activations_[memory_ == ActivationMemory::kKeepAll ? i : 0];
    if (memory_ == ActivationMemory::kRecompute) {
      // The layer's output is overwritten with what is there already.
      layer_forward(pool, config, layer, inputs_[i].data(), a, inputs_[i + 1].data());
    }
    T* head_gates = nullptr;
    T* ffn_gates = nullptr;
    if (units != nullptr) {
      units->heads[i].resize(shape_.n_sequences * static_cast<std::size_t>(layer.shape.q_heads));
      units->ffn_units[i].resize(shape_.n_sequences * static_cast<std::size_t>(layer.shape.ff));
      head_gates = units->heads[i].data();
      ffn_gates = units->ffn_units[i].data();
    }
    layer_backward(pool, config, layer, inputs_[i].data(), a, gradients, head_gates, ffn_gates);
  }
  embedding_backward<T>(pool, tokens, d, gradient_.data(), gradients + layout.embedding());
}

template class TrainDecoder<float>;
template class TrainDecoder<double>;

}  // namespace elms::inline v0::offline::train
