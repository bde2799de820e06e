#include "gemm_case.hpp"

#include <cmath>
#include <algorithm>
#include <cstring>
#include <limits>

#include "isa_cases.hpp"
#include "kernels/common.h"

namespace elms_test {

namespace {

constexpr std::int32_t kBlock = 32;

std::uint16_t bf16_of(float x) {
  return static_cast<std::uint16_t>(elms_bits_of_f32(x) >> 16);
}

std::size_t block_bytes(elms_weight_format format) {
  return format == ELMS_WEIGHT_Q8 ? 34 : 18;
}

std::uint16_t read_u16(const std::uint8_t* p) {
  return static_cast<std::uint16_t>(p[0] | p[1] << 8);
}

void append(std::vector<std::uint8_t>& bytes, const void* value, std::size_t size) {
  const auto* p = static_cast<const std::uint8_t*>(value);
  bytes.insert(bytes.end(), p, p + size);
}

}  // namespace

double WeightMatrix::scale(std::int32_t row, std::int32_t block) const {
  return elms_f32_of_f16(read_u16(rows[row].data() + block * block_bytes(format)));
}

std::int32_t WeightMatrix::integer(std::int32_t row, std::int32_t column) const {
  const std::uint8_t* q = rows[row].data() + column / kBlock * block_bytes(format) + 2;
  const std::int32_t i = column % kBlock;
  if (format == ELMS_WEIGHT_Q8) return static_cast<std::int8_t>(q[i]);
  return (i < 16 ? q[i] & 0x0f : q[i - 16] >> 4) - 8;
}

double WeightMatrix::value(std::int32_t row, std::int32_t column) const {
  if (quantised()) return scale(row, column / kBlock) * integer(row, column);
  if (format == ELMS_WEIGHT_F32) {
    float x;
    std::memcpy(&x, rows[row].data() + column * sizeof x, sizeof x);
    return x;
  }
  const std::uint16_t bits = read_u16(rows[row].data() + column * 2);
  return format == ELMS_WEIGHT_F16 ? elms_f32_of_f16(bits)
                                   : elms_f32_of_bits(static_cast<std::uint32_t>(bits) << 16);
}

WeightMatrix float_matrix(elms_weight_format format, std::int32_t n, std::int32_t k,
                          const std::function<float(std::int32_t, std::int32_t)>& float_at) {
  WeightMatrix matrix{format, n, k, {}};
  for (std::int32_t row = 0; row < n; ++row) {
    std::vector<std::uint8_t> bytes;
    for (std::int32_t column = 0; column < k; ++column) {
      const float x = float_at(row, column);
      const std::uint16_t half = format == ELMS_WEIGHT_F16 ? elms_f16_of_f32(x) : bf16_of(x);
      format == ELMS_WEIGHT_F32 ? append(bytes, &x, sizeof x) : append(bytes, &half, sizeof half);
    }
    matrix.rows.push_back(std::move(bytes));
  }
  return matrix;
}

WeightMatrix quantised_matrix(elms_weight_format format, std::int32_t n, std::int32_t k,
                              const std::function<std::int32_t(std::int32_t, std::int32_t)>& integer_at,
                              const std::function<float(std::int32_t, std::int32_t)>& scale_at) {
  WeightMatrix matrix{format, n, k, {}};
  for (std::int32_t row = 0; row < n; ++row) {
    std::vector<std::uint8_t> bytes;
    for (std::int32_t block = 0; block < k / kBlock; ++block) {
      const std::uint16_t scale = elms_f16_of_f32(scale_at(row, block));
      append(bytes, &scale, sizeof scale);
      const std::int32_t first = block * kBlock;
      for (std::int32_t i = 0; format == ELMS_WEIGHT_Q8 && i < kBlock; ++i) {
        bytes.push_back(static_cast<std::uint8_t>(integer_at(row, first + i)));
      }
      for (std::int32_t i = 0; format == ELMS_WEIGHT_Q4 && i < 16; ++i) {
        bytes.push_back(static_cast<std::uint8_t>((integer_at(row, first + i) + 8) |
                                                  (integer_at(row, first + 16 + i) + 8) << 4));
      }
    }
    matrix.rows.push_back(std::move(bytes));
  }
  return matrix;
}

WeightMatrix random_matrix(elms_weight_format format, std::int32_t n, std::int32_t k, std::mt19937& rng) {
  std::normal_distribution<float> normal(0.0f, 0.05f);
  if (format != ELMS_WEIGHT_Q8 && format != ELMS_WEIGHT_Q4) {
    return float_matrix(format, n, k, [&](std::int32_t, std::int32_t) { return normal(rng); });
  }
  const std::int32_t limit = format == ELMS_WEIGHT_Q8 ? 128 : 8;
  std::uniform_int_distribution<std::int32_t> integer(-limit, limit - 1);
  return quantised_matrix(
      format, n, k, [&](std::int32_t, std::int32_t) { return integer(rng); },
      [&](std::int32_t, std::int32_t) { return normal(rng) / static_cast<float>(limit); });
}

std::vector<float> random_floats(std::size_t n, std::mt19937& rng) {
  std::normal_distribution<float> normal;
  std::vector<float> x(n);
  for (float& v : x) v = normal(rng);
  return x;
}

PackedCase::PackedCase(const elms_gemm_kernel& kernel, const WeightMatrix& matrix)
    : kernel_(&kernel),
      group_(elms_panel_group(&kernel, (matrix.n + kernel.nr - 1) / kernel.nr)),
      stride_bytes_(static_cast<std::size_t>((matrix.k + kernel.block_k - 1) / kernel.block_k) *
                    kernel.block_bytes),
      panels_(static_cast<std::size_t>((matrix.n + kernel.nr - 1) / kernel.nr) * stride_bytes_, 4) {
  for (std::int32_t first = 0; first < matrix.n; first += kernel.nr) {
    std::vector<const void*> rows;
    for (std::int32_t i = first; i < first + kernel.nr; ++i) {
      rows.push_back(i < matrix.n ? matrix.rows[static_cast<std::size_t>(i)].data() : nullptr);
    }
    const elms_pack_args args{
        rows.data(), matrix.k, panels_.data() + elms_panel_offset(&kernel, group_, stride_bytes_, first / kernel.nr),
        static_cast<std::size_t>(group_) * kernel.block_bytes};
    kernel.pack(&args);
  }
  REQUIRE(panels_.intact());
}

std::vector<float> run_gemm(const elms_gemm_kernel& kernel, const PackedCase& packed,
                            const std::vector<float>& x, const GemmRun& run) {
  const auto m = static_cast<std::size_t>(run.m);
  const auto n = static_cast<std::size_t>(run.n);
  const auto k = static_cast<std::size_t>(run.k);
  REQUIRE(x.size() == m * k);
  // Rows of x and dst are further apart than they are long; the last ones end at the guard.
  const std::size_t x_stride = k + 3;
  GuardedBuffer<float> rows((m - 1) * x_stride + k);
  for (std::size_t r = 0; r < m; ++r)
    std::copy_n(x.begin() + static_cast<std::ptrdiff_t>(r * k), k, rows.data() + r * x_stride);
  GuardedBuffer<std::uint8_t> lhs(kernel.lhs_bytes == nullptr ? 0 : kernel.lhs_bytes(run.m, run.k), 64);
  for (std::int32_t r = 0; kernel.prepare_lhs != nullptr && r < run.m; r += kernel.mr) {
    kernel.prepare_lhs(rows.data(), x_stride, run.m, run.k, r, std::min(run.m, r + kernel.mr), lhs.data());
  }
  const std::size_t dst_stride = n + 5;
  GuardedBuffer<float> dst((m - 1) * dst_stride + n);
  for (std::size_t i = 0; run.accumulate && i < m * n; ++i) {
    dst[i / n * dst_stride + i % n] = 0.5f * static_cast<float>(i % n);
  }
  GuardedBuffer<float> bias(run.bias == nullptr ? 0 : n);
  if (run.bias != nullptr) std::memcpy(bias.data(), run.bias, n * sizeof(float));

  elms_gemm_args args{};
  args.lhs = kernel.prepare_lhs == nullptr ? static_cast<const void*>(rows.data()) : lhs.data();
  args.lhs_stride_bytes = kernel.prepare_lhs == nullptr ? x_stride * sizeof(float) : 0;
  args.panels = packed.panel(run.first_panel);
  args.panel_stride_bytes = packed.stride_bytes();
  args.panel_group = packed.group();
  args.m = run.m;
  args.n = run.n;
  args.k = run.k;
  args.bias = run.bias == nullptr ? nullptr : bias.data();
  args.dst = dst.data();
  args.dst_stride = dst_stride;
  args.accumulate = run.accumulate;
  kernel.gemm(&args);

  std::vector<float> out(m * n);
  bool untouched = dst.intact() && lhs.intact();
  for (std::size_t r = 0; r < m; ++r) {
    std::memcpy(out.data() + r * n, dst.data() + r * dst_stride, n * sizeof(float));
    for (std::size_t i = n; r + 1 < m && i < dst_stride; ++i) {
      untouched = untouched && elms_bits_of_f32(dst[r * dst_stride + i]) == 0xffffffffu;
    }
  }
  REQUIRE(untouched);
  return out;
}

QuantisedBlock quantise_reference(const float* x) {
  QuantisedBlock block{};
  float most = 0.0f;
  for (int i = 0; i < kBlock; ++i) most = std::max(most, std::fabs(x[i]));
  if (most < ELMS_SMALLEST_QUANTISED_MAX) return block;
  block.scale = most / 127.0f;
  const float inverse = 127.0f / most;
  for (int i = 0; i < kBlock; ++i) block.q[i] = static_cast<std::int32_t>(std::nearbyint(x[i] * inverse));
  return block;
}

GemmReference reference_gemm(const WeightMatrix& matrix, const std::vector<float>& x, const GemmRun& run,
                             std::int32_t panel_rows) {
  GemmReference reference;
  for (std::int32_t r = 0; r < run.m; ++r) {
    const float* row = x.data() + static_cast<std::size_t>(r) * static_cast<std::size_t>(run.k);
    std::vector<double> lhs(row, row + run.k);
    for (std::int32_t first = 0; matrix.quantised() && first < run.k; first += kBlock) {
      const QuantisedBlock block = quantise_reference(row + first);
      for (int i = 0; i < kBlock; ++i) lhs[first + i] = static_cast<double>(block.scale) * block.q[i];
    }
    for (std::int32_t column = 0; column < run.n; ++column) {
      double sum = 0.0;
      double magnitude = 0.0;
      for (std::int32_t k = 0; k < run.k; ++k) {
        const double product = lhs[k] * matrix.value(run.first_panel * panel_rows + column, k);
        sum += product;
        magnitude += std::fabs(product);
      }
      for (const double term :
           {run.bias != nullptr ? run.bias[column] : 0.0, run.accumulate ? 0.5 * column : 0.0}) {
        sum += term;
        magnitude += std::fabs(term);
      }
      reference.value.push_back(sum);
      reference.magnitude.push_back(magnitude);
    }
  }
  return reference;
}

void require_close(const std::vector<float>& out, const GemmReference& reference, std::int32_t terms) {
  REQUIRE(out.size() == reference.value.size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    const double bound =
        (terms + 4) * static_cast<double>(std::numeric_limits<float>::epsilon()) * reference.magnitude[i];
    const double error = std::fabs(out[i] - reference.value[i]);
    if (!(error <= bound)) {
      FAIL("output " << i << " is " << out[i] << ", not " << reference.value[i] << " +- " << bound);
    }
  }
}

}  // namespace elms_test
