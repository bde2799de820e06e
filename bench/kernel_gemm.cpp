#include <cmath>
#include <cstring>
#include <random>

#include "elms/detail/buffer.hpp"
#include "measure.hpp"

namespace elms_bench {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t kColdBytes = std::size_t{256} << 20;  // more than any cache holds
constexpr std::int32_t kDistinctRows = 64;

/// Scale and mean-free random weights of one row, in GGUF's encoding.
Bytes random_row(elms_weight_format format, std::int32_t k, std::mt19937& rng) {
  Bytes row;
  if (format == ELMS_WEIGHT_Q8 || format == ELMS_WEIGHT_Q4) {
    const std::size_t block_bytes = format == ELMS_WEIGHT_Q8 ? 34 : 18;
    row.resize(static_cast<std::size_t>(k) / 32 * block_bytes);
    for (std::uint8_t& byte : row) byte = static_cast<std::uint8_t>(rng());
    for (std::size_t block = 0; block < row.size(); block += block_bytes) {
      const std::uint16_t scale = static_cast<std::uint16_t>(0x1c00 + rng() % 0x400);  // f16, 1/256 to 1/128
      std::memcpy(row.data() + block, &scale, sizeof scale);
    }
    return row;
  }
  const std::size_t value_bytes = format == ELMS_WEIGHT_F32 ? 4 : 2;
  row.resize(static_cast<std::size_t>(k) * value_bytes);
  for (std::int32_t i = 0; i < k; ++i) {
    const float value = static_cast<float>(rng() % 2001) / 1000.0f - 1.0f;
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    // Any half of the right exponent will do.
    const std::uint16_t half = format == ELMS_WEIGHT_BF16
                                   ? static_cast<std::uint16_t>(bits >> 16)
                                   : static_cast<std::uint16_t>(0x3000 + rng() % 0x800 + (rng() % 2 << 15));
    std::memcpy(row.data() + static_cast<std::size_t>(i) * value_bytes,
                format == ELMS_WEIGHT_F32 ? static_cast<const void*>(&bits) : &half, value_bytes);
  }
  return row;
}

struct Packed {
  std::size_t stride_bytes = 0;
  std::int32_t n_panels = 0;
  elms::detail::Buffer<std::uint8_t> panels;
};

/// `n_panels` panels of the same few random rows.
bool pack_rows(const elms_gemm_kernel& kernel, const std::vector<Bytes>& rows, std::int32_t k,
               std::int32_t n_panels, Packed& packed) {
  packed.stride_bytes = static_cast<std::size_t>(k / kernel.block_k) * kernel.block_bytes;
  packed.n_panels = n_panels;
  auto buffer = elms::detail::Buffer<std::uint8_t>::uninitialized(static_cast<std::size_t>(n_panels) *
                                                                  packed.stride_bytes);
  if (!buffer.has_value()) return false;
  packed.panels = std::move(*buffer);
  const std::int32_t period = kDistinctRows / kernel.nr;
  for (std::int32_t p = 0; p < n_panels; ++p) {
    std::uint8_t* panel = packed.panels.data() + static_cast<std::size_t>(p) * packed.stride_bytes;
    if (p >= period) {
      std::memcpy(panel, panel - static_cast<std::size_t>(period) * packed.stride_bytes, packed.stride_bytes);
      continue;
    }
    const void* pointers[kDistinctRows];
    for (std::int32_t i = 0; i < kernel.nr; ++i)
      pointers[i] = rows[static_cast<std::size_t>(p * kernel.nr + i)].data();
    const elms_pack_args args{pointers, k, panel, 0};
    kernel.pack(&args);
  }
  return true;
}

struct Lhs {
  Lhs(const elms_gemm_kernel& kernel, const std::vector<float>& x, std::int32_t m, std::int32_t k)
      : data(x.data()), stride_bytes(static_cast<std::size_t>(k) * sizeof(float)) {
    if (kernel.prepare_lhs == nullptr) return;
    prepared.resize(kernel.lhs_bytes(m, k));
    kernel.prepare_lhs(x.data(), static_cast<std::size_t>(k), m, k, 0, m, prepared.data());
    data = prepared.data();
  }
  const void* data;
  std::size_t stride_bytes;
  Bytes prepared;
};

std::vector<float> run(const elms_gemm_kernel& kernel, const Packed& packed, const std::vector<float>& x,
                       std::int32_t m, std::int32_t n, std::int32_t k) {
  const Lhs lhs(kernel, x, m, k);
  std::vector<float> out(static_cast<std::size_t>(m) * static_cast<std::size_t>(n));
  elms_gemm_args args{};
  args.lhs = lhs.data;
  args.lhs_stride_bytes = lhs.stride_bytes;
  args.panels = packed.panels.data();
  args.panel_stride_bytes = packed.stride_bytes;
  args.m = m;
  args.n = n;
  args.k = k;
  args.dst = out.data();
  args.dst_stride = static_cast<std::size_t>(n);
  kernel.gemm(&args);
  return out;
}

/// Whether the kernel computes what the scalar one of its format does, on the first outputs.
bool agrees_with_scalar(const elms_gemm_kernel& kernel, const std::vector<Bytes>& rows, std::int32_t k) {
  std::size_t n_tables = 0;
  const elms_gemm_kernel& scalar = *elms_kernel_tables(&n_tables)[0]->gemm[kernel.format];
  Packed ours;
  Packed theirs;
  if (!pack_rows(kernel, rows, k, kDistinctRows / kernel.nr, ours)) return false;
  if (!pack_rows(scalar, rows, k, kDistinctRows / scalar.nr, theirs)) return false;
  std::mt19937 rng(2);
  std::normal_distribution<float> normal;
  for (const std::int32_t m : {1, 5}) {
    std::vector<float> x(static_cast<std::size_t>(m) * static_cast<std::size_t>(k));
    for (float& value : x) value = normal(rng);
    const std::vector<float> got = run(kernel, ours, x, m, kDistinctRows, k);
    const std::vector<float> expected = run(scalar, theirs, x, m, kDistinctRows, k);
    double error = 0.0;
    double size = 0.0;
    for (std::size_t i = 0; i < got.size(); ++i) {
      error += (got[i] - expected[i]) * (got[i] - expected[i]);
      size += expected[i] * expected[i];
    }
    if (!(error <= 1e-10 * size)) return false;
  }
  return true;
}

Result bench_shape(const elms_gemm_kernel& kernel, const Packed& packed, std::int32_t m, std::int32_t n,
                   std::int32_t k, Bench& bench) {
  Result result;
  result.kernel = kernel.name;
  result.shape = "m=" + std::to_string(m) + " n=" + std::to_string(n) + " k=" + std::to_string(k);
  result.limit = m == 1 ? Limit::kRead : kernel.prepare_lhs != nullptr ? Limit::kInt8 : Limit::kF32;
  result.operations = 2.0 * m * n * k;
  if (m == 1) result.bytes = static_cast<double>(n / kernel.nr) * static_cast<double>(packed.stride_bytes);
  std::mt19937 rng(1);
  std::normal_distribution<float> normal;
  std::vector<float> x(static_cast<std::size_t>(m) * static_cast<std::size_t>(k));
  for (float& value : x) value = normal(rng);
  const Lhs lhs(kernel, x, m, k);
  std::vector<float> out(static_cast<std::size_t>(m) * static_cast<std::size_t>(n));
  elms_gemm_args args{};
  args.lhs = lhs.data;
  args.lhs_stride_bytes = lhs.stride_bytes;
  args.panel_stride_bytes = packed.stride_bytes;
  args.m = m;
  args.n = n;
  args.k = k;
  args.dst = out.data();
  args.dst_stride = static_cast<std::size_t>(n);
  std::int32_t first = 0;
  time_runs(bench, result, 1, [&] {
    args.panels = packed.panels.data() + static_cast<std::size_t>(first) * packed.stride_bytes;
    kernel.gemm(&args);
    first += n / kernel.nr;  // other weights each time, so that a GEMV finds them in no cache
    if (first + n / kernel.nr > packed.n_panels) first = 0;
  });
  return result;
}

}  // namespace

