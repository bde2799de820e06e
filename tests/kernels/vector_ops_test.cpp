// RMS norm, RoPE, SwiGLU and f16 conversions against double, at every length around the vector width.
#include <cmath>
#include <limits>

#include "guarded_buffer.hpp"
#include "isa_cases.hpp"
#include "kernels/common.h"

using namespace elms_test;

namespace {

constexpr double kEpsilon = std::numeric_limits<float>::epsilon();
const std::int32_t kLengths[] = {1,  2,  3,  4,  5,  7,  8,  9,   15,  16,  17,
                                 31, 32, 33, 63, 64, 65, 80, 100, 256, 1000};

void fill(GuardedBuffer<float>& buffer, std::mt19937& rng, float scale = 1.0f) {
  std::normal_distribution<float> normal(0.0f, scale);
  for (std::size_t i = 0; i < buffer.size(); ++i) buffer[i] = normal(rng);
}

bool near(double value, double expected, double bound) {
  return std::fabs(value - expected) <= bound;
}

}  // namespace

ELMS_KERNEL_CASE(rms_norm, "RMS norm matches double, in place too", "[kernels][norm]") {
  auto rng = make_rng(40);
  for (const std::int32_t n : kLengths) {
    for (const float size : {1e-6f, 1.0f, 1e6f}) {
      GuardedBuffer<float> x(n), weight(n), out(n);
      fill(x, rng, size);
      fill(weight, rng);
      kernels.rms_norm(x.data(), weight.data(), n, 1e-5f, out.data());
      double sum = 0.0;
      for (std::int32_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * x[i];
      const double inverse = 1.0 / std::sqrt(sum / n + static_cast<double>(1e-5f));
      for (std::int32_t i = 0; i < n; ++i) {
        const double expected = x[i] * inverse * weight[i];
        INFO("n=" << n << " i=" << i);
        REQUIRE(near(out[i], expected, (8 + n / 32) * kEpsilon * std::fabs(expected)));
      }
      kernels.rms_norm(x.data(), weight.data(), n, 1e-5f, x.data());
      for (std::int32_t i = 0; i < n; ++i) REQUIRE(x[i] == out[i]);
      REQUIRE((x.intact() && weight.intact() && out.intact()));
    }
  }
}

ELMS_KERNEL_CASE(rope, "RoPE rotates pairs of either style and leaves the rest", "[kernels][rope]") {
  auto rng = make_rng(41);
  for (const std::int32_t n_rot : {2, 4, 6, 8, 10, 16, 20, 24, 30, 32, 64, 80, 96, 128, 256}) {
    for (const std::int32_t rest : {0, 5}) {
      for (const auto style : {ELMS_ROPE_INTERLEAVED, ELMS_ROPE_HALVES}) {
        const std::int32_t half = n_rot / 2;
        GuardedBuffer<float> x(n_rot + rest), before(n_rot + rest), cosine(half), sine(half);
        fill(before, rng);
        memcpy(x.data(), before.data(), x.size() * sizeof(float));
        std::uniform_real_distribution<float> angle(-3.2f, 3.2f);
        for (std::int32_t i = 0; i < half; ++i) {
          const float a = angle(rng);
          cosine[i] = std::cos(a);
          sine[i] = std::sin(a);
        }
        kernels.rope(x.data(), cosine.data(), sine.data(), n_rot, style);
        for (std::int32_t i = 0; i < half; ++i) {
          const std::int32_t first = style == ELMS_ROPE_INTERLEAVED ? 2 * i : i;
          const std::int32_t second = style == ELMS_ROPE_INTERLEAVED ? 2 * i + 1 : i + half;
          const double a = before[first];
          const double b = before[second];
          const double bound = 2 * kEpsilon * (std::fabs(a) + std::fabs(b));
          INFO("n_rot=" << n_rot << " style=" << style << " pair " << i);
          REQUIRE(near(x[first], a * cosine[i] - b * sine[i], bound));
          REQUIRE(near(x[second], a * sine[i] + b * cosine[i], bound));
        }
        for (std::int32_t i = n_rot; i < n_rot + rest; ++i) REQUIRE(x[i] == before[i]);
        REQUIRE(x.intact());
      }
    }
  }
}

ELMS_KERNEL_CASE(swiglu, "SwiGLU matches double, onto either operand too", "[kernels][swiglu]") {
  auto rng = make_rng(42);
  for (const std::int32_t n : kLengths) {
    GuardedBuffer<float> gate(n), up(n), out(n);
    fill(gate, rng, 4.0f);
    fill(up, rng);
    if (n >= 9) {
      const float special[] = {0.0f, -0.0f, -1000.0f, 1000.0f, -88.5f, 88.5f, -104.0f, 1e-30f, -20.0f};
      for (int i = 0; i < 9; ++i) gate[i] = special[i];
    }
    kernels.swiglu(gate.data(), up.data(), n, out.data());
    for (std::int32_t i = 0; i < n; ++i) {
      const double g = gate[i];
      const double expected = g / (1.0 + std::exp(-g)) * up[i];
      INFO("n=" << n << " gate " << g << " up " << up[i] << " gives " << out[i]);
      REQUIRE(near(out[i], expected, 6 * kEpsilon * std::fabs(expected) + 1e-35));
    }
    GuardedBuffer<float> onto_gate(n), onto_up(n);
    memcpy(onto_gate.data(), gate.data(), n * sizeof(float));
    memcpy(onto_up.data(), up.data(), n * sizeof(float));
    kernels.swiglu(onto_gate.data(), up.data(), n, onto_gate.data());
    kernels.swiglu(gate.data(), onto_up.data(), n, onto_up.data());
    for (std::int32_t i = 0; i < n; ++i) REQUIRE((onto_gate[i] == out[i] && onto_up[i] == out[i]));
    REQUIRE((gate.intact() && up.intact() && out.intact() && onto_gate.intact() && onto_up.intact()));
  }
}

ELMS_KERNEL_CASE(swiglu_nan, "SwiGLU does not hide NaN", "[kernels][swiglu]") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  float gate[] = {1, nan, 2, 3, 4, 5, 6, 7, 8, nan, 1};
  float up[] = {1, 1, nan, 1, 1, 1, 1, 1, 1, 1, nan};
  float out[11];
  kernels.swiglu(gate, up, 11, out);
  for (int i = 0; i < 11; ++i) CHECK(std::isnan(out[i]) == (i == 1 || i == 2 || i == 9 || i == 10));
}

