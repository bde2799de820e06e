// Storage types of a file that is about to be written, as the cost of its levels sees them.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "elms/detail/cost.hpp"
#include "elms/detail/model_source.hpp"
#include "offline/tensor_rewriter.hpp"

namespace elms::inline v0::offline {

struct OutputTypes {
  std::optional<DType> wanted;
  const detail::ModelSource* source;

  [[nodiscard]] DType of(const std::string& name) const {
    const detail::SourceTensor* tensor = source->find(name);
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
    return {config, std::move(types), of(config.tied_head ? "token_embd.weight" : "output.weight"),
            of("token_embd.weight")};
  }

  /// Whether matrices whose inputs are cut will lie in blocks.
  [[nodiscard]] bool quantised() const {
    for (std::int32_t i = 0; i < source->config().n_layers; ++i) {
      const std::string blk = detail::concat("blk.", i, ".");
      if (detail::is_quantised(of(blk + "attn_output.weight")) ||
          detail::is_quantised(of(blk + "ffn_down.weight")))
        return true;
    }
    return false;
  }
};

}  // namespace elms::inline v0::offline
