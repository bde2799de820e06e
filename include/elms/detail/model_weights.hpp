// All weights of a model in memory: packed matrices, and vectors as floats.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "elms/detail/cost.hpp"
#include "elms/detail/weight_provider.hpp"
#include "elms/model_config.hpp"

namespace elms::inline v0::detail {

struct LayerWeights {
  Vector attn_norm;  ///< [d_model]
  PackedMatrix wq;   ///< [q_heads * head_dim, d_model]
  PackedMatrix wk;   ///< [kv_heads * head_dim, d_model]
  PackedMatrix wv;   ///< [kv_heads * head_dim, d_model]
  PackedMatrix wo;   ///< [d_model, q_heads * head_dim]
  Vector bq, bk, bv, bo;
  Vector q_norm, k_norm;  ///< [head_dim]
  Vector ffn_norm;        ///< [d_model]
  PackedMatrix gate, up;  ///< [d_ff, d_model]
  PackedMatrix down;      ///< [d_model, d_ff]

  /// Query heads lie rank by rank: the first head of every group, then the second of every group ... so that keeping the
  /// first heads *of each group* is a prefix of rows of wq and of columns of wo. False where heads cannot be cut.
  bool rank_major = false;
};

struct ModelWeights {
  std::vector<LayerWeights> layers;
  Vector output_norm;                      ///< [d_model]
  PackedMatrix head;                       ///< [n_vocab, d_model]
  const SourceTensor* embedding = nullptr;  ///< [n_vocab, d_model], read from the mapping row by row
  std::uint64_t packed_bytes = 0;
};

/// Types that the matrices are computed with; fails where a tensor is absent.
inline Result<CostModel> make_cost_model(const ModelSource& source) {
  const ModelConfig& config = source.config();
  const auto type_of = [&](const std::string& name) {
    const SourceTensor* tensor = source.find(name);
    return tensor == nullptr ? DType::kF32 : storage_type(tensor->type);
  };
  std::vector<LayerTypes> types;
  for (std::int32_t i = 0; i < config.n_layers; ++i) {
    const std::string blk = concat("blk.", i, ".");
    types.push_back({type_of(blk + "attn_q.weight"), type_of(blk + "attn_k.weight"), type_of(blk + "attn_v.weight"),
                     type_of(blk + "attn_output.weight"), type_of(blk + "ffn_gate.weight"),
                     type_of(blk + "ffn_up.weight"), type_of(blk + "ffn_down.weight")});
  }
  return CostModel(config, std::move(types), type_of(config.tied_head ? "token_embd.weight" : "output.weight"),
                   type_of("token_embd.weight"));
}

/// Whether any matrix whose inputs are cut (attention output, FFN down) lies in blocks.
[[nodiscard]] inline bool cut_inputs_are_quantised(const ModelSource& source) {
  for (std::int32_t i = 0; i < source.config().n_layers; ++i) {
    for (const char* name : {"attn_output.weight", "ffn_down.weight"}) {
      const SourceTensor* tensor = source.find(concat("blk.", i, ".", name));
      if (tensor != nullptr && is_quantised(tensor->type)) return true;
    }
  }
  return false;
}

/// Files keep heads group by group (head h uses KV head h / group); see LayerWeights::rank_major.
[[nodiscard]] inline GroupOrder rank_major_heads(const LayerShape& shape, std::int32_t head_dim) {
  const std::int32_t group = shape.q_heads / shape.kv_heads;
  if (group == 1 || shape.kv_heads == 1) return {};
  GroupOrder heads{head_dim, {}};
  heads.order.reserve(static_cast<std::size_t>(shape.q_heads));
  for (std::int32_t rank = 0; rank < group; ++rank) {
    for (std::int32_t kv = 0; kv < shape.kv_heads; ++kv) heads.order.push_back(kv * group + rank);
  }
  return heads;
}

/// Knows which weights a checkpoint has and in which order units lie in memory; the provider brings them.
class WeightLoader {
 public:
  WeightLoader(const ModelSource& source, WeightProvider& provider) : source_(source), provider_(provider) {}

