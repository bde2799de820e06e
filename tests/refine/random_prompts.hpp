// Prompts of all that may stand in one, and the tokenizers that budgets are counted with.
#pragma once

#include <array>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "elms/detail/gguf.hpp"
#include "elms/refine.hpp"
#include "support.hpp"

namespace elms_test {

inline std::shared_ptr<const elms::Tokenizer> open_refine_tokenizer(const std::string& path) {
  const auto file = elms::detail::GgufFile::open(path);
  REQUIRE_OK(file);
  const auto tokenizer = elms::Tokenizer::from_gguf(*file);
  REQUIRE_OK(tokenizer);
  return *tokenizer;
}

/// elms-mini's, which is in the repository.
inline const elms::Tokenizer& mini_tokenizer() {
  static const std::shared_ptr<const elms::Tokenizer> tokenizer = open_refine_tokenizer(ELMS_MINI_MODEL);
  return *tokenizer;
}

/// What guards must find whole in a text: none holds another.
inline constexpr std::array<std::string_view, 14> kGuardedPieces = {
    "<|im_start|>user",
    "[INST]",
    "<start_of_turn>model",
    "<|eot_id|>",
    "{\"a\": [1, 2, {\"b\": \"x y\"}], \"c\": null}",
    "[\"one two\", 3]",
    "`int x = 1;`",
    "https://example.org/a?b=c&d=(e)",
    "www.example.com/x",
    "me.too@example.org",
    "3.5 kg",
    "$1,000.50",
    "25%",
    "2024-05-01"};

inline constexpr std::array<std::string_view, 28> kPlainPieces = {"the",
                                                                  "quick",
                                                                  "brown-fox",
                                                                  "jumped",
                                                                  "over",
                                                                  "extraordinarily",
                                                                  "lazy",
                                                                  "dogs,",
                                                                  "and",
                                                                  "then.",
                                                                  "Why?",
                                                                  "(perhaps)",
                                                                  "\"quoted\"",
                                                                  "U.S.",
                                                                  "e.g.",
                                                                  "naïve",
                                                                  "Straße",
                                                                  "Ελληνικά",
                                                                  "русский",
                                                                  "你好世界",
                                                                  "今日は",
                                                                  "สวัสดี",
                                                                  "한국어",
                                                                  "👍🏽",
                                                                  "👨‍👩‍👧",
                                                                  "🇩🇪🇫🇷",
                                                                  "e\xCC\x81t\xC3\xA9",
                                                                  "\xFF\xFE"};

inline std::string random_text_piece(std::mt19937& rng) {
  if (rng() % 7 == 0) return std::string(kGuardedPieces[rng() % kGuardedPieces.size()]);
  if (rng() % 200 == 0) return "\n```cpp\nint  f() {\n\n  return 1;\n}\n```\n";
  return std::string(kPlainPieces[rng() % kPlainPieces.size()]);
}

inline std::string random_white(std::mt19937& rng) {
  constexpr std::array<std::string_view, 12> kWhites = {" ", " ",  " ",  " ",  " ",    " ",
                                                        " ", "  ", "\n", "\n", "\n\n", "\n    "};
  return std::string(kWhites[rng() % kWhites.size()]);
}

inline std::string random_prompt_text(std::mt19937& rng, std::size_t n_pieces) {
  std::string text;
  for (std::size_t i = 0; i < n_pieces; ++i) {
    text += random_text_piece(rng);
    text += random_white(rng);
  }
  return text;
}

inline std::vector<elms::Segment> random_prompt(std::mt19937& rng) {
  std::vector<elms::Segment> prompt;
  const std::size_t n_segments = 1 + rng() % 4;
  for (std::size_t i = 0; i < n_segments; ++i) {
    std::string text = random_prompt_text(rng, rng() % 30);
    if (rng() % 4 == 0) {
      prompt.push_back(elms::Segment::protect(text.substr(0, text.size() / 2)));
    } else if (rng() % 8 == 0) {
      prompt.push_back(elms::Segment::compress(text, elms::SegmentRole::kQuestion));
    } else {
      prompt.push_back(elms::Segment::compress(text));
    }
  }
  return prompt;
}

inline std::vector<float> random_scores(std::mt19937& rng, std::size_t n) {
  std::vector<float> scores(n);
  for (float& score : scores) score = static_cast<float>(rng() % 100) / 100.0f;  // with ties
  return scores;
}

}  // namespace elms_test
