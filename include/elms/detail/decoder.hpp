// The forward pass of a llama-family decoder over one batch of tokens, at one width.
//
// Five parallel sections a layer: q k v | attention | output projection | gate and up with SwiGLU | down projection.
// All memory is taken at creation.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "elms/detail/buffer.hpp"
#include "elms/detail/kv_cache.hpp"
#include "elms/detail/matmul.hpp"
#include "elms/detail/op_clock.hpp"
#include "elms/elastic_model.hpp"
#include "elms/probe.hpp"
#include "elms/types.hpp"

namespace elms::inline v0::detail {

class Decoder {
 public:
  Decoder() = default;

  /// Buffers for batches of up to max_batch tokens in a context of context_tokens.
  [[nodiscard]] static Result<Decoder> create(const ElasticModel& model, std::int32_t context_tokens,
                                              std::int32_t max_batch, KvType kv_type, ThreadPool& pool);

  struct Batch {
    std::span<const TokenId> tokens;         ///< 1 .. max_batch, all inside the vocabulary
    std::int32_t first_position = 0;
    std::span<const LayerShape> slices;      ///< [n_layers]
    const LevelAdapter* adapter = nullptr;   ///< of the level whose slices these are
    const CancelToken* cancel = nullptr;
    const Probe* probe = nullptr;
  };

  /// Runs all layers; the residual stream of the batch is then in hidden(), and keys and values of its positions are in
  /// the cache. kCancelled between two layers: the cache holds nothing that positions before the batch need changed.
  Status run_layers(const Batch& batch);

  /// Output norm of row `row` of the last batch: [d_model].
  void normalise_row(std::int32_t row, float* out) const noexcept;
  /// Logits of rows [begin, begin + n) of the last batch: out [n, n_vocab]. n <= max_batch.
  void logits(std::int32_t begin, std::int32_t n, float* out) noexcept;

  /// Where later calls add up the time of each op; null for nowhere, and then no clock is read.
  void set_op_times(OpTimes* times) noexcept { clock_.set(times); }

  [[nodiscard]] KvCache& cache() noexcept { return cache_; }
  [[nodiscard]] const KvCache& cache() const noexcept { return cache_; }
  [[nodiscard]] std::int32_t max_batch() const noexcept { return max_batch_; }
  [[nodiscard]] std::size_t scratch_bytes() const noexcept;

 private:
  void embed(std::span<const TokenId> tokens) noexcept;
  void write_rotations(std::int32_t first_position, std::int32_t m) noexcept;
  /// fn(r) for rows [0, m) of a batch, many rows to a task.
  template <typename Fn>
  void for_each_row(std::int32_t m, Fn&& fn) noexcept {
    constexpr std::size_t kRowsPerTask = 16;
    const auto rows = static_cast<std::size_t>(m);
    pool_->parallel_for((rows + kRowsPerTask - 1) / kRowsPerTask, [&](std::size_t task) {
      for (std::size_t r = task * kRowsPerTask; r < std::min(rows, (task + 1) * kRowsPerTask); ++r) fn(r);
    });
  }

  void normalise(const Vector& weight, std::int32_t m) noexcept;
  void attention_block(std::size_t layer, const LayerShape& slice, const LayerAdapter* adapter, std::int32_t first,
                       std::int32_t m, const Probe* probe);
  void ffn_block(std::size_t layer, const LayerShape& slice, const LayerAdapter* adapter, std::int32_t m, const Probe* probe);

  /// Members of a layer's adapter as products take them: null without an adapter, or where it has no such member.
  [[nodiscard]] static const LowRank* update_of(const LayerAdapter* adapter, LowRank LayerAdapter::*member) noexcept {
    return adapter == nullptr || (adapter->*member).rank == 0 ? nullptr : &(adapter->*member);
  }
  [[nodiscard]] static const float* bias_of(const LayerAdapter* adapter, Vector LayerAdapter::*member, const float* own) noexcept {
    return adapter == nullptr || (adapter->*member).empty() ? own : (adapter->*member).data();
  }
  [[nodiscard]] static const AdapterGroup* group_of(const LayerAdapter* adapter, AdapterGroup LayerAdapter::*group) noexcept {
    return adapter == nullptr ? nullptr : &(adapter->*group);
  }
  void rotate_and_store(std::size_t layer, const LayerShape& slice, std::int32_t first, std::int32_t m) noexcept;
  void store_entry(const float* values, std::uint8_t* entry) const noexcept {
    if (cache_.type() == KvType::kF16) {
      kernels_->f32_to_f16(values, config().head_dim, reinterpret_cast<std::uint16_t*>(entry));
    } else {
      kernels_->f32_to_kv_q8(values, config().head_dim, entry);
    }
  }
  void attend(std::size_t layer, const LayerShape& slice, std::int32_t first, std::int32_t m) noexcept;

