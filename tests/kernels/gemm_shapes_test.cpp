// Every GEMM kernel on every kind of shape, against a product in double. What lies outside of the slice is
// NaN (floats) or NaN-scaled extremes (blocks), and memory ends where the arguments say it does.
#include <algorithm>
#include <cmath>
#include <limits>

#include "gemm_case.hpp"
#include "isa_cases.hpp"

using namespace elms_test;

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::int32_t rounding_terms(const elms_gemm_kernel& kernel, std::int32_t k) {
  return kernel.block_k == 32 ? 4 * k / 32 : k;
}

/// Random [n, k] whose columns from k_used on, and rows from n_used on, are poison.
WeightMatrix poisoned_matrix(const elms_gemm_kernel& kernel, std::int32_t n, std::int32_t k,
                             std::int32_t n_used, std::int32_t k_used, std::mt19937& rng) {
  const WeightMatrix random = random_matrix(kernel.format, n, k, rng);
  const auto outside = [&](std::int32_t row, std::int32_t column) {
    return row >= n_used || column >= k_used;
  };
  if (!random.quantised()) {
    return float_matrix(kernel.format, n, k, [&](std::int32_t row, std::int32_t column) {
      return outside(row, column) ? kNan : static_cast<float>(random.value(row, column));
    });
  }
  const std::int32_t lowest = kernel.format == ELMS_WEIGHT_Q8 ? -128 : -8;
  return quantised_matrix(
      kernel.format, n, k,
      [&](std::int32_t row, std::int32_t column) {
        return outside(row, column) ? lowest : random.integer(row, column);
      },
      [&](std::int32_t row, std::int32_t block) {
        return outside(row, block * 32) ? kNan : static_cast<float>(random.scale(row, block));
      });
}

void check(const elms_gemm_kernel& kernel, const WeightMatrix& matrix, const PackedCase& packed,
           const GemmRun& run, std::mt19937& rng) {
  INFO(kernel.name << " m=" << run.m << " n=" << run.n << " k=" << run.k << " of " << matrix.n << "x"
                   << matrix.k << " panel " << run.first_panel << (run.bias ? " bias" : "")
                   << (run.accumulate ? " accumulate" : ""));
  const std::vector<float> x = random_floats(static_cast<std::size_t>(run.m) * run.k, rng);
  require_close(run_gemm(kernel, packed, x, run), reference_gemm(matrix, x, run, kernel.nr),
                rounding_terms(kernel, run.k));
}

}  // namespace

ELMS_KERNEL_CASE(gemm_rows, "GEMM is right for any number of rows", "[kernels][gemm]") {
  auto rng = make_rng(1);
  for (const elms_gemm_kernel* kernel : kernels.gemm) {
    const std::int32_t k = kernel->block_k == 32 ? 96 : 37;
    const std::int32_t n = 2 * kernel->nr + 3;
    const WeightMatrix matrix = poisoned_matrix(*kernel, n + kernel->nr, k, n, k, rng);
    const PackedCase packed(*kernel, matrix);
    for (std::int32_t m = 1; m <= 17; ++m) check(*kernel, matrix, packed, {.m = m, .n = n, .k = k}, rng);
    check(*kernel, matrix, packed, {.m = 64, .n = n, .k = k}, rng);
    check(*kernel, matrix, packed, {.m = 101, .n = 3, .k = k}, rng);
  }
}

ELMS_KERNEL_CASE(gemm_outputs, "GEMM is right for any number of outputs, from any panel on",
                 "[kernels][gemm]") {
  auto rng = make_rng(2);
  for (const elms_gemm_kernel* kernel : kernels.gemm) {
    const std::int32_t k = kernel->block_k == 32 ? 64 : 19;
    const std::int32_t n_full = 6 * kernel->nr + 1;
    for (std::int32_t n = 1; n <= n_full; n += n < 2 * kernel->nr ? 1 : kernel->nr / 2 + 1) {
      const WeightMatrix matrix = poisoned_matrix(*kernel, n_full, k, n, k, rng);
      const PackedCase packed(*kernel, matrix);
      for (const std::int32_t m : {1, 5}) check(*kernel, matrix, packed, {.m = m, .n = n, .k = k}, rng);
    }
    const WeightMatrix matrix = random_matrix(kernel->format, n_full, k, rng);
    const PackedCase packed(*kernel, matrix);
    for (std::int32_t panel = 1; panel <= 6; ++panel) {
      for (const std::int32_t m : {1, 3}) {
        check(*kernel, matrix, packed,
              {.m = m, .n = n_full - panel * kernel->nr, .k = k, .first_panel = panel}, rng);
      }
    }
  }
}