  Result<ModelWeights> load() {
    const ModelConfig& config = source_.config();
    ModelWeights weights;
    weights.layers.resize(config.layers.size());
    for (std::size_t i = 0; i < config.layers.size(); ++i) {
      ELMS_RETURN_IF_ERROR(load_layer(i, config.layers[i], weights.layers[i]));
    }
    ELMS_RETURN_IF_ERROR(load_vector("output_norm.weight", weights.output_norm));
    ELMS_RETURN_IF_ERROR(load_matrix(config.tied_head ? "token_embd.weight" : "output.weight", {}, {}, weights.head));
    weights.embedding = source_.find("token_embd.weight");
    if (weights.embedding == nullptr) return missing("token_embd.weight");
    weights.packed_bytes = packed_bytes_;
    return weights;
  }

 private:
  Status load_layer(std::size_t index, const LayerShape& shape, LayerWeights& layer) {
    const std::string blk = concat("blk.", index, ".");
    const SourceTensor* wo = source_.find(blk + "attn_output.weight");
    if (wo == nullptr) return missing(blk + "attn_output.weight");
    const std::int32_t head_dim = source_.config().head_dim;
    layer.rank_major = !is_quantised(wo->type) || head_dim % 32 == 0;
    const GroupOrder heads = layer.rank_major ? rank_major_heads(shape, head_dim) : GroupOrder{};

    ELMS_RETURN_IF_ERROR(load_vector(blk + "attn_norm.weight", layer.attn_norm));
    ELMS_RETURN_IF_ERROR(load_matrix(blk + "attn_q.weight", heads, {}, layer.wq));
    ELMS_RETURN_IF_ERROR(load_matrix(blk + "attn_k.weight", {}, {}, layer.wk));
    ELMS_RETURN_IF_ERROR(load_matrix(blk + "attn_v.weight", {}, {}, layer.wv));
    ELMS_RETURN_IF_ERROR(load_matrix(blk + "attn_output.weight", {}, heads, layer.wo));
    ELMS_RETURN_IF_ERROR(load_optional_vector(blk + "attn_q.bias", layer.bq, heads));
    ELMS_RETURN_IF_ERROR(load_optional_vector(blk + "attn_k.bias", layer.bk));
    ELMS_RETURN_IF_ERROR(load_optional_vector(blk + "attn_v.bias", layer.bv));
    ELMS_RETURN_IF_ERROR(load_optional_vector(blk + "attn_output.bias", layer.bo));
    ELMS_RETURN_IF_ERROR(load_optional_vector(blk + "attn_q_norm.weight", layer.q_norm));
    ELMS_RETURN_IF_ERROR(load_optional_vector(blk + "attn_k_norm.weight", layer.k_norm));
    ELMS_RETURN_IF_ERROR(load_vector(blk + "ffn_norm.weight", layer.ffn_norm));
    ELMS_RETURN_IF_ERROR(load_matrix(blk + "ffn_gate.weight", {}, {}, layer.gate));
    ELMS_RETURN_IF_ERROR(load_matrix(blk + "ffn_up.weight", {}, {}, layer.up));
    return load_matrix(blk + "ffn_down.weight", {}, {}, layer.down);
  }

  Status missing(std::string_view name) const {
    return error(StatusCode::kMalformedFile, source_.path(), ": tensor ", name, " is missing");
  }

  Status load_matrix(const std::string& name, const GroupOrder& rows, const GroupOrder& columns, PackedMatrix& out) {
    const SourceTensor* tensor = source_.find(name);
    if (tensor == nullptr) return missing(name);
    if (storage_type(tensor->type) != tensor->type && tensor->cols % 32 != 0) {
      return unsupported(source_.path(), ": tensor ", name, ": rows of ", tensor->cols, " values are no whole 32-blocks");
    }
    ELMS_ASSIGN_OR_RETURN(out, provider_.matrix(*tensor, rows, columns));
    packed_bytes_ += out.packed_bytes();
    return {};
  }

  Status load_vector(const std::string& name, Vector& out, const GroupOrder& order = {}) {
    const SourceTensor* tensor = source_.find(name);
    if (tensor == nullptr) return missing(name);
    ELMS_ASSIGN_OR_RETURN(out, provider_.vector(*tensor, order));
    packed_bytes_ += out.size_bytes();
    return {};
  }

  Status load_optional_vector(const std::string& name, Vector& out, const GroupOrder& order = {}) {
    return source_.find(name) == nullptr ? Status() : load_vector(name, out, order);
  }

  const ModelSource& source_;
  WeightProvider& provider_;
  std::uint64_t packed_bytes_ = 0;
};

}  // namespace elms::inline v0::detail