  [[nodiscard]] const ModelConfig& config() const noexcept { return model_->config(); }
  [[nodiscard]] std::size_t head_dim() const noexcept { return static_cast<std::size_t>(config().head_dim); }
  [[nodiscard]] std::size_t d_model() const noexcept { return static_cast<std::size_t>(config().d_model); }

  const ElasticModel* model_ = nullptr;
  const elms_kernel_table* kernels_ = nullptr;
  ThreadPool* pool_ = nullptr;
  std::int32_t max_batch_ = 0;
  std::int32_t context_ = 0;

  OpClock clock_;
  KvCache cache_;
  std::vector<double> frequencies_;  ///< [n_rot / 2], radians per position
  Buffer<float> hidden_;             ///< [max_batch, d_model], residual stream
  Buffer<float> normed_;             ///< [max_batch, d_model]
  Buffer<float> q_, k_, v_;          ///< [max_batch, heads * head_dim] of the slice, densely
  Buffer<float> attended_;           ///< [max_batch, q_heads * head_dim]
  Buffer<float> gate_, up_;          ///< [max_batch, ff]
  Buffer<float> projected_;          ///< [max_batch, largest rank of a level's adapter]
  Buffer<float> cosine_, sine_;      ///< [max_batch, n_rot / 2]
  Buffer<std::uint8_t> lhs_;
  Buffer<std::uint8_t> masks_;              ///< [kv_heads, context], only where heads may be absent
  Buffer<float> attention_scratch_;         ///< [n_attention_tasks, floats]
  std::size_t attention_scratch_floats_ = 0;
  std::size_t n_attention_tasks_ = 1;
};

/// Largest slice-independent sizes over all layers.
struct DecoderSizes {
  std::size_t q = 0, kv = 0, ff = 0, lhs = 0, group = 1, kv_heads = 0;
  bool heads_may_be_absent = false;

