// One level of an elastic model as a plain dense model that any GGUF reader runs.
#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

#include "elms/detail/adapter.hpp"
#include "elms/detail/elastic_metadata.hpp"
#include "elms/detail/error.hpp"
#include "elms/detail/model_weights.hpp"
#include "elms/elastic_model.hpp"
#include "elms/offline/elasticize.hpp"
#include "offline/recovery/adapter_merge.hpp"
#include "offline/tensor_names.hpp"
#include "offline/tensor_rewriter.hpp"

namespace elms::inline v0::offline {

using detail::GgufFile;
using detail::GroupOrder;

namespace {

/// The kept query heads of a layer in file order: the first ones of each group.
std::vector<std::int32_t> kept_heads(const LayerShape& full, const LayerShape& slice) {
  std::vector<std::int32_t> heads;
  const std::int32_t group = full.q_heads / full.kv_heads;
  const std::int32_t kept = slice.q_heads / slice.kv_heads;
  for (std::int32_t kv = 0; kv < slice.kv_heads; ++kv) {
    for (std::int32_t rank = 0; rank < kept; ++rank) heads.push_back(kv * group + rank);
  }
  return heads;
}

std::vector<std::int32_t> first(std::int32_t n) {
  std::vector<std::int32_t> indices(static_cast<std::size_t>(n));
  std::iota(indices.begin(), indices.end(), 0);
  return indices;
}

/// Single rows of these heads, from halves order to interleaved order: `deci` rotates interleaved pairs.
GroupOrder interleaved(const std::vector<std::int32_t>& heads, std::int32_t head_dim) {
  GroupOrder rows{1, {}};
  for (std::int32_t head : heads) {
    for (std::int32_t i = 0; i < head_dim; ++i)
      rows.order.push_back(head * head_dim + i / 2 + (i % 2) * head_dim / 2);
  }
  return rows;
}

class Extractor {
 public:
  Extractor(const detail::ModelSource& source, std::vector<LayerShape> slices)
      : source_(source), config_(source.config()), slices_(std::move(slices)) {
    uniform_ = std::all_of(slices_.begin(), slices_.end(),
                           [&](const LayerShape& slice) { return slice == slices_[0]; });
  }

  Status check() const {
    if (uniform_) return {};
    if (config_.qk_norm) {
      return detail::unsupported(
          source_.path(), ": layers of this level differ in width, which `deci` can express, but not with ",
          "the q/k norms of ", config_.architecture, "; use levels of uniform allocation");
    }
    if (config_.rope.n_rot != config_.head_dim) {
      return detail::unsupported(source_.path(),
                                 ": layers of this level differ in width and heads are rotated in part");
    }
    return {};
  }

  void write_metadata(detail::GgufWriter& writer) const {
    const std::string from = config_.architecture + ".";
    const std::string to = (uniform_ ? config_.architecture : "deci") + ".";
    for (const detail::GgufValue& value : source_.gguf()->values()) {
      if (value.key.starts_with("elms.")) continue;
      detail::GgufValue renamed = value;
      std::string key(value.key);
      if (key.starts_with(from)) key = to + key.substr(from.size());
      renamed.key = key;
      writer.set(renamed);
    }
    writer.set("general.architecture", uniform_ ? config_.architecture : std::string("deci"));
    std::vector<std::int32_t> ff, q, kv;
    for (const LayerShape& slice : slices_) {
      ff.push_back(slice.ff);
      q.push_back(slice.q_heads);
      kv.push_back(slice.kv_heads);
    }
    set_counts(writer, to + "feed_forward_length", ff);
    set_counts(writer, to + "attention.head_count", q);
    set_counts(writer, to + "attention.head_count_kv", kv);
    writer.set(to + "attention.key_length", static_cast<std::uint32_t>(config_.head_dim));
    writer.set(to + "attention.value_length", static_cast<std::uint32_t>(config_.head_dim));
    writer.set(to + "rope.dimension_count", static_cast<std::uint32_t>(config_.rope.n_rot));
  }

  /// Adds what the adapter of the level says to the plan(). kUnsupported where a file of this architecture
  /// cannot hold it.
  Status merge(AdapterMerge adapter) {
    if (!adapter.ffn_biases.empty()) {
      return detail::unsupported(source_.path(), ": the level's adapter has biases of its FFN, for which ",
                                 config_.architecture, " has no tensor; recover without them to merge");
    }
    if (!adapter.attention_biases.empty() && config_.architecture != "llama" &&
        config_.architecture != "deci") {
      return detail::unsupported(source_.path(),
                                 ": the level's adapter has biases of attention's output, for which ",
                                 config_.architecture, " has no tensor; recover without them to merge");
    }
    adapter_ = std::move(adapter);
    make_biases();
    return {};
  }

  [[nodiscard]] std::vector<TensorPlan> plan() const {
    std::vector<TensorPlan> plans;
    for (const detail::SourceTensor& tensor : source_.tensors()) {
      if (!biases_.empty() && tensor.name.ends_with(kOutputBias)) continue;  // among the merged ones
      TensorPlan plan;
      plan.tensor = &tensor;
      plan.type = output_type(tensor, std::nullopt);
      cut(plan);
      const auto update = adapter_.matrices.find(std::string(tensor.name));
      if (update != adapter_.matrices.end()) plan.update = &update->second;
      plans.push_back(std::move(plan));
    }
    for (const MergedBias& bias : biases_) {
      TensorPlan plan;
      plan.tensor = &bias.tensor;
      plan.in_source = false;
      plans.push_back(std::move(plan));
    }
    return plans;
  }

 private:
  static constexpr std::string_view kOutputBias = ".attn_output.bias";

  struct MergedBias {
    std::string name;
    std::vector<float> values;
    detail::SourceTensor tensor;  ///< the name and values above
  };

