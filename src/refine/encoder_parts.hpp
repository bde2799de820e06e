// What an EncoderModel holds.
#pragma once

#include <memory>
#include <vector>

#include "elms/detail/encoder.hpp"
#include "refine/encoder_file.hpp"
#include "refine/encoder_layers.hpp"

namespace elms::inline v0::detail {

/// Keep probability of a token = sigmoid(weight . state + bias).
struct ScoreHead {
  std::vector<float> weight;  ///< [d_model]; empty: none
  float bias = 0.0f;
};

/// quality = sigmoid((output tanh(hidden [pooled; ttft; tpot] + hidden_bias) + output_bias) / temperature).
struct DecisionHead {
  std::vector<float> widths, keep_ratios;  ///< both ascending; empty: none
  std::vector<float> hidden;               ///< [n_hidden, d_model + 2]
  std::vector<float> hidden_bias;          ///< [n_hidden]
  std::vector<float> output;               ///< [n_widths * n_keep, n_hidden]
  std::vector<float> output_bias;          ///< [n_widths * n_keep]
  float temperature = 1.0f;
};

struct EncoderParts {
  explicit EncoderParts(EncoderFile opened) noexcept : file(std::move(opened)) {}

  EncoderFile file;
  std::shared_ptr<const Tokenizer> tokenizer;
  std::shared_ptr<ThreadPool> pool;          ///< as given
  std::shared_ptr<ThreadPool> compute_pool;  ///< of the same number of threads, where XNNPACK needs another
  LinearSettings settings;
  SourceTensor token_table;     ///< [n_vocab, d_embedding], in the mapping
  SourceTensor position_table;  ///< [max_positions, d_model], in the mapping
  Buffer<float> token_type;     ///< [d_model]: all tokens are of type 0
  Linear widen;  ///< MobileBERT: d_model x the embeddings of a token; empty: they are its input
  EncoderNormWeights embedding_norm;
  std::vector<EncoderLayer> layers;           ///< [n_layers]
  std::vector<EncoderLayer> decision_layers;  ///< [n_decision_layers]
  ScoreHead score;
  DecisionHead decision;
};

/// Calls fn with every linear layer of the model.
template <typename Fn>
void for_each_linear(const EncoderParts& model, Fn&& fn) {
  if (model.widen.n_out > 0) fn(model.widen);
  for (const EncoderLayer& layer : model.layers) for_each_linear(layer, fn);
  for (const EncoderLayer& layer : model.decision_layers) for_each_linear(layer, fn);
}

}  // namespace elms::inline v0::detail
