// Options that commands around the prompt refiner share.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "elms/offline/refiner_eval.hpp"
#include "elms/prompt_refiner.hpp"

namespace elms_cli {

/// --protect-last-line, --force-tokens and so on.
void add_refine_options(CLI::App& command, elms::RefineOptions& options);
/// --score refiner|random|truncation|self-information
void add_score_method(CLI::App& command, elms::offline::ScoreMethod& method);
/// --methods, a list of them.
void add_score_methods(CLI::App& command, std::vector<elms::offline::ScoreMethod>& methods);

elms::Result<std::shared_ptr<const elms::PromptRefiner>> open_refiner(const std::string& path,
                                                                      std::size_t threads);
/// With what the methods need; kInvalidArgument where the path of the refiner is missing.
elms::Result<elms::offline::WordScorer> open_scorer(const std::vector<elms::offline::ScoreMethod>& methods,
                                                    const std::string& refiner, const std::string& lm,
                                                    std::size_t threads, std::uint64_t seed);

}  // namespace elms_cli
