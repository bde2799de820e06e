// What recovers the quality that a level lost: low-rank updates (LoRA) of its matrices, and biases of its blocks' outputs.
//
// A file for one level, which is an ordinary LoRA adapter in GGUF for the model that `elms extract` writes of that level:
//
//   general.type = "adapter", adapter.type = "lora", general.architecture, adapter.lora.alpha
//   blk.N.<attn_q|attn_k|attn_v|attn_output|ffn_gate|ffn_up|ffn_down>.weight.lora_a   [r, k], F32 or F16
//   blk.N.<the same>.weight.lora_b                                                      [n, r], y += alpha / r * B (A x)
//   elms.adapter.bias.attn_output, elms.adapter.bias.ffn_down   f32 [n_layers, d_model], added to the blocks' outputs
//
// n and k are those of the level. Any matrix may go without, ranks may differ; an alpha of 0 means a factor of 1.
// An elastic model names its levels' files, relative to its own, in elms.levels.adapters.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "elms/detail/gguf.hpp"
#include "elms/detail/model_weights.hpp"

namespace elms::inline v0::detail {

inline constexpr std::int32_t kMaxAdapterRank = 1024;

/// B of y += B (A x); A x is columns [offset, offset + rank) of what the input's stacked A gives.
struct LowRank {
  PackedMatrix b;  ///< [n, rank], the factor folded in
  std::int32_t offset = 0;
  std::int32_t rank = 0;  ///< 0: none
};

/// The matrices that read the same input, and their A's one below the other, in int8 blocks where the first of the matrices
/// reads its input quantised, so that they share it.
struct AdapterGroup {
  PackedMatrix a;  ///< [sum of ranks, k]
  std::int32_t rank = 0;
};

struct LayerAdapter {
  AdapterGroup attn_in, attn_out, ffn_in, ffn_out;
  LowRank q, k, v, o, gate, up, down;
  Vector o_bias, down_bias;  ///< [d_model], with the model's own; empty where the level has none
};

struct LevelAdapter {
  std::vector<LayerAdapter> layers;
  std::int32_t max_rank = 0;  ///< of any group
  std::uint64_t bytes = 0;    ///< in memory, all of which a token reads
};

/// Reads the adapter of one level.
class AdapterLoader {
 public:
  AdapterLoader(const GgufFile& file, const ModelConfig& config, const ModelWeights& weights,
                std::span<const LayerShape> slices, const elms_kernel_table& kernels)
      : file_(file), config_(config), weights_(weights), slices_(slices), kernels_(kernels) {}

  /// kMalformedFile, kUnsupported, kOutOfMemory; messages name the file and the key or tensor.
  Result<LevelAdapter> load(ThreadPool& pool) {
    ELMS_RETURN_IF_ERROR(check_header());
    ELMS_RETURN_IF_ERROR(check_names());
    ELMS_RETURN_IF_ERROR(read_biases());
    LevelAdapter adapter;
    adapter.layers.resize(slices_.size());
    std::vector<Status> statuses(slices_.size());
    pool.parallel_for(slices_.size(), [&](std::size_t i) {
      statuses[i] = or_out_of_memory([&] { return load_layer(i, adapter.layers[i]); });
    });
    for (const Status& status : statuses) ELMS_RETURN_IF_ERROR(status);
    for (const LayerAdapter& layer : adapter.layers) {
      for (const AdapterGroup* group : {&layer.attn_in, &layer.attn_out, &layer.ffn_in, &layer.ffn_out}) {
        adapter.max_rank = std::max(adapter.max_rank, group->rank);
        adapter.bytes += group->a.panels.size_bytes();
      }
      for (const LowRank* part : {&layer.q, &layer.k, &layer.v, &layer.o, &layer.gate, &layer.up, &layer.down}) {
        adapter.bytes += part->b.panels.size_bytes();
      }
      adapter.bytes += layer.o_bias.size_bytes() + layer.down_bias.size_bytes();
    }
    return adapter;
  }

 private:
  /// One matrix of a group: where its B goes, and which order of its rows the loader of the model uses.
  struct Member {
    std::string_view name;
    LowRank* out;
    std::int32_t n;
    const GroupOrder* rows;
  };

  Status check_header() const {
    const std::pair<std::string_view, std::string_view> expected[] = {
        {"general.type", "adapter"}, {"adapter.type", "lora"}, {"general.architecture", config_.architecture}};
    for (const auto& [key, value] : expected) {
      ELMS_ASSIGN_OR_RETURN(const std::string_view found, file_.string(key));
      if (found != value) return unsupported(file_.name(), ": ", key, " is ", found, ", expected ", value);
    }
    return {};
  }

