#include "elms/offline/importance.hpp"

#include <cmath>

#include "elms/detail/error.hpp"
#include "offline/unit_weights.hpp"

namespace elms::inline v0::offline {

using detail::concat;

std::optional<ImportanceMethod> parse_importance_method(std::string_view name) noexcept {
  if (name == "flap") return ImportanceMethod::kFlap;
  if (name == "magnitude") return ImportanceMethod::kMagnitude;
  if (name == "taylor") return ImportanceMethod::kTaylor;
  if (name == "taylor-weights") return ImportanceMethod::kTaylorWeights;
  return std::nullopt;
}

std::string_view to_string(ImportanceMethod method) noexcept {
  switch (method) {
    case ImportanceMethod::kFlap:
      return "flap";
    case ImportanceMethod::kMagnitude:
      return "magnitude";
    case ImportanceMethod::kTaylor:
      return "taylor";
    case ImportanceMethod::kTaylorWeights:
      return "taylor-weights";
  }
  return "none";
}

namespace {

std::vector<float> to_floats(const std::vector<double>& values) {
  return {values.begin(), values.end()};
}

/// Adds values[i] to the score of unit i / group_size.
void add_grouped(const std::vector<double>& values, std::size_t group_size, std::vector<double>& scores) {
  for (std::size_t i = 0; i < values.size(); ++i) scores[i / group_size] += values[i];
}

Status score_layer(const detail::ModelSource& source, std::size_t layer, Importance& out) {
  const ModelConfig& config = source.config();
  const LayerShape& shape = config.layers[layer];
  const auto head_dim = static_cast<std::size_t>(config.head_dim);
  const std::string blk = concat("blk.", layer, ".");

  std::vector<double> heads(static_cast<std::size_t>(shape.q_heads)),
      units(static_cast<std::size_t>(shape.ff));
  std::vector<const char*> head_rows = {"attn_q.weight"};
  if (shape.q_heads == shape.kv_heads) head_rows.insert(head_rows.end(), {"attn_k.weight", "attn_v.weight"});
  for (const char* name : head_rows) {
    ELMS_ASSIGN_OR_RETURN(const std::vector<double> norms, squared_row_norms(source, blk + name));
    add_grouped(norms, head_dim, heads);
  }
  ELMS_ASSIGN_OR_RETURN(const std::vector<double> output_norms,
                        squared_column_norms(source, blk + "attn_output.weight"));
  add_grouped(output_norms, head_dim, heads);

  for (const char* name : {"ffn_gate.weight", "ffn_up.weight"}) {
    ELMS_ASSIGN_OR_RETURN(const std::vector<double> norms, squared_row_norms(source, blk + name));
    add_grouped(norms, 1, units);
  }
  ELMS_ASSIGN_OR_RETURN(const std::vector<double> down_norms,
                        squared_column_norms(source, blk + "ffn_down.weight"));
  add_grouped(down_norms, 1, units);

  out.heads.push_back(to_floats(heads));
  out.ffn_units.push_back(to_floats(units));
  return {};
}

void standardise(std::vector<float>& scores) {
  double mean = 0.0, variance = 0.0;
  for (float score : scores) mean += score;
  mean /= static_cast<double>(scores.size());
  for (float score : scores) variance += (score - mean) * (score - mean);
  variance /= static_cast<double>(scores.size());
  const double scale = variance > 0.0 ? 1.0 / std::sqrt(variance) : 0.0;
  for (float& score : scores) score = static_cast<float>((score - mean) * scale);
}

}  // namespace

Result<Importance> magnitude_importance(const detail::ModelSource& source, const ProgressCallback& progress) {
  Importance importance;
  importance.method = ImportanceMethod::kMagnitude;
  const std::size_t n_layers = source.config().layers.size();
  for (std::size_t layer = 0; layer < n_layers; ++layer) {
    ELMS_RETURN_IF_ERROR(score_layer(source, layer, importance));
    if (progress && progress({"importance", static_cast<double>(layer + 1) /
                                                static_cast<double>(n_layers)}) == Flow::kStop) {
      return Status(StatusCode::kCancelled, "importance: stopped");
    }
  }
  return importance;
}

Importance standardised(const Importance& importance) {
  Importance out = importance;
  for (std::vector<float>& layer : out.heads) standardise(layer);
  for (std::vector<float>& layer : out.ffn_units) standardise(layer);
  return out;
}

}  // namespace elms::inline v0::offline
