// Moving and selecting the rows and columns of a stored matrix, and changing its type on the way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "elms/detail/dtype.hpp"
#include "elms/detail/model_source.hpp"

namespace elms::inline v0::detail {

/// Which groups of `group_size` neighbouring rows (or columns) of a source become those of the destination: group i is
/// source group order[i]. May leave groups out. Empty: all, as they are.
struct GroupOrder {
  std::int32_t group_size = 1;
  std::vector<std::int32_t> order;

  [[nodiscard]] bool identity() const noexcept { return order.empty(); }
  [[nodiscard]] std::int32_t source_index(std::int32_t i) const noexcept {
    return identity() ? i : order[static_cast<std::size_t>(i / group_size)] * group_size + i % group_size;
  }
  /// Number of destination rows (columns) for a source of n.
  [[nodiscard]] std::uint64_t count(std::uint64_t n) const noexcept {
    return identity() ? n : order.size() * static_cast<std::uint64_t>(group_size);
  }
};

/// Brings source rows into a type with their columns in a new order. Bytes are moved where the type stays and groups are
/// whole blocks; otherwise values go through float, permuted before they are quantised.
class RowConverter {
 public:
  RowConverter(const SourceTensor& tensor, DType type, const GroupOrder& columns)
      : tensor_(&tensor),
        type_(type),
        columns_(&columns),
        n_in_(static_cast<std::size_t>(tensor.cols)),
        n_out_(static_cast<std::size_t>(columns.count(tensor.cols))),
        moves_bytes_(tensor.type == type && !(tensor.rows == 1 && tensor.unrotate_head_dim != 0) &&
                     (columns.identity() ||
                      static_cast<std::uint32_t>(columns.group_size) % dtype_info(type).block_elems == 0)) {}

  /// Whether a destination row is just the source row.
  [[nodiscard]] bool keeps_row() const noexcept { return moves_bytes_ && columns_->identity(); }
  [[nodiscard]] std::size_t out_bytes() const noexcept { return row_bytes(type_, n_out_); }
  /// Floats of scratch that convert() needs.
  [[nodiscard]] std::size_t scratch_floats() const noexcept { return moves_bytes_ ? 0 : n_in_ + n_out_; }

  /// Source row `row` into out[0 .. out_bytes()).
  void convert(std::uint64_t row, float* scratch, std::uint8_t* out) const noexcept {
    if (moves_bytes_) {
      move_groups(tensor_->row(row), out);
      return;
    }
    tensor_->decode_row(row, scratch);
    const float* values = scratch;
    if (!columns_->identity()) {
      float* moved = scratch + n_in_;
      for (std::size_t c = 0; c < n_out_; ++c) {
        moved[c] = scratch[static_cast<std::size_t>(columns_->source_index(static_cast<std::int32_t>(c)))];
      }
      values = moved;
    }
    encode_row(type_, values, n_out_, out);
  }

 private:
  void move_groups(const std::uint8_t* row, std::uint8_t* out) const noexcept {
    if (columns_->identity()) {
      std::memcpy(out, row, out_bytes());
      return;
    }
    const std::size_t group_bytes = row_bytes(type_, static_cast<std::size_t>(columns_->group_size));
    for (std::size_t g = 0; g < columns_->order.size(); ++g) {
      std::memcpy(out + g * group_bytes, row + static_cast<std::size_t>(columns_->order[g]) * group_bytes, group_bytes);
    }
  }

  const SourceTensor* tensor_;
  DType type_;
  const GroupOrder* columns_;
  std::size_t n_in_;
  std::size_t n_out_;
  bool moves_bytes_;
};

}  // namespace elms::inline v0::detail
