// How much an op of a forward pass works through, to compare its time with the machine's limits.
#pragma once

#include <cstdint>

#include "elms/op_times.hpp"
#include "elms/session.hpp"

namespace elms_cli {

/// 0 for ops that are neither products with weights nor attention.
struct OpWork {
  double operations = 0.0;  ///< a multiplication and its addition are two
  double bytes = 0.0;       ///< of weights, or of the KV cache
};

/// Of one pass of `tokens` tokens at the session's width, `context` tokens being in the cache before.
OpWork work_of(elms::Op op, const elms::Session& session, std::int32_t tokens, std::int32_t context);

}  // namespace elms_cli
