#include <immintrin.h>

#include "cli/peak/peak_loops.hpp"

namespace elms_cli {
namespace {

struct FusedMultiplyAdd {
  using Vector = __m512;
  static constexpr int kAccumulators = 16, kOperations = 2 * 16;
  static Vector start() { return _mm512_setzero_ps(); }
  static void keep(Vector& v) { asm volatile("" : "+v"(v)); }
  static Vector apply(Vector a, Vector b, Vector sum) { return _mm512_fmadd_ps(a, b, sum); }
};

/// Unsigned by signed bytes, four products to each 32 bits, in one instruction.
struct ByteProducts {
  using Vector = __m512i;
  static constexpr int kAccumulators = 16, kOperations = 2 * 64;
  static Vector start() { return _mm512_set1_epi32(0x01010101); }
  static void keep(Vector& v) { asm volatile("" : "+v"(v)); }
  static Vector apply(Vector a, Vector b, Vector sum) { return _mm512_dpbusd_epi32(sum, a, b); }
};

}  // namespace

const PeakLoops kPeakAvx512Vnni = {"avx512vnni", repeat_step<FusedMultiplyAdd>, repeat_step<ByteProducts>};

}  // namespace elms_cli
