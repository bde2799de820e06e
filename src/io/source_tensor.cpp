#include "elms/detail/model_source.hpp"

namespace elms::inline v0::detail {
namespace {

// Where GGUF row (or element) r of rotated heads lies in halves order.
std::uint64_t stored_index(std::uint64_t r, std::uint32_t head_dim) {
  if (head_dim == 0) return r;
  const std::uint64_t in_head = r % head_dim;
  return r - in_head + in_head / 2 + (in_head % 2) * (head_dim / 2);
}

}  // namespace

const std::uint8_t* SourceTensor::row(std::uint64_t r) const noexcept {
  const std::uint64_t index = rows == 1 ? r : stored_index(r, unrotate_head_dim);
  return data.data() + index * row_bytes(type, cols);
}

void SourceTensor::decode_row(std::uint64_t r, float* out) const noexcept {
  if (rows > 1 || unrotate_head_dim == 0) {
    detail::decode_row(type, row(r), cols, out);
    return;
  }
  // A bias in halves order: only types of single values occur, so that every element can be reached.
  const std::size_t element_bytes = row_bytes(type, 1);
  for (std::uint64_t i = 0; i < cols; ++i) {
    detail::decode_row(type, data.data() + stored_index(i, unrotate_head_dim) * element_bytes, 1, out + i);
  }
}

}  // namespace elms::inline v0::detail
