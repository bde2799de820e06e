// PromptRefiner: a small encoder that says which words of a prompt matter, and which strategies would answer
// it well.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "elms/detail/encoder.hpp"
#include "elms/detail/error.hpp"
#include "elms/detail/refine/encoder_words.hpp"
#include "elms/refine.hpp"
#include "elms/segment.hpp"
#include "elms/slo.hpp"
#include "elms/status.hpp"
#include "elms/thread_pool.hpp"
#include "elms/tokenizer.hpp"

namespace elms::inline v0 {

struct PromptRefinerOptions {
  std::shared_ptr<ThreadPool> pool{};  ///< null: one of the refiner's own
  std::size_t max_idle_encoders =
      2;  ///< buffers kept for the next calls; more are made while more threads call
};

/// What one pass of the encoder says of a prompt.
struct PromptAnalysis {
  std::vector<float> scores;     ///< [number of prompt_words()]: keep probability, mean of a word's tokens
  StrategyQualities strategies;  ///< empty without a decision head
};

/// Immutable after open(); any number of threads may use one at the same time.
class PromptRefiner {
 public:
  /// A GGUF file of an encoder with a score head, a decision head, or both. kNotFound, kMalformedFile,
  /// kUnsupported: what EncoderModel::open fails with; kUnsupported for a plain encoder without heads.
  [[nodiscard]] static Result<std::shared_ptr<const PromptRefiner>> open(
      const std::string& path, const PromptRefinerOptions& options = {});

  /// Scores the prompt's words and cuts it to the budget: refine_by_scores() of analyse(). kUnsupported
  /// without a score head.
  [[nodiscard]] Result<RefinedPrompt> refine(std::span<const Segment> prompt, const Tokenizer& target,
                                             const RefineBudget& budget, const RefineOptions& options = {},
                                             const CancelToken* cancel = nullptr) const;

  /// Expected quality of every strategy; all of the prompt is seen, the question included. kUnsupported
  /// without a decision head, kInvalidArgument for an empty prompt or shares outside (0, 1].
  [[nodiscard]] Result<StrategyQualities> decide(std::span<const Segment> prompt, const SloShares& slo = {},
                                                 const CancelToken* cancel = nullptr) const;

  /// Both at the price of little more than one, for a planner that chooses a keep ratio before the prompt is
  /// cut: hand `scores` to refine_by_scores() with the same prompt and options. What the file has no head for
  /// is empty.
  [[nodiscard]] Result<PromptAnalysis> analyse(std::span<const Segment> prompt,
                                               const RefineOptions& options = {}, const SloShares& slo = {},
                                               const CancelToken* cancel = nullptr) const;

  [[nodiscard]] bool can_refine() const noexcept { return model_->has_score_head(); }
  [[nodiscard]] bool can_decide() const noexcept { return model_->has_decision_head(); }
  /// The encoder's own.
  [[nodiscard]] const Tokenizer& tokenizer() const noexcept { return model_->tokenizer(); }

  PromptRefiner(const PromptRefiner&) = delete;
  PromptRefiner& operator=(const PromptRefiner&) = delete;

 private:
  PromptRefiner() = default;
  class Lease;

  static Result<std::shared_ptr<const PromptRefiner>> open_now(const std::string& path,
                                                               const PromptRefinerOptions& options);

  [[nodiscard]] Result<std::unique_ptr<detail::Encoder>> take_encoder() const;
  void return_encoder(std::unique_ptr<detail::Encoder> encoder) const;
  [[nodiscard]] StrategyQualities empty_grid() const;
  [[nodiscard]] Result<PromptAnalysis> run(const detail::refine::SplitPrompt& split,
                                           const RefineOptions& options, const SloShares& slo, bool score,
                                           bool decide, const CancelToken* cancel) const;

  std::shared_ptr<const detail::EncoderModel> model_;
  std::size_t max_idle_ = 0;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<detail::Encoder>> idle_;  ///< guarded by mutex_
};

/// An encoder for the time of a call; goes back when it ends.
class PromptRefiner::Lease {
 public:
  Lease(const PromptRefiner& owner, std::unique_ptr<detail::Encoder> encoder, const CancelToken* cancel)
      : owner_(owner), encoder_(std::move(encoder)) {
    encoder_->set_cancel(cancel);
  }
  ~Lease() {
    encoder_->set_cancel(nullptr);
    owner_.return_encoder(std::move(encoder_));
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  detail::Encoder* operator->() const noexcept { return encoder_.get(); }

 private:
  const PromptRefiner& owner_;
  std::unique_ptr<detail::Encoder> encoder_;
};

inline Result<std::shared_ptr<const PromptRefiner>> PromptRefiner::open(const std::string& path,
                                                                        const PromptRefinerOptions& options) {
  return detail::or_out_of_memory([&] { return open_now(path, options); });
}

inline Result<std::shared_ptr<const PromptRefiner>> PromptRefiner::open_now(
    const std::string& path, const PromptRefinerOptions& options) {
  std::unique_ptr<PromptRefiner> refiner(new PromptRefiner());
  ELMS_ASSIGN_OR_RETURN(refiner->model_,
                        detail::EncoderModel::open(path, {.pool = options.pool, .precision = {}}));
  if (!refiner->can_refine() && !refiner->can_decide()) {
    return detail::unsupported(path,
                               ": an encoder without a score head and without a decision head is no refiner");
  }
  refiner->max_idle_ = options.max_idle_encoders;
  return std::shared_ptr<const PromptRefiner>(std::move(refiner));
}

inline Result<std::unique_ptr<detail::Encoder>> PromptRefiner::take_encoder() const {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<detail::Encoder> encoder = std::move(idle_.back());
      idle_.pop_back();
      return encoder;
    }
    // One more encoder may come back, which must not take memory.
    idle_.reserve(std::min(max_idle_, idle_.capacity() + 1));
  }
  return detail::Encoder::create(model_);
}

