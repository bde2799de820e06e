// What only quantised kernels can get wrong: integer sums that saturate, and the bytes that activations
// become.
#include <algorithm>
#include <cmath>
#include <limits>

#include "gemm_case.hpp"
#include "isa_cases.hpp"

using namespace elms_test;

namespace {

using IntegerAt = std::function<std::int32_t(std::int32_t, std::int32_t)>;

/// With all scales 1 the outputs are the integer sums; below 2^24 a float holds them exactly.
void require_exact(const elms_gemm_kernel& kernel, std::int32_t m, std::int32_t n, std::int32_t k,
                   const IntegerAt& weight, const IntegerAt& activation) {
  const WeightMatrix matrix = quantised_matrix(kernel.format, n, k, weight, [](auto, auto) { return 1.0f; });
  const PackedCase packed(kernel, matrix);
  std::vector<float> x;
  for (std::int32_t row = 0; row < m; ++row) {
    for (std::int32_t i = 0; i < k; ++i) x.push_back(static_cast<float>(activation(row, i)));
  }
  const std::vector<float> out = run_gemm(kernel, packed, x, {.m = m, .n = n, .k = k});
  for (std::int32_t row = 0; row < m; ++row) {
    for (std::int32_t column = 0; column < n; ++column) {
      std::int32_t sum = 0;
      for (std::int32_t i = 0; i < k; ++i) sum += weight(column, i) * activation(row, i);
      if (out[row * n + column] != static_cast<float>(sum)) {
        FAIL(kernel.name << " row " << row << " output " << column << " is " << out[row * n + column]
                         << ", not " << sum);
      }
    }
  }
}

std::vector<const elms_gemm_kernel*> quantised_kernels(const elms_kernel_table& kernels) {
  return {kernels.gemm[ELMS_WEIGHT_Q8], kernels.gemm[ELMS_WEIGHT_Q4]};
}

std::int32_t lowest(const elms_gemm_kernel& kernel) {
  return kernel.format == ELMS_WEIGHT_Q8 ? -128 : -8;
}

}  // namespace

ELMS_KERNEL_CASE(quant_random_exact, "integer sums are exact", "[kernels][gemm][quant]") {
  auto rng = make_rng(20);
  for (const elms_gemm_kernel* kernel : quantised_kernels(kernels)) {
    std::uniform_int_distribution<std::int32_t> any_weight(lowest(*kernel), -lowest(*kernel) - 1);
    std::uniform_int_distribution<std::int32_t> any_activation(-127, 127);
    for (const std::int32_t m : {1, 2, 5, 16, 19}) {
      const std::int32_t k = 256;
      const std::int32_t n = 2 * kernel->nr + 1;
      std::vector<std::int32_t> w(static_cast<std::size_t>(n) * k);
      std::vector<std::int32_t> a(static_cast<std::size_t>(m) * k);
      for (auto& value : w) value = any_weight(rng);
      for (auto& value : a) value = any_activation(rng);
      for (std::size_t i = 0; i < a.size(); i += 32) a[i] = 127;  // makes the block's scale 1
      require_exact(
          *kernel, m, n, k, [&](std::int32_t row, std::int32_t i) { return w[row * k + i]; },
          [&](std::int32_t row, std::int32_t i) { return a[row * k + i]; });
    }
  }
}

ELMS_KERNEL_CASE(quant_extremes, "the largest magnitudes do not saturate", "[kernels][gemm][quant]") {
  for (const elms_gemm_kernel* kernel : quantised_kernels(kernels)) {
    const std::int32_t low = lowest(*kernel);
    const std::int32_t high = -low - 1;
    // Patterns over k: constant, alternating by 1, 2, 4, 8 and 16, which are the distances at which kernels
    // pair values.
    const auto pattern = [](std::int32_t which, std::int32_t i) {
      return which == 0 || (i >> (which - 1)) % 2 == 0;
    };
    const std::int32_t n_patterns = 6;
    const std::int32_t k = 128;
    for (const std::int32_t m : {1, 4, 2 * n_patterns}) {
      require_exact(
          *kernel, m, 2 * n_patterns + 3, k,
          [&](std::int32_t row, std::int32_t i) {
            if (row >= 2 * n_patterns) return row % 2 == 0 ? 0 : i % 7 == 0 ? low : 0;
            return pattern(row / 2, i) == (row % 2 == 0) ? low : high;
          },
          [&](std::int32_t row, std::int32_t i) {
            return pattern(row / 2, i) == (row % 2 == 0) ? 127 : -127;
          });
    }
  }
}

