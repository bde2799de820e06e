// Norms of the weights that write or read a unit.
#pragma once

#include <string>
#include <vector>

#include "elms/detail/error.hpp"
#include "elms/detail/model_source.hpp"

namespace elms::inline v0::offline {

namespace detail_norms {

template <typename AddRow>
Status for_each_row(const detail::ModelSource& source, const std::string& name, AddRow&& add_row) {
  const detail::SourceTensor* tensor = source.find(name);
  if (tensor == nullptr) return detail::malformed(source.path(), ": tensor ", name, " is missing");
  std::vector<float> row(static_cast<std::size_t>(tensor->cols));
  for (std::uint64_t r = 0; r < tensor->rows; ++r) {
    tensor->decode_row(r, row.data());
    add_row(static_cast<std::size_t>(r), row);
  }
  source.release(tensor->data);
  return {};
}

}  // namespace detail_norms

/// [rows]: sum of squares of every row of a matrix.
inline Result<std::vector<double>> squared_row_norms(const detail::ModelSource& source,
                                                     const std::string& name) {
  std::vector<double> norms;
  ELMS_RETURN_IF_ERROR(
      detail_norms::for_each_row(source, name, [&](std::size_t, const std::vector<float>& row) {
        double sum = 0.0;
        for (float w : row) sum += static_cast<double>(w) * w;
        norms.push_back(sum);
      }));
  return norms;
}

/// [cols]: sum of squares of every column of a matrix.
inline Result<std::vector<double>> squared_column_norms(const detail::ModelSource& source,
                                                        const std::string& name) {
  std::vector<double> norms;
  ELMS_RETURN_IF_ERROR(
      detail_norms::for_each_row(source, name, [&](std::size_t, const std::vector<float>& row) {
        norms.resize(row.size(), 0.0);
        for (std::size_t c = 0; c < row.size(); ++c) norms[c] += static_cast<double>(row[c]) * row[c];
      }));
  return norms;
}

}  // namespace elms::inline v0::offline