inline void PromptRefiner::return_encoder(std::unique_ptr<detail::Encoder> encoder) const {
  const std::lock_guard lock(mutex_);
  if (idle_.size() < max_idle_) idle_.push_back(std::move(encoder));
}

inline StrategyQualities PromptRefiner::empty_grid() const {
  StrategyQualities grid;
  grid.widths.assign(model_->widths().begin(), model_->widths().end());
  grid.keep_ratios.assign(model_->keep_ratios().begin(), model_->keep_ratios().end());
  grid.quality.resize(grid.widths.size() * grid.keep_ratios.size());
  return grid;
}

inline Result<PromptAnalysis> PromptRefiner::analyse(std::span<const Segment> prompt,
                                                     const RefineOptions& options, const SloShares& slo,
                                                     const CancelToken* cancel) const {
  return detail::or_out_of_memory([&]() -> Result<PromptAnalysis> {
    ELMS_ASSIGN_OR_RETURN(const detail::refine::SplitPrompt split,
                          detail::refine::split_prompt(prompt, options));
    return run(split, options, slo, can_refine(), can_decide(), cancel);
  });
}

inline Result<PromptAnalysis> PromptRefiner::run(const detail::refine::SplitPrompt& split,
                                                 const RefineOptions& options, const SloShares& slo,
                                                 bool score, bool decide, const CancelToken* cancel) const {
  using namespace detail::refine;
  const auto is_share = [](double share) { return share > 0.0 && share <= 1.0; };
  if (decide && !(is_share(slo.ttft) && is_share(slo.tpot))) {
    return detail::invalid_argument("refiner: latency shares of ", slo.ttft, " and ", slo.tpot,
                                    ", expected above 0 and at most 1");
  }
  const EncodedWords encoded = encode_words(split.text, split.words, model_->tokenizer());
  ELMS_ASSIGN_OR_RETURN(std::unique_ptr<detail::Encoder> encoder, take_encoder());
  const Lease lease(*this, std::move(encoder), cancel);

  PromptAnalysis analysis;
  if (decide) analysis.strategies = empty_grid();
  std::vector<float> token_scores(score ? encoded.tokens.size() : 0);
  const auto ttft = static_cast<float>(slo.ttft), tpot = static_cast<float>(slo.tpot);
  const bool chunked = score && !options.chunk_end_tokens.empty();
  if (score && decide && !chunked) {
    ELMS_RETURN_IF_ERROR(
        lease->score_and_decide(encoded.tokens, token_scores, ttft, tpot, analysis.strategies.quality));
  } else {
    if (decide) ELMS_RETURN_IF_ERROR(lease->decide(encoded.tokens, ttft, tpot, analysis.strategies.quality));
    std::vector<std::size_t> ends = {encoded.tokens.size()};
    if (chunked) {
      const auto window = static_cast<std::size_t>(model_->window_tokens());
      ends = chunk_ends(split.text, split.words, encoded, window, options.chunk_end_tokens);
    }
    std::size_t begin = 0;
    for (const std::size_t end : ends) {
      if (!score || end == begin) continue;
      ELMS_RETURN_IF_ERROR(lease->score(std::span(encoded.tokens).subspan(begin, end - begin),
                                        std::span(token_scores).subspan(begin, end - begin)));
      begin = end;
    }
  }
  if (score) analysis.scores = word_means(encoded, token_scores);
  return analysis;
}

inline Result<StrategyQualities> PromptRefiner::decide(std::span<const Segment> prompt, const SloShares& slo,
                                                       const CancelToken* cancel) const {
  if (!can_decide()) return detail::unsupported("refiner: the file has no decision head");
  return detail::or_out_of_memory([&]() -> Result<StrategyQualities> {
    ELMS_ASSIGN_OR_RETURN(const detail::refine::SplitPrompt split, detail::refine::split_prompt(prompt, {}));
    ELMS_ASSIGN_OR_RETURN(PromptAnalysis analysis, run(split, {}, slo, false, true, cancel));
    return std::move(analysis.strategies);
  });
}

inline Result<RefinedPrompt> PromptRefiner::refine(std::span<const Segment> prompt, const Tokenizer& target,
                                                   const RefineBudget& budget, const RefineOptions& options,
                                                   const CancelToken* cancel) const {
  if (!can_refine()) return detail::unsupported("refiner: the file has no score head");
  return detail::or_out_of_memory([&]() -> Result<RefinedPrompt> {
    ELMS_ASSIGN_OR_RETURN(detail::refine::SplitPrompt split, detail::refine::split_prompt(prompt, options));
    ELMS_ASSIGN_OR_RETURN(const PromptAnalysis analysis, run(split, options, {}, true, false, cancel));
    return detail::refine::refine_now(prompt, std::move(split), analysis.scores, target, budget, options);
  });
}

}  // namespace elms::inline v0
