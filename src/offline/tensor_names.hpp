// What a tensor of a layer is for, by its GGUF name.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "elms/types.hpp"

namespace elms::inline v0::offline {

enum class LayerRole : std::uint8_t {
  kQuery,     ///< rows are query heads
  kKeyValue,  ///< rows are KV heads
  kQueryBias,
  kKeyValueBias,
  kAttentionOutput,  ///< columns are query heads
  kGateUp,           ///< rows are FFN units
  kDown,             ///< columns are FFN units
  kOther,            ///< norms and output bias: no units
};

struct LayerTensorName {
  bool in_layer = false;
  std::size_t layer = 0;
  LayerRole role = LayerRole::kOther;
  std::string_view suffix;  ///< behind "blk.N."
};

[[nodiscard]] inline LayerTensorName parse_layer_tensor(std::string_view name) noexcept {
  LayerTensorName parsed;
  constexpr std::string_view kPrefix = "blk.";
  if (!name.starts_with(kPrefix)) return parsed;
  const char* begin = name.data() + kPrefix.size();
  const char* end = name.data() + name.size();
  const auto [after, failure] = std::from_chars(begin, end, parsed.layer);
  if (failure != std::errc{} || after == end || *after != '.') return parsed;
  parsed.in_layer = true;
  parsed.suffix = std::string_view(after + 1, static_cast<std::size_t>(end - after - 1));
  const std::string_view s = parsed.suffix;
  if (s == "attn_q.weight") parsed.role = LayerRole::kQuery;
  if (s == "attn_k.weight" || s == "attn_v.weight") parsed.role = LayerRole::kKeyValue;
  if (s == "attn_q.bias") parsed.role = LayerRole::kQueryBias;
  if (s == "attn_k.bias" || s == "attn_v.bias") parsed.role = LayerRole::kKeyValueBias;
  if (s == "attn_output.weight") parsed.role = LayerRole::kAttentionOutput;
  if (s == "ffn_gate.weight" || s == "ffn_up.weight") parsed.role = LayerRole::kGateUp;
  if (s == "ffn_down.weight") parsed.role = LayerRole::kDown;
  return parsed;
}

/// GGUF's `general.file_type` for a model whose matrices are mostly of this type.
[[nodiscard]] inline std::uint32_t gguf_file_type(DType type) noexcept {
  switch (type) {
    case DType::kF32:
      return 0;
    case DType::kQ4_0:
      return 2;
    case DType::kQ8_0:
      return 7;
    case DType::kBF16:
      return 32;
    default:
      return 1;
  }
}

}  // namespace elms::inline v0::offline
