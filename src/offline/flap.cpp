// Activation fluctuation (FLAP, arXiv 2312.11983): a unit whose activation hardly varies can be replaced by a
// constant; one whose activation varies and is read by large weights can not. Score of input c of a matrix W:
// Var(x_c) * |W[:, c]|^2.
#include <algorithm>
#include <utility>

#include "elms/detail/error.hpp"
#include "elms/offline/importance.hpp"
#include "elms/session.hpp"
#include "offline/unit_weights.hpp"

namespace elms::inline v0::offline {

namespace {

/// Mean and variance of every column over all tokens seen, by Welford's update.
class ColumnMoments {
 public:
  void add(std::span<const float> values, std::int32_t n_tokens, std::int32_t n_columns) {
    const auto columns = static_cast<std::size_t>(n_columns);
    mean_.resize(columns, 0.0);
    squares_.resize(columns, 0.0);
    for (std::size_t t = 0; t < static_cast<std::size_t>(n_tokens); ++t) {
      ++n_;
      const double weight = 1.0 / static_cast<double>(n_);
      for (std::size_t c = 0; c < columns; ++c) {
        const double x = values[t * columns + c];
        const double delta = x - mean_[c];
        mean_[c] += delta * weight;
        squares_[c] += delta * (x - mean_[c]);
      }
    }
  }
  [[nodiscard]] double variance(std::size_t column) const {
    return n_ < 2 ? 0.0 : squares_[column] / static_cast<double>(n_ - 1);
  }

 private:
  std::int64_t n_ = 0;
  std::vector<double> mean_, squares_;
};

struct LayerMoments {
  ColumnMoments attention;  ///< [q_heads * head_dim], heads as the probe delivers them
  ColumnMoments ffn;        ///< [ff]
};

/// Runs the full model over the tokens in windows that do not see each other.
Status collect(const std::shared_ptr<const ElasticModel>& model, std::span<const TokenId> tokens,
               const CalibrationOptions& options, const ProgressCallback& progress,
               std::vector<LayerMoments>& layers) {
  SessionOptions session_options;
  session_options.context_tokens = options.window_tokens;
  session_options.batch_tokens = options.window_tokens;
  session_options.probe = [&](ProbePoint point, std::int32_t layer, std::span<const float> values,
                              std::int32_t n_tokens, std::int32_t n_columns) {
    LayerMoments& moments = layers[static_cast<std::size_t>(layer)];
    if (point == ProbePoint::kAttentionOutput) moments.attention.add(values, n_tokens, n_columns);
    if (point == ProbePoint::kFfnActivation) moments.ffn.add(values, n_tokens, n_columns);
  };
  ELMS_ASSIGN_OR_RETURN(Session session, Session::create(model, session_options));
  const auto window = static_cast<std::size_t>(options.window_tokens);
  for (std::size_t begin = 0; begin < tokens.size(); begin += window) {
    session.reset();
    ELMS_RETURN_IF_ERROR(session.prefill(tokens.subspan(begin, std::min(window, tokens.size() - begin))));
    const double done =
        static_cast<double>(std::min(tokens.size(), begin + window)) / static_cast<double>(tokens.size());
    if (progress && progress({"calibrate", done}) == Flow::kStop)
      return Status(StatusCode::kCancelled, "calibrate: stopped");
  }
  return {};
}

/// The probe's head order is the packed one; files and Importance keep heads group by group.
std::size_t file_head(const ElasticModel& model, std::size_t layer, std::size_t probe_head) {
  if (!model.weights().layers[layer].rank_major) return probe_head;
  const LayerShape& shape = model.config().layers[layer];
  const auto n_kv = static_cast<std::size_t>(shape.kv_heads);
  const std::size_t group = static_cast<std::size_t>(shape.q_heads) / n_kv;
  return (probe_head % n_kv) * group + probe_head / n_kv;
}

}  // namespace

Result<Importance> flap_importance(std::shared_ptr<const ElasticModel> model, std::span<const TokenId> tokens,
                                   const CalibrationOptions& options, const ProgressCallback& progress) {
  if (model == nullptr) return detail::invalid_argument("flap: the model is null");
  if (options.window_tokens < 2 || options.max_tokens < 1) {
    return detail::invalid_argument("flap: windows of ", options.window_tokens, " and at most ",
                                    options.max_tokens, " tokens");
  }
  tokens = tokens.first(std::min(tokens.size(), static_cast<std::size_t>(options.max_tokens)));
  if (tokens.size() < 2 * static_cast<std::size_t>(options.window_tokens)) {
    return detail::invalid_argument("flap: ", tokens.size(), " calibration tokens, at least two windows of ",
                                    options.window_tokens, " are needed");
  }
  const ModelConfig& config = model->config();
  std::vector<LayerMoments> moments(config.layers.size());
  ELMS_RETURN_IF_ERROR(collect(model, tokens, options, progress, moments));

  Importance importance;
  importance.method = ImportanceMethod::kFlap;
  const auto head_dim = static_cast<std::size_t>(config.head_dim);
  for (std::size_t layer = 0; layer < config.layers.size(); ++layer) {
    const std::string blk = detail::concat("blk.", layer, ".");
    ELMS_ASSIGN_OR_RETURN(const std::vector<double> output,
                          squared_column_norms(model->source(), blk + "attn_output.weight"));
    ELMS_ASSIGN_OR_RETURN(const std::vector<double> down,
                          squared_column_norms(model->source(), blk + "ffn_down.weight"));
    std::vector<float> heads(output.size() / head_dim, 0.0f), units(down.size());
    for (std::size_t probe_head = 0; probe_head < heads.size(); ++probe_head) {
      const std::size_t head = file_head(*model, layer, probe_head);
      double score = 0.0;
      for (std::size_t i = 0; i < head_dim; ++i) {
        score += moments[layer].attention.variance(probe_head * head_dim + i) * output[head * head_dim + i];
      }
      heads[head] = static_cast<float>(score);
    }
    for (std::size_t u = 0; u < units.size(); ++u)
      units[u] = static_cast<float>(moments[layer].ffn.variance(u) * down[u]);
    importance.heads.push_back(std::move(heads));
    importance.ffn_units.push_back(std::move(units));
  }
  return importance;
}

}  // namespace elms::inline v0::offline
