// The last step of decoding: bytes that are complete, as well-formed text.
#pragma once

#include <string>
#include <string_view>

namespace elms::inline v0::detail {

/// Moves from `pending` to the result what later bytes cannot change; all of it if `at_end`.
/// `clean_up_spaces`: undoes what splitting at punctuation did ("it ' s ." becomes "it's."), as BERT's
/// tokenizers do.
[[nodiscard]] std::string take_settled(std::string& pending, bool at_end, bool clean_up_spaces);

}  // namespace elms::inline v0::detail
