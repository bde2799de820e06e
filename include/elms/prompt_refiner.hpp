// PromptRefiner: a small encoder that says which words of a prompt matter, and which strategies would answer it well.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "elms/detail/encoder.hpp"
#include "elms/detail/refine/encoder_words.hpp"
#include "elms/refine.hpp"
#include "elms/segment.hpp"
#include "elms/status.hpp"
#include "elms/thread_pool.hpp"
#include "elms/tokenizer.hpp"

namespace elms::inline v0 {

struct PromptRefinerOptions {
  std::shared_ptr<ThreadPool> pool{};  ///< null: one of the refiner's own
  std::size_t max_idle_encoders = 2;   ///< buffers kept for the next calls; more are made while more threads call
};

/// Latency targets as shares, in (0, 1], of what the full model takes for the whole prompt and for a token.
struct SloShares {
  double ttft = 1.0;
  double tpot = 1.0;
};

/// How likely each strategy answers a prompt well: quality[w * keep_ratios.size() + k] for widths[w] and keep_ratios[k],
/// calibrated probabilities. Both axes ascend.
struct StrategyQualities {
  std::vector<double> widths;
  std::vector<double> keep_ratios;
  std::vector<float> quality;  ///< [n_widths, n_keep_ratios]

  [[nodiscard]] bool empty() const noexcept { return quality.empty(); }
  [[nodiscard]] float at(std::size_t width, std::size_t keep_ratio) const noexcept {
    return quality[width * keep_ratios.size() + keep_ratio];
  }
};

/// What one pass of the encoder says of a prompt.
struct PromptAnalysis {
  std::vector<float> scores;     ///< [number of prompt_words()]: keep probability, mean of a word's tokens
  StrategyQualities strategies;  ///< empty without a decision head
};

/// Immutable after open(); any number of threads may use one at the same time.
class PromptRefiner {
 public:
  /// A GGUF file of an encoder with a score head, a decision head, or both. kNotFound, kMalformedFile, kUnsupported:
  /// what EncoderModel::open fails with; kUnsupported for a plain encoder without heads.
  [[nodiscard]] static Result<std::shared_ptr<const PromptRefiner>> open(const std::string& path,
                                                                         const PromptRefinerOptions& options = {});

  /// Scores the prompt's words and cuts it to the budget: refine_by_scores() of analyse(). kUnsupported without a
  /// score head. The prompt that is all within the budget is returned as it is, without running the encoder (its
  /// scores are then 1).
  [[nodiscard]] Result<RefinedPrompt> refine(std::span<const Segment> prompt, const Tokenizer& target,
                                             const RefineBudget& budget, const RefineOptions& options = {},
                                             const CancelToken* cancel = nullptr) const;

  /// Expected quality of every strategy; all of the prompt is seen, the question included. kUnsupported without a
  /// decision head, kInvalidArgument for an empty prompt or shares outside (0, 1].
  [[nodiscard]] Result<StrategyQualities> decide(std::span<const Segment> prompt, const SloShares& slo = {},
                                                 const CancelToken* cancel = nullptr) const;

  /// Both at the price of little more than one, for a planner that chooses a keep ratio before the prompt is cut:
  /// hand `scores` to refine_by_scores() with the same prompt and options. What the file has no head for is empty.
  [[nodiscard]] Result<PromptAnalysis> analyse(std::span<const Segment> prompt, const RefineOptions& options = {},
                                               const SloShares& slo = {}, const CancelToken* cancel = nullptr) const;

  [[nodiscard]] bool can_refine() const noexcept { return model_->has_score_head(); }
  [[nodiscard]] bool can_decide() const noexcept { return model_->has_decision_head(); }
  /// The encoder's own.
  [[nodiscard]] const Tokenizer& tokenizer() const noexcept { return model_->tokenizer(); }

  PromptRefiner(const PromptRefiner&) = delete;
  PromptRefiner& operator=(const PromptRefiner&) = delete;

 private:
  PromptRefiner() = default;
  class Lease;

  [[nodiscard]] Result<std::unique_ptr<detail::Encoder>> take_encoder() const;
  void return_encoder(std::unique_ptr<detail::Encoder> encoder) const;
  [[nodiscard]] StrategyQualities empty_grid() const;

  std::shared_ptr<const detail::EncoderModel> model_;
  std::size_t max_idle_ = 0;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<detail::Encoder>> idle_;  ///< guarded by mutex_
};

}  // namespace elms::inline v0
