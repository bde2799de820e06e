// Writing the tensors of a checkpoint into a new GGUF file, with rows and columns moved, left out, or in
// another type.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "elms/detail/gguf.hpp"
#include "elms/detail/row_converter.hpp"
#include "elms/offline/progress.hpp"
#include "elms/thread_pool.hpp"

namespace elms::inline v0::offline {

/// b [n, rank] a [rank, k], added to a matrix [n, k].
struct MatrixUpdate {
  std::size_t rank = 0;
  std::vector<float> a, b;
};

struct TensorPlan {
  const detail::SourceTensor* tensor = nullptr;
  DType type = DType::kF32;              ///< in the new file
  detail::GroupOrder rows;               ///< of a vector: unused
  detail::GroupOrder columns;            ///< of a vector: its elements
  const MatrixUpdate* update = nullptr;  ///< of the matrix as its rows and columns are in the new file
  detail::GroupOrder update_rows{};      ///< but with the rows of b in this order
  bool in_source = true;                 ///< the tensor's data belong to the checkpoint
};

/// Type for a tensor where `wanted` is asked for: matrices follow it, vectors are F32. Rows that are no whole
/// number of blocks stay F16, as with other GGUF tools. Nothing wanted: as stored, or Q8_0 for types that
/// cannot be written.
[[nodiscard]] DType output_type(const detail::SourceTensor& tensor, std::optional<DType> wanted) noexcept;

/// Declares and writes all tensors and finishes the file at `path`. Metadata was set before. On failure or
/// kStop no file is left behind.
[[nodiscard]] Status write_tensors(const detail::ModelSource& source, detail::GgufWriter& writer,
                                   const std::string& path, const std::vector<TensorPlan>& plans,
                                   ThreadPool& pool, const ProgressCallback& progress);

}  // namespace elms::inline v0::offline
