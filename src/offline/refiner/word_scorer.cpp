// Scores of words from anything that can tell important from unimportant.
#include <algorithm>
#include <cmath>

#include "elms/detail/error.hpp"
#include "elms/detail/random.hpp"
#include "elms/offline/refiner_eval.hpp"

namespace elms::inline v0::offline {
namespace {

/// -log p of a token.
float surprise(std::span<const float> logits, TokenId token) {
  const float best = *std::max_element(logits.begin(), logits.end());
  double sum = 0.0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit - best));
  return static_cast<float>(std::log(sum)) + best - logits[static_cast<std::size_t>(token)];
}

/// Where each token's bytes end in the text, [n_tokens]. A leading blank that the tokenizer puts in is not
/// counted; where tokens do not spell the text, places are in proportion.
std::vector<std::size_t> token_ends(const Tokenizer& tokenizer, std::span<const TokenId> tokens,
                                    std::string_view text) {
  std::vector<std::size_t> ends;
  std::string spelled;
  for (const TokenId token : tokens) {
    spelled += tokenizer.token_bytes(token);
    ends.push_back(spelled.size());
  }
  const std::size_t extra = spelled.size() > text.size() ? spelled.size() - text.size() : 0;
  const bool same = std::string_view(spelled).substr(extra) == text;
  for (std::size_t& end : ends) {
    end = same ? end - std::min(end, extra) : end * text.size() / std::max<std::size_t>(1, spelled.size());
  }
  return ends;
}

}  // namespace

const char* to_string(ScoreMethod method) noexcept {
  switch (method) {
    case ScoreMethod::kRefiner:
      return "refiner";
    case ScoreMethod::kRandom:
      return "random";
    case ScoreMethod::kTruncation:
      return "truncation";
    case ScoreMethod::kSelfInformation:
      return "self-information";
  }
  return "unknown";
}

WordScorer::WordScorer(std::shared_ptr<const PromptRefiner> refiner,
                       std::shared_ptr<const ElasticModel> model, std::uint64_t seed)
    : refiner_(std::move(refiner)), model_(std::move(model)), seed_(seed) {}

Result<std::vector<float>> WordScorer::score(ScoreMethod method, std::span<const Segment> prompt,
                                             const RefineOptions& options) {
  if (method == ScoreMethod::kRefiner) {
    if (refiner_ == nullptr || !refiner_->can_refine()) {
      return detail::invalid_argument("scores: there is no refiner with a score head");
    }
    ELMS_ASSIGN_OR_RETURN(PromptAnalysis analysis, refiner_->analyse(prompt, options));
    return std::move(analysis.scores);
  }
  const std::vector<PromptWord> words = prompt_words(prompt, options);
  if (method == ScoreMethod::kSelfInformation) {
    return self_information(detail::refine::joined_text(prompt), words);
  }
  std::vector<float> scores(words.size());
  detail::Xoshiro256 random(seed_ + n_drawn_++);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    scores[i] = method == ScoreMethod::kRandom ? static_cast<float>(random.below(1 << 24)) / (1 << 24)
                                               : -static_cast<float>(i);
  }
  return scores;
}

/// A text longer than the model's context is read in windows, each of which begins in the middle of the one
/// before; a token is judged with at least half a window before it.
Result<std::vector<float>> WordScorer::self_information(std::string_view text,
                                                        std::span<const PromptWord> words) {
  if (model_ == nullptr) return detail::invalid_argument("scores: self-information needs a language model");
  if (!session_.has_value()) {
    ELMS_ASSIGN_OR_RETURN(Session session, Session::create(model_));
    session_.emplace(std::move(session));
  }
  ELMS_ASSIGN_OR_RETURN(const std::shared_ptr<const Tokenizer> tokenizer, model_->tokenizer());
  const std::vector<TokenId> tokens = tokenizer->encode(text, {.add_special = false});
  const std::vector<std::size_t> ends = token_ends(*tokenizer, tokens, text);
  const TokenId start = tokenizer->bos() != kNoToken ? tokenizer->bos() : tokenizer->eos();
  std::vector<float> surprises(tokens.size(), 0.0f);
  const auto window = static_cast<std::size_t>(session_->context_tokens());
  for (std::size_t begin = 0, judged = 0; judged < tokens.size(); begin += window / 2) {
    std::vector<TokenId> input;
    if (start != kNoToken) input.push_back(start);
    const std::size_t n_special = input.size();
    const std::size_t n = std::min(tokens.size() - begin, window - n_special);
    input.insert(input.end(), tokens.begin() + static_cast<std::ptrdiff_t>(begin),
                 tokens.begin() + static_cast<std::ptrdiff_t>(begin + n));
    session_->reset();
    PrefillOptions prefill;
    prefill.on_logits = [&](std::int32_t first, std::int32_t n_rows, std::span<const float> logits) {
      const std::size_t n_vocab = logits.size() / static_cast<std::size_t>(n_rows);
      for (std::size_t r = 0; r < static_cast<std::size_t>(n_rows); ++r) {
        // The row after input[i] judges input[i + 1].
        const std::size_t target = begin + static_cast<std::size_t>(first) + r + 1 - n_special;
        if (target < judged || target >= begin + n) continue;
        surprises[target] = surprise(logits.subspan(r * n_vocab, n_vocab), tokens[target]);
      }
      return Flow::kContinue;
    };
    ELMS_RETURN_IF_ERROR(session_->prefill(input, prefill));
    judged = begin + n;
  }
  // A token counts for the word in which it ends; a blank behind a word is in no word, and in no score.
  std::vector<float> scores(words.size(), 0.0f);
  std::size_t word = 0;
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    while (word < words.size() && words[word].span.end < ends[t]) ++word;
    if (word < words.size() && ends[t] > words[word].span.begin) scores[word] += surprises[t];
  }
  return scores;
}

}  // namespace elms::inline v0::offline
