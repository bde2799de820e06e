#include "elms/offline/elasticize.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "elms/detail/elastic_metadata.hpp"
#include "elms/detail/error.hpp"
#include "elms/detail/level_table.hpp"
#include "elms/detail/model_weights.hpp"
#include "offline/allocation.hpp"
#include "offline/levels/order_choice.hpp"
#include "offline/measure_importance.hpp"
#include "offline/output_types.hpp"
#include "offline/recovery/recovery_data.hpp"
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
    case LayerRole::kQuery:
      plan.rows = heads;
      break;
    case LayerRole::kKeyValue:
      if (kv_moves) plan.rows = heads;
      break;
    case LayerRole::kQueryBias:
      plan.columns = heads;
      break;
    case LayerRole::kKeyValueBias:
      if (kv_moves) plan.columns = heads;
      break;
    case LayerRole::kAttentionOutput:
      plan.columns = heads;
      break;
    case LayerRole::kGateUp:
      plan.rows = units;
      break;
    case LayerRole::kDown:
      plan.columns = units;
      break;
    case LayerRole::kOther:
      break;
  }
}

/// Token ids of as much text as calibration reads; none where nothing needs them.
Result<std::vector<TokenId>> calibration_tokens(const detail::ModelSource& source, std::string_view text,
                                                const ElasticizeOptions& options) {
  const bool needed =
      options.allocation == Allocation::kSearch ||
      std::any_of(options.importance.begin(), options.importance.end(),
                  [](ImportanceMethod method) { return method != ImportanceMethod::kMagnitude; });
  if (!needed) return std::vector<TokenId>();
  ELMS_ASSIGN_OR_RETURN(const std::shared_ptr<const Tokenizer> tokenizer, source.open_tokenizer());
  return first_tokens(*tokenizer, text,
                      static_cast<std::size_t>(std::max(0, options.calibration.max_tokens)));
}

/// What levels are chosen from, in the types of the file to be written.
struct Ingredients {
  const detail::ModelSource& source;
  const detail::CostModel& cost;
  const detail::SliceRules& rules;
  std::span<const double> targets;
  std::span<const TokenId> tokens;
};

Result<OrderedLevels> search_levels(const Ingredients& from, std::vector<Importance> candidates,
                                    const ElasticizeOptions& options, ThreadPool& pool) {
  ELMS_ASSIGN_OR_RETURN(const std::shared_ptr<const Tokenizer> tokenizer, from.source.open_tokenizer());
  const auto window = static_cast<std::size_t>(std::max(0, options.calibration.window_tokens));
  const std::size_t n_tokens =
      std::min(from.tokens.size(), static_cast<std::size_t>(std::max(2, options.search_tokens)));
  const TokenWindows windows = cut_windows(from.tokens.first(n_tokens), tokenizer->bos(), window);
  ELMS_ASSIGN_OR_RETURN(const MemoryModel model, load_memory_model(from.source));
  return best_order({model, from.cost, from.rules, from.targets, windows, pool, options.progress},
                    std::move(candidates));
}

Result<OrderedLevels> choose_levels(const Ingredients& from, std::vector<Importance> candidates,
                                    const ElasticizeOptions& options, ThreadPool& pool) {
  if (options.allocation == Allocation::kSearch)
    return search_levels(from, std::move(candidates), options, pool);
  const ModelConfig& config = from.source.config();
  OrderedLevels chosen{std::move(candidates.front()), {}, {}};
  chosen.order = order_units(config, chosen.importance, from.rules.cut_heads);
  chosen.levels = options.allocation == Allocation::kGlobal
                      ? global_levels(from.cost, config, from.targets, from.rules,
                                      reordered(chosen.importance, chosen.order))
                      : detail::uniform_levels(from.cost, config, from.targets, from.rules);
  return chosen;
}

Status check_options(const ElasticizeOptions& options) {
  double below = 0.0;
  for (double target : options.cost_targets) {
    if (!(target > below) || target > 1.0) {
      return detail::invalid_argument("levels: ", target, " after ", below,
                                      ": cost targets ascend inside (0, 1]");
    }
    below = target;
  }
  if (options.importance.empty()) return detail::invalid_argument("importance: no method");
  if (options.importance.size() > 1 && options.allocation != Allocation::kSearch) {
    return detail::invalid_argument(
        "importance: of several methods only a search of levels can take the better one");
  }
  if (options.type.has_value() && !detail::dtype_info(*options.type).can_encode) {
    return detail::invalid_argument("type ", detail::dtype_info(*options.type).name, " cannot be written");
  }
  return {};
}