ELMS_KERNEL_CASE(gelu, "GELU matches double at any size, in place too", "[kernels][gelu]") {
  auto rng = make_rng(43);
  const float infinity = std::numeric_limits<float>::infinity();
  const float special[] = {0.0f, -0.0f, -1000.0f, 1000.0f, -infinity, infinity, 1e-30f, -12.0f, 3e38f};
  for (const std::int32_t n : kLengths) {
    GuardedBuffer<float> x(n), out(n), in_place(n);
    fill(x, rng, 4.0f);
    for (int i = 0; n >= 9 && i < 9; ++i) x[i] = special[i];
    memcpy(in_place.data(), x.data(), n * sizeof(float));
    kernels.gelu(x.data(), n, out.data());
    kernels.gelu(in_place.data(), n, in_place.data());
    for (std::int32_t i = 0; i < n; ++i) {
      const double expected = x[i] == -infinity ? 0.0 : 0.5 * x[i] * std::erfc(-x[i] / std::sqrt(2.0));
      INFO("n=" << n << " x " << x[i] << " gives " << out[i]);
      if (x[i] == infinity) {
        REQUIRE(out[i] == infinity);
      } else {
        REQUIRE(near(out[i], expected, 2e-7 * std::fabs(static_cast<double>(x[i])) + 1e-35));
      }
      REQUIRE(in_place[i] == out[i]);
    }
    REQUIRE((x.intact() && out.intact() && in_place.intact()));
  }
}

ELMS_KERNEL_CASE(gelu_nan, "GELU does not hide NaN", "[kernels][gelu]") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  float x[] = {1, nan, 2, 3, 4, 5, 6, 7, 8, nan, 1};
  kernels.gelu(x, 11, x);
  for (int i = 0; i < 11; ++i) CHECK(std::isnan(x[i]) == (i == 1 || i == 9));
}

