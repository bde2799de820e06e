// How well a model predicts text at each of its levels.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "elms/elastic_model.hpp"
#include "elms/offline/progress.hpp"
#include "elms/status.hpp"

namespace elms::inline v0::offline {

struct PerplexityOptions {
  std::int32_t max_tokens = 0;  ///< of the text; 0: all
  std::int32_t window_tokens =
      512;  ///< text is cut into windows that do not see each other, at most the model's context
  /// Tokens at the begin of every window that are read and not predicted, below window_tokens.
  std::int32_t prompt_tokens = 0;
  /// At which level these are read; empty: at the one that predicts. A service that narrows while it decodes
  /// predicts with a cache of a wider level.
  std::optional<int> prompt_level;
  KvType kv_type = KvType::kF16;
  std::shared_ptr<ThreadPool> pool;  ///< null: the model's
  ProgressCallback progress;
};

struct PerplexityResult {
  int level = 0;
  double cost_share = 1.0;
  double nll = 0.0;         ///< mean negative log likelihood of a predicted token, in nats
  double perplexity = 0.0;  ///< exp(nll)
  std::int64_t tokens = 0;  ///< predicted tokens
};

/// One result for each of `levels`. Every window starts with BOS where the vocabulary has one, and predicts
/// all its other tokens behind the prompt. kInvalidArgument where the text has fewer than two tokens, or
/// none behind the first prompt. Sums are kept in double.
[[nodiscard]] Result<std::vector<PerplexityResult>> evaluate_perplexity(
    std::shared_ptr<const ElasticModel> model, std::span<const TokenId> tokens, std::span<const int> levels,
    const PerplexityOptions& options = {});

}  // namespace elms::inline v0::offline