ELMS_KERNEL_CASE(gemm_groups, "GEMM is right where the blocks of neighbouring panels alternate", "[kernels][gemm]") {
  auto rng = make_rng(12);
  for (const elms_gemm_kernel* kernel : kernels.gemm) {
    REQUIRE(kernel->panel_group >= 1);
    for (std::int32_t group = 2; group <= kernel->panel_group; group *= 2) {
      // 2 groups (or 6, which the kernel's largest group does not divide), the last panel ragged
      const std::int32_t n_panels = group == kernel->panel_group ? 2 * group : 3 * group, n_full = n_panels * kernel->nr - 3;
      constexpr std::int32_t kFull = 5 * 32;
      for (std::int32_t n = 1; n <= n_full; n += n < 2 * kernel->nr ? 5 : kernel->nr - 3) {
        const std::int32_t k = 32 + n % 5 * 32;
        const WeightMatrix matrix = poisoned_matrix(*kernel, n_full, kFull, n, k, rng);
        const PackedCase packed(*kernel, matrix);
        REQUIRE(packed.group() == group);
        for (const std::int32_t m : {1, 3, 33}) check(*kernel, matrix, packed, {.m = m, .n = n, .k = k}, rng);
      }
      const WeightMatrix matrix = random_matrix(kernel->format, n_full, kFull, rng);
      const PackedCase packed(*kernel, matrix);
      for (const std::int32_t m : {1, 3}) {
        check(*kernel, matrix, packed,
              {.m = m, .n = n_full - group * kernel->nr, .k = kFull, .first_panel = group}, rng);
      }
    }
  }
}

ELMS_KERNEL_CASE(gemm_side_by_side, "a row is right over as many panels as are read side by side, and over what they leave",
                 "[kernels][gemm]") {
  auto rng = make_rng(13);
  for (const elms_gemm_kernel* kernel : kernels.gemm) {
    // Twice eight groups are more than any kernel reads together; the last panel is ragged.
    const std::int32_t step = kernel->panel_group * kernel->nr, n_full = 16 * step - 3;
    const std::int32_t k_full = 4 * 32;
    for (const std::int32_t k : {k_full, 2 * 32}) {
      for (std::int32_t groups = 3; groups <= 16; ++groups) {
        const std::int32_t n = std::min(n_full, groups * step - groups % 3 * (kernel->nr / 2));
        const WeightMatrix matrix = poisoned_matrix(*kernel, n_full, k_full, n, k, rng);
        const PackedCase packed(*kernel, matrix);
        REQUIRE(packed.group() == kernel->panel_group);
        for (const std::int32_t m : {1, 2}) check(*kernel, matrix, packed, {.m = m, .n = n, .k = k}, rng);
      }
    }
  }
}

ELMS_KERNEL_CASE(gemm_slices, "GEMM reads a prefix of k and nothing behind it", "[kernels][gemm]") {
  auto rng = make_rng(3);
  for (const elms_gemm_kernel* kernel : kernels.gemm) {
    const std::int32_t k_full = kernel->block_k == 32 ? 9 * 32 : 21;
    const std::int32_t n = kernel->nr + kernel->nr / 2;
    for (std::int32_t k = kernel->block_k; k <= k_full; k += kernel->block_k) {
      const WeightMatrix matrix = poisoned_matrix(*kernel, n, k_full, n, k, rng);
      const PackedCase packed(*kernel, matrix);
      for (const std::int32_t m : {1, 2, 7}) check(*kernel, matrix, packed, {.m = m, .n = n, .k = k}, rng);
    }
  }
}

