// Looking inside a forward pass.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

namespace elms::inline v0 {

enum class ProbePoint : std::uint8_t {
  kLayerInput,       ///< residual stream before a layer, [n_tokens, d_model]
  kAttentionOutput,  ///< input of the output projection, [n_tokens, q_heads * head_dim]; see head order below
  kFfnActivation,    ///< silu(gate) * up, input of the down projection, [n_tokens, ff]
};

/// Called on the session's thread for every layer of every batch, with the values of the current width. `values` is
/// row-major [n_tokens, n_columns], valid during the call.
///
/// Heads in kAttentionOutput lie rank by rank: column block r * kv_heads + g is query head r of group g. Where
/// heads cannot be cut (quantised weights with a head_dim that is no multiple of 32) they lie group by group.
using Probe = std::function<void(ProbePoint point, std::int32_t layer, std::span<const float> values, std::int32_t n_tokens,
                                 std::int32_t n_columns)>;

}  // namespace elms::inline v0
