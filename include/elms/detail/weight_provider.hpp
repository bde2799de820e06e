// Where a model's weights come from: the loader asks by tensor and order, a provider brings them.
#pragma once

#include <cstddef>

#include "elms/detail/packed_matrix.hpp"

namespace elms::inline v0::detail {

/// Norms and biases; empty where the model has none.
using Vector = Buffer<float>;

/// Asked for every matrix and vector of a model once, always in the same order.
class WeightProvider {
 public:
  virtual ~WeightProvider() = default;
  virtual Result<PackedMatrix> matrix(const SourceTensor& tensor, const GroupOrder& rows, const GroupOrder& columns) = 0;
  virtual Result<Vector> vector(const SourceTensor& tensor, const GroupOrder& order) = 0;
};

/// Packs weights out of the checkpoint into memory.
class SourceWeights final : public WeightProvider {
 public:
  SourceWeights(const ModelSource& source, const elms_kernel_table& kernels, ThreadPool& pool)
      : source_(source), kernels_(kernels), pool_(pool) {}

  Result<PackedMatrix> matrix(const SourceTensor& tensor, const GroupOrder& rows, const GroupOrder& columns) override {
    return pack_matrix(source_, tensor, kernels_, rows, columns, pool_);
  }

  Result<Vector> vector(const SourceTensor& tensor, const GroupOrder& order) override {
    const auto n = static_cast<std::size_t>(tensor.cols);
    ELMS_ASSIGN_OR_RETURN(Vector stored, Vector::uninitialized(n));
    tensor.decode_row(0, stored.data());
    ELMS_ASSIGN_OR_RETURN(Vector ordered, Vector::uninitialized(n));
    for (std::size_t i = 0; i < n; ++i) {
      ordered[i] = stored[static_cast<std::size_t>(order.source_index(static_cast<std::int32_t>(i)))];
    }
    return ordered;
  }

 private:
  const ModelSource& source_;
  const elms_kernel_table& kernels_;
  ThreadPool& pool_;
};

}  // namespace elms::inline v0::detail
