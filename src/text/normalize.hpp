// Changes of the text before it is cut into pieces.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace elms::inline v0::detail {

struct NormalizerStep {
  enum class Kind : std::uint8_t {
    kNfc,
    kNfd,
    kNfkc,
    kNfkd,
    kLowercase,
    kStripAccents,     ///< drops \p{Mn}, as BERT does
    kStripMarks,       ///< drops \p{M}
    kPrepend,          ///< `text` before a text that is not empty
    kReplace,          ///< every `text` by `replacement`
    kStrip,            ///< whitespace at the ends: `left`, `right`
    kCleanText,        ///< BERT: control characters out, whitespace becomes U+0020
    kSpaceIdeographs,  ///< BERT: spaces around CJK ideographs
  };
  Kind kind = Kind::kNfc;
  std::string text{};
  std::string replacement{};
  bool left = false;
  bool right = false;
};

/// BertNormalizer, which is several steps.
[[nodiscard]] std::vector<NormalizerStep> bert_normalizer(bool clean, bool ideographs, bool strip_accents,
                                                          bool lowercase);

/// `out` may not hold `text`.
void normalize(std::span<const NormalizerStep> steps, std::string_view text, std::string& out);

}  // namespace elms::inline v0::detail