  /// The biases of attention's outputs, the model's own and the adapter's together.
  void make_biases() {
    const auto d = static_cast<std::size_t>(config_.d_model);
    biases_.resize(adapter_.attention_biases.empty() ? 0 : slices_.size());
    for (std::size_t layer = 0; layer < biases_.size(); ++layer) {
      MergedBias& bias = biases_[layer];
      bias.name = detail::concat("blk.", layer, kOutputBias);
      bias.values.assign(d, 0.0f);
      if (const detail::SourceTensor* own = source_.find(bias.name)) own->decode_row(0, bias.values.data());
      for (std::size_t i = 0; i < d; ++i) bias.values[i] += adapter_.attention_biases[layer * d + i];
      bias.tensor.name = bias.name;
      bias.tensor.cols = d;
      bias.tensor.data = {reinterpret_cast<const std::uint8_t*>(bias.values.data()), d * sizeof(float)};
    }
  }

  void set_counts(detail::GgufWriter& writer, const std::string& key,
                  const std::vector<std::int32_t>& counts) const {
    if (uniform_) {
      writer.set(key, static_cast<std::uint32_t>(counts[0]));
    } else {
      writer.set(key, std::span<const std::int32_t>(counts));
    }
  }

  /// Rows of q and k: whole heads, or single rows where the rotation changes its pairing.
  [[nodiscard]] GroupOrder rotated_rows(const std::vector<std::int32_t>& heads) const {
    if (!uniform_ && config_.rope.style == RopeStyle::kHalves) return interleaved(heads, config_.head_dim);
    return {config_.head_dim, heads};
  }

  void cut(TensorPlan& plan) const {
    const LayerTensorName name = parse_layer_tensor(plan.tensor->name);
    if (!name.in_layer) return;
    const LayerShape& full = config_.layers[name.layer];
    const LayerShape& slice = slices_[name.layer];
    const std::vector<std::int32_t> q = kept_heads(full, slice), kv = first(slice.kv_heads);
    const bool is_key = name.suffix.starts_with("attn_k.");
    switch (name.role) {
      case LayerRole::kQuery:
        plan.rows = rotated_rows(q);
        plan.update_rows = rotated_rows(first(slice.q_heads));
        break;
      case LayerRole::kQueryBias:
        plan.columns = rotated_rows(q);
        break;
      case LayerRole::kKeyValue:
        plan.rows = is_key ? rotated_rows(kv) : GroupOrder{config_.head_dim, kv};
        plan.update_rows = plan.rows;  // the first heads are kept
        break;
      case LayerRole::kKeyValueBias:
        plan.columns = is_key ? rotated_rows(kv) : GroupOrder{config_.head_dim, kv};
        break;
      case LayerRole::kAttentionOutput:
        if (slice.q_heads != full.q_heads) plan.columns = {config_.head_dim, q};
        break;
      case LayerRole::kGateUp:
        plan.rows = {1, first(slice.ff)};
        break;
      case LayerRole::kDown:
        if (slice.ff != full.ff)
          plan.columns = {std::gcd(slice.ff, 32), first(slice.ff / std::gcd(slice.ff, 32))};
        break;
      case LayerRole::kOther:
        break;
    }
  }

  const detail::ModelSource& source_;
  const ModelConfig& config_;
  std::vector<LayerShape> slices_;
  bool uniform_ = true;
  AdapterMerge adapter_;
  std::vector<MergedBias> biases_;  ///< [n_layers] where there are merged ones
};

/// What the adapter of a level adds; nothing for a level without.
Result<AdapterMerge> read_merge(const detail::ModelSource& source, const detail::ElasticMetadata& metadata,
                                std::size_t level) {
  if (metadata.adapters.empty() || metadata.adapters[level].empty()) return AdapterMerge{};
  return read_adapter_merge(detail::adapter_path(source.path(), metadata.adapters[level]), source.config(),
                            metadata.levels[level]);
}

}  // namespace

Status extract(const std::string& input, int level, const std::string& output,
               const ProgressCallback& progress, std::shared_ptr<ThreadPool> pool, AdapterUse adapters) {
  ELMS_ASSIGN_OR_RETURN(const std::unique_ptr<const detail::ModelSource> source,
                        detail::ModelSource::open(input));
  if (source->gguf() == nullptr)
    return detail::invalid_argument(input, ": not a GGUF file, so not an elastic model");
  ELMS_ASSIGN_OR_RETURN(const auto metadata,
                        detail::read_elastic_metadata(*source->gguf(), source->config(),
                                                      detail::cut_inputs_are_quantised(*source)));
  if (!metadata.has_value())
    return detail::invalid_argument(input, ": has no elms.* levels (see `elms elasticize`)");
  if (level < 0 || level >= static_cast<int>(metadata->levels.size())) {
    return detail::invalid_argument(input, ": level ", level, ": the model has levels 0 to ",
                                    metadata->levels.size() - 1);
  }
  Extractor extractor(*source, metadata->levels[static_cast<std::size_t>(level)]);
  ELMS_RETURN_IF_ERROR(extractor.check());
  if (adapters == AdapterUse::kMerge) {
    ELMS_ASSIGN_OR_RETURN(AdapterMerge merge,
                          read_merge(*source, *metadata, static_cast<std::size_t>(level)));
    ELMS_RETURN_IF_ERROR(extractor.merge(std::move(merge)));
  }
  detail::GgufWriter writer;
  extractor.write_metadata(writer);
  if (pool == nullptr) {
    ELMS_ASSIGN_OR_RETURN(pool, ThreadPool::create());
  }
  return write_tensors(*source, writer, output, extractor.plan(), *pool, progress);
}

}  // namespace elms::inline v0::offline
