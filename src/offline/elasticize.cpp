#include "elms/offline/elasticize.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "elms/detail/error.hpp"
#include "elms/detail/elastic_metadata.hpp"
#include "elms/detail/model_weights.hpp"
#include "offline/allocation.hpp"
#include "offline/tensor_names.hpp"
#include "offline/tensor_rewriter.hpp"
#include "offline/unit_order.hpp"

namespace elms::inline v0::offline {

using detail::GroupOrder;
using detail::SourceTensor;

namespace {

/// Storage types of the new file, as the cost of its levels sees them.
struct OutputTypes {
  std::optional<DType> wanted;
  const detail::ModelSource* source;

  [[nodiscard]] DType of(const std::string& name) const {
    const SourceTensor* tensor = source->find(name);
    return tensor == nullptr ? DType::kF32 : output_type(*tensor, wanted);
  }

  [[nodiscard]] detail::CostModel cost_model() const {
    const ModelConfig& config = source->config();
    std::vector<detail::LayerTypes> types;
    for (std::int32_t i = 0; i < config.n_layers; ++i) {
      const std::string blk = detail::concat("blk.", i, ".");
      types.push_back({of(blk + "attn_q.weight"), of(blk + "attn_k.weight"), of(blk + "attn_v.weight"),
                       of(blk + "attn_output.weight"), of(blk + "ffn_gate.weight"), of(blk + "ffn_up.weight"),
                       of(blk + "ffn_down.weight")});
    }
    return {config, std::move(types), of(config.tied_head ? "token_embd.weight" : "output.weight"), of("token_embd.weight")};
  }

