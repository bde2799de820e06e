// The one implementation of Tokenizer: a Vocabulary with its algorithm.
#pragma once

#include <memory>

#include "elms/status.hpp"
#include "elms/tokenizer.hpp"
#include "vocabulary.hpp"

namespace elms::inline v0::detail {

/// Takes a vocabulary that finish_vocabulary() has checked.
[[nodiscard]] std::shared_ptr<const Tokenizer> make_tokenizer(Vocabulary vocabulary);

}  // namespace elms::inline v0::detail
