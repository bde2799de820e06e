// The `elms.*` keys of an elastic GGUF file: order, importance and levels. Everything else in the file is standard.
//
//   elms.version                 u32      1
//   elms.importance.method       string   "flap", "magnitude", "taylor", "taylor-weights", "none"
//   elms.importance.query_heads  f32[]    score of every query head, layer after layer, in the file's (new) order
//   elms.importance.ffn_units    f32[]    score of every FFN unit, likewise
//   elms.order.query_heads       i32[]    original index of every query head, layer after layer, in the new order
//   elms.order.ffn_units         i32[]    original index of every FFN unit, likewise
//   elms.slice.ff_step           u32      FFN units are cut in multiples of this
//   elms.levels.cost_share       f32[]    one per level, ascending, last 1.0 (for readers; elms computes it itself)
//   elms.levels.query_heads      i32[]    [n_levels, n_layers], row-major
//   elms.levels.kv_heads         i32[]    [n_levels, n_layers]
//   elms.levels.ffn_units        i32[]    [n_levels, n_layers]
//   elms.levels.adapters         string[] file of each level's adapter, beside the model; "" for none (detail/adapter.hpp)
//   elms.quality.widths          f32[]    ascending, (0, 1]: the axis of cost shares of the quality table; optional as a whole
//   elms.quality.keep_ratios     f32[]    ascending, (0, 1]
//   elms.quality.values          f32[]    [n_widths, n_keep_ratios], row-major: measured share of right answers, 0 .. 1
//   elms.quality.source          string   what it was measured on
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "elms/detail/gguf.hpp"
#include "elms/detail/ladder.hpp"
#include "elms/slo.hpp"

