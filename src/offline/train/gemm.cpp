#include "offline/train/gemm.hpp"

#include <Eigen/Core>
#include <algorithm>
#include <type_traits>

#include "offline/train/gemm_blocks.hpp"

namespace elms::inline v0::offline::train {
namespace {

constexpr std::size_t kTileRows = 128, kTileCols = 256;

using EigenMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

template <typename Matrix, typename T>
auto eigen_map(MatrixView<T> m) {
  return Eigen::Map<Matrix, 0, Eigen::OuterStride<>>(
      m.data, static_cast<Eigen::Index>(m.rows), static_cast<Eigen::Index>(m.cols),
      Eigen::OuterStride<>(static_cast<Eigen::Index>(m.stride)));
}

/// Doubles only check gradients: any product will do.
void multiply_doubles(GemmForm form, MatrixView<const double> a, MatrixView<const double> b,
                      MatrixView<double> c, bool accumulate) {
  const auto x = eigen_map<const EigenMatrix>(a), y = eigen_map<const EigenMatrix>(b);
  auto out = eigen_map<EigenMatrix>(c);
  if (!accumulate) out.setZero();
  switch (form) {
    case GemmForm::kNT:
      out.noalias() += x * y.transpose();
      break;
    case GemmForm::kNN:
      out.noalias() += x * y;
      break;
    case GemmForm::kTN:
      out.noalias() += x.transpose() * y;
      break;
  }
}

template <typename T>
MatrixView<T> row_range(MatrixView<T> m, std::size_t begin, std::size_t n) {
  return {m.data + begin * m.stride, n, m.cols, m.stride};
}
template <typename T>
MatrixView<T> col_range(MatrixView<T> m, std::size_t begin, std::size_t n) {
  return {m.data + begin, m.rows, n, m.stride};
}

}  // namespace

template <typename T>
void gemm_serial(GemmForm form, MatrixView<const T> a, MatrixView<const T> b, MatrixView<T> c,
                 bool accumulate) {
  if constexpr (std::is_same_v<T, float>) {
    multiply_blocks(form, a, b, c, accumulate);
  } else {
    multiply_doubles(form, a, b, c, accumulate);
  }
}

template <typename T>
void gemm(ThreadPool& pool, GemmForm form, MatrixView<const T> a, MatrixView<const T> b, MatrixView<T> c,
          bool accumulate) {
  if constexpr (std::is_same_v<T, float>) {
    if (multiply_blocks(pool, form, a, b, c, accumulate)) return;
  }
  const std::size_t n_row_tiles = (c.rows + kTileRows - 1) / kTileRows;
  const std::size_t n_col_tiles = (c.cols + kTileCols - 1) / kTileCols;
  pool.parallel_for(n_row_tiles * n_col_tiles, [&](std::size_t tile) {
    const std::size_t row = tile / n_col_tiles * kTileRows, col = tile % n_col_tiles * kTileCols;
    const std::size_t n_rows = std::min(kTileRows, c.rows - row), n_cols = std::min(kTileCols, c.cols - col);
    const auto a_tile = form == GemmForm::kTN ? col_range(a, row, n_rows) : row_range(a, row, n_rows);
    const auto b_tile = form == GemmForm::kNT ? row_range(b, col, n_cols) : col_range(b, col, n_cols);
    gemm_serial<T>(form, a_tile, b_tile, col_range(row_range(c, row, n_rows), col, n_cols), accumulate);
  });
}

template void gemm_serial(GemmForm, MatrixView<const float>, MatrixView<const float>, MatrixView<float>,
                          bool);
template void gemm_serial(GemmForm, MatrixView<const double>, MatrixView<const double>, MatrixView<double>,
                          bool);
template void gemm(ThreadPool&, GemmForm, MatrixView<const float>, MatrixView<const float>, MatrixView<float>,
                   bool);
template void gemm(ThreadPool&, GemmForm, MatrixView<const double>, MatrixView<const double>,
                   MatrixView<double>, bool);

}  // namespace elms::inline v0::offline::train
