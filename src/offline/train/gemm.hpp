// Dense products of row-major matrices: the one place of training that a linear algebra library computes.
#pragma once

#include <cstddef>

#include "elms/thread_pool.hpp"

namespace elms::inline v0::offline::train {

/// A row-major matrix whose rows are `stride` elements apart. Does not own; T may be const.
template <typename T>
struct MatrixView {
  T* data = nullptr;
  std::size_t rows = 0, cols = 0, stride = 0;
};

/// Which operands are transposed, for C [m, n] with inner size k.
enum class GemmForm {
  kNT,  ///< A [m, k] * B [n, k]^T
  kNN,  ///< A [m, k] * B [k, n]
  kTN,  ///< A [k, m]^T * B [k, n]
};

/// C = A * B, or C += A * B, on the calling thread. Inner sizes must agree; C overlaps neither A nor B.
template <typename T>
void gemm_serial(GemmForm form, MatrixView<const T> a, MatrixView<const T> b, MatrixView<T> c,
                 bool accumulate);

/// The same on a pool. C is cut into tiles of a fixed size, so the result does not depend on the number of
/// threads.
template <typename T>
void gemm(ThreadPool& pool, GemmForm form, MatrixView<const T> a, MatrixView<const T> b, MatrixView<T> c,
          bool accumulate);

}  // namespace elms::inline v0::offline::train