namespace elms::inline v0::detail {

inline constexpr std::uint32_t kElasticVersion = 1;
inline constexpr std::size_t kMaxLevels = 256;

struct ElasticMetadata {
  std::string importance_method = "none";
  std::vector<float> head_importance, ffn_importance;
  std::vector<std::int32_t> head_order, ffn_order;
  std::vector<std::vector<LayerShape>> levels;  ///< ascending
  std::vector<float> cost_shares;               ///< as written by the tool that made the file
  std::vector<std::string> adapters;            ///< [n_levels] names of files, "" for none; empty: none at all
  std::optional<StrategyQualities> qualities;   ///< what answers at widths and keep ratios are worth; valid()
  std::string quality_source;
};

namespace elastic_keys {
inline constexpr std::string_view kVersion = "elms.version";
inline constexpr std::string_view kMethod = "elms.importance.method";
inline constexpr std::string_view kHeadImportance = "elms.importance.query_heads";
inline constexpr std::string_view kFfnImportance = "elms.importance.ffn_units";
inline constexpr std::string_view kHeadOrder = "elms.order.query_heads";
inline constexpr std::string_view kFfnOrder = "elms.order.ffn_units";
inline constexpr std::string_view kFfStep = "elms.slice.ff_step";
inline constexpr std::string_view kCostShares = "elms.levels.cost_share";
inline constexpr std::string_view kLevelQueryHeads = "elms.levels.query_heads";
inline constexpr std::string_view kLevelKvHeads = "elms.levels.kv_heads";
inline constexpr std::string_view kLevelFfnUnits = "elms.levels.ffn_units";
inline constexpr std::string_view kLevelAdapters = "elms.levels.adapters";
inline constexpr std::string_view kQualityWidths = "elms.quality.widths";
inline constexpr std::string_view kQualityKeepRatios = "elms.quality.keep_ratios";
inline constexpr std::string_view kQualityValues = "elms.quality.values";
inline constexpr std::string_view kQualitySource = "elms.quality.source";
}  // namespace elastic_keys

/// Reads per-layer counts [n_levels, n_layers].
inline Result<std::vector<std::int64_t>> read_level_table(const GgufFile& file, std::string_view key, std::size_t n_layers) {
  ELMS_ASSIGN_OR_RETURN(std::vector<std::int64_t> table, file.integers(key));
  if (table.empty() || table.size() % n_layers != 0 || table.size() / n_layers > kMaxLevels) {
    return malformed(file.name(), ": ", key, ": expected 1 to ", kMaxLevels, " rows of ", n_layers, " counts, found ",
                     table.size(), " values");
  }
  return table;
}

/// The levels of a file, checked against the model: legal slices, nested, the full model last.
inline Result<std::vector<std::vector<LayerShape>>> read_levels(const GgufFile& file, const ModelConfig& config,
                                                                const SliceRules& rules) {
  const std::size_t n_layers = config.layers.size();
  ELMS_ASSIGN_OR_RETURN(auto q, read_level_table(file, elastic_keys::kLevelQueryHeads, n_layers));
  ELMS_ASSIGN_OR_RETURN(auto kv, read_level_table(file, elastic_keys::kLevelKvHeads, n_layers));
  ELMS_ASSIGN_OR_RETURN(auto ff, read_level_table(file, elastic_keys::kLevelFfnUnits, n_layers));
  if (q.size() != kv.size() || q.size() != ff.size()) {
    return malformed(file.name(), ": elms.levels.*: tables of different length: ", q.size(), ", ", kv.size(), ", ", ff.size());
  }
  std::vector<std::vector<LayerShape>> levels(q.size() / n_layers, std::vector<LayerShape>(n_layers));
  for (std::size_t i = 0; i < q.size(); ++i) {
    const std::size_t level = i / n_layers, layer = i % n_layers;
    const LayerShape& full = config.layers[layer];
    if (q[i] > full.q_heads || kv[i] > full.kv_heads || ff[i] > full.ff || q[i] < 1 || kv[i] < 1 || ff[i] < 1) {
      return malformed(file.name(), ": elms.levels: level ", level, ", layer ", layer, ": ", q[i], "/", kv[i], " heads and ",
                       ff[i], " FFN units of ", full.q_heads, "/", full.kv_heads, " and ", full.ff);
    }
    const LayerShape slice{static_cast<std::int32_t>(q[i]), static_cast<std::int32_t>(kv[i]), static_cast<std::int32_t>(ff[i])};
    if (Status status = check_slice(full, slice, rules); !status.ok()) {
      return malformed(file.name(), ": elms.levels: level ", level, ", layer ", layer, ": ", status.message());
    }
    const LayerShape& below = level == 0 ? slice : levels[level - 1][layer];
    if (below.q_heads > slice.q_heads || below.kv_heads > slice.kv_heads || below.ff > slice.ff) {
      return malformed(file.name(), ": elms.levels: level ", level, ", layer ", layer, " is narrower than the level below");
    }
    levels[level][layer] = slice;
  }
  if (levels.back() != config.layers) return malformed(file.name(), ": elms.levels: the last level is not the full model");
  return levels;
}

/// The quality table, where the file has one.
inline Status read_qualities(const GgufFile& file, ElasticMetadata& metadata) {
  if (file.find(elastic_keys::kQualityValues) == nullptr) return {};
  StrategyQualities table;
  ELMS_ASSIGN_OR_RETURN(table.widths, file.reals(elastic_keys::kQualityWidths));
  ELMS_ASSIGN_OR_RETURN(table.keep_ratios, file.reals(elastic_keys::kQualityKeepRatios));
  ELMS_ASSIGN_OR_RETURN(table.quality, file.reals(elastic_keys::kQualityValues));
  if (!table.valid()) {
    return malformed(file.name(), ": elms.quality.*: ", table.quality.size(), " values for ", table.widths.size(), " widths and ",
                     table.keep_ratios.size(), " keep ratios; axes must ascend in (0, 1] and values lie in 0 to 1");
  }
  if (file.find(elastic_keys::kQualitySource) != nullptr) {
    ELMS_ASSIGN_OR_RETURN(metadata.quality_source, file.string(elastic_keys::kQualitySource));
  }
  metadata.qualities = std::move(table);
  return {};
}

/// Writes what read_qualities() reads, into a file that has the other keys already.
inline void write_qualities(GgufWriter& writer, const StrategyQualities& table, std::string_view source) {
  writer.set(elastic_keys::kQualityWidths, std::span<const float>(table.widths));
  writer.set(elastic_keys::kQualityKeepRatios, std::span<const float>(table.keep_ratios));
  writer.set(elastic_keys::kQualityValues, std::span<const float>(table.quality));
  writer.set(elastic_keys::kQualitySource, source);
}

/// Nothing where the file has no `elms.*` keys; kMalformedFile where they contradict the model.
inline Result<std::optional<ElasticMetadata>> read_elastic_metadata(const GgufFile& file, const ModelConfig& config,
                                                                    bool quantised) {
  if (file.find(elastic_keys::kVersion) == nullptr) return std::optional<ElasticMetadata>();
  ELMS_ASSIGN_OR_RETURN(const std::int64_t version, file.integer(elastic_keys::kVersion));
  if (version != kElasticVersion) {
    return unsupported(file.name(), ": elms.version is ", version, ", this library reads ", kElasticVersion);
  }
  ElasticMetadata metadata;
  SliceRules rules = slice_rules(config, quantised);
  if (file.find(elastic_keys::kFfStep) != nullptr) {
    ELMS_ASSIGN_OR_RETURN(const std::int64_t step, file.integer(elastic_keys::kFfStep));
    if (step < 1 || step > (1 << 20) || (quantised && step % 32 != 0)) {
      return malformed(file.name(), ": elms.slice.ff_step: ", step, " does not fit the storage type");
    }
    rules.ff_step = static_cast<std::int32_t>(step);
  }
  ELMS_ASSIGN_OR_RETURN(metadata.levels, read_levels(file, config, rules));
  const auto optional_reals = [&](std::string_view key, std::vector<float>& out) -> Status {
    if (file.find(key) == nullptr) return {};
    ELMS_ASSIGN_OR_RETURN(out, file.reals(key));
    return {};
  };
  const auto optional_order = [&](std::string_view key, std::vector<std::int32_t>& out) -> Status {
    if (file.find(key) == nullptr) return {};
    ELMS_ASSIGN_OR_RETURN(const std::vector<std::int64_t> values, file.integers(key));
    out.assign(values.begin(), values.end());
    return {};
  };
  ELMS_RETURN_IF_ERROR(optional_reals(elastic_keys::kHeadImportance, metadata.head_importance));
  ELMS_RETURN_IF_ERROR(optional_reals(elastic_keys::kFfnImportance, metadata.ffn_importance));
  ELMS_RETURN_IF_ERROR(optional_reals(elastic_keys::kCostShares, metadata.cost_shares));
  ELMS_RETURN_IF_ERROR(optional_order(elastic_keys::kHeadOrder, metadata.head_order));
  ELMS_RETURN_IF_ERROR(optional_order(elastic_keys::kFfnOrder, metadata.ffn_order));
  if (file.find(elastic_keys::kMethod) != nullptr) {
    ELMS_ASSIGN_OR_RETURN(metadata.importance_method, file.string(elastic_keys::kMethod));
  }
  if (file.find(elastic_keys::kLevelAdapters) != nullptr) {
    ELMS_ASSIGN_OR_RETURN(const std::vector<std::string_view> names, file.strings(elastic_keys::kLevelAdapters));
    if (names.size() != metadata.levels.size()) {
      return malformed(file.name(), ": ", elastic_keys::kLevelAdapters, ": ", names.size(), " names for ",
                       metadata.levels.size(), " levels");
    }
    for (const std::string_view name : names) {
      if (name.find_first_of("/\\") != std::string_view::npos || name.find('\0') != std::string_view::npos) {
        return malformed(file.name(), ": ", elastic_keys::kLevelAdapters, ": ", name, " is no name of a file beside the model");
      }
      metadata.adapters.emplace_back(name);
    }
  }
  ELMS_RETURN_IF_ERROR(read_qualities(file, metadata));
  return std::optional<ElasticMetadata>(std::move(metadata));
}

/// Writes the keys that read_elastic_metadata reads.
inline void write_elastic_metadata(GgufWriter& writer, const ElasticMetadata& metadata, const SliceRules& rules) {
  writer.set(elastic_keys::kVersion, kElasticVersion);
  writer.set(elastic_keys::kMethod, std::string_view(metadata.importance_method));
  writer.set(elastic_keys::kFfStep, static_cast<std::uint32_t>(rules.ff_step));
  if (!metadata.head_importance.empty()) writer.set(elastic_keys::kHeadImportance, std::span<const float>(metadata.head_importance));
  if (!metadata.ffn_importance.empty()) writer.set(elastic_keys::kFfnImportance, std::span<const float>(metadata.ffn_importance));
  if (!metadata.head_order.empty()) writer.set(elastic_keys::kHeadOrder, std::span<const std::int32_t>(metadata.head_order));
  if (!metadata.ffn_order.empty()) writer.set(elastic_keys::kFfnOrder, std::span<const std::int32_t>(metadata.ffn_order));
  std::vector<std::int32_t> q, kv, ff;
  for (const std::vector<LayerShape>& level : metadata.levels) {
    for (const LayerShape& layer : level) {
      q.push_back(layer.q_heads);
      kv.push_back(layer.kv_heads);
      ff.push_back(layer.ff);
    }
  }
  writer.set(elastic_keys::kCostShares, std::span<const float>(metadata.cost_shares));
  writer.set(elastic_keys::kLevelQueryHeads, std::span<const std::int32_t>(q));
  writer.set(elastic_keys::kLevelKvHeads, std::span<const std::int32_t>(kv));
  writer.set(elastic_keys::kLevelFfnUnits, std::span<const std::int32_t>(ff));
  if (!metadata.adapters.empty()) {
    const std::vector<std::string_view> names(metadata.adapters.begin(), metadata.adapters.end());
    writer.set(elastic_keys::kLevelAdapters, std::span<const std::string_view>(names));
  }
  if (metadata.qualities.has_value()) write_qualities(writer, *metadata.qualities, metadata.quality_source);
}

}  // namespace elms::inline v0::detail