ELMS_KERNEL_CASE(quant_lhs_bytes, "activations become the same bytes and scales on every ISA",
                 "[kernels][gemm][quant]") {
  // With the identity as weights, output j of a block is scale * q[j].
  auto rng = make_rng(21);
  const elms_gemm_kernel& kernel = *kernels.gemm[ELMS_WEIGHT_Q8];
  const PackedCase identity(kernel,
                            quantised_matrix(
                                ELMS_WEIGHT_Q8, 32, 32, [](auto row, auto i) { return row == i ? 1 : 0; },
                                [](auto, auto) { return 1.0f; }));
  std::uniform_int_distribution<int> exponent(-140, 120);
  std::uniform_int_distribution<std::uint32_t> bits;
  for (int round = 0; round < 200; ++round) {
    const std::int32_t m = round % 9 + 1;
    std::vector<float> x = random_floats(static_cast<std::size_t>(m) * 32, rng);
    for (std::int32_t row = 0; row < m; ++row) {
      float* values = x.data() + row * 32;
      const float scale = std::ldexp(1.0f, exponent(rng));
      for (int i = 0; i < 32; ++i) values[i] *= scale;
      // Ties: values exactly between two steps of the scale.
      for (int i = 0; i < 32 && round % 3 == 0; ++i) {
        values[i] = i == 0 ? 127.0f : static_cast<float>(static_cast<int>(bits(rng) % 254)) - 126.5f;
      }
      for (int i = 0; i < 32 && round % 17 == 0; ++i) values[i] = i == 5 ? -scale : 0.0f;
    }
    const std::vector<float> out = run_gemm(kernel, identity, x, {.m = m, .n = 32, .k = 32});
    for (std::int32_t row = 0; row < m; ++row) {
      const QuantisedBlock expected = quantise_reference(x.data() + row * 32);
      for (int i = 0; i < 32; ++i) {
        INFO("round " << round << " row " << row << " value " << i << ": " << x[row * 32 + i]);
        REQUIRE(out[row * 32 + i] == static_cast<float>(expected.q[i]) * expected.scale);
      }
    }
  }
}

ELMS_KERNEL_CASE(quant_special, "zeros, subnormals and huge values stay finite, NaN and infinity do not hide",
                 "[kernels][gemm][quant]") {
  auto rng = make_rng(22);
  const float infinity = std::numeric_limits<float>::infinity();
  for (const elms_gemm_kernel* kernel : quantised_kernels(kernels)) {
    INFO(kernel->name);
    const std::int32_t n = kernel->nr + 1;
    const std::int32_t k = 64;
    const auto one = [](auto, auto) { return 1.0f; };
    const PackedCase packed(
        *kernel, quantised_matrix(
                     kernel->format, n, k, [](auto row, auto i) { return (row + i) % 3 - 1; }, one));
    for (const std::int32_t m : {1, 6}) {
      const GemmRun run{.m = m, .n = n, .k = k};
      const std::vector<float> zeros(static_cast<std::size_t>(m) * k, 0.0f);
      for (const float y : run_gemm(*kernel, packed, zeros, run)) REQUIRE(y == 0.0f);
      for (const float tiny : {1e-45f, 1e-39f, 1e-37f}) {
        const std::vector<float> x(static_cast<std::size_t>(m) * k, tiny);
        for (const float y : run_gemm(*kernel, packed, x, run)) REQUIRE(std::fabs(y) <= 64 * 1e-37f);
      }
      const std::vector<float> huge(static_cast<std::size_t>(m) * k, 1e38f);
      for (const float y : run_gemm(*kernel, packed, huge, run)) REQUIRE(std::fabs(y) <= 2.1e38f);
      for (const float bad : {infinity, -infinity, std::numeric_limits<float>::quiet_NaN()}) {
        std::vector<float> x = random_floats(static_cast<std::size_t>(m) * k, rng);
        x[static_cast<std::size_t>(m) * k - 5] = bad;  // in the last row
        const std::vector<float> out = run_gemm(*kernel, packed, x, run);
        for (std::int32_t i = 0; i < m * n; ++i) REQUIRE(std::isnan(out[i]) == (i / n == m - 1));
      }
    }
  }
}

ELMS_KERNEL_CASE(quant_scales, "scales of any size and sign are applied", "[kernels][gemm][quant]") {
  auto rng = make_rng(23);
  for (const elms_gemm_kernel* kernel : quantised_kernels(kernels)) {
    const std::int32_t n = 2 * kernel->nr;
    const std::int32_t k = 160;
    std::uniform_int_distribution<std::int32_t> any(lowest(*kernel), -lowest(*kernel) - 1);
    const float scales[] = {65504.0f, -65504.0f, 6e-8f, 0.0f,
                            -0.001f,  6.1e-5f,   1.0f};  // the largest and smallest of f16
    const WeightMatrix matrix = quantised_matrix(
        kernel->format, n, k, [&](auto, auto) { return any(rng); },
        [&](std::int32_t row, std::int32_t block) { return scales[(row + block) % 7]; });
    const PackedCase packed(*kernel, matrix);
    for (const std::int32_t m : {1, 3}) {
      const std::vector<float> x = random_floats(static_cast<std::size_t>(m) * k, rng);
      const GemmRun run{.m = m, .n = n, .k = k};
      require_close(run_gemm(*kernel, packed, x, run), reference_gemm(matrix, x, run, kernel->nr),
                    4 * k / 32);
    }
  }
}
