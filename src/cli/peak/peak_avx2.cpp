#include <immintrin.h>

#include "cli/peak/peak_loops.hpp"

namespace elms_cli {
namespace {

struct FusedMultiplyAdd {
  using Vector = __m256;
  static constexpr int kAccumulators = 12, kOperations = 2 * 8;
  static Vector start() { return _mm256_setzero_ps(); }
  static void keep(Vector& v) { asm volatile("" : "+x"(v)); }
  static Vector apply(Vector a, Vector b, Vector sum) { return _mm256_fmadd_ps(a, b, sum); }
};

/// Unsigned by signed bytes to pairs, pairs to 32 bits, added.
struct ByteProducts {
  using Vector = __m256i;
  static constexpr int kAccumulators = 12, kOperations = 2 * 32;
  static Vector start() { return _mm256_set1_epi16(1); }
  static void keep(Vector& v) { asm volatile("" : "+x"(v)); }
  static Vector apply(Vector a, Vector b, Vector sum) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), b));
  }
};

}  // namespace

const PeakLoops kPeakAvx2 = {"avx2", repeat_step<FusedMultiplyAdd>, repeat_step<ByteProducts>};

}  // namespace elms_cli
