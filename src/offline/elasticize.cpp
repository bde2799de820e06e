#include "elms/offline/elasticize.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "elms/detail/error.hpp"
#include "elms/detail/elastic_metadata.hpp"
#include "elms/detail/model_weights.hpp"
#include "offline/allocation.hpp"
#include "offline/levels/level_search.hpp"
#include "offline/output_types.hpp"
#include "offline/tensor_names.hpp"
#include "offline/tensor_rewriter.hpp"
#include "offline/unit_order.hpp"

namespace elms::inline v0::offline {

using detail::GroupOrder;
using detail::SourceTensor;

namespace {

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

/// Token ids of as much text as calibration reads; none where nothing needs them.
Result<std::vector<TokenId>> calibration_tokens(const detail::ModelSource& source, std::string_view text,
                                                const ElasticizeOptions& options) {
  if (options.importance == ImportanceMethod::kMagnitude && options.allocation != Allocation::kSearch) {
    return std::vector<TokenId>();
  }
  ELMS_ASSIGN_OR_RETURN(const std::shared_ptr<const Tokenizer> tokenizer, source.open_tokenizer());
  return first_tokens(*tokenizer, text, static_cast<std::size_t>(std::max(0, options.calibration.max_tokens)));
}

Result<Importance> measure_importance(const std::string& input, const detail::ModelSource& source,
                                      std::span<const TokenId> tokens, const ElasticizeOptions& options,
                                      const std::shared_ptr<ThreadPool>& pool) {
  switch (options.importance) {
    case ImportanceMethod::kMagnitude: return magnitude_importance(source, options.progress);
    case ImportanceMethod::kTaylor:
    case ImportanceMethod::kTaylorWeights:
      return taylor_importance(source, tokens, options.importance, *pool, options.calibration, options.progress);
    case ImportanceMethod::kFlap: break;
  }
  OpenOptions open_options;
  open_options.pool = pool;
  ELMS_ASSIGN_OR_RETURN(const std::shared_ptr<const ElasticModel> model, ElasticModel::open(input, open_options));
  return flap_importance(model, tokens, options.calibration, options.progress);
}

/// What the levels of a file with these types, rules and order of units are chosen from.
struct LevelInputs {
  const detail::CostModel& cost;
  const detail::SliceRules& rules;
  const UnitOrder& order;
  const Importance& importance;  ///< in the new order
  std::span<const TokenId> tokens;
};

Result<std::vector<Level>> search_levels(const detail::ModelSource& source, const LevelInputs& inputs,
                                         std::span<const double> targets, const ElasticizeOptions& options, ThreadPool& pool) {
  ELMS_ASSIGN_OR_RETURN(const std::shared_ptr<const Tokenizer> tokenizer, source.open_tokenizer());
  const auto window = static_cast<std::size_t>(std::max(0, options.calibration.window_tokens));
  const std::size_t n_tokens = std::min(inputs.tokens.size(), static_cast<std::size_t>(std::max(2, options.search_tokens)));
  ELMS_ASSIGN_OR_RETURN(MemoryModel model, load_memory_model(source));
  ELMS_ASSIGN_OR_RETURN(model, with_order(model, inputs.order));
  ELMS_ASSIGN_OR_RETURN(DivergenceMeter meter, DivergenceMeter::create(pool, model, cut_windows(inputs.tokens.first(n_tokens), tokenizer->bos(), window)));
  LevelSearchOptions search;
  search.progress = options.progress;
  return searched_levels(inputs.cost, source.config(), targets, inputs.rules, inputs.importance, meter, search);
}

Result<std::vector<Level>> choose_levels(const detail::ModelSource& source, const LevelInputs& inputs,
                                         const ElasticizeOptions& options, ThreadPool& pool) {
  const std::vector<double> targets = options.cost_targets.empty() ? detail::default_cost_targets() : options.cost_targets;
  switch (options.allocation) {
    case Allocation::kSearch: return search_levels(source, inputs, targets, options, pool);
    case Allocation::kGlobal: return global_levels(inputs.cost, source.config(), targets, inputs.rules, inputs.importance);
    case Allocation::kUniform: break;
  }
  return detail::uniform_levels(inputs.cost, source.config(), targets, inputs.rules);
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
  ELMS_ASSIGN_OR_RETURN(const std::vector<TokenId> tokens, calibration_tokens(*source, calibration_text, options));
  report.calibration_tokens = static_cast<std::int32_t>(tokens.size());
  ELMS_ASSIGN_OR_RETURN(report.importance, measure_importance(input, *source, tokens, options, pool));
  const OutputTypes types{options.type, source.get()};
  const detail::SliceRules rules = detail::slice_rules(config, types.quantised());
  const UnitOrder order = order_units(config, report.importance, rules.cut_heads);
  const Importance importance = reordered(report.importance, order);

  const detail::CostModel cost = types.cost_model();
  ELMS_ASSIGN_OR_RETURN(report.levels, choose_levels(*source, {cost, rules, order, importance, tokens}, options, *pool));

  detail::GgufWriter writer;
  ELMS_RETURN_IF_ERROR(source->copy_metadata(writer));
  write_elastic_metadata(writer, make_metadata(importance, order, report.levels), rules);
  std::vector<TensorPlan> plans;
  for (const SourceTensor& tensor : source->tensors()) {
    TensorPlan plan;
    plan.tensor = &tensor;
    plan.type = output_type(tensor, options.type);
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
