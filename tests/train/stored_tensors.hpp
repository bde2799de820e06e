// Tensors that PyTorch computed in float64 and a script of tests/data stored as f32.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "elms/detail/gguf.hpp"
#include "support.hpp"

namespace elms_test {

/// The tensors of one file of tests/data.
class StoredTensors {
 public:
  explicit StoredTensors(const std::string& file_name)
      : file_(elms::detail::GgufFile::open(std::string(ELMS_TEST_DATA_DIR) + "/" + file_name)) {}

  /// A tensor as numbers of type T.
  template <typename T>
  [[nodiscard]] std::vector<T> values(const std::string& name) const {
    REQUIRE_OK(file_);
    const elms::detail::GgufTensor* tensor = file_->find_tensor(name);
    INFO(name);
    REQUIRE(tensor != nullptr);
    std::vector<float> stored(tensor->cols() * tensor->rows());
    elms::detail::decode_row(elms::DType::kF32, tensor->data.data(), stored.size(), stored.data());
    return {stored.begin(), stored.end()};
  }

  /// Checks the largest difference, as a share of the largest value.
  template <typename T>
  void check(const std::vector<T>& computed, const std::string& name, double tolerance = 1e-5) const {
    const std::vector<double> expected = values<double>(name);
    REQUIRE(computed.size() == expected.size());
    double worst = 0.0, largest = 0.0;
    for (std::size_t i = 0; i < computed.size(); ++i) {
      worst = std::max(worst, std::abs(static_cast<double>(computed[i]) - expected[i]));
      largest = std::max(largest, std::abs(expected[i]));
    }
    INFO(name << ": " << worst << " of " << largest);
    REQUIRE(largest > 0.0);
    CHECK(worst <= tolerance * largest);
  }

 private:
  elms::Result<elms::detail::GgufFile> file_;
};

}  // namespace elms_test
