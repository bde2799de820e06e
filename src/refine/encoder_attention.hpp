// Bidirectional attention over one window, by the kernels of the decoder's causal attention.
#pragma once

#include <cstdint>

#include "elms/detail/buffer.hpp"
#include "elms/detail/encoder.hpp"
#include "refine/linear.hpp"

namespace elms::inline v0::detail {

/// Scratch of bidirectional attention for windows of up to max_rows rows. One pass at a time.
///
/// A causal kernel lets row r see positions up to first_position + r, for any number of query heads that
/// share keys and values. Here one row at the last position, whose "heads" are the queries of a block of
/// rows, sees them all.
class EncoderAttention {
 public:
  /// kOutOfMemory.
  [[nodiscard]] static Result<EncoderAttention> create(const EncoderConfig& config, std::int32_t max_rows,
                                                       const LinearSettings& settings);

  /// out [m, d_inner] from q, k and v [m, d_inner], all dense, heads beside each other.
  void run(const float* q, const float* k, const float* v, std::int32_t m, float* out) noexcept;

  [[nodiscard]] std::size_t scratch_bytes() const noexcept {
    return halves_.size_bytes() + scratch_.size_bytes();
  }

 private:
  const EncoderConfig* config_ = nullptr;
  const LinearSettings* settings_ = nullptr;
  std::int32_t max_rows_ = 0;
  std::size_t n_tasks_ = 1;  ///< with scratch of their own
  std::size_t task_floats_ = 0;
  Buffer<std::uint16_t> halves_;  ///< keys and values [2, max_rows, d_inner], kInt8 only
  Buffer<float> scratch_;         ///< [n_tasks, task_floats]
};

}  // namespace elms::inline v0::detail
