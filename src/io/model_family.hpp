// What the architectures that elms runs demand of a checkpoint, and the checks that hold for every container.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "elms/model_config.hpp"
#include "elms/status.hpp"
#include "io/tensor_names.hpp"

namespace elms::inline v0::detail {

struct ModelFamily {
  std::string_view architecture;  ///< general.architecture
  RopeStyle rope_style;
  bool needs_qkv_bias;     ///< q, k and v always have a bias; elsewhere they may
  bool has_qk_norm;        ///< every head of q and k is normalised
  bool has_rope_divisors;  ///< may carry rope_freqs.weight (llama3 scaling)
};

/// Null for an architecture that elms does not run.
[[nodiscard]] const ModelFamily* find_family(std::string_view architecture) noexcept;
/// "llama, qwen2, ..." for messages.
[[nodiscard]] std::string family_names();

/// Sets what the tensors of a checkpoint say about its model: tied_head, qkv_bias, output_bias, qk_norm.
/// `has` answers whether the checkpoint holds a tensor.
void detect_features(const ModelFamily& family,
                     const std::function<bool(const TensorSpec&, std::int32_t layer)>& has,
                     ModelConfig& config);

/// Every rule that the numbers of a config obey together; kMalformedFile names the file and the rule.
Status check_config(const ModelConfig& config, const std::string& file);

}  // namespace elms::inline v0::detail
