// The two heads of a refiner: their parameters, which are metadata, and what they compute.
#pragma once

#include <span>

#include "elms/detail/gguf.hpp"
#include "refine/encoder_parts.hpp"

namespace elms::inline v0::detail {

/// No head where the file has none. kMalformedFile where its parts do not fit.
[[nodiscard]] Result<ScoreHead> read_score_head(const GgufFile& file, const EncoderConfig& config);
[[nodiscard]] Result<DecisionHead> read_decision_head(const GgufFile& file, const EncoderConfig& config);

/// state [d_model].
[[nodiscard]] float keep_probability_of(const ScoreHead& head, std::span<const float> state) noexcept;

/// pooled [d_model], hidden: scratch [n_hidden], quality [n_widths * n_keep].
void strategy_qualities(const DecisionHead& head, std::span<const float> pooled, float ttft_share,
                        float tpot_share, std::span<float> hidden, std::span<float> quality) noexcept;

}  // namespace elms::inline v0::detail
