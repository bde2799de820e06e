// How much each unit of a model matters: one score for every query head and every FFN unit.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "elms/elastic_model.hpp"
#include "elms/offline/progress.hpp"
#include "elms/status.hpp"
#include "elms/types.hpp"

namespace elms::inline v0::offline {

enum class ImportanceMethod : std::uint8_t {
  kFlap,       ///< fluctuation of a unit's activation times the squared norm of the weights that read it
               ///< (An et al. 2023, arXiv 2312.11983, eq. 4); needs calibration text
  kMagnitude,  ///< sum of squared weights of a unit; needs no data
  kTaylor,  ///< what the loss changes by without the unit, from activation times gradient: the square of the
            ///< loss's derivative by a gate on the unit, over calibration sequences
  kTaylorWeights,  ///< sum of |weight times gradient| over a unit's weights (LLM-Pruner, arXiv 2305.11627,
                   ///< and ELMS)
};

[[nodiscard]] std::optional<ImportanceMethod> parse_importance_method(std::string_view name) noexcept;
[[nodiscard]] std::string_view to_string(ImportanceMethod method) noexcept;

/// Scores in the order in which units lie in the file (heads group by group). Higher is more important.
/// Scores are comparable inside a layer only; see standardised().
struct Importance {
  ImportanceMethod method = ImportanceMethod::kMagnitude;
  std::vector<std::vector<float>> heads;      ///< [n_layers][q_heads]
  std::vector<std::vector<float>> ffn_units;  ///< [n_layers][ff]
};

/// From the weights alone. A query head's score covers its rows of wq and columns of wo, with plain
/// multi-head attention also its rows of wk and wv; an FFN unit's its rows of gate and up and its column of
/// down.
[[nodiscard]] Result<Importance> magnitude_importance(const detail::ModelSource& source,
                                                      const ProgressCallback& progress = {});

struct CalibrationOptions {
  std::int32_t max_tokens = 16384;   ///< of the calibration text
  std::int32_t window_tokens = 256;  ///< tokens that see each other
};

/// From activations at full width on calibration tokens (at least two windows, else kInvalidArgument).
/// Deterministic.
[[nodiscard]] Result<Importance> flap_importance(std::shared_ptr<const ElasticModel> model,
                                                 std::span<const TokenId> tokens,
                                                 const CalibrationOptions& options = {},
                                                 const ProgressCallback& progress = {});

/// kTaylor or kTaylorWeights, from one forward and backward pass in f32 over the tokens, in windows that
/// begin with BOS and do not see each other. Scores of kTaylor can be compared over layers. Deterministic.
/// kInvalidArgument for tokens that predict nothing or lie outside the vocabulary; kOutOfMemory; kCancelled.
[[nodiscard]] Result<Importance> taylor_importance(const detail::ModelSource& source,
                                                   std::span<const TokenId> tokens, ImportanceMethod method,
                                                   ThreadPool& pool, const CalibrationOptions& options = {},
                                                   const ProgressCallback& progress = {});

/// The same scores shifted and scaled to mean 0 and variance 1 inside each layer and kind of unit, which FLAP
/// proposes to compare layers by.
[[nodiscard]] Importance standardised(const Importance& importance);

}  // namespace elms::inline v0::offline
