// The weights of an encoder in memory, and their loading.
#pragma once

#include <cstdint>
#include <vector>

#include "elms/detail/buffer.hpp"
#include "refine/encoder_file.hpp"
#include "refine/linear.hpp"

namespace elms::inline v0::detail {

/// Weight and bias of a norm, [n] each.
struct EncoderNormWeights {
  Buffer<float> weight;
  Buffer<float> bias;
};

/// x = norm(down(activation(up(x))) + x).
struct FeedForward {
  Linear up;
  Linear down;
  EncoderNormWeights norm;
};

/// One layer. With d = d_inner and h = d_model (alike in BERT), for input x [m, h]:
///   a = norm(bottleneck_in(x)) or x; q and k from s = norm(bottleneck_attention(x)) or a; v from x or a
///   a = output_norm(output(attention(q, k, v)) + a); then each ffn; x = a, or norm(bottleneck_out(a) + x)
struct EncoderLayer {
  Linear bottleneck_in;  ///< d x h; empty like the other bottlenecks where the model has none
  EncoderNormWeights bottleneck_in_norm;
  Linear bottleneck_attention;  ///< d x h
  EncoderNormWeights bottleneck_attention_norm;
  Linear query, key;  ///< d x d
  Linear value;       ///< d x h, or d x d with bottleneck_attention in the config
  Linear output;      ///< d x d
  EncoderNormWeights output_norm;
  std::vector<FeedForward> ffn;  ///< [n_ffn]
  Linear bottleneck_out;         ///< h x d
  EncoderNormWeights bottleneck_out_norm;
};

/// Layer `index` of a branch. Errors as of EncoderModel::open.
[[nodiscard]] Result<EncoderLayer> load_encoder_layer(const EncoderFile& file, EncoderBranch branch,
                                                      std::int32_t index, const LinearSettings& settings);

[[nodiscard]] Result<EncoderNormWeights> load_encoder_norm(const EncoderFile& file, EncoderBranch branch,
                                                           const std::string& name, std::int32_t n);
[[nodiscard]] Result<Linear> load_linear(const EncoderFile& file, EncoderBranch branch,
                                         const std::string& name, std::int32_t n_out, std::int32_t n_in,
                                         LinearActivation activation, const LinearSettings& settings);

/// Calls fn with every linear layer that is there.
template <typename Fn>
void for_each_linear(const EncoderLayer& layer, Fn&& fn) {
  for (const Linear* linear : {&layer.bottleneck_in, &layer.bottleneck_attention, &layer.query, &layer.key,
                               &layer.value, &layer.output, &layer.bottleneck_out}) {
    if (linear->n_out > 0) fn(*linear);
  }
  for (const FeedForward& ffn : layer.ffn) {
    fn(ffn.up);
    fn(ffn.down);
  }
}

}  // namespace elms::inline v0::detail
