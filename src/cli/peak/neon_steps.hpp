// What the loops of all NEON tiers have in common.
#pragma once

#include <arm_neon.h>

#include "cli/peak/peak_loops.hpp"

namespace elms_cli {
namespace {  // each file that includes this has other compiler flags

struct FusedMultiplyAdd {
  using Vector = float32x4_t;
  static constexpr int kAccumulators = 24, kOperations = 2 * 4;
  static Vector start() { return vdupq_n_f32(0.0f); }
  static void keep(Vector& v) { asm volatile("" : "+w"(v)); }
  static Vector apply(Vector a, Vector b, Vector sum) { return vfmaq_f32(sum, a, b); }
};

struct ByteStep {
  using Vector = int32x4_t;
  static constexpr int kAccumulators = 24;
  static Vector start() { return vdupq_n_s32(0x01010101); }
  static void keep(Vector& v) { asm volatile("" : "+w"(v)); }
  static int8x16_t bytes(Vector v) { return vreinterpretq_s8_s32(v); }
};

}  // namespace
}  // namespace elms_cli
