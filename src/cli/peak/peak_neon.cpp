#include "cli/peak/neon_steps.hpp"

namespace elms_cli {
namespace {

/// Bytes to 16 bits, twice, and pairs of those added to 32 bits.
struct ByteProducts : ByteStep {
  static constexpr int kOperations = 2 * 16;
  static Vector apply(Vector a, Vector b, Vector sum) {
    const int8x16_t x = bytes(a), y = bytes(b);
    const int16x8_t low = vmull_s8(vget_low_s8(x), vget_low_s8(y));
    return vpadalq_s16(sum, vmlal_s8(low, vget_high_s8(x), vget_high_s8(y)));
  }
};

}  // namespace

const PeakLoops kPeakNeon = {"neon", repeat_step<FusedMultiplyAdd>, repeat_step<ByteProducts>};

}  // namespace elms_cli