ELMS_KERNEL_CASE(f16_to_f32, "every f16 becomes the float of the same value", "[kernels][f16]") {
  GuardedBuffer<std::uint16_t> halves(65536);
  GuardedBuffer<float> out(65536);
  for (std::uint32_t i = 0; i < 65536; ++i) halves[i] = static_cast<std::uint16_t>(i);
  kernels.f16_to_f32(halves.data(), 65536, out.data());
  for (std::uint32_t i = 0; i < 65536; ++i) {
    const int exponent = static_cast<int>(i >> 10 & 31);
    const double mantissa = i & 1023;
    const double sign = (i & 0x8000) != 0 ? -1.0 : 1.0;
    if (exponent == 31 && mantissa != 0) {
      REQUIRE(std::isnan(out[i]));
      continue;
    }
    const double magnitude = exponent == 31  ? std::numeric_limits<double>::infinity()
                             : exponent == 0 ? std::ldexp(mantissa, -24)
                                             : std::ldexp(1024 + mantissa, exponent - 25);
    if (static_cast<double>(out[i]) != sign * magnitude || std::signbit(out[i]) != std::signbit(sign)) {
      FAIL("f16 " << i << " became " << out[i]);
    }
  }
}

ELMS_KERNEL_CASE(f32_to_f16, "floats round to the nearest f16, ties to even", "[kernels][f16]") {
  // Every f16, the midpoint to its neighbour, and the floats on both sides of that midpoint.
  std::vector<float> x;
  std::vector<std::uint16_t> expected;
  for (std::uint32_t h = 0; h < 0x7c00; ++h) {
    const std::uint32_t step = h < 0x0400 ? 0 : 1u << 12;
    const float value = elms_f32_of_f16(static_cast<std::uint16_t>(h));
    const float next = h == 0x7bff ? 65536.0f : elms_f32_of_f16(static_cast<std::uint16_t>(h + 1));
    const float middle = 0.5f * value + 0.5f * next;
    if (step != 0) REQUIRE(elms_bits_of_f32(middle) == elms_bits_of_f32(value) + step);
    for (const std::uint32_t sign : {0u, 0x8000u}) {
      const float s = sign == 0 ? 1.0f : -1.0f;
      const auto low = static_cast<std::uint16_t>(sign | h);
      const auto high = static_cast<std::uint16_t>(sign | (h + 1));
      x.insert(x.end(),
               {s * value, s * std::nextafter(middle, 0.0f), s * middle, s * std::nextafter(middle, 1e9f)});
      expected.insert(expected.end(), {low, low, h % 2 == 0 ? low : high, high});
    }
  }
  x.insert(x.end(), {1e30f, -1e30f, std::numeric_limits<float>::infinity(), 1e-45f, -1e-45f});
  expected.insert(expected.end(), {0x7c00, 0xfc00, 0x7c00, 0, 0x8000});
  std::vector<std::uint16_t> out(x.size());
  kernels.f32_to_f16(x.data(), static_cast<std::int32_t>(x.size()), out.data());
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (out[i] != expected[i]) FAIL(x[i] << " became " << out[i] << ", not " << expected[i]);
  }
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::uint16_t half = 0;
  kernels.f32_to_f16(&nan, 1, &half);
  CHECK((half & 0x7fff) > 0x7c00);
}

ELMS_KERNEL_CASE(f16_lengths, "conversions stop at their length", "[kernels][f16]") {
  auto rng = make_rng(43);
  for (const std::int32_t n : kLengths) {
    GuardedBuffer<float> x(n), back(n);
    GuardedBuffer<std::uint16_t> halves(n);
    fill(x, rng);
    kernels.f32_to_f16(x.data(), n, halves.data());
    kernels.f16_to_f32(halves.data(), n, back.data());
    for (std::int32_t i = 0; i < n; ++i) REQUIRE(back[i] == elms_f32_of_f16(elms_f16_of_f32(x[i])));
    REQUIRE((halves.intact() && back.intact()));
  }
}
