// How much the loss would change without a unit, to first order.
//
// A gate on a unit's activation is 1 now and 0 without the unit: the loss of a sequence s changes by about
// -g_s, its derivative by the gate, which is the sum of activation * gradient over the sequence's tokens
// (Molchanov et al. 2019, arXiv 1906.10771). Derivatives of both signs cancel over sequences although
// removing the unit harms each of them, so their squares are averaged: near a minimum of the loss that is its
// second-order term, with the Fisher matrix for the Hessian.
#include "offline/taylor.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "elms/detail/error.hpp"
#include "offline/progress_meter.hpp"
#include "offline/tensor_names.hpp"
#include "offline/train/decoder.hpp"

namespace elms::inline v0::offline {

namespace {

constexpr std::size_t kTaylorBatchTokens = 1024;
// A gate spans at most so many tokens. Measured on stories260K, uniform levels at cost 0.5: perplexity 360
// with squares over 32 tokens, 582 over 256, 441 over 8; with absolute values instead of squares 436 over 32
// tokens and 663 over 256.
constexpr std::size_t kGateTokens = 32;

using Scores = std::vector<std::vector<double>>;  // [n_layers][units]

/// The sum over sequences of g_s^2 of every unit.
struct GateScores {
  Scores heads, ffn_units;
  std::size_t n_sequences = 0;

  explicit GateScores(const ModelConfig& config) {
    for (const LayerShape& layer : config.layers) {
      heads.emplace_back(static_cast<std::size_t>(layer.q_heads), 0.0);
      ffn_units.emplace_back(static_cast<std::size_t>(layer.ff), 0.0);
    }
  }

