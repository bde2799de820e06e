// usage: run_gemm ISA q8|q4 M N K CALLS
// Packs weights [N, K], quantises activations [M, K] and multiplies them CALLS times with one kernel. The
// difference between two numbers of calls is what a call executes; count_instructions.sh counts it. CALLS =
// check compares a call with the scalar kernels instead. Prints the kernel's name.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "elms/detail/kernels.h"

namespace {

struct Shape {
  std::int32_t m;
  std::int32_t n;
  std::int32_t k;
};

// Panels and prepared activations are aligned as the kernels want them.
struct alignas(64) Line {
  std::uint8_t bytes[64];
};

std::vector<Line> lines(std::size_t bytes) {
  return std::vector<Line>((bytes + 63) / 64);
}

/// The same numbers in every run: the sequence of a linear congruential generator.
std::uint32_t next_random() {
  static std::uint32_t state = 1;
  state = state * 1664525u + 1013904223u;
  return state >> 8;
}

/// One row in GGUF's blocks: an f16 scale between 1/128 and 1/64, then any bytes.
std::vector<std::uint8_t> weight_row(elms_weight_format format, std::int32_t k) {
  const std::size_t block_bytes = format == ELMS_WEIGHT_Q8 ? 34 : 18;
  std::vector<std::uint8_t> row(static_cast<std::size_t>(k) / 32 * block_bytes);
  for (std::uint8_t& byte : row) byte = static_cast<std::uint8_t>(next_random());
  for (std::size_t i = 0; i < row.size(); i += block_bytes) row[i + 1] = 0x20;
  return row;
}

class Product {
 public:
  Product(const elms_gemm_kernel& kernel, const Shape& shape,
          const std::vector<std::vector<std::uint8_t>>& rows, const std::vector<float>& x)
      : kernel_(kernel),
        shape_(shape),
        dst_(static_cast<std::size_t>(shape.m) * static_cast<std::size_t>(shape.n)) {
    const std::size_t stride = static_cast<std::size_t>(shape.k / kernel.block_k) * kernel.block_bytes;
    const std::int32_t n_panels = (shape.n + kernel.nr - 1) / kernel.nr;
    panels_ = lines(static_cast<std::size_t>(n_panels) * stride);
    std::vector<const void*> panel_rows(static_cast<std::size_t>(kernel.nr));
    for (std::int32_t panel = 0; panel < n_panels; ++panel) {
      for (std::int32_t i = 0; i < kernel.nr; ++i) {
        const std::int32_t row = panel * kernel.nr + i;
        panel_rows[static_cast<std::size_t>(i)] =
            row < shape.n ? rows[static_cast<std::size_t>(row) % rows.size()].data() : nullptr;
      }
      const elms_pack_args args{panel_rows.data(), shape.k,
                                panels_.data()->bytes + static_cast<std::size_t>(panel) * stride, 0};
      kernel.pack(&args);
    }
    lhs_ = lines(kernel.lhs_bytes(shape.m, shape.k));
    kernel.prepare_lhs(x.data(), static_cast<std::size_t>(shape.k), shape.m, shape.k, 0, shape.m,
                       lhs_.data());
    args_.lhs = lhs_.data();
    args_.panels = panels_.data()->bytes;
    args_.panel_stride_bytes = stride;
    args_.m = shape.m;
    args_.n = shape.n;
    args_.k = shape.k;
    args_.dst = dst_.data();
    args_.dst_stride = static_cast<std::size_t>(shape.n);
  }

  /// [m, n]
  const std::vector<float>& run() {
    kernel_.gemm(&args_);
    return dst_;
  }

 private:
  const elms_gemm_kernel& kernel_;
  Shape shape_;
  std::vector<Line> panels_;
  std::vector<Line> lhs_;
  std::vector<float> dst_;
  elms_gemm_args args_{};
};

/// Whether a is b but for rounding, as far as sums of `most` at most can be.
bool same(const std::vector<float>& a, const std::vector<float>& b) {
  float most = 0.0f;
  for (const float value : b) most = std::max(most, std::abs(value));
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!(std::abs(a[i] - b[i]) <= 1e-5f * most)) return false;
  }
  return most > 0.0f;
}

}  // namespace

int main(int argc, char** argv) {
  elms_cpu_features cpu{};
  cpu.neon = cpu.neon_dotprod = cpu.neon_i8mm = true;
  const elms_kernel_table* table = argc == 7 ? elms_select_kernels(&cpu, argv[1]) : nullptr;
  if (table == nullptr || (std::strcmp(argv[2], "q8") != 0 && std::strcmp(argv[2], "q4") != 0)) {
    std::fputs("usage: run_gemm ISA q8|q4 M N K CALLS|check\n", stderr);
    return 2;
  }
  const elms_weight_format format = std::strcmp(argv[2], "q8") == 0 ? ELMS_WEIGHT_Q8 : ELMS_WEIGHT_Q4;
  const Shape shape{std::atoi(argv[3]), std::atoi(argv[4]), std::atoi(argv[5])};
  const elms_gemm_kernel& kernel = *table->gemm[format];

  // Few rows of weights, used again and again: what they are does not change what is executed.
  std::vector<std::vector<std::uint8_t>> rows;
  for (int i = 0; i < 5; ++i) rows.push_back(weight_row(format, shape.k));
  std::vector<float> x(static_cast<std::size_t>(shape.m) * static_cast<std::size_t>(shape.k));
  for (float& value : x) value = static_cast<float>(next_random() % 2001) / 1000.0f - 1.0f;

  Product product(kernel, shape, rows, x);
  if (std::strcmp(argv[6], "check") == 0) {
    const elms_kernel_table* scalar = elms_select_kernels(&cpu, "scalar");
    Product reference(*scalar->gemm[format], shape, rows, x);
    if (!same(product.run(), reference.run())) {
      std::fprintf(stderr, "%s is wrong\n", kernel.name);
      return 1;
    }
  } else {
    for (int calls = std::atoi(argv[6]); calls > 0; --calls) product.run();
  }
  std::puts(kernel.name);
}
