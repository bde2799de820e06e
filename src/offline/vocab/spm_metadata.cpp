#include "offline/vocab/spm_metadata.hpp"

#include <span>
#include <string_view>

namespace elms::inline v0::offline {

void write_spm_metadata(const SpmPieces& pieces, detail::GgufWriter& writer) {
  const std::vector<std::string_view> texts(pieces.texts.begin(), pieces.texts.end());
  std::vector<std::int32_t> types;
  types.reserve(pieces.types.size());
  for (const detail::TokenType type : pieces.types) types.push_back(static_cast<std::int32_t>(type));
  writer.set("tokenizer.ggml.model", "llama");
  writer.set("tokenizer.ggml.pre", "default");
  writer.set("tokenizer.ggml.tokens", std::span<const std::string_view>(texts));
  writer.set("tokenizer.ggml.scores", std::span<const float>(pieces.scores));
  writer.set("tokenizer.ggml.token_type", std::span<const std::int32_t>(types));
  writer.set("tokenizer.ggml.unknown_token_id", static_cast<std::uint32_t>(kSpmUnknown));
  writer.set("tokenizer.ggml.bos_token_id", static_cast<std::uint32_t>(kSpmBos));
  writer.set("tokenizer.ggml.eos_token_id", static_cast<std::uint32_t>(kSpmEos));
  writer.set("tokenizer.ggml.add_bos_token", true);
  writer.set("tokenizer.ggml.add_eos_token", false);
  writer.set("tokenizer.ggml.add_space_prefix", true);
}

}  // namespace elms::inline v0::offline