  DecoderSizes(const ElasticModel& model, std::int32_t max_batch) {
    const ModelConfig& config = model.config();
    const auto widen = [&](const PackedMatrix& w) {
      lhs = std::max(lhs, lhs_bytes(*w.kernel, max_batch, w.cols));
      lhs = std::max(lhs, lhs_bytes(*w.kernel, 1, w.cols));
    };
    for (std::size_t i = 0; i < config.layers.size(); ++i) {
      const LayerShape& layer = config.layers[i];
      q = std::max(q, static_cast<std::size_t>(layer.q_heads * config.head_dim));
      kv = std::max(kv, static_cast<std::size_t>(layer.kv_heads * config.head_dim));
      ff = std::max(ff, static_cast<std::size_t>(layer.ff));
      group = std::max(group, static_cast<std::size_t>(layer.q_heads / layer.kv_heads));
      kv_heads = std::max(kv_heads, static_cast<std::size_t>(layer.kv_heads));
      heads_may_be_absent |= layer.q_heads == layer.kv_heads;
      const LayerWeights& w = model.weights().layers[i];
      for (const PackedMatrix* matrix : {&w.wq, &w.wk, &w.wv, &w.wo, &w.gate, &w.up, &w.down}) widen(*matrix);
    }
    widen(model.weights().head);
  }
};

inline Result<Decoder> Decoder::create(const ElasticModel& model, std::int32_t context_tokens, std::int32_t max_batch,
                                       KvType kv_type, ThreadPool& pool) {
  const ModelConfig& config = model.config();
  const DecoderSizes sizes(model, max_batch);
  const auto batch = static_cast<std::size_t>(max_batch);
  const auto d = static_cast<std::size_t>(config.d_model);
  const auto half_rot = static_cast<std::size_t>(config.rope.n_rot / 2);
  Decoder decoder;
  decoder.model_ = &model;
  decoder.kernels_ = &model.kernels();
  decoder.pool_ = &pool;
  decoder.max_batch_ = max_batch;
  decoder.context_ = context_tokens;
  ELMS_ASSIGN_OR_RETURN(decoder.cache_, KvCache::create(config, context_tokens, kv_type));
  for (std::size_t i = 0; i < half_rot; ++i) {
    const double divisor = config.rope.divisors.empty() ? 1.0 : config.rope.divisors[i];
    const double exponent = -2.0 * static_cast<double>(i) / config.rope.n_rot;
    decoder.frequencies_.push_back(std::pow(static_cast<double>(config.rope.theta), exponent) /
                                   (divisor * config.rope.linear_factor));
  }
  const auto take = [](Buffer<float>& buffer, std::size_t n) -> Status {
    ELMS_ASSIGN_OR_RETURN(buffer, Buffer<float>::uninitialized(n));
    return {};
  };
  ELMS_RETURN_IF_ERROR(take(decoder.hidden_, batch * d));
  ELMS_RETURN_IF_ERROR(take(decoder.normed_, batch * d));
  ELMS_RETURN_IF_ERROR(take(decoder.q_, batch * sizes.q));
  ELMS_RETURN_IF_ERROR(take(decoder.k_, batch * sizes.kv));
  ELMS_RETURN_IF_ERROR(take(decoder.v_, batch * sizes.kv));
  ELMS_RETURN_IF_ERROR(take(decoder.attended_, batch * sizes.q));
  ELMS_RETURN_IF_ERROR(take(decoder.gate_, batch * sizes.ff));
  ELMS_RETURN_IF_ERROR(take(decoder.up_, batch * sizes.ff));
  ELMS_RETURN_IF_ERROR(take(decoder.projected_, batch * static_cast<std::size_t>(model.max_adapter_rank())));
  ELMS_RETURN_IF_ERROR(take(decoder.cosine_, batch * half_rot));
  ELMS_RETURN_IF_ERROR(take(decoder.sine_, batch * half_rot));
  ELMS_ASSIGN_OR_RETURN(decoder.lhs_, Buffer<std::uint8_t>::uninitialized(sizes.lhs));
  if (sizes.heads_may_be_absent) {
    ELMS_ASSIGN_OR_RETURN(decoder.masks_, Buffer<std::uint8_t>::uninitialized(sizes.kv_heads * static_cast<std::size_t>(context_tokens)));
  }
  decoder.n_attention_tasks_ = std::max<std::size_t>(1, 4 * pool.n_threads());
  const std::size_t floats = decoder.kernels_->attention_scratch_floats(static_cast<std::int32_t>(sizes.group),
                                                                        config.head_dim, context_tokens);
  decoder.attention_scratch_floats_ = (floats + 15) / 16 * 16;
  ELMS_RETURN_IF_ERROR(take(decoder.attention_scratch_, decoder.n_attention_tasks_ * decoder.attention_scratch_floats_));
  return decoder;
}

inline Status Decoder::run_layers(const Batch& batch) {
  const auto m = static_cast<std::int32_t>(batch.tokens.size());
  clock_.start();
  embed(batch.tokens);
  clock_.lap(Op::kEmbedding);
  write_rotations(batch.first_position, m);
  clock_.lap(Op::kRopeStore);
  for (std::size_t layer = 0; layer < batch.slices.size(); ++layer) {
    if (batch.cancel != nullptr && batch.cancel->cancelled()) {
      return error(StatusCode::kCancelled, "cancelled before layer ", layer);
    }
    if (batch.probe != nullptr) {
      (*batch.probe)(ProbePoint::kLayerInput, static_cast<std::int32_t>(layer),
                     {hidden_.data(), static_cast<std::size_t>(m) * d_model()}, m, config().d_model);
    }
    const LayerAdapter* adapter = batch.adapter == nullptr ? nullptr : &batch.adapter->layers[layer];
    attention_block(layer, batch.slices[layer], adapter, batch.first_position, m, batch.probe);
    ffn_block(layer, batch.slices[layer], adapter, m, batch.probe);
  }
  return {};
}

inline void Decoder::embed(std::span<const TokenId> tokens) noexcept {
  const SourceTensor& table = *model_->weights().embedding;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    table.decode_row(static_cast<std::uint64_t>(tokens[i]), hidden_.data() + i * d_model());
  }
}

