#include <cmath>
#include <functional>
#include <random>

#include "measure.hpp"

namespace elms_bench {
namespace {

struct Attention {
  std::int32_t n_rows, n_heads, head_dim, n_positions;
};

std::vector<float> random_floats(std::size_t n) {
  std::mt19937 rng(5);
  std::normal_distribution<float> normal;
  std::vector<float> x(n);
  for (float& value : x) value = normal(rng);
  return x;
}

const elms_kernel_table& scalar_table() {
  std::size_t n_tables = 0;
  return *elms_kernel_tables(&n_tables)[0];
}

bool close(const std::vector<float>& a, const std::vector<float>& b) {
  double error = 0.0;
  double size = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    error += (a[i] - b[i]) * (a[i] - b[i]);
    size += b[i] * b[i];
  }
  return error <= 1e-10 * size;
}

Result bench_attention(const elms_kernel_table& table, const Attention& shape, Bench& bench) {
  const auto width = static_cast<std::size_t>(shape.n_heads) * static_cast<std::size_t>(shape.head_dim);
  const auto kv_size = static_cast<std::size_t>(shape.n_positions) * static_cast<std::size_t>(shape.head_dim);
  const std::vector<float> q = random_floats(static_cast<std::size_t>(shape.n_rows) * width);
  const std::vector<float> kv_floats = random_floats(2 * kv_size);
  std::vector<std::uint16_t> kv(kv_floats.size());
  scalar_table().f32_to_f16(kv_floats.data(), static_cast<std::int32_t>(kv.size()), kv.data());
  std::vector<float> out(q.size());
  elms_attention_args args{};
  args.q = q.data();
  args.q_row_stride = args.out_row_stride = width;
  args.q_head_stride = args.out_head_stride = static_cast<std::size_t>(shape.head_dim);
  args.k = kv.data();
  args.v = kv.data() + kv_size;
  args.kv_stride_bytes = sizeof(std::uint16_t) * static_cast<std::size_t>(shape.head_dim);
  args.n_rows = shape.n_rows;
  args.n_heads = shape.n_heads;
  args.head_dim = shape.head_dim;
  args.first_position = shape.n_positions - shape.n_rows;
  args.scale = 1.0f / std::sqrt(static_cast<float>(shape.head_dim));
  args.out = out.data();
  const auto run = [&](const elms_kernel_table& kernels) {
    std::vector<float> scratch(
        kernels.attention_scratch_floats(shape.n_heads, shape.head_dim, shape.n_positions));
    args.scratch = scratch.data();
    kernels.attention(&args);
    return out;
  };
  Result result;
  result.right = close(run(table), run(scalar_table()));
  result.kernel = "attention";
  result.shape = "rows=" + std::to_string(shape.n_rows) + " heads=" + std::to_string(shape.n_heads) +
                 " dim=" + std::to_string(shape.head_dim) + " positions=" + std::to_string(shape.n_positions);
  result.limit = Limit::kF32;
  const double seen = shape.n_positions - 0.5 * (shape.n_rows - 1);
  result.operations = 4.0 * seen * static_cast<double>(shape.n_rows) * static_cast<double>(width);
  std::vector<float> scratch(
      table.attention_scratch_floats(shape.n_heads, shape.head_dim, shape.n_positions));
  args.scratch = scratch.data();
  time_runs(bench, result, 1, [&] { table.attention(&args); });
  return result;
}

/// A kernel over rows that caches hold: `work(kernels, out)` runs it once.
Result bench_rows(const elms_kernel_table& table, const char* name, std::int32_t n, double operations,
                  Bench& bench, const std::function<void(const elms_kernel_table&, float*)>& work) {
  Result result;
  result.kernel = name;
  result.shape = "n=" + std::to_string(n);
  result.operations = operations;
  std::vector<float> out(static_cast<std::size_t>(n));
  std::vector<float> expected(out.size());
  work(table, out.data());
  work(scalar_table(), expected.data());
  result.right = close(out, expected);
  constexpr int kRepeats = 64;  // one run alone is too short to time
  time_runs(bench, result, kRepeats, [&] {
    for (int i = 0; i < kRepeats; ++i) work(table, out.data());
  });
  return result;
}

}  // namespace

void bench_vectors(const elms_kernel_table& table, Bench& bench) {
  const auto add = [&](Result result) {
    result.isa = table.isa;
    bench.results.push_back(std::move(result));
  };
  for (const Attention& shape :
       {Attention{1, 8, 64, 2048}, Attention{1, 1, 128, 2048}, Attention{16, 8, 64, 512},
        Attention{16, 8, 64, 2048}, Attention{16, 1, 128, 2048}}) {
    if (bench.wants("attention")) add(bench_attention(table, shape, bench));
  }
  const std::int32_t n = 5632;
  const std::vector<float> x = random_floats(n);
  const std::vector<float> y = random_floats(n);
  if (bench.wants("rms_norm")) {
    add(bench_rows(table, "rms_norm", n, 4.0 * n, bench, [&](const elms_kernel_table& kernels, float* out) {
      kernels.rms_norm(x.data(), y.data(), n, 1e-5f, out);
    }));
  }
  if (bench.wants("swiglu")) {
    add(bench_rows(table, "swiglu", n, 20.0 * n, bench, [&](const elms_kernel_table& kernels, float* out) {
      kernels.swiglu(x.data(), y.data(), n, out);
    }));
  }
  for (const auto style : {ELMS_ROPE_INTERLEAVED, ELMS_ROPE_HALVES}) {
    if (!bench.wants("rope")) continue;
    const char* name = style == ELMS_ROPE_INTERLEAVED ? "rope interleaved" : "rope halves";
    add(bench_rows(table, name, 128, 3.0 * 128, bench, [&](const elms_kernel_table& kernels, float* out) {
      std::copy(x.begin(), x.begin() + 128, out);
      kernels.rope(out, y.data(), y.data() + 64, 128, style);
    }));
  }
  std::vector<std::uint16_t> halves(n);
  if (bench.wants("f32_to_f16")) {
    add(bench_rows(table, "f32_to_f16", n, n, bench, [&](const elms_kernel_table& kernels, float* out) {
      kernels.f32_to_f16(x.data(), n, halves.data());
      out[0] = static_cast<float>(halves[n - 1]);
    }));
  }
  if (bench.wants("f16_to_f32")) {
    scalar_table().f32_to_f16(x.data(), n, halves.data());
    add(bench_rows(table, "f16_to_f32", n, n, bench, [&](const elms_kernel_table& kernels, float* out) {
      kernels.f16_to_f32(halves.data(), n, out);
    }));
  }
}

}  // namespace elms_bench
