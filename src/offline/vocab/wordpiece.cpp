#include "offline/vocab/wordpiece.hpp"

#include <array>
#include <span>
#include <string_view>
#include <unordered_set>

#include "text/normalize.hpp"
#include "text/pretokenize.hpp"
#include "text/unicode.hpp"
#include "text/vocabulary.hpp"

namespace elms::inline v0::offline {
namespace {

constexpr std::array<std::string_view, 5> kSpecials = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};

bool is_one_character(std::string_view text) {
  return !text.empty() && detail::read_utf8(text, 0).size == text.size();
}

}  // namespace

std::string bert_words(const std::string& line) {
  static const auto steps = detail::bert_normalizer(true, true, true, true);
  static const std::vector<detail::SplitStep> split = {{.kind = detail::SplitStep::Kind::kBert}};
  std::string text;
  detail::normalize(steps, line, text);
  std::vector<std::string_view> words, scratch;
  detail::pre_tokenize(split, text, words, scratch);
  std::string out;
  for (const std::string_view word : words) out.append(" ").append(word);
  return out;
}

std::vector<std::string> wordpiece_tokens(const SpmPieces& pieces, std::size_t n_tokens) {
  std::vector<std::string> tokens(kSpecials.begin(), kSpecials.end());
  std::unordered_set<std::string> known;
  const auto add = [&](std::string text) {
    if (known.insert(text).second) tokens.push_back(std::move(text));
  };
  const std::string marker(detail::kSpaceMarker);
  const auto add_character = [&](const std::string& c) {
    add(marker + c);
    add(c);
  };
  for (char c = '!'; c <= '~'; ++c) {
    if (c < 'A' || c > 'Z') add_character(std::string(1, c));
  }
  for (std::size_t i = 0; i < pieces.texts.size(); ++i) {
    const bool is_text = pieces.types[i] == detail::TokenType::kNormal && pieces.texts[i] != marker;
    if (is_text && is_one_character(pieces.texts[i])) add_character(pieces.texts[i]);
  }
  for (std::size_t i = 0; i < pieces.texts.size() && tokens.size() < n_tokens; ++i) {
    const std::string& text = pieces.texts[i];
    const bool has_inner_space = text.find(marker, 1) != text.npos;
    if (pieces.types[i] == detail::TokenType::kNormal && text != marker && !has_inner_space) add(text);
  }
  return tokens;
}

void write_wordpiece_metadata(const std::vector<std::string>& tokens, detail::GgufWriter& writer) {
  const std::vector<std::string_view> texts(tokens.begin(), tokens.end());
  std::vector<std::int32_t> types(tokens.size(), static_cast<std::int32_t>(detail::TokenType::kNormal));
  for (std::size_t i = 0; i < kSpecials.size(); ++i)
    types[i] = static_cast<std::int32_t>(detail::TokenType::kControl);
  writer.set("tokenizer.ggml.model", "bert");
  writer.set("tokenizer.ggml.pre", "default");
  writer.set("tokenizer.ggml.tokens", std::span<const std::string_view>(texts));
  writer.set("tokenizer.ggml.token_type", std::span<const std::int32_t>(types));
  writer.set("tokenizer.ggml.token_type_count", std::uint32_t{2});
  writer.set("tokenizer.ggml.padding_token_id", std::uint32_t{0});
  writer.set("tokenizer.ggml.unknown_token_id", std::uint32_t{1});
  writer.set("tokenizer.ggml.bos_token_id", std::uint32_t{2});
  writer.set("tokenizer.ggml.cls_token_id", std::uint32_t{2});
  writer.set("tokenizer.ggml.eos_token_id", std::uint32_t{3});
  writer.set("tokenizer.ggml.seperator_token_id", std::uint32_t{3});
  writer.set("tokenizer.ggml.mask_token_id", std::uint32_t{4});
}

}  // namespace elms::inline v0::offline