  /// Nothing in the file is silently ignored.
  Status check_names() const {
    for (const GgufTensor& tensor : file_.tensors()) {
      if (!is_known(tensor.name)) return unsupported(file_.name(), ": tensor ", tensor.name, " belongs to no adapted matrix");
    }
    return {};
  }
  [[nodiscard]] bool is_known(std::string_view name) const {
    static constexpr std::string_view kMatrices[] = {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"};
    for (std::size_t layer = 0; layer < slices_.size(); ++layer) {
      const std::string blk = concat("blk.", layer, ".");
      if (!name.starts_with(blk)) continue;
      const std::string_view rest = name.substr(blk.size());
      for (const std::string_view matrix : kMatrices) {
        if (rest == concat(matrix, ".weight.lora_a") || rest == concat(matrix, ".weight.lora_b")) return true;
      }
    }
    return false;
  }

  Status read_biases() {
    const auto read = [&](std::string_view key, std::vector<float>& out) -> Status {
      if (file_.find(key) == nullptr) return {};
      ELMS_ASSIGN_OR_RETURN(out, file_.reals(key));
      const std::size_t expected = slices_.size() * static_cast<std::size_t>(config_.d_model);
      if (out.size() == expected) return {};
      return malformed(file_.name(), ": ", key, ": expected ", expected, " values, found ", out.size());
    };
    ELMS_RETURN_IF_ERROR(read("elms.adapter.bias.attn_output", o_bias_));
    return read("elms.adapter.bias.ffn_down", down_bias_);
  }

  Status load_layer(std::size_t index, LayerAdapter& layer) const {
    const LayerShape& slice = slices_[index];
    const LayerWeights& weights = weights_.layers[index];
    const GroupOrder heads = weights.rank_major ? rank_major_heads(slice, config_.head_dim) : GroupOrder{};
    const GroupOrder as_stored;
    const std::int32_t q = slice.q_heads * config_.head_dim, kv = slice.kv_heads * config_.head_dim, d = config_.d_model;
    const Member attn_in[] = {{"attn_q", &layer.q, q, &heads}, {"attn_k", &layer.k, kv, &as_stored}, {"attn_v", &layer.v, kv, &as_stored}};
    const Member attn_out[] = {{"attn_output", &layer.o, d, &as_stored}};
    const Member ffn_in[] = {{"ffn_gate", &layer.gate, slice.ff, &as_stored}, {"ffn_up", &layer.up, slice.ff, &as_stored}};
    const Member ffn_out[] = {{"ffn_down", &layer.down, d, &as_stored}};
    ELMS_RETURN_IF_ERROR(load_group(index, attn_in, d, as_stored, weights.wq, layer.attn_in));
    ELMS_RETURN_IF_ERROR(load_group(index, attn_out, q, heads, weights.wo, layer.attn_out));
    ELMS_RETURN_IF_ERROR(load_group(index, ffn_in, d, as_stored, weights.gate, layer.ffn_in));
    ELMS_RETURN_IF_ERROR(load_group(index, ffn_out, slice.ff, as_stored, weights.down, layer.ffn_out));
    ELMS_RETURN_IF_ERROR(add_bias(index, o_bias_, weights.bo, layer.o_bias));
    return add_bias(index, down_bias_, {}, layer.down_bias);
  }

  Status add_bias(std::size_t layer, const std::vector<float>& biases, const Vector& own, Vector& out) const {
    if (biases.empty()) return {};
    const auto d = static_cast<std::size_t>(config_.d_model);
    ELMS_ASSIGN_OR_RETURN(out, Vector::uninitialized(d));
    for (std::size_t i = 0; i < d; ++i) out[i] = biases[layer * d + i] + (own.empty() ? 0.0f : own[i]);
    return {};
  }

  /// The two tensors of a matrix with their shapes checked; nulls where it has none.
  Result<std::pair<const GgufTensor*, const GgufTensor*>> find_pair(std::size_t layer, const Member& member, std::int32_t k) const {
    const std::string name = concat("blk.", layer, ".", member.name, ".weight.lora_");
    const GgufTensor* a = file_.find_tensor(name + "a");
    const GgufTensor* b = file_.find_tensor(name + "b");
    if (a == nullptr && b == nullptr) return std::pair(a, b);
    if (a == nullptr || b == nullptr) return malformed(file_.name(), ": tensor ", name, a == nullptr ? "a" : "b", " is missing");
    const auto fits = [&](const GgufTensor& t, std::uint64_t rows, std::uint64_t cols) {
      return (t.type == DType::kF32 || t.type == DType::kF16) && t.rows() == rows && t.cols() == cols;
    };
    const std::uint64_t rank = a->rows();
    if (rank < 1 || rank > static_cast<std::uint64_t>(kMaxAdapterRank) || !fits(*a, rank, static_cast<std::uint64_t>(k)) ||
        !fits(*b, static_cast<std::uint64_t>(member.n), rank)) {
      return malformed(file_.name(), ": ", name, "a [", a->rows(), ", ", a->cols(), "] and b [", b->rows(), ", ", b->cols(),
                       "]: expected F32 or F16, [r, ", k, "] and [", member.n, ", r] with r up to ", kMaxAdapterRank);
    }
    return std::pair(a, b);
  }

  Status load_group(std::size_t layer, std::span<const Member> members, std::int32_t k, const GroupOrder& columns,
                    const PackedMatrix& first, AdapterGroup& group) const {
    std::vector<const std::uint8_t*> a_rows;
    std::vector<DType> a_types;
    DType storage = DType::kF16;
    for (const Member& member : members) {
      ELMS_ASSIGN_OR_RETURN(const auto pair, find_pair(layer, member, k));
      const auto& [a, b] = pair;
      if (a == nullptr) continue;
      member.out->offset = group.rank;
      member.out->rank = static_cast<std::int32_t>(a->rows());
      group.rank += member.out->rank;
      for (std::uint64_t r = 0; r < a->rows(); ++r) {
        a_rows.push_back(a->data.data() + r * row_bytes(a->type, static_cast<std::size_t>(k)));
        a_types.push_back(a->type);
      }
      if (a->type == DType::kF32) storage = DType::kF32;
      ELMS_ASSIGN_OR_RETURN(member.out->b, pack_b(*b, *member.rows));
    }
    if (group.rank == 0) return {};
    const elms_gemm_kernel& q8 = *kernels_.gemm[ELMS_WEIGHT_Q8];
    if (first.kernel->prepare_lhs == q8.prepare_lhs && first.kernel->mr == q8.mr) {
      storage = DType::kQ8_0;
    } else if (first.kernel->prepare_lhs != nullptr) {
      return unsupported(file_.name(), ": the kernel ", first.kernel->name, " shares its input with none of an adapter");
    }
    std::vector<float> stored(static_cast<std::size_t>(k));
    ELMS_ASSIGN_OR_RETURN(group.a, pack_float_rows(kernels_, storage, group.rank, k, [&](std::int32_t row, float* out) {
      decode_row(a_types[static_cast<std::size_t>(row)], a_rows[static_cast<std::size_t>(row)], stored.size(), stored.data());
      for (std::int32_t c = 0; c < k; ++c) out[c] = stored[static_cast<std::size_t>(columns.source_index(c))];
    }));
    return {};
  }

  Result<PackedMatrix> pack_b(const GgufTensor& b, const GroupOrder& rows) const {
    const auto rank = static_cast<std::size_t>(b.cols());
    float factor = 1.0f;
    if (file_.find("adapter.lora.alpha") != nullptr) {
      ELMS_ASSIGN_OR_RETURN(const double alpha, file_.real("adapter.lora.alpha"));
      if (alpha != 0.0) factor = static_cast<float>(alpha / static_cast<double>(rank));
    }
    return pack_float_rows(kernels_, b.type, static_cast<std::int32_t>(b.rows()), static_cast<std::int32_t>(rank),
                           [&](std::int32_t row, float* out) {
                             const auto source = static_cast<std::size_t>(rows.source_index(row));
                             decode_row(b.type, b.data.data() + source * row_bytes(b.type, rank), rank, out);
                             for (std::size_t i = 0; i < rank; ++i) out[i] *= factor;
                           });
  }

  const GgufFile& file_;
  const ModelConfig& config_;
  const ModelWeights& weights_;
  std::span<const LayerShape> slices_;
  const elms_kernel_table& kernels_;
  std::vector<float> o_bias_, down_bias_;
};

/// The file of an adapter that a model names: relative to the model's folder.
[[nodiscard]] inline std::string adapter_path(const std::string& model_path, const std::string& name) {
  const std::size_t slash = model_path.find_last_of("/\\");
  return slash == std::string::npos ? name : model_path.substr(0, slash + 1) + name;
}

}  // namespace elms::inline v0::detail
