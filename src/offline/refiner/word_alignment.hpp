// Which words of a sentence a shorter version of it keeps.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "elms/refine_options.hpp"

namespace elms::inline v0::offline {

/// [n_words]: 1 where a word, given by its bytes of the sentence, is kept. The longest common subsequence of both texts' runs of letters and
/// figures, without regard to ASCII case, of equally long ones that with the most neighbours side by side; a
/// word of several runs is kept where more than half of them are. Empty where the compression has a run
/// outside it, or where one of both has none.
[[nodiscard]] std::vector<std::uint8_t> kept_words(std::string_view sentence,
                                                   std::span<const ByteSpan> words,
                                                   std::string_view compression);

}  // namespace elms::inline v0::offline
