// The parts that a prompt is made of, and what prompt refinement may do to each.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "elms/types.hpp"

namespace elms::inline v0 {

/// What a part of a prompt is for.
enum class SegmentRole : std::uint8_t {
  kOther,
  kSystem,    ///< instructions
  kContext,   ///< what the answer is drawn from: documents, screens, history
  kQuestion,  ///< what the user asks: kept byte for byte, whatever `compressible` says
  kTemplate,  ///< markers and role names of a chat template: likewise
};

/// One part of a prompt. The prompt is the texts of its segments one after the other, with nothing in
/// between.
struct Segment {
  std::string text{};  ///< any bytes; UTF-8 is understood, other bytes count as letters
  bool compressible = false;
  SegmentRole role = SegmentRole::kOther;
  /// Share of this segment's own tokens, in [0, 1], that may be kept at most, before the budget of the whole
  /// prompt is looked at; without effect on what is protected.
  std::optional<double> keep_ratio{};

  /// Kept byte for byte.
  [[nodiscard]] static Segment protect(std::string text, SegmentRole role = SegmentRole::kOther) {
    return {std::move(text), false, role, std::nullopt};
  }
  /// May lose words.
  [[nodiscard]] static Segment compress(std::string text, SegmentRole role = SegmentRole::kContext,
                                        std::optional<double> keep_ratio = std::nullopt) {
    return {std::move(text), true, role, keep_ratio};
  }

  [[nodiscard]] bool may_lose_words() const noexcept {
    return compressible && role != SegmentRole::kQuestion && role != SegmentRole::kTemplate;
  }
};

}  // namespace elms::inline v0
