#include "io/hf_rope.hpp"

#include <cmath>
#include <numbers>
#include <optional>
#include <string_view>

#include "elms/detail/error.hpp"

namespace elms::inline v0::detail {
namespace {

// The object that describes the scaling, if there is one. transformers 5 keeps one per kind of attention
// where kinds differ; only full attention matters here.
Result<std::optional<JsonObject>> find_scaling(const JsonObject& config) {
  for (const std::string_view key : {"rope_parameters", "rope_scaling"}) {
    if (!config.has(key)) continue;
    ELMS_ASSIGN_OR_RETURN(const JsonObject scaling, config.object(key));
    if (!scaling.has("full_attention")) return std::optional(scaling);
    ELMS_ASSIGN_OR_RETURN(const JsonObject full, scaling.object("full_attention"));
    return std::optional(full);
  }
  return std::optional<JsonObject>();
}

Result<std::string_view> scaling_type(const JsonObject& scaling) {
  for (const std::string_view key : {"rope_type", "type"}) {
    if (scaling.has(key)) return scaling.string(key);
  }
  return std::string_view("default");
}

Result<double> positive(const JsonObject& object, std::string_view key) {
  ELMS_ASSIGN_OR_RETURN(const double value, object.real(key));
  if (std::isfinite(value) && value > 0) return value;
  return malformed(object.at(key), ": expected a positive number, found ", value);
}

/// "Llama 3" scaling (transformers, modeling_rope_utils): waves longer than the trained context are slowed by
/// `factor`, short ones stay, those between are blended.
Status read_llama3(const JsonObject& scaling, RopeConfig& rope) {
  ELMS_ASSIGN_OR_RETURN(const double factor, positive(scaling, "factor"));
  ELMS_ASSIGN_OR_RETURN(const double low, positive(scaling, "low_freq_factor"));
  ELMS_ASSIGN_OR_RETURN(const double high, positive(scaling, "high_freq_factor"));
  ELMS_ASSIGN_OR_RETURN(const double trained, positive(scaling, "original_max_position_embeddings"));
  if (low >= high) {
    return malformed(scaling.at("high_freq_factor"), ": expected more than low_freq_factor ", low, ", found ",
                     high);
  }
  for (std::int32_t i = 0; i < rope.n_rot; i += 2) {
    const double wave =
        2 * std::numbers::pi * std::pow(static_cast<double>(rope.theta), static_cast<double>(i) / rope.n_rot);
    double divisor = 1;
    if (wave > trained / low) {
      divisor = factor;
    } else if (wave >= trained / high) {
      const double kept = (trained / wave - low) / (high - low);
      divisor = 1 / ((1 - kept) / factor + kept);
    }
    rope.divisors.push_back(static_cast<float>(divisor));
  }
  return {};
}

Status check_partial(const JsonObject& object) {
  ELMS_ASSIGN_OR_RETURN(const double part, object.real_or("partial_rotary_factor", 1));
  if (part == 1) return {};
  return unsupported(object.at("partial_rotary_factor"), ": elms turns whole heads of this family, found ",
                     part);
}

}  // namespace

Result<RopeConfig> read_hf_rope(const JsonObject& config, const ModelFamily& family, std::int32_t head_dim) {
  RopeConfig rope;
  rope.style = family.rope_style;
  rope.n_rot = head_dim;
  ELMS_RETURN_IF_ERROR(check_partial(config));
  ELMS_ASSIGN_OR_RETURN(const auto scaling, find_scaling(config));
  const bool theta_inside = scaling.has_value() && scaling->has("rope_theta");
  ELMS_ASSIGN_OR_RETURN(const double theta,
                        (theta_inside ? *scaling : config).real_or("rope_theta", rope.theta));
  rope.theta = static_cast<float>(theta);
  if (!scaling.has_value()) return rope;

  ELMS_RETURN_IF_ERROR(check_partial(*scaling));
  ELMS_ASSIGN_OR_RETURN(const std::string_view type, scaling_type(*scaling));
  if (type == "default") return rope;
  if (type == "linear") {
    ELMS_ASSIGN_OR_RETURN(const double factor, positive(*scaling, "factor"));
    rope.linear_factor = static_cast<float>(factor);
    return rope;
  }
  if (type == "llama3" && family.has_rope_divisors) {
    ELMS_RETURN_IF_ERROR(read_llama3(*scaling, rope));
    return rope;
  }
  return unsupported(scaling->at("rope_type"), ": elms runs default and linear",
                     family.has_rope_divisors ? " and llama3" : "", " for this family, found ", type);
}

}  // namespace elms::inline v0::detail