ELMS_KERNEL_CASE(gemm_deep, "GEMM is right for long rows", "[kernels][gemm]") {
  auto rng = make_rng(4);
  for (const elms_gemm_kernel* kernel : kernels.gemm) {
    const std::int32_t k = kernel->block_k == 32 ? 1056 : 789;
    const WeightMatrix matrix = random_matrix(kernel->format, 5 * kernel->nr - 1, k, rng);
    const PackedCase packed(*kernel, matrix);
    for (const std::int32_t m : {1, 10}) check(*kernel, matrix, packed, {.m = m, .n = matrix.n, .k = k}, rng);
    // More rows than one chunk of activations holds.
    check(*kernel, matrix, packed, {.m = 250, .n = kernel->nr + 1, .k = k}, rng);
  }
}

ELMS_KERNEL_CASE(gemm_epilogue, "GEMM adds the bias and the residual", "[kernels][gemm]") {
  auto rng = make_rng(5);
  for (const elms_gemm_kernel* kernel : kernels.gemm) {
    const std::int32_t k = 64;
    const std::int32_t n = 5 * kernel->nr + 3;
    const WeightMatrix matrix = random_matrix(kernel->format, n, k, rng);
    const PackedCase packed(*kernel, matrix);
    const std::vector<float> bias = random_floats(static_cast<std::size_t>(n), rng);
    for (const std::int32_t m : {1, 4, 9}) {
      for (const bool accumulate : {false, true}) {
        const GemmRun plain{.m = m, .n = n, .k = k, .accumulate = accumulate};
        check(*kernel, matrix, packed, plain, rng);
        GemmRun with_bias = plain;
        with_bias.bias = bias.data();
        check(*kernel, matrix, packed, with_bias, rng);
      }
    }
  }
}

ELMS_KERNEL_CASE(gemm_batch, "a row's result does not depend on the rows and outputs computed with it",
                 "[kernels][gemm]") {
  auto rng = make_rng(6);
  for (const elms_gemm_kernel* kernel : kernels.gemm) {
    INFO(kernel->name);
    const std::int32_t k = 320;
    const std::int32_t n = 5 * kernel->nr;
    const WeightMatrix matrix = random_matrix(kernel->format, n, k, rng);
    const PackedCase packed(*kernel, matrix);
    const std::int32_t m = 19;
    const std::vector<float> x = random_floats(static_cast<std::size_t>(m) * k, rng);
    const std::vector<float> together = run_gemm(*kernel, packed, x, {.m = m, .n = n, .k = k});
    for (std::int32_t row = 0; row < m; ++row) {
      const std::vector<float> one(x.begin() + row * k, x.begin() + (row + 1) * k);
      const std::vector<float> expected(together.begin() + row * n, together.begin() + (row + 1) * n);
      REQUIRE(run_gemm(*kernel, packed, one, {.m = 1, .n = n, .k = k}) == expected);
      const std::vector<float> fewer(expected.begin(), expected.begin() + kernel->nr + 1);
      REQUIRE(run_gemm(*kernel, packed, one, {.m = 1, .n = kernel->nr + 1, .k = k}) == fewer);
    }
  }
}

ELMS_KERNEL_CASE(gemm_no_inputs, "GEMM over no inputs is the bias", "[kernels][gemm]") {
  auto rng = make_rng(7);
  for (const elms_gemm_kernel* kernel : kernels.gemm) {
    INFO(kernel->name);
    const std::int32_t n = kernel->nr + 1;
    const PackedCase packed(*kernel, random_matrix(kernel->format, n, 32, rng));
    const std::vector<float> bias = random_floats(static_cast<std::size_t>(n), rng);
    for (const std::int32_t m : {1, 3}) {
      const std::vector<float> out =
          run_gemm(*kernel, packed, {}, {.m = m, .n = n, .k = 0, .bias = bias.data()});
      for (std::int32_t i = 0; i < m * n; ++i) REQUIRE(out[i] == bias[i % n]);
    }
  }
}
