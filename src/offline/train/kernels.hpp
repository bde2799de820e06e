// The kernels that training computes with.
#pragma once

#include "elms/detail/kernels.h"

namespace elms::inline v0::offline::train {

/// Chosen once for the process as models choose theirs: the best for this CPU, or those that $ELMS_ISA names.
/// Whoever starts a training checks that variable (detail::select_kernels); where it names none, these are
/// the scalar ones.
[[nodiscard]] const elms_kernel_table& training_kernels() noexcept;

}  // namespace elms::inline v0::offline::train
