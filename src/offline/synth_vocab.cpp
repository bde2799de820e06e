// A vocabulary that any text can be encoded with and whose every token can be read.
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "offline/synth_model.hpp"

namespace elms::inline v0::offline {
namespace {

// Values of tokenizer.ggml.token_type.
enum TokenType : std::int32_t { kNormal = 1, kUnknown = 2, kControl = 3, kByte = 6 };

/// How SentencePiece writes a space.
constexpr const char* kSpace = "\u2581";

std::string byte_token(int byte) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  return {'<', '0', 'x', kDigits[byte / 16], kDigits[byte % 16], '>'};
}

}  // namespace

void write_synth_vocabulary(detail::GgufWriter& writer, std::int32_t n_vocab) {
  const auto n = static_cast<std::size_t>(n_vocab);
  std::vector<std::string> texts = {"<unk>", "<s>", "</s>"};
  std::vector<std::int32_t> types = {kUnknown, kControl, kControl};
  for (int byte = 0; byte < 256; ++byte) texts.push_back(byte_token(byte));
  types.resize(texts.size(), kByte);
  texts.push_back(kSpace);  // as bytes it would come back as the character that stands for it
  // Words are there to be read in generated text. Encoding never finds them, because their parts are no tokens
  // that could be merged: every text is encoded as bytes, and its length in tokens is known in advance.
  for (std::size_t word = 0; texts.size() < n; ++word) texts.push_back(std::string(kSpace) + "w" + std::to_string(word));
  types.resize(n, kNormal);
  std::vector<float> scores(n, 0.0f);
  for (std::size_t i = static_cast<std::size_t>(kSynthMinVocab); i < n; ++i) scores[i] = -static_cast<float>(i);

  const std::vector<std::string_view> views(texts.begin(), texts.end());
  writer.set("tokenizer.ggml.model", "llama");
  writer.set("tokenizer.ggml.pre", "default");
  writer.set("tokenizer.ggml.tokens", std::span<const std::string_view>(views));
  writer.set("tokenizer.ggml.scores", std::span<const float>(scores));
  writer.set("tokenizer.ggml.token_type", std::span<const std::int32_t>(types));
  writer.set("tokenizer.ggml.unknown_token_id", static_cast<std::uint32_t>(kSynthUnknown));
  writer.set("tokenizer.ggml.bos_token_id", static_cast<std::uint32_t>(kSynthBos));
  writer.set("tokenizer.ggml.eos_token_id", static_cast<std::uint32_t>(kSynthEos));
  writer.set("tokenizer.ggml.add_bos_token", true);
  writer.set("tokenizer.ggml.add_eos_token", false);
}

}  // namespace elms::inline v0::offline