inline void Decoder::write_rotations(std::int32_t first_position, std::int32_t m) noexcept {
  const std::size_t half = frequencies_.size();
  for (std::size_t r = 0; r < static_cast<std::size_t>(m); ++r) {
    const double position = static_cast<double>(first_position) + static_cast<double>(r);
    for (std::size_t i = 0; i < half; ++i) {
      const double angle = position * frequencies_[i];
      cosine_[r * half + i] = static_cast<float>(std::cos(angle));
      sine_[r * half + i] = static_cast<float>(std::sin(angle));
    }
  }
}

/// normed = RMSNorm(hidden) * weight.
inline void Decoder::normalise(const Vector& weight, std::int32_t m) noexcept {
  for_each_row(m, [&](std::size_t r) {
    kernels_->rms_norm(hidden_.data() + r * d_model(), weight.data(), config().d_model, config().rms_epsilon,
                       normed_.data() + r * d_model());
  });
  clock_.lap(Op::kNorm);
}

inline void Decoder::attention_block(std::size_t layer, const LayerShape& slice, const LayerAdapter* adapter,
                                     std::int32_t first, std::int32_t m, const Probe* probe) {
  const LayerWeights& w = model_->weights().layers[layer];
  const std::int32_t q_cols = slice.q_heads * config().head_dim;
  const std::int32_t kv_cols = slice.kv_heads * config().head_dim;
  normalise(w.attn_norm, m);
  const auto product = [&](const PackedMatrix& weights, std::int32_t n, const Vector& bias, Buffer<float>& dst,
                           LowRank LayerAdapter::*update) {
    return Product{&weights,   n, config().d_model, bias.data(), dst.data(), static_cast<std::size_t>(n), false,
                   update_of(adapter, update)};
  };
  const Product qkv[] = {product(w.wq, q_cols, w.bq, q_, &LayerAdapter::q), product(w.wk, kv_cols, w.bk, k_, &LayerAdapter::k),
                         product(w.wv, kv_cols, w.bv, v_, &LayerAdapter::v)};
  multiply(normed_.data(), d_model(), m, qkv, lhs_.data(), *pool_, clock_, Op::kQkv,
           group_of(adapter, &LayerAdapter::attn_in), projected_.data());
  rotate_and_store(layer, slice, first, m);
  clock_.lap(Op::kRopeStore);
  attend(layer, slice, first, m);
  clock_.lap(Op::kAttention);
  if (probe != nullptr) {
    (*probe)(ProbePoint::kAttentionOutput, static_cast<std::int32_t>(layer),
             {attended_.data(), static_cast<std::size_t>(m) * static_cast<std::size_t>(q_cols)}, m, q_cols);
  }
  const Product out[] = {{&w.wo, config().d_model, q_cols, bias_of(adapter, &LayerAdapter::o_bias, w.bo.data()),
                          hidden_.data(), d_model(), true, update_of(adapter, &LayerAdapter::o)}};
  multiply(attended_.data(), static_cast<std::size_t>(q_cols), m, out, lhs_.data(), *pool_, clock_, Op::kWo,
           group_of(adapter, &LayerAdapter::attn_out), projected_.data());
}

/// Per-head norms, rotation, and keys and values into the cache; a row at a time.
inline void Decoder::rotate_and_store(std::size_t layer, const LayerShape& slice, std::int32_t first, std::int32_t m) noexcept {
  const LayerWeights& w = model_->weights().layers[layer];
  const std::size_t hd = head_dim();
  const std::int32_t n_rot = config().rope.n_rot;
  const elms_rope_style style =
      config().rope.style == RopeStyle::kInterleaved ? ELMS_ROPE_INTERLEAVED : ELMS_ROPE_HALVES;
  const auto n_q = static_cast<std::size_t>(slice.q_heads), n_kv = static_cast<std::size_t>(slice.kv_heads);
  cache_.mark(layer, static_cast<std::size_t>(first), static_cast<std::size_t>(first + m), slice.kv_heads);

  for_each_row(m, [&](std::size_t r) {
    const float* cosine = cosine_.data() + r * frequencies_.size();
    const float* sine = sine_.data() + r * frequencies_.size();
    const auto prepare = [&](float* head, const Vector& norm) {
      if (!norm.empty()) kernels_->rms_norm(head, norm.data(), config().head_dim, config().rms_epsilon, head);
      kernels_->rope(head, cosine, sine, n_rot, style);
    };
    for (std::size_t h = 0; h < n_q; ++h) prepare(q_.data() + (r * n_q + h) * hd, w.q_norm);
    const std::size_t position = static_cast<std::size_t>(first) + r;
    for (std::size_t h = 0; h < n_kv; ++h) {
      float* key = k_.data() + (r * n_kv + h) * hd;
      prepare(key, w.k_norm);
      store_entry(key, cache_.key(layer, h, position));
      store_entry(v_.data() + (r * n_kv + h) * hd, cache_.value(layer, h, position));
    }
  });
}

