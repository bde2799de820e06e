// Calls with arguments as text, and wrong ones that look right.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "elms/detail/random.hpp"
#include "offline/tasks/corpus.hpp"

namespace elms::inline v0::offline::tasks {

/// name(first="value", second="value")
[[nodiscard]] std::string call_text(const std::string& name, const std::vector<Argument>& arguments);

/// Up to n different calls of the same function, none of them right: values swapped, cut short, too long,
/// from elsewhere in the request, under another parameter's name, or missing. Fewer where the request has too
/// few words for more.
[[nodiscard]] std::vector<std::string> corrupted_calls(const Function& function, const Request& request,
                                                       std::size_t n, detail::Xoshiro256& random);

/// Gives functions that declare no parameters those that their requests use, most frequent first.
void collect_parameters(Corpus& corpus);

}  // namespace elms::inline v0::offline::tasks
