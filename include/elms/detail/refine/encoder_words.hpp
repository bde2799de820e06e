// From words to the encoder's tokens and from its scores back to words.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "elms/detail/refine/ranking.hpp"
#include "elms/refine_options.hpp"
#include "elms/tokenizer.hpp"
#include "elms/types.hpp"

namespace elms::inline v0::detail::refine {

/// The words of a prompt, each encoded on its own, so that a token belongs to one word and no offsets are
/// needed. WordPiece splits at blanks and at punctuation anyway: it is the encoding of the whole text, but
/// for words whose blanks are missing.
struct EncodedWords {
  std::vector<TokenId> tokens;
  std::vector<std::size_t> ends;  ///< [n_words]: tokens up to the end of a word

  [[nodiscard]] std::size_t begin_of(std::size_t word) const noexcept {
    return word == 0 ? 0 : ends[word - 1];
  }
};

[[nodiscard]] inline EncodedWords encode_words(std::string_view text, std::span<const PromptWord> words,
                                               const Tokenizer& tokenizer) {
  EncodedWords encoded;
  encoded.ends.reserve(words.size());
  encoded.tokens.reserve(words.size() * 2);
  const std::unique_ptr<TokenizerRun> run = tokenizer.start_run();
  for (const PromptWord& word : words) {
    run->encode(text.substr(word.span.begin, word.span.size()),
                {.add_special = false, .parse_special = false}, encoded.tokens);
    encoded.ends.push_back(encoded.tokens.size());
  }
  return encoded;
}

/// Mean of a word's tokens, as in LLMLingua-2: the largest would favour long words, of which one piece is
/// often sure. A word without tokens (an emoji that normalisation drops) goes with the word before it.
[[nodiscard]] inline std::vector<float> word_means(const EncodedWords& encoded,
                                                   std::span<const float> token_scores) {
  std::vector<float> scores;
  scores.reserve(encoded.ends.size());
  float before = 0.0f;
  for (std::size_t i = 0; i < encoded.ends.size(); ++i) {
    const std::size_t begin = encoded.begin_of(i), end = encoded.ends[i];
    float sum = 0.0f;
    for (std::size_t t = begin; t < end; ++t) sum += token_scores[t];
    if (end > begin) before = sum / static_cast<float>(end - begin);
    scores.push_back(before);
  }
  return scores;
}

/// Ends of the chunks, in tokens, that a text is cut into: each the longest of at most `window` tokens that
/// ends after a word of `chunk_ends`; where no such word is in reach, after the last word that is, or in the
/// middle of one.
[[nodiscard]] inline std::vector<std::size_t> chunk_ends(std::string_view text,
                                                         std::span<const PromptWord> words,
                                                         const EncodedWords& encoded, std::size_t window,
                                                         std::span<const std::string> chunk_end_tokens) {
  const bool at_line_ends =
      std::find(chunk_end_tokens.begin(), chunk_end_tokens.end(), "\n") != chunk_end_tokens.end();
  const auto may_end = [&](std::size_t i) {
    const std::string_view word = text.substr(words[i].span.begin, words[i].span.size());
    if (is_one_of(word, words[i].kind, chunk_end_tokens)) return true;
    const std::size_t next = i + 1 < words.size() ? words[i + 1].span.begin : text.size();
    return at_line_ends &&
           text.substr(words[i].span.end, next - words[i].span.end).find('\n') != std::string_view::npos;
  };
  std::vector<std::size_t> ends;
  std::size_t begin = 0, good = 0, any = 0;
  for (std::size_t i = 0; i < words.size(); ++i) {
    while (encoded.ends[i] - begin > window) {
      const std::size_t end = good > begin ? good : any > begin ? any : begin + window;
      ends.push_back(end);
      begin = end;
    }
    any = encoded.ends[i];
    if (may_end(i)) good = any;
  }
  if (encoded.tokens.size() > begin) ends.push_back(encoded.tokens.size());
  return ends;
}

}  // namespace elms::inline v0::detail::refine