inline void Decoder::attend(std::size_t layer, const LayerShape& slice, std::int32_t first, std::int32_t m) noexcept {
  constexpr std::int32_t kRowsPerItem = 16;
  const std::size_t hd = head_dim();
  const auto n_kv = static_cast<std::size_t>(slice.kv_heads);
  const std::int32_t group = slice.q_heads / slice.kv_heads;
  const bool rank_major = model_->weights().layers[layer].rank_major;
  const std::size_t head_stride = rank_major ? n_kv * hd : hd;
  const std::size_t group_stride = rank_major ? hd : static_cast<std::size_t>(group) * hd;
  const std::size_t row_stride = static_cast<std::size_t>(slice.q_heads) * hd;
  const auto n_positions = static_cast<std::size_t>(first + m);
  const auto attention = cache_.type() == KvType::kF16 ? kernels_->attention : kernels_->attention_q8;

  const bool masked = cache_.incomplete(layer, slice.kv_heads);
  for (std::size_t g = 0; masked && g < n_kv; ++g) {
    cache_.write_mask(layer, static_cast<std::int32_t>(g), n_positions, masks_.data() + g * static_cast<std::size_t>(context_));
  }
  const std::size_t n_blocks = static_cast<std::size_t>((m + kRowsPerItem - 1) / kRowsPerItem);
  const std::size_t n_items = n_kv * n_blocks;
  const std::int64_t macs = std::int64_t{2} * m * (first + m) * slice.q_heads * config().head_dim;
  const std::size_t n_tasks = std::min({n_items, n_attention_tasks_, worthwhile_tasks(macs, *pool_)});
  pool_->parallel_for(n_tasks, [&](std::size_t task) {
    for (std::size_t item = task; item < n_items; item += n_tasks) {
      const std::size_t g = item % n_kv;
      const std::int32_t row = static_cast<std::int32_t>(item / n_kv) * kRowsPerItem;
      const std::size_t offset = static_cast<std::size_t>(row) * row_stride + g * group_stride;
      elms_attention_args args{};
      args.q = q_.data() + offset;
      args.q_row_stride = row_stride;
      args.q_head_stride = head_stride;
      args.k = cache_.key(layer, g, 0);
      args.v = cache_.value(layer, g, 0);
      args.kv_stride_bytes = cache_.entry_bytes();
      args.n_rows = std::min(kRowsPerItem, m - row);
      args.n_heads = group;
      args.head_dim = config().head_dim;
      args.first_position = first + row;
      args.scale = 1.0f / std::sqrt(static_cast<float>(config().head_dim));
      args.masked = masked ? masks_.data() + g * static_cast<std::size_t>(context_) : nullptr;
      args.out = attended_.data() + offset;
      args.out_row_stride = row_stride;
      args.out_head_stride = head_stride;
      args.scratch = attention_scratch_.data() + task * attention_scratch_floats_;
      attention(&args);
    }
  });
}

