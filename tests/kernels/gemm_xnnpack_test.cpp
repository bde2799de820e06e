// f32 GEMM against XNNPACK's fully connected operator: a reference that shares no code with ours.
#include <xnnpack.h>

#include <cmath>
#include <memory>

#include "gemm_case.hpp"
#include "isa_cases.hpp"

using namespace elms_test;

namespace {

std::vector<float> xnnpack_fully_connected(const std::vector<float>& x, const std::vector<float>& weights,
                                           const std::vector<float>& bias, std::size_t m, std::size_t n,
                                           std::size_t k) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  REQUIRE(xnn_initialize(nullptr) == xnn_status_success);
  xnn_operator_t created = nullptr;
  REQUIRE(xnn_create_fully_connected_nc_f32(k, n, k, n, weights.data(), bias.data(), -kInfinity, kInfinity, 0,
                                            &created) == xnn_status_success);
  const std::unique_ptr<xnn_operator, decltype(&xnn_delete_operator)> op(created, xnn_delete_operator);
  std::vector<float> padded(x);
  padded.resize(x.size() + XNN_EXTRA_BYTES / sizeof(float));  // XNNPACK may read past its input
  std::vector<float> out(m * n);
  REQUIRE(xnn_setup_fully_connected_nc_f32(created, m, padded.data(), out.data(), nullptr) ==
          xnn_status_success);
  REQUIRE(xnn_run_operator(created, nullptr) == xnn_status_success);
  return out;
}

}  // namespace

ELMS_KERNEL_CASE(gemm_xnnpack, "f32 GEMM agrees with XNNPACK", "[kernels][gemm][xnnpack]") {
  auto rng = make_rng(80);
  const elms_gemm_kernel& kernel = *kernels.gemm[ELMS_WEIGHT_F32];
  for (const std::int32_t m : {1, 2, 13}) {
    for (const std::int32_t n : {5, 64}) {
      for (const std::int32_t k : {3, 96, 257}) {
        const std::vector<float> w = random_floats(static_cast<std::size_t>(n) * k, rng);
        const std::vector<float> x = random_floats(static_cast<std::size_t>(m) * k, rng);
        const std::vector<float> bias = random_floats(static_cast<std::size_t>(n), rng);
        const WeightMatrix matrix = float_matrix(
            ELMS_WEIGHT_F32, n, k, [&](std::int32_t row, std::int32_t i) { return w[row * k + i]; });
        const GemmRun run{.m = m, .n = n, .k = k, .bias = bias.data()};
        const std::vector<float> ours = run_gemm(kernel, PackedCase(kernel, matrix), x, run);
        GemmReference reference = reference_gemm(matrix, x, run, kernel.nr);
        const std::vector<float> theirs = xnnpack_fully_connected(x, w, bias, m, n, k);
        reference.value.assign(theirs.begin(), theirs.end());
        INFO("m=" << m << " n=" << n << " k=" << k);
        require_close(ours, reference, 2 * k);
      }
    }
  }
}
