// A weight matrix in the panel layout of the kernel that multiplies with it, and the packing that makes it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>

#include "elms/detail/buffer.hpp"
#include "elms/detail/kernels.h"
#include "elms/detail/row_converter.hpp"
#include "elms/thread_pool.hpp"

namespace elms::inline v0::detail {

/// The bytes of all panels of a matrix: of its own, or in a mapped pack cache that outlives it. 64-byte aligned.
class Panels {
 public:
  Panels() = default;
  Panels(Buffer<std::uint8_t> own) noexcept : own_(std::move(own)) {}                   // NOLINT: panels are bytes
  Panels(std::span<const std::uint8_t> mapped) noexcept : mapped_(mapped) {}            // NOLINT

  [[nodiscard]] const std::uint8_t* data() const noexcept { return own_.empty() ? mapped_.data() : own_.data(); }
  [[nodiscard]] std::size_t size_bytes() const noexcept { return own_.empty() ? mapped_.size() : own_.size(); }

 private:
  Buffer<std::uint8_t> own_;
  std::span<const std::uint8_t> mapped_;
};

/// Weights [rows, cols] of y = W x. See kernels.h for panels and slices.
struct PackedMatrix {
  const elms_gemm_kernel* kernel = nullptr;
  DType storage = DType::kF32;  ///< GGUF type with the same values
  std::int32_t rows = 0;
  std::int32_t cols = 0;
  std::size_t panel_stride_bytes = 0;
  std::int32_t panel_group = 1;  ///< panels whose blocks alternate (kernels.h)
  Panels panels;

