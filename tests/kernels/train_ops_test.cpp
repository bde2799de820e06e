// What training adds to the row kernels: maximum, exponentials with their sum, the gradient of SwiGLU.
#include <cmath>
#include <limits>

#include "guarded_buffer.hpp"
#include "isa_cases.hpp"

using namespace elms_test;

namespace {

constexpr double kFloatEpsilon = std::numeric_limits<float>::epsilon();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
const std::int32_t kRowLengths[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 65, 100, 1000};

void fill_normal(GuardedBuffer<float>& buffer, std::mt19937& rng, float scale) {
  std::normal_distribution<float> normal(0.0f, scale);
  for (std::size_t i = 0; i < buffer.size(); ++i) buffer[i] = normal(rng);
}

}  // namespace

ELMS_KERNEL_CASE(row_max, "the maximum is found wherever it stands, NaN passed over", "[kernels][max]") {
  auto rng = make_rng(62);
  for (const std::int32_t n : kRowLengths) {
    GuardedBuffer<float> x(n);
    fill_normal(x, rng, 1.0f);
    for (std::int32_t place = 0; place < n; ++place) {
      const float kept = x[place];
      x[place] = 50.0f + static_cast<float>(place);
      REQUIRE(kernels.max(x.data(), n) == 50.0f + static_cast<float>(place));
      x[place] = kept;
    }
    if (n > 1) {
      x[0] = std::numeric_limits<float>::quiet_NaN();
      x[n - 1] = 99.0f;
      REQUIRE(kernels.max(x.data(), n) == 99.0f);
    }
    for (std::int32_t i = 0; i < n; ++i) x[i] = std::numeric_limits<float>::quiet_NaN();
    REQUIRE(kernels.max(x.data(), n) == -kInfinity);
    REQUIRE(x.intact());
  }
}

ELMS_KERNEL_CASE(exp_sum, "exponentials and their sum match double, in place too", "[kernels][exp]") {
  auto rng = make_rng(63);
  for (const std::int32_t n : kRowLengths) {
    for (const float scale : {1.0f, 0.125f}) {
      GuardedBuffer<float> x(n), out(n);
      fill_normal(x, rng, 20.0f);
      if (n > 2) x[n / 2] = -kInfinity;
      const float shift = kernels.max(x.data(), n);
      const float sum = kernels.exp_sum(x.data(), n, shift, scale, out.data());
      double expected_sum = 0.0;
      for (std::int32_t i = 0; i < n; ++i) {
        const float exponent = scale * (x[i] - shift);
        const double expected = std::exp(static_cast<double>(exponent));
        INFO("n=" << n << " i=" << i << " exponent " << exponent << " gives " << out[i]);
        REQUIRE(std::fabs(out[i] - expected) <= 3 * kFloatEpsilon * expected + 2e-38);
        expected_sum += expected;
      }
      REQUIRE(std::fabs(sum - expected_sum) <= (4 + n / 8) * kFloatEpsilon * expected_sum);
      const float in_place = kernels.exp_sum(x.data(), n, shift, scale, x.data());
      REQUIRE(in_place == sum);
      for (std::int32_t i = 0; i < n; ++i) REQUIRE(x[i] == out[i]);
      REQUIRE((x.intact() && out.intact()));
    }
  }
  const float with_nan[] = {0.0f, std::numeric_limits<float>::quiet_NaN(), -1.0f};
  float out[3];
  CHECK(std::isnan(kernels.exp_sum(with_nan, 3, 0.0f, 1.0f, out)));
}

ELMS_KERNEL_CASE(swiglu_backward, "gradients of SwiGLU match double, onto dy too", "[kernels][swiglu]") {
  auto rng = make_rng(64);
  for (const std::int32_t n : kRowLengths) {
    GuardedBuffer<float> gate(n), up(n), dy(n), d_gate(n), d_up(n);
    fill_normal(gate, rng, 4.0f);
    fill_normal(up, rng, 1.0f);
    fill_normal(dy, rng, 1.0f);
    if (n >= 5) {
      const float special[] = {0.0f, -0.0f, -60.0f, 60.0f, -20.0f};
      for (int i = 0; i < 5; ++i) gate[i] = special[i];
    }
    kernels.swiglu_backward(gate.data(), up.data(), dy.data(), n, d_gate.data(), d_up.data());
    for (std::int32_t i = 0; i < n; ++i) {
      const double g = gate[i], sigmoid = 1.0 / (1.0 + std::exp(-g));
      const double up_gradient = dy[i] * g * sigmoid;
      const double outer = static_cast<double>(dy[i]) * up[i] * sigmoid;
      const double gate_gradient = outer * (1.0 + g * (1.0 - sigmoid));
      INFO("n=" << n << " gate " << g << " gives " << d_gate[i] << ", " << d_up[i]);
      REQUIRE(std::fabs(d_up[i] - up_gradient) <= 6 * kFloatEpsilon * std::fabs(up_gradient) + 1e-35);
      // The slope's two terms may cancel.
      REQUIRE(std::fabs(d_gate[i] - gate_gradient) <=
              8 * kFloatEpsilon * std::fabs(outer) * (1.0 + std::fabs(g)) + 1e-35);
    }
    kernels.swiglu_backward(gate.data(), up.data(), dy.data(), n, dy.data(), up.data());
    for (std::int32_t i = 0; i < n; ++i) REQUIRE((dy[i] == d_gate[i] && up[i] == d_up[i]));
    REQUIRE((gate.intact() && up.intact() && dy.intact() && d_gate.intact() && d_up.intact()));
  }
}
