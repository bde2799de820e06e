// Descriptions that we wrote for data sets which have only names: two wordings each, in other words than the
// name's.
#pragma once

#include <vector>

#include "offline/tasks/corpus.hpp"

namespace elms::inline v0::offline::tasks {

[[nodiscard]] std::vector<KnownFunction> snips_functions();
[[nodiscard]] std::vector<KnownFunction> clinc150_functions();
[[nodiscard]] std::vector<KnownFunction> banking77_functions();
[[nodiscard]] std::vector<KnownFunction> hwu64_functions();
[[nodiscard]] std::vector<KnownFunction> llamatouch_apps();
/// Functions of a phone that SNIPS has not and that no request of SNIPS could mean.
[[nodiscard]] std::vector<KnownFunction> assistant_functions();

}  // namespace elms::inline v0::offline::tasks