  [[nodiscard]] std::int32_t n_panels() const noexcept { return (rows + kernel->nr - 1) / kernel->nr; }
  [[nodiscard]] std::size_t packed_bytes() const noexcept {
    return static_cast<std::size_t>(n_panels()) * panel_stride_bytes;
  }
  [[nodiscard]] std::size_t panel_offset(std::int32_t panel) const noexcept {
    return elms_panel_offset(kernel, panel_group, panel_stride_bytes, panel);
  }
};

/// How a stored type is computed with: kept where a kernel reads it, otherwise as int8 blocks.
[[nodiscard]] inline DType storage_type(DType stored) noexcept {
  switch (stored) {
    case DType::kF32:
    case DType::kF16:
    case DType::kBF16:
    case DType::kQ8_0:
    case DType::kQ4_0: return stored;
    default: return DType::kQ8_0;
  }
}

[[nodiscard]] inline bool is_quantised(DType type) noexcept {
  return type != DType::kF32 && type != DType::kF16 && type != DType::kBF16;
}

[[nodiscard]] inline elms_weight_format weight_format(DType storage) noexcept {
  switch (storage) {
    case DType::kF32: return ELMS_WEIGHT_F32;
    case DType::kF16: return ELMS_WEIGHT_F16;
    case DType::kBF16: return ELMS_WEIGHT_BF16;
    case DType::kQ4_0: return ELMS_WEIGHT_Q4;
    default: return ELMS_WEIGHT_Q8;
  }
}

/// A source matrix as it will lie once packed; panels are left empty.
[[nodiscard]] inline PackedMatrix describe_matrix(const SourceTensor& tensor, const elms_kernel_table& kernels) noexcept {
  PackedMatrix matrix;
  matrix.storage = storage_type(tensor.type);
  matrix.kernel = kernels.gemm[weight_format(matrix.storage)];
  matrix.rows = static_cast<std::int32_t>(tensor.rows);
  matrix.cols = static_cast<std::int32_t>(tensor.cols);
  const auto block_k = static_cast<std::size_t>(matrix.kernel->block_k);
  matrix.panel_stride_bytes = (tensor.cols + block_k - 1) / block_k * matrix.kernel->block_bytes;
  matrix.panel_group = elms_panel_group(matrix.kernel, matrix.n_panels());
  return matrix;
}

/// Packs a whole source matrix with its rows and columns in a new order, in parallel, panel chunk by panel chunk; source
/// pages are released behind it, so that peak memory holds one copy. Column groups of a quantised type are whole blocks.
inline Result<PackedMatrix> pack_matrix(const ModelSource& source, const SourceTensor& tensor,
                                        const elms_kernel_table& kernels, const GroupOrder& row_order,
                                        const GroupOrder& column_order, ThreadPool& pool) {
  constexpr std::size_t kChunkBytes = std::size_t{8} << 20;
  PackedMatrix matrix = describe_matrix(tensor, kernels);
  const auto nr = static_cast<std::size_t>(matrix.kernel->nr);
  const auto n_panels = static_cast<std::size_t>(matrix.n_panels());
  ELMS_ASSIGN_OR_RETURN(auto panels, Buffer<std::uint8_t>::uninitialized_streamed(matrix.packed_bytes()));

  const RowConverter converter(tensor, matrix.storage, column_order);
  const std::size_t row_size = converter.out_bytes();
  const std::size_t stored_row_bytes = row_bytes(tensor.type, tensor.cols);
  const std::size_t chunk_panels = std::clamp<std::size_t>(kChunkBytes / (nr * stored_row_bytes + 1), 1, n_panels);
  const std::size_t task_scratch_bytes =
      !converter.keeps_row() ? nr * row_size + 64 + converter.scratch_floats() * sizeof(float) : 0;
  const std::size_t panels_per_task = std::max<std::size_t>(1, chunk_panels / (4 * pool.n_threads()));
  const std::size_t max_tasks = (chunk_panels + panels_per_task - 1) / panels_per_task;
  ELMS_ASSIGN_OR_RETURN(auto scratch, Buffer<std::uint8_t>::uninitialized(max_tasks * ((task_scratch_bytes + 63) / 64 * 64)));
  ELMS_ASSIGN_OR_RETURN(auto row_pointers, Buffer<const void*>::uninitialized(max_tasks * nr));

  for (std::size_t chunk = 0; chunk < n_panels; chunk += chunk_panels) {
    const std::size_t chunk_end = std::min(n_panels, chunk + chunk_panels);
    const std::size_t n_tasks = (chunk_end - chunk + panels_per_task - 1) / panels_per_task;
    pool.parallel_for(n_tasks, [&](std::size_t task) {
      std::uint8_t* task_scratch = scratch.data() + task * ((task_scratch_bytes + 63) / 64 * 64);
      auto* floats = converter.keeps_row() ? nullptr : reinterpret_cast<float*>(task_scratch + (nr * row_size + 63) / 64 * 64);
      const void** rows = row_pointers.data() + task * nr;
      const std::size_t begin = chunk + task * panels_per_task;
      for (std::size_t p = begin; p < std::min(chunk_end, begin + panels_per_task); ++p) {
        for (std::size_t i = 0; i < nr; ++i) {
          const std::size_t r = p * nr + i;
          rows[i] = nullptr;
          if (r >= tensor.rows) continue;
          const auto source_row = static_cast<std::uint64_t>(row_order.source_index(static_cast<std::int32_t>(r)));
          rows[i] = tensor.row(source_row);
          if (!converter.keeps_row()) {
            converter.convert(source_row, floats, task_scratch + i * row_size);
            rows[i] = task_scratch + i * row_size;
          }
        }
        const elms_pack_args args{rows, matrix.cols, panels.data() + matrix.panel_offset(static_cast<std::int32_t>(p)),
                                  static_cast<std::size_t>(matrix.panel_group) * matrix.kernel->block_bytes};
        matrix.kernel->pack(&args);
      }
    });
    if (row_order.identity() && tensor.unrotate_head_dim == 0) {
      const std::size_t first = chunk * nr * stored_row_bytes;
      const std::size_t end = std::min<std::size_t>(tensor.data.size(), chunk_end * nr * stored_row_bytes);
      source.release(tensor.data.subspan(first, end - first));
    }
  }
  source.release(tensor.data);
  matrix.panels = std::move(panels);
  return matrix;
}

/// Rows that `fill(row, out)` gives as floats, packed for the kernel of a storage type; whole blocks, no groups. For the
/// small matrices of adapters and encoders: one thread.
template <typename Fill>
Result<PackedMatrix> pack_float_rows(const elms_kernel_table& kernels, DType storage, std::int32_t rows, std::int32_t cols,
                                     Fill&& fill) {
  SourceTensor shape;
  shape.type = storage;
  shape.rows = static_cast<std::uint64_t>(rows);
  shape.cols = static_cast<std::uint64_t>(cols);
  PackedMatrix matrix = describe_matrix(shape, kernels);
  matrix.panel_group = 1;  // panels of an adapter's A are computed one by one
  const auto nr = static_cast<std::size_t>(matrix.kernel->nr);
  const std::size_t stored = row_bytes(storage, static_cast<std::size_t>(cols));
  ELMS_ASSIGN_OR_RETURN(auto panels, Buffer<std::uint8_t>::uninitialized(matrix.packed_bytes()));
  ELMS_ASSIGN_OR_RETURN(auto floats, Buffer<float>::uninitialized(static_cast<std::size_t>(cols)));
  ELMS_ASSIGN_OR_RETURN(auto encoded, Buffer<std::uint8_t>::uninitialized(nr * stored));
  ELMS_ASSIGN_OR_RETURN(auto pointers, Buffer<const void*>::uninitialized(nr));
  for (std::int32_t panel = 0; panel < matrix.n_panels(); ++panel) {
    for (std::size_t i = 0; i < nr; ++i) {
      const std::int32_t row = panel * matrix.kernel->nr + static_cast<std::int32_t>(i);
      pointers[i] = nullptr;
      if (row >= rows) continue;
      fill(row, floats.data());
      encode_row(storage, floats.data(), floats.size(), encoded.data() + i * stored);
      pointers[i] = encoded.data() + i * stored;
    }
    const elms_pack_args args{pointers.data(), cols, panels.data() + static_cast<std::size_t>(panel) * matrix.panel_stride_bytes, 0};
    matrix.kernel->pack(&args);
  }
  matrix.panels = std::move(panels);
  return matrix;
}

}  // namespace elms::inline v0::detail
