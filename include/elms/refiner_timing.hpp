// What calibrate() times of a refiner.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "elms/prompt_refiner.hpp"
#include "elms/segment.hpp"
#include "elms/status.hpp"

namespace elms::inline v0 {

/// For CalibrationOptions::refine: one pass of the refiner, with every head that it has, over a text of about
/// n_words English words.
[[nodiscard]] inline std::function<Status(std::int32_t n_words)> refiner_timing(
    std::shared_ptr<const PromptRefiner> refiner) {
  return [refiner = std::move(refiner)](std::int32_t n_words) -> Status {
    static constexpr std::array kWords = {"set",   "the",   "alarm", "for",  "half",    "past", "six",
                                          "and",   "tell",  "me",    "what", "weather", "will", "be",
                                          "there", "when,", "I",     "get",  "up."};
    std::string text;
    for (std::int32_t i = 0; i < n_words; ++i) {
      text += kWords[static_cast<std::size_t>(i) % kWords.size()];
      text += ' ';
    }
    const Segment prompt[] = {Segment::compress(std::move(text))};
    const Result<PromptAnalysis> analysis = refiner->analyse(prompt);
    return analysis.has_value() ? Status() : analysis.error();
  };
}

}  // namespace elms::inline v0
