#include "cli/peak/neon_steps.hpp"

namespace elms_cli {
namespace {

struct ByteProducts : ByteStep {
  static constexpr int kOperations = 2 * 32;
  static Vector apply(Vector a, Vector b, Vector sum) { return vmmlaq_s32(sum, bytes(a), bytes(b)); }
};

}  // namespace

const PeakLoops kPeakI8mm = {"i8mm", repeat_step<FusedMultiplyAdd>, repeat_step<ByteProducts>};

}  // namespace elms_cli