void bench_gemm(const elms_kernel_table& table, Bench& bench) {
  struct Shape {
    std::int32_t n, k;
  };
  for (const elms_gemm_kernel* kernel : table.gemm) {
    if (!bench.wants(kernel->name)) continue;
    for (const Shape& shape : {Shape{2048, 2048}, Shape{5632, 2048}, Shape{2048, 5632}}) {
      std::mt19937 rng(3);
      std::vector<Bytes> rows;
      for (std::int32_t i = 0; i < kDistinctRows; ++i)
        rows.push_back(random_row(kernel->format, shape.k, rng));
      const bool right = agrees_with_scalar(*kernel, rows, shape.k);
      const std::size_t panel_bytes =
          static_cast<std::size_t>(shape.k / kernel->block_k) * kernel->block_bytes;
      Packed packed;
      const auto n_panels =
          std::max(kColdBytes / panel_bytes, static_cast<std::size_t>(shape.n / kernel->nr));
      if (!pack_rows(*kernel, rows, shape.k, static_cast<std::int32_t>(n_panels), packed)) continue;
      for (const std::int32_t m : {1, 2, 16, 128, 512}) {
        Result result = bench_shape(*kernel, packed, m, shape.n, shape.k, bench);
        result.isa = table.isa;
        result.right = right;
        bench.results.push_back(result);
      }
    }
  }
}

}  // namespace elms_bench