inline void Decoder::ffn_block(std::size_t layer, const LayerShape& slice, const LayerAdapter* adapter, std::int32_t m,
                               const Probe* probe) {
  const LayerWeights& w = model_->weights().layers[layer];
  const auto ff = static_cast<std::size_t>(slice.ff);
  normalise(w.ffn_norm, m);
  const Product gate{&w.gate, slice.ff, config().d_model, nullptr, gate_.data(), ff, false,
                     update_of(adapter, &LayerAdapter::gate)};
  const Product up{&w.up, slice.ff, config().d_model, nullptr, up_.data(), ff, false,
                   update_of(adapter, &LayerAdapter::up)};
  const AdapterGroup* group = group_of(adapter, &LayerAdapter::ffn_in);
  if (w.gate.kernel == w.up.kernel && unit_outputs(gate) == unit_outputs(up)) {
    // Both products of a range of units, then their SwiGLU while it is in cache.
    Lhs lhs = prepare_lhs(*w.gate.kernel, normed_.data(), d_model(), m, config().d_model, lhs_.data(), *pool_);
    Projection projection(group, lhs, config().d_model, projected_.data());
    lhs.projection = &projection;
    clock_.lap(Op::kQuantise);
    const std::int32_t n_units = unit_count(gate), unit = unit_outputs(gate);
    const UnitSplit split(n_units, 2 * mac_count(gate, m), *pool_);
    OpShares shares(clock_);
    pool_->parallel_for(split.n_tasks, [&](std::size_t task) {
      OpShares::Task stopwatch(shares);
      const std::int32_t begin = static_cast<std::int32_t>(task) * split.units_per_task;
      const std::int32_t end = std::min(n_units, begin + split.units_per_task);
      run_units(gate, lhs, begin, end);
      run_units(up, lhs, begin, end);
      stopwatch.end_first();
      const std::int32_t first = begin * unit, n = std::min(slice.ff, end * unit) - first;
      for (std::size_t r = 0; r < static_cast<std::size_t>(m); ++r) {
        float* row = gate_.data() + r * ff + first;
        kernels_->swiglu(row, up_.data() + r * ff + first, n, row);
      }
      stopwatch.end_second();
    });
    shares.lap(Op::kGateUp, Op::kSwiglu);
  } else {
    const Product both[] = {gate, up};
    multiply(normed_.data(), d_model(), m, both, lhs_.data(), *pool_, clock_, Op::kGateUp, group, projected_.data());
    for_each_row(m, [&](std::size_t r) {
      kernels_->swiglu(gate_.data() + r * ff, up_.data() + r * ff, slice.ff, gate_.data() + r * ff);
    });
    clock_.lap(Op::kSwiglu);
  }
  if (probe != nullptr) {
    (*probe)(ProbePoint::kFfnActivation, static_cast<std::int32_t>(layer),
             {gate_.data(), static_cast<std::size_t>(m) * ff}, m, slice.ff);
  }
  const Product down[] = {{&w.down, config().d_model, slice.ff, bias_of(adapter, &LayerAdapter::down_bias, nullptr),
                           hidden_.data(), d_model(), true, update_of(adapter, &LayerAdapter::down)}};
  multiply(gate_.data(), ff, m, down, lhs_.data(), *pool_, clock_, Op::kDown,
           group_of(adapter, &LayerAdapter::ffn_out), projected_.data());
}

inline void Decoder::normalise_row(std::int32_t row, float* out) const noexcept {
  kernels_->rms_norm(hidden_.data() + static_cast<std::size_t>(row) * d_model(), model_->weights().output_norm.data(),
                     config().d_model, config().rms_epsilon, out);
}

inline void Decoder::logits(std::int32_t begin, std::int32_t n, float* out) noexcept {
  clock_.start();
  for (std::int32_t r = 0; r < n; ++r) normalise_row(begin + r, normed_.data() + static_cast<std::size_t>(r) * d_model());
  clock_.lap(Op::kNorm);
  const Product head[] = {{&model_->weights().head, config().n_vocab, config().d_model, nullptr, out,
                           static_cast<std::size_t>(config().n_vocab), false}};
  multiply(normed_.data(), d_model(), n, head, lhs_.data(), *pool_, clock_, Op::kHead);
}

inline std::size_t Decoder::scratch_bytes() const noexcept {
  std::size_t n = lhs_.size_bytes() + masks_.size_bytes();
  for (const Buffer<float>* buffer : {&hidden_, &normed_, &q_, &k_, &v_, &attended_, &gate_, &up_, &projected_, &cosine_, &sine_, &attention_scratch_}) {
    n += buffer->size_bytes();
  }
  return n;
}

}  // namespace elms::inline v0::detail
