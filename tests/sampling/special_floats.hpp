// Floats that a model that went wrong puts into its logits.
#pragma once

#include <limits>

namespace elms_test {

inline constexpr float kInf = std::numeric_limits<float>::infinity();
inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

}  // namespace elms_test