  /// `loss_weight`: what the batch's loss must be multiplied by to be the sum over its tokens.
  void add(const train::UnitGradients<float>& gates, std::size_t n_windows, double loss_weight) {
    n_sequences += n_windows;
    const auto add_kind = [&](const std::vector<std::vector<float>>& from, Scores& to) {
      for (std::size_t layer = 0; layer < to.size(); ++layer) {
        const std::size_t n_units = to[layer].size();
        for (std::size_t i = 0; i < n_windows * n_units; ++i) {
          const double g = static_cast<double>(from[layer][i]) * loss_weight;
          to[layer][i % n_units] += g * g;
        }
      }
    };
    add_kind(gates.heads, heads);
    add_kind(gates.ffn_units, ffn_units);
  }
};

std::vector<std::vector<float>> scaled(const Scores& scores, double factor) {
  std::vector<std::vector<float>> out;
  for (const std::vector<double>& layer : scores) {
    std::vector<float>& floats = out.emplace_back();
    for (const double score : layer) floats.push_back(static_cast<float>(score * factor));
  }
  return out;
}

/// Adds |w * dL/dw| of every weight of a matrix to its unit's score. Units are groups of rows, or of columns.
void add_products(const train::ParameterTensor& tensor, const float* params, const float* gradients,
                  bool units_are_rows, std::size_t unit_size, std::vector<double>& scores) {
  for (std::size_t r = 0; r < tensor.rows; ++r) {
    const std::size_t row = tensor.offset + r * tensor.cols;
    for (std::size_t c = 0; c < tensor.cols; ++c) {
      const double product =
          std::fabs(static_cast<double>(params[row + c]) * static_cast<double>(gradients[row + c]));
      scores[(units_are_rows ? r : c) / unit_size] += product;
    }
  }
}

/// The published score (LLM-Pruner, Ma et al. 2023, arXiv 2305.11627, "element-wise"; also ELMS): all weights
/// of a unit. With grouped queries a query head's are its own rows of wq and columns of wo; K and V belong to
/// the whole group.
GateScores weight_scores(const MemoryModel& model, const float* gradients) {
  const ModelConfig& config = model.config();
  const auto head_dim = static_cast<std::size_t>(config.head_dim);
  GateScores scores(config);
  for (const train::ParameterTensor& tensor : model.layout.tensors()) {
    const LayerTensorName name = parse_layer_tensor(tensor.name);
    if (!name.in_layer) continue;
    const LayerShape& shape = config.layers[name.layer];
    const auto add = [&](bool rows, std::size_t unit_size, std::vector<double>& to) {
      add_products(tensor, model.params.data(), gradients, rows, unit_size, to);
    };
    switch (name.role) {
      case LayerRole::kKeyValue:
        if (shape.q_heads == shape.kv_heads) add(true, head_dim, scores.heads[name.layer]);
        break;
      case LayerRole::kQuery:
        add(true, head_dim, scores.heads[name.layer]);
        break;
      case LayerRole::kAttentionOutput:
        add(false, head_dim, scores.heads[name.layer]);
        break;
      case LayerRole::kGateUp:
        add(true, 1, scores.ffn_units[name.layer]);
        break;
      case LayerRole::kDown:
        add(false, 1, scores.ffn_units[name.layer]);
        break;
      case LayerRole::kQueryBias:
      case LayerRole::kKeyValueBias:
      case LayerRole::kOther:
        break;
    }
  }
  return scores;
}

}  // namespace

Result<Importance> taylor_scores(ThreadPool& pool, const MemoryModel& model, const TokenWindows& windows,
                                 ImportanceMethod method, const ProgressCallback& progress) {
  if (windows.n_windows() == 0) return detail::invalid_argument("taylor: no calibration text");
  const ModelConfig& config = model.config();
  const WindowBatches batches(windows, kTaylorBatchTokens);
  ELMS_ASSIGN_OR_RETURN(auto decoder, train::TrainDecoder<float>::create(config, batches.shape()));
  ELMS_ASSIGN_OR_RETURN(auto gradients, detail::Buffer<float>::zeroed(model.layout.size()));
  GateScores gates(config);
  train::UnitGradients<float> unit_gradients;
  ProgressMeter meter(progress, "importance");
  const std::size_t n_predicted = batches.shape().n_sequences * (windows.length - 1);  // of a full batch
  for (std::size_t i = 0; i < batches.size(); ++i) {
    const WindowBatches::Batch batch = batches.at(i);
    decoder.forward(pool, model.layout, model.params.data(), batch.tokens);
    train::cross_entropy<float>(pool, batch.targets, static_cast<std::size_t>(config.n_vocab),
                                decoder.logits().data(), decoder.logits().data(), decoder.row_loss());
    if (batch.n_predicted < n_predicted) {  // a mean over fewer tokens: every token counts the same
      const float share = static_cast<float>(batch.n_predicted) / static_cast<float>(n_predicted);
      for (float& gradient : decoder.logits()) gradient *= share;
    }
    decoder.backward(pool, model.layout, model.params.data(), batch.tokens, gradients.data(),
                     &unit_gradients);
    gates.add(unit_gradients, batch.n_windows, static_cast<double>(n_predicted));
    ELMS_RETURN_IF_ERROR(meter.report(static_cast<double>(i + 1) / static_cast<double>(batches.size())));
  }

  const bool of_weights = method == ImportanceMethod::kTaylorWeights;
  const GateScores scores = of_weights ? weight_scores(model, gradients.data()) : std::move(gates);
  // Per predicted token, so that figures of calibration sets of different sizes can be compared.
  const double factor = of_weights ? 1.0 / static_cast<double>(batches.size())
                                   : 1.0 / static_cast<double>(windows.n_predicted());
  Importance importance;
  importance.method = method;
  importance.heads = scaled(scores.heads, factor);
  importance.ffn_units = scaled(scores.ffn_units, factor);
  return importance;
}

Result<Importance> taylor_importance(const detail::ModelSource& source, std::span<const TokenId> tokens,
                                     ImportanceMethod method, ThreadPool& pool,
                                     const CalibrationOptions& options, const ProgressCallback& progress) {
  if (options.window_tokens < 2 || options.max_tokens < 1) {
    return detail::invalid_argument("taylor: windows of ", options.window_tokens, " and at most ",
                                    options.max_tokens, " tokens");
  }
  tokens = tokens.first(std::min(tokens.size(), static_cast<std::size_t>(options.max_tokens)));
  for (const TokenId token : tokens) {
    if (token < 0 || token >= source.config().n_vocab) {
      return detail::invalid_argument("taylor: token ", token, " is outside the vocabulary of ",
                                      source.config().n_vocab);
    }
  }
  ELMS_ASSIGN_OR_RETURN(const MemoryModel model, load_memory_model(source));
  const auto tokenizer = source.open_tokenizer();
  const TokenId bos = tokenizer.has_value() ? (*tokenizer)->bos() : kNoToken;
  const auto window = std::min(static_cast<std::size_t>(options.window_tokens), kGateTokens);
  return taylor_scores(pool, model, cut_windows(tokens, bos, window), method, progress);
}

}  // namespace elms::inline v0::offline
