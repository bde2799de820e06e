#include "offline/train/gemm_blocks.hpp"

#include <algorithm>
#include <cstring>

#include "elms/detail/buffer.hpp"
#include "elms/detail/kernels.h"
#include "offline/train/kernels.hpp"

namespace elms::inline v0::offline::train {
namespace {

constexpr std::size_t kMostDepth =
    320;  // values of k that are packed together: a block of A stays in the second cache
constexpr std::size_t kBlockRows = 72;    // whole tiles of every kernel, whose rows divide 12
constexpr std::size_t kSerialCols = 96;   // the same for columns, which divide 32
constexpr std::size_t kTaskCols = 512;    // of a thread's task; A is packed again for each
constexpr std::size_t kPanelCols = 8192;  // of B that are packed before tasks start
constexpr std::size_t kPackedFloats = 3u << 20;
constexpr std::size_t kEnoughTasks = 24;

constexpr std::size_t ceil_div(std::size_t a, std::size_t b) {
  return (a + b - 1) / b;
}
constexpr std::size_t round_up(std::size_t a, std::size_t b) {
  return ceil_div(a, b) * b;
}

/// k is summed in equal steps, whatever the tiles: results depend on nothing else.
std::size_t depth_step(std::size_t k) {
  return ceil_div(k, std::max<std::size_t>(1, ceil_div(k, kMostDepth)));
}

/// An operand as rows of A or columns of B, which are `lines` here, over the depth.
struct Lines {
  const float* data;
  std::size_t stride;
  bool contiguous;  ///< a line's values lie side by side; else the lines of one depth do

  [[nodiscard]] const float* at(std::size_t line, std::size_t depth) const {
    return data + (contiguous ? line * stride + depth : depth * stride + line);
  }
};

/// The three sizes and two operands of a product.
struct Product {
  Product(GemmForm form, MatrixView<const float> x, MatrixView<const float> y, MatrixView<float> out,
          bool accumulate)
      : a{x.data, x.stride, form != GemmForm::kTN},
        b{y.data, y.stride, form == GemmForm::kNT},
        c(out),
        depth(form == GemmForm::kTN ? x.rows : x.cols),
        step(depth_step(depth)),
        adds(accumulate) {}

