#include "cli/peak/neon_steps.hpp"

namespace elms_cli {
namespace {

struct ByteProducts : ByteStep {
  static constexpr int kOperations = 2 * 16;
  static Vector apply(Vector a, Vector b, Vector sum) { return vdotq_s32(sum, bytes(a), bytes(b)); }
};

}  // namespace

const PeakLoops kPeakDotprod = {"dotprod", repeat_step<FusedMultiplyAdd>, repeat_step<ByteProducts>};

}  // namespace elms_cli