/// Whether the units of a file lie in an order of importance. Levels alone (random models have them) mean no
/// order.
bool is_ordered(const detail::GgufFile& file) {
  if (file.find(detail::elastic_keys::kVersion) == nullptr) return false;
  const auto method = file.string(detail::elastic_keys::kMethod);
  return !method.has_value() || *method != "none";
}

detail::ElasticMetadata make_metadata(const Importance& importance, const UnitOrder& order,
                                      const std::vector<Level>& levels) {
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

/// Everything but recovery.
Result<ElasticizeReport> order_and_cut(const std::string& input, const std::string& output,
                                       std::string_view calibration_text, const ElasticizeOptions& options,
                                       const std::shared_ptr<ThreadPool>& pool) {
  ELMS_ASSIGN_OR_RETURN(const std::unique_ptr<const detail::ModelSource> source,
                        detail::ModelSource::open(input));
  const ModelConfig& config = source->config();
  if (source->gguf() != nullptr && is_ordered(*source->gguf())) {
    return detail::invalid_argument(input, ": is elastic already; start from the original checkpoint");
  }

  ElasticizeReport report;
  ELMS_ASSIGN_OR_RETURN(const std::vector<TokenId> tokens,
                        calibration_tokens(*source, calibration_text, options));
  report.calibration_tokens = static_cast<std::int32_t>(tokens.size());
  std::vector<Importance> candidates;
  for (const ImportanceMethod method : options.importance) {
    ELMS_ASSIGN_OR_RETURN(
        Importance importance,
        measure_importance({input, *source, tokens, options.calibration, pool, options.progress}, method));
    candidates.push_back(std::move(importance));
  }
  const OutputTypes types{options.type, source.get()};
  const detail::SliceRules rules = detail::slice_rules(config, types.quantised());
  const detail::CostModel cost = types.cost_model();
  const std::vector<double> targets =
      options.cost_targets.empty() ? detail::default_cost_targets() : options.cost_targets;
  ELMS_ASSIGN_OR_RETURN(OrderedLevels chosen, choose_levels({*source, cost, rules, targets, tokens},
                                                            std::move(candidates), options, *pool));
  const UnitOrder& order = chosen.order;
  report.importance = std::move(chosen.importance);
  report.levels = std::move(chosen.levels);

  detail::GgufWriter writer;
  ELMS_RETURN_IF_ERROR(source->copy_metadata(writer));
  write_elastic_metadata(writer, make_metadata(reordered(report.importance, order), order, report.levels),
                         rules);
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

bool exists(const std::string& path) {
  std::error_code failure;
  return std::filesystem::exists(path, failure);
}

/// What a stopped run had come to.
Result<ElasticizeReport> stopped_run(const std::string& cut) {
  ELMS_ASSIGN_OR_RETURN(const std::unique_ptr<const detail::ModelSource> source,
                        detail::ModelSource::open(cut));
  ELMS_ASSIGN_OR_RETURN(detail::LevelTable table, detail::load_levels(*source, false));
  ElasticizeReport report;
  report.levels = std::move(table.levels);
  for (const SourceTensor& tensor : source->tensors()) report.bytes_written += tensor.data.size();
  return report;
}

}  // namespace

Result<ElasticizeReport> elasticize(const std::string& input, const std::string& output,
                                    std::string_view calibration_text, const ElasticizeOptions& options) {
  ELMS_RETURN_IF_ERROR(check_options(options));
  std::shared_ptr<ThreadPool> pool = options.pool;
  if (pool == nullptr) {
    ELMS_ASSIGN_OR_RETURN(pool, ThreadPool::create());
  }
  if (!options.recovery.has_value()) return order_and_cut(input, output, calibration_text, options, pool);

  RecoveryOptions recovery = *options.recovery;
  recovery.pool = pool;
  recovery.progress = options.progress;
  if (recovery.checkpoint.empty() && recovery.method != RecoveryMethod::kBias)
    recovery.checkpoint = output + ".checkpoint";
  const std::string cut = output + ".unrecovered";
  const bool was_cut = recovery.resume && exists(cut);
  recovery.resume = was_cut && exists(recovery.checkpoint);
  ELMS_RETURN_IF_ERROR(check_recovery_options(recovery));  // before the long work
  if (const auto sources = train::parse_data_sources(recovery.data); !sources.has_value())
    return sources.error();
  auto report = was_cut ? stopped_run(cut) : order_and_cut(input, cut, calibration_text, options, pool);
  if (!report.has_value()) return report.error();
  auto recovered = recover(cut, output, recovery);
  const bool can_go_on = !recovered.has_value() && recovered.error().code() == StatusCode::kCancelled &&
                         exists(recovery.checkpoint);
  if (!can_go_on) std::remove(cut.c_str());
  if (!recovered.has_value()) return recovered.error();
  report->recovery = *std::move(recovered);
  return report;
}

}  // namespace elms::inline v0::offline
