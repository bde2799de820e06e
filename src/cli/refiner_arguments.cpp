#include "cli/refiner_arguments.hpp"

#include <algorithm>
#include <map>

#include "cli/arguments.hpp"
#include "elms/detail/error.hpp"

namespace elms_cli {
namespace {

using elms::offline::ScoreMethod;

const std::map<std::string, ScoreMethod>& score_methods() {
  static const std::map<std::string, ScoreMethod> kMethods = {
      {"refiner", ScoreMethod::kRefiner},
      {"random", ScoreMethod::kRandom},
      {"truncation", ScoreMethod::kTruncation},
      {"truncate", ScoreMethod::kTruncation},
      {"self-information", ScoreMethod::kSelfInformation}};
  return kMethods;
}

/// "\n" as it is typed in a shell.
CLI::Validator unescaped() {
  return CLI::Validator(
      [](std::string& text) {
        if (text == "\\n") text = "\n";
        return std::string();
      },
      "", "unescaped");
}

}  // namespace

void add_refine_options(CLI::App& command, elms::RefineOptions& options) {
  static const std::map<std::string, elms::Guard> kGuards = {{"keep", elms::Guard::kKeep},
                                                             {"prefer", elms::Guard::kPrefer},
                                                             {"whole", elms::Guard::kWhole},
                                                             {"off", elms::Guard::kOff}};
  static const std::map<std::string, elms::RefineFilter> kFilters = {
      {"question", elms::RefineFilter::kQuestion},
      {"none", elms::RefineFilter::kNone},
      {"sentences", elms::RefineFilter::kSentences},
      {"segments", elms::RefineFilter::kSegments}};
  command.add_flag("--protect-last-line", options.protect_last_line,
                   "The last line is the question: it is kept");
  command
      .add_option("--force-tokens", options.force_tokens,
                  "Words and marks to keep before others, e.g. '?' not")
      ->transform(unescaped())
      ->option_text("WORD ...");
  command.add_flag("--force-reserve-digit", options.force_reserve_digit,
                   "Keep words with digits before others");
  command.add_flag("--drop-consecutive", options.drop_consecutive,
                   "Of equal marks or forced words that come to stand side by side keep one");
  command
      .add_option("--chunk-end-tokens", options.chunk_end_tokens,
                  "Cut long texts for the encoder after these (default: overlapping windows)")
      ->transform(unescaped())
      ->option_text("WORD ...");
  command
      .add_option(
          "--filter", options.filter,
          "Drop whole parts first: lines and sentences by what they have in common with the question, or "
          "sentences or segments by their mean score, or none")
      ->transform(CLI::CheckedTransformer(kFilters))
      ->option_text("question|sentences|segments|none [question]");
  command.add_option("--filter-keep", options.filter_keep_ratio, "Share of the words that the filter leaves")
      ->check(width_validator())
      ->option_text("RATIO");
  command.add_flag("--strict", options.strict_protection,
                   "Fail where numbers, URLs and forced words do not fit, rather than drop them");
  const auto add_guard = [&](const char* name, elms::Guard& guard, const char* what, const char* text) {
    command
        .add_option(name, guard, std::string(what) + ": keep, prefer, whole (dropped by score), off (words)")
        ->transform(CLI::CheckedTransformer(kGuards))
        ->option_text(text);
  };
  add_guard("--markers", options.markers, "Chat template markers", "GUARD [keep]");
  add_guard("--json-values", options.json, "JSON objects and arrays", "GUARD [keep]");
  add_guard("--code", options.code, "Code fences and inline code", "GUARD [keep]");
  add_guard("--urls", options.urls, "URLs and e-mail addresses", "GUARD [prefer]");
  add_guard("--numbers", options.numbers, "Numbers with their units", "GUARD [prefer]");
  command.add_flag("--parse-special", options.encode.parse_special,
                   "Count markers as the control tokens they name, as for a prompt that a program wrote");
}

void add_score_method(CLI::App& command, ScoreMethod& method) {
  command.add_option("--score", method, "What scores words: refiner, random, truncation, self-information")
      ->transform(CLI::CheckedTransformer(score_methods()))
      ->option_text("METHOD [refiner]");
}

void add_score_methods(CLI::App& command, std::vector<ScoreMethod>& methods) {
  command
      .add_option("--methods", methods,
                  "Of refiner, truncation, random, self-information (default: all that can be)")
      ->delimiter(',')
      ->transform(CLI::CheckedTransformer(score_methods()))
      ->option_text("M,M,...");
}

elms::Result<std::shared_ptr<const elms::PromptRefiner>> open_refiner(const std::string& path,
                                                                      std::size_t threads) {
  elms::PromptRefinerOptions options;
  ELMS_ASSIGN_OR_RETURN(options.pool, elms::ThreadPool::create(threads));
  return elms::PromptRefiner::open(path, options);
}

elms::Result<elms::offline::WordScorer> open_scorer(const std::vector<ScoreMethod>& methods,
                                                    const std::string& refiner, const std::string& lm,
                                                    std::size_t threads, std::uint64_t seed) {
  const auto has = [&](ScoreMethod method) {
    return std::find(methods.begin(), methods.end(), method) != methods.end();
  };
  std::shared_ptr<const elms::PromptRefiner> opened;
  std::shared_ptr<const elms::ElasticModel> model;
  if (has(ScoreMethod::kRefiner)) {
    if (refiner.empty())
      return elms::detail::invalid_argument("refine: --model is missing: scores come from a refiner");
    ELMS_ASSIGN_OR_RETURN(opened, open_refiner(refiner, threads));
  }
  if (has(ScoreMethod::kSelfInformation)) {
    ELMS_ASSIGN_OR_RETURN(model, open_model(lm, threads));
  }
  return elms::offline::WordScorer(std::move(opened), std::move(model), seed);
}

}  // namespace elms_cli
