// Weight matrices in GGUF's encodings, their exact values, and one guarded run of a GEMM kernel on a slice of
// one.
#pragma once

#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "elms/detail/kernels.h"
#include "guarded_buffer.hpp"

namespace elms_test {

/// Weights [n, k] as rows of a GGUF file.
struct WeightMatrix {
  elms_weight_format format = ELMS_WEIGHT_F32;
  std::int32_t n = 0;
  std::int32_t k = 0;
  std::vector<std::vector<std::uint8_t>> rows;

  [[nodiscard]] bool quantised() const { return format == ELMS_WEIGHT_Q8 || format == ELMS_WEIGHT_Q4; }
  /// The value that the file means.
  [[nodiscard]] double value(std::int32_t row, std::int32_t column) const;
  /// Quantised formats: the integer (-128..127 or -8..7) and the scale.
  [[nodiscard]] std::int32_t integer(std::int32_t row, std::int32_t column) const;
  [[nodiscard]] double scale(std::int32_t row, std::int32_t block) const;
};

/// Every float weight is float_at(row, column).
WeightMatrix float_matrix(elms_weight_format format, std::int32_t n, std::int32_t k,
                          const std::function<float(std::int32_t, std::int32_t)>& float_at);
/// Every quantised weight is integer_at(row, column) times scale_at(row, block), rounded to f16.
WeightMatrix quantised_matrix(elms_weight_format format, std::int32_t n, std::int32_t k,
                              const std::function<std::int32_t(std::int32_t, std::int32_t)>& integer_at,
                              const std::function<float(std::int32_t, std::int32_t)>& scale_at);
/// Random weights of a language model's size.
WeightMatrix random_matrix(elms_weight_format format, std::int32_t n, std::int32_t k, std::mt19937& rng);

std::vector<float> random_floats(std::size_t n, std::mt19937& rng);

/// `matrix` in the kernel's panels. Rows past the slice and columns past it are as in `matrix`: a test
/// poisons them there.
class PackedCase {
 public:
  PackedCase(const elms_gemm_kernel& kernel, const WeightMatrix& matrix);
  [[nodiscard]] const std::uint8_t* panel(std::int32_t index) const {
    return panels_.data() + elms_panel_offset(kernel_, group_, stride_bytes_, index);
  }
  /// Panels whose blocks alternate; a run starts at the first panel of a group.
  [[nodiscard]] std::int32_t group() const { return group_; }
  [[nodiscard]] std::size_t stride_bytes() const { return stride_bytes_; }

 private:
  const elms_gemm_kernel* kernel_;
  std::int32_t group_;
  std::size_t stride_bytes_;
  GuardedBuffer<std::uint8_t> panels_;
};

struct GemmRun {
  std::int32_t m = 1;
  std::int32_t n = 1;
  std::int32_t k = 1;
  const float* bias = nullptr;
  bool accumulate = false;
  std::int32_t first_panel = 0;
};

/// x [m, k] times a slice of the packed matrix. dst starts as 0.5 * column where the run accumulates. All
/// memory is guarded, and what lies between rows of dst must stay as it was (REQUIREd). Returns [m, n].
std::vector<float> run_gemm(const elms_gemm_kernel& kernel, const PackedCase& packed,
                            const std::vector<float>& x, const GemmRun& run);

/// One block of 32 activations as every ISA must quantise it.
struct QuantisedBlock {
  float scale;
  std::int32_t q[32];
};
QuantisedBlock quantise_reference(const float* x);

/// What a run must give: sums in double, and the sum of magnitudes that its rounding error is measured
/// against.
struct GemmReference {
  std::vector<double> value;      // [m, n]
  std::vector<double> magnitude;  // [m, n]
};
GemmReference reference_gemm(const WeightMatrix& matrix, const std::vector<float>& x, const GemmRun& run,
                             std::int32_t panel_rows);

/// REQUIREs that every output is within (terms + 4) * epsilon * magnitude, the bound of any order of
/// summation.
void require_close(const std::vector<float>& out, const GemmReference& reference, std::int32_t terms);

}  // namespace elms_test
