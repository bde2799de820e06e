// Which tokens end an answer. GGUF has keys for EOS, EOT and EOM only, and many files lack the last two, so
// chat models are recognised by the text of their tokens, as llama.cpp does.
#include <algorithm>
#include <array>

#include "vocabulary.hpp"

namespace elms::inline v0::detail {
namespace {

constexpr std::array<std::string_view, 28> kEndTexts = {
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>",
    "<end_of_turn>", "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]",
    "<|end_of_text|>", "<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>", "<｜end▁of▁sentence｜>",
    "[e~[",
    // The padding, repository and file marks of fill-in-the-middle models: text goes on, but in another
    // document.
    "<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<|fim_repo|>", "<|repo_name|>", "<|file_sep|>"};

/// gpt-oss ends messages inside an answer with <|end|>, which is told by the two tokens that really end one.
bool ends_messages_only(const TokenList& tokens) {
  const auto has = [&](std::string_view text) { return tokens.find(text) != kNoToken; };
  const bool has_call = has("<|call|>") || has("<|calls|>");
  return has_call && (has("<|return|>") || has("<|flush|>"));
}

}  // namespace

void mark_end_of_generation(Vocabulary& vocabulary) {
  TokenList& tokens = vocabulary.tokens;
  std::vector<TokenId>& ends = vocabulary.end_of_generation;
  for (const std::string_view text : kEndTexts) {
    const TokenId id = tokens.find(text);
    if (id == kNoToken || (text == "<|end|>" && ends_messages_only(tokens))) continue;
    tokens.set_type(id, TokenType::kControl);
    ends.push_back(id);
  }
  if (vocabulary.eos != kNoToken) ends.push_back(vocabulary.eos);
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
}

}  // namespace elms::inline v0::detail
