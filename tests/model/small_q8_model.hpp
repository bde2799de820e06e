// A small quantised model with random weights, written once, and a prompt for it.
#pragma once

#include <string>
#include <vector>

#include "test_model.hpp"

namespace elms_test {

inline const std::vector<elms::TokenId> kPrompt = {1, 5, 9, 200, 33};

inline const std::string& small_q8_model() {
  static const std::string path = write_model(small_shape(), elms::DType::kQ8_0, "small_q8.gguf");
  return path;
}

}  // namespace elms_test
