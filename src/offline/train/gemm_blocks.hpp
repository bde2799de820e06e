// Products of f32 matrices through the tiles of kernels/: operands are packed into panels block by block, so
// that what a tile reads lies in the first two caches.
#pragma once

#include "offline/train/gemm.hpp"

namespace elms::inline v0::offline::train {

/// gemm_serial for float. Blocks are packed on the stack (220 KB).
void multiply_blocks(GemmForm form, MatrixView<const float> a, MatrixView<const float> b, MatrixView<float> c,
                     bool accumulate);

/// gemm for float: B is packed once for all threads, in memory that the calling thread keeps (12 MB at most).
/// Returns false, and leaves C alone, where there is none. Sums are those of multiply_blocks, bit by bit.
bool multiply_blocks(ThreadPool& pool, GemmForm form, MatrixView<const float> a, MatrixView<const float> b,
                     MatrixView<float> c, bool accumulate);

}  // namespace elms::inline v0::offline::train
