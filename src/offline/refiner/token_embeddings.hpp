// Token embeddings from which tokens stand near which: what a new encoder begins with in place of noise.
#pragma once

#include <memory>
#include <string_view>

#include "elms/offline/progress.hpp"
#include "elms/thread_pool.hpp"
#include "offline/refiner/refiner_file.hpp"

namespace elms::inline v0::offline::refiner {

/// Sets the token embedding of `model` from the texts of `data` (as for parse_data_sources; a weight
/// multiplies what is counted): positive pointwise mutual information of a token with the frequent tokens one
/// and two places before and behind it and within eight places, reduced to d_model dimensions (truncated SVD,
/// Levy & Goldberg 2014). A row has deviation kEmbeddingDeviation; tokens that the texts do not have
/// keep what they had. Half a minute and 0.4 GB at 6,000 tokens. The result does not depend on the threads.
[[nodiscard]] Status embed_tokens(std::string_view data, const std::shared_ptr<ThreadPool>& pool,
                                  const ProgressCallback& progress, RefinerModel& model);

inline constexpr float kEmbeddingDeviation = 0.08f;

}  // namespace elms::inline v0::offline::refiner