  Lines a, b;
  MatrixView<float> c;
  std::size_t depth, step;
  bool adds;
};

/// One whole panel of lines that lie side by side. The width is a constant, because rows are shorter than
/// what a call of memcpy pays for.
template <std::size_t kWidth>
void copy_panel(const float* from, std::size_t stride, std::size_t depth, float* out) {
  for (std::size_t k = 0; k < depth; ++k, from += stride, out += kWidth) {
    std::memcpy(out, from, kWidth * sizeof(float));
  }
}

/// The same with n <= width lines; zeros fill it up.
void copy_panel(const float* from, std::size_t stride, std::size_t n, std::size_t depth, std::size_t width,
                float* out) {
  if (n == width) {
    switch (width) {
      case 4:
        return copy_panel<4>(from, stride, depth, out);
      case 6:
        return copy_panel<6>(from, stride, depth, out);
      case 8:
        return copy_panel<8>(from, stride, depth, out);
      case 12:
        return copy_panel<12>(from, stride, depth, out);
      case 16:
        return copy_panel<16>(from, stride, depth, out);
      case 32:
        return copy_panel<32>(from, stride, depth, out);
      default:
        break;
    }
  }
  for (std::size_t k = 0; k < depth; ++k) {
    std::fill(std::copy_n(from + k * stride, n, out + k * width), out + (k + 1) * width, 0.0f);
  }
}

/// Writes panels of `width` lines each, [depth][width], zeros after the last line.
void pack_panels(const elms_tile_kernel& kernel, const Lines& lines, std::size_t line, std::size_t n_lines,
                 std::size_t depth_begin, std::size_t depth, std::size_t width, float* out) {
  for (std::size_t done = 0; done < n_lines; done += width, out += depth * width) {
    const std::size_t n = std::min(width, n_lines - done);
    const float* from = lines.at(line + done, depth_begin);
    if (lines.contiguous) {
      kernel.pack_transposed(from, lines.stride, static_cast<int32_t>(n), static_cast<int32_t>(depth),
                             static_cast<int32_t>(width), out);
    } else {
      copy_panel(from, lines.stride, n, depth, width, out);
    }
  }
}

/// c (+)= packed a * packed b, both of that depth.
void multiply_panels(const elms_tile_kernel& kernel, const float* a, const float* b, std::size_t depth,
                     MatrixView<float> c, bool accumulate) {
  const auto mr = static_cast<std::size_t>(kernel.mr), nr = static_cast<std::size_t>(kernel.nr);
  elms_tile_args args{};
  args.k = static_cast<int32_t>(depth);
  args.c_stride = c.stride;
  args.accumulate = accumulate;
  for (std::size_t col = 0; col < c.cols; col += nr) {
    args.b = b + col * depth;
    args.n = static_cast<int32_t>(std::min(nr, c.cols - col));
    for (std::size_t row = 0; row < c.rows; row += mr) {
      args.a = a + row * depth;
      args.m = static_cast<int32_t>(std::min(mr, c.rows - row));
      args.c = c.data + row * c.stride + col;
      kernel.multiply(&args);
    }
  }
}

MatrixView<float> part(MatrixView<float> c, std::size_t row, std::size_t n_rows, std::size_t col,
                       std::size_t n_cols) {
  return {c.data + row * c.stride + col, std::min(n_rows, c.rows - row), std::min(n_cols, c.cols - col),
          c.stride};
}

/// What no k is left to multiply.
void clear(MatrixView<float> c) {
  for (std::size_t r = 0; r < c.rows; ++r) std::fill_n(c.data + r * c.stride, c.cols, 0.0f);
}

/// Columns [col, col + n_cols) and depths [begin, end) of B in packed form: for each step of the depth its
/// panels.
struct PackedCols {
  std::size_t col, n_cols, padded_cols, begin, end;
  float* data;
};

void pack_cols(ThreadPool& pool, const elms_tile_kernel& kernel, const Product& p, const PackedCols& to) {
  const auto nr = static_cast<std::size_t>(kernel.nr);
  const std::size_t n_panels = to.padded_cols / nr, n_steps = ceil_div(to.end - to.begin, p.step);
  pool.parallel_for(n_panels * n_steps, [&](std::size_t task) {
    const std::size_t done = task / n_panels * p.step, first = task % n_panels * nr;
    const std::size_t depth = std::min(p.step, to.end - to.begin - done);
    pack_panels(kernel, p.b, to.col + first, std::min(nr, to.n_cols - first), to.begin + done, depth, nr,
                to.data + done * to.padded_cols + first * depth);
  });
}

/// Rows [row, row + n_rows) times some of the packed columns.
void multiply_task(const elms_tile_kernel& kernel, const Product& p, const PackedCols& packed,
                   std::size_t row, std::size_t n_rows, std::size_t first, std::size_t n_cols) {
  alignas(64) float a_block[kBlockRows * kMostDepth];
  const MatrixView<float> c = part(p.c, row, n_rows, packed.col + first, n_cols);
  for (std::size_t k = packed.begin; k < packed.end; k += p.step) {
    const std::size_t depth = std::min(p.step, packed.end - k);
    pack_panels(kernel, p.a, row, c.rows, k, depth, static_cast<std::size_t>(kernel.mr), a_block);
    multiply_panels(kernel, a_block, packed.data + (k - packed.begin) * packed.padded_cols + first * depth,
                    depth, c, p.adds || k > 0);
  }
}

void multiply_cols(ThreadPool& pool, const elms_tile_kernel& kernel, const Product& p,
                   const PackedCols& packed) {
  const std::size_t n_col_tasks = ceil_div(packed.n_cols, kTaskCols);
  std::size_t n_rows = kBlockRows;
  while (n_rows > 12 && ceil_div(p.c.rows, n_rows) * n_col_tasks < kEnoughTasks)
    n_rows = n_rows == 72 ? 36 : 12;
  pool.parallel_for(ceil_div(p.c.rows, n_rows) * n_col_tasks, [&](std::size_t task) {
    const std::size_t first = task % n_col_tasks * kTaskCols;
    multiply_task(kernel, p, packed, task / n_col_tasks * n_rows, n_rows, first,
                  std::min(kTaskCols, packed.n_cols - first));
  });
}

/// The calling thread's memory for packed columns; null where there is none.
float* packed_floats(std::size_t n) {
  thread_local detail::Buffer<float> buffer;
  if (buffer.size() < n) {
    buffer = {};
    Result<detail::Buffer<float>> larger = detail::Buffer<float>::uninitialized_streamed(n);
    if (!larger.has_value()) return nullptr;
    buffer = std::move(*larger);
  }
  return buffer.data();
}

}  // namespace

void multiply_blocks(GemmForm form, MatrixView<const float> a, MatrixView<const float> b, MatrixView<float> c,
                     bool accumulate) {
  const elms_tile_kernel& kernel = *training_kernels().tile_f32;
  const Product p(form, a, b, c, accumulate);
  if (p.depth == 0 && !accumulate) clear(c);
  alignas(64) float a_block[kBlockRows * kMostDepth];
  alignas(64) float b_block[kSerialCols * kMostDepth];
  for (std::size_t col = 0; col < c.cols; col += kSerialCols) {
    for (std::size_t k = 0; k < p.depth; k += p.step) {
      const std::size_t depth = std::min(p.step, p.depth - k);
      pack_panels(kernel, p.b, col, std::min(kSerialCols, c.cols - col), k, depth,
                  static_cast<std::size_t>(kernel.nr), b_block);
      for (std::size_t row = 0; row < c.rows; row += kBlockRows) {
        const MatrixView<float> out = part(c, row, kBlockRows, col, kSerialCols);
        pack_panels(kernel, p.a, row, out.rows, k, depth, static_cast<std::size_t>(kernel.mr), a_block);
        multiply_panels(kernel, a_block, b_block, depth, out, accumulate || k > 0);
      }
    }
  }
}

bool multiply_blocks(ThreadPool& pool, GemmForm form, MatrixView<const float> a, MatrixView<const float> b,
                     MatrixView<float> c, bool accumulate) {
  const elms_tile_kernel& kernel = *training_kernels().tile_f32;
  const Product p(form, a, b, c, accumulate);
  if (c.rows == 0 || c.cols == 0) return true;
  if (p.depth == 0) {
    if (!accumulate) clear(c);
    return true;
  }
  const auto nr = static_cast<std::size_t>(kernel.nr);
  const std::size_t most_cols = std::min(round_up(c.cols, nr), kPanelCols);
  const std::size_t most_depth = std::min(p.depth, kPackedFloats / most_cols / p.step * p.step);
  float* packed = packed_floats(most_cols * most_depth);
  if (packed == nullptr) return false;
  for (std::size_t col = 0; col < c.cols; col += most_cols) {
    const std::size_t n_cols = std::min(most_cols, c.cols - col);
    for (std::size_t k = 0; k < p.depth; k += most_depth) {
      const PackedCols cols{col, n_cols, round_up(n_cols, nr), k, std::min(p.depth, k + most_depth), packed};
      pack_cols(pool, kernel, p, cols);
      multiply_cols(pool, kernel, p, cols);
    }
  }
  return true;
}

}  // namespace elms::inline v0::offline::train