  /// Whether matrices whose inputs are cut will lie in blocks.
  [[nodiscard]] bool quantised() const {
    for (std::int32_t i = 0; i < source->config().n_layers; ++i) {
      const std::string blk = detail::concat("blk.", i, ".");
      if (detail::is_quantised(of(blk + "attn_output.weight")) || detail::is_quantised(of(blk + "ffn_down.weight"))) return true;
    }
    return false;
  }
};

/// Where the rows and columns of a tensor go when units are reordered.
void plan_order(const ModelConfig& config, const UnitOrder& order, TensorPlan& plan) {
  const LayerTensorName name = parse_layer_tensor(plan.tensor->name);
  if (!name.in_layer) return;
  const LayerShape& shape = config.layers[name.layer];
  const GroupOrder heads{config.head_dim, order.heads[name.layer]};
  const GroupOrder units{1, order.ffn_units[name.layer]};
  const bool kv_moves = shape.q_heads == shape.kv_heads;
  switch (name.role) {
    case LayerRole::kQuery: plan.rows = heads; break;
    case LayerRole::kKeyValue:
      if (kv_moves) plan.rows = heads;
      break;
    case LayerRole::kQueryBias: plan.columns = heads; break;
    case LayerRole::kKeyValueBias:
      if (kv_moves) plan.columns = heads;
      break;
    case LayerRole::kAttentionOutput: plan.columns = heads; break;
    case LayerRole::kGateUp: plan.rows = units; break;
    case LayerRole::kDown: plan.columns = units; break;
    case LayerRole::kOther: break;
  }
}

/// Token ids of about as much text as calibration reads.
Result<std::vector<TokenId>> calibration_tokens(const ElasticModel& model, std::string_view text, const CalibrationOptions& options) {
  ELMS_ASSIGN_OR_RETURN(const std::shared_ptr<const Tokenizer> tokenizer, model.tokenizer());
  constexpr std::size_t kBytesPerToken = 16;  // more than natural text needs
  text = text.substr(0, static_cast<std::size_t>(std::max(0, options.max_tokens)) * kBytesPerToken);
  std::vector<TokenId> tokens = tokenizer->encode(text);
  tokens.resize(std::min(tokens.size(), static_cast<std::size_t>(std::max(0, options.max_tokens))));
  return tokens;
}

Result<Importance> measure_importance(const std::string& input, const detail::ModelSource& source, std::string_view text,
                                      const ElasticizeOptions& options, const std::shared_ptr<ThreadPool>& pool,
                                      std::int32_t& n_tokens) {
  if (options.importance == ImportanceMethod::kMagnitude) return magnitude_importance(source, options.progress);
  OpenOptions open_options;
  open_options.pool = pool;
  ELMS_ASSIGN_OR_RETURN(const std::shared_ptr<const ElasticModel> model, ElasticModel::open(input, open_options));
  ELMS_ASSIGN_OR_RETURN(const std::vector<TokenId> tokens, calibration_tokens(*model, text, options.calibration));
  n_tokens = static_cast<std::int32_t>(tokens.size());
  return flap_importance(model, tokens, options.calibration, options.progress);
}

Status check_options(const ElasticizeOptions& options) {
  double below = 0.0;
  for (double target : options.cost_targets) {
    if (!(target > below) || target > 1.0) {
      return detail::invalid_argument("levels: ", target, " after ", below, ": cost targets ascend inside (0, 1]");
    }
    below = target;
  }
  if (options.type.has_value() && !detail::dtype_info(*options.type).can_encode) {
    return detail::invalid_argument("type ", detail::dtype_info(*options.type).name, " cannot be written");
  }
  return {};
}

/// Whether the units of a file lie in an order of importance. Levels alone (random models have them) mean no order.
bool is_ordered(const detail::GgufFile& file) {
  if (file.find(detail::elastic_keys::kVersion) == nullptr) return false;
  const auto method = file.string(detail::elastic_keys::kMethod);
  return !method.has_value() || *method != "none";
}

detail::ElasticMetadata make_metadata(const Importance& importance, const UnitOrder& order, const std::vector<Level>& levels) {
  detail::ElasticMetadata metadata;
  metadata.importance_method = to_string(importance.method);
  for (std::size_t layer = 0; layer < order.heads.size(); ++layer) {
    const auto append = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
    append(metadata.head_importance, importance.heads[layer]);
    append(metadata.ffn_importance, importance.ffn_units[layer]);
    append(metadata.head_order, order.heads[layer]);
    append(metadata.ffn_order, order.ffn_units[layer]);
  }
  for (const Level& level : levels) {
    metadata.levels.push_back(level.layers);
    metadata.cost_shares.push_back(static_cast<float>(level.cost_share));
  }
  return metadata;
}

}  // namespace

Result<ElasticizeReport> elasticize(const std::string& input, const std::string& output, std::string_view calibration_text,
                                    const ElasticizeOptions& options) {
  ELMS_RETURN_IF_ERROR(check_options(options));
  std::shared_ptr<ThreadPool> pool = options.pool;
  if (pool == nullptr) {
    ELMS_ASSIGN_OR_RETURN(pool, ThreadPool::create());
  }
  ELMS_ASSIGN_OR_RETURN(const std::unique_ptr<const detail::ModelSource> source, detail::ModelSource::open(input));
  const ModelConfig& config = source->config();
  if (source->gguf() != nullptr && is_ordered(*source->gguf())) {
    return detail::invalid_argument(input, ": is elastic already; start from the original checkpoint");
  }

  ElasticizeReport report;
  ELMS_ASSIGN_OR_RETURN(report.importance,
                        measure_importance(input, *source, calibration_text, options, pool, report.calibration_tokens));
  const OutputTypes types{options.type, source.get()};
  const detail::SliceRules rules = detail::slice_rules(config, types.quantised());
  const UnitOrder order = order_units(config, report.importance, rules.cut_heads);
  const Importance importance = reordered(report.importance, order);

  const detail::CostModel cost = types.cost_model();
  const std::vector<double> targets = options.cost_targets.empty() ? detail::default_cost_targets() : options.cost_targets;
  report.levels = options.allocation == Allocation::kGlobal
                      ? global_levels(cost, config, targets, rules, importance)
                      : detail::uniform_levels(cost, config, targets, rules);

  detail::GgufWriter writer;
  ELMS_RETURN_IF_ERROR(source->copy_metadata(writer));
  write_elastic_metadata(writer, make_metadata(importance, order, report.levels), rules);
  std::vector<TensorPlan> plans;
  for (const SourceTensor& tensor : source->tensors()) {
    TensorPlan plan{&tensor, output_type(tensor, options.type), {}, {}};
    plan_order(config, order, plan);
    report.bytes_written += detail::row_bytes(plan.type, tensor.cols) * tensor.rows;
    plans.push_back(std::move(plan));
  }
  writer.set("general.file_type", gguf_file_type(types.of("blk.0.attn_q.weight")));
  writer.set("general.quantization_version", std::uint32_t{2});
  ELMS_RETURN_IF_ERROR(write_tensors(*source, writer, output, plans, *pool, options.progress));
  return report;
}

}  // namespace elms::inline v0::offline
