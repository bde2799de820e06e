// Tiles of plain f32 products and their packing, against double, at every size up to the tile's.
#include <cmath>
#include <limits>

#include "guarded_buffer.hpp"
#include "isa_cases.hpp"

using namespace elms_test;

namespace {

/// Random numbers for the first `used` of each `width`; NaN beyond them.
GuardedBuffer<float>& fill_panel(GuardedBuffer<float>& panel, std::int32_t width, std::int32_t used,
                                 std::mt19937& rng) {
  std::normal_distribution<float> normal;
  for (std::size_t i = 0; i < panel.size(); ++i)
    if (static_cast<std::int32_t>(i % static_cast<std::size_t>(width)) < used) panel[i] = normal(rng);
  return panel;
}

void check_tile(const elms_tile_kernel& tile, std::int32_t m, std::int32_t n, std::int32_t k,
                std::mt19937& rng) {
  const std::size_t stride = static_cast<std::size_t>(n) + 3;
  GuardedBuffer<float> a(static_cast<std::size_t>(tile.mr * k), 64);
  GuardedBuffer<float> b(static_cast<std::size_t>(tile.nr * k), 64);
  fill_panel(a, tile.mr, m, rng);
  fill_panel(b, tile.nr, n, rng);
  for (const bool accumulate : {false, true}) {
    GuardedBuffer<float> c(static_cast<std::size_t>(m - 1) * stride + static_cast<std::size_t>(n));
    if (accumulate) {
      for (std::int32_t r = 0; r < m; ++r)
        std::fill_n(c.data() + static_cast<std::size_t>(r) * stride, n, 0.25f);
    }
    const elms_tile_args args{a.data(), b.data(), k, m, n, c.data(), stride, accumulate};
    tile.multiply(&args);
    for (std::int32_t r = 0; r < m; ++r) {
      for (std::int32_t i = 0; i < n; ++i) {
        double sum = accumulate ? 0.25 : 0.0, size = sum;
        for (std::int32_t l = 0; l < k; ++l) {
          const double term = static_cast<double>(a[static_cast<std::size_t>(l * tile.mr + r)]) *
                              b[static_cast<std::size_t>(l * tile.nr + i)];
          sum += term;
          size += std::fabs(term);
        }
        const float got = c[static_cast<std::size_t>(r) * stride + static_cast<std::size_t>(i)];
        INFO(tile.name << " m=" << m << " n=" << n << " k=" << k << " [" << r << ", " << i << "] accumulate "
                       << accumulate);
        REQUIRE(std::fabs(got - sum) <= (k + 2) * std::numeric_limits<float>::epsilon() * size);
      }
      for (std::size_t i = static_cast<std::size_t>(n); i < stride && r + 1 < m; ++i)
        REQUIRE(std::isnan(c[static_cast<std::size_t>(r) * stride + i]));
    }
    REQUIRE((a.intact() && b.intact() && c.intact()));
  }
}

}  // namespace

ELMS_KERNEL_CASE(tile_products, "tiles of any size match double and leave the rest alone",
                 "[kernels][tile]") {
  auto rng = make_rng(60);
  const elms_tile_kernel& tile = *kernels.tile_f32;
  for (std::int32_t m = 1; m <= tile.mr; ++m) {
    for (std::int32_t n = 1; n <= tile.nr; ++n) check_tile(tile, m, n, 1 + (m + n) % 9, rng);
    for (const std::int32_t k : {1, 2, 64, 257}) check_tile(tile, m, tile.nr, k, rng);
  }
}

ELMS_KERNEL_CASE(tile_depth_zero, "a tile of depth 0 is zero, or adds nothing", "[kernels][tile]") {
  const elms_tile_kernel& tile = *kernels.tile_f32;
  alignas(64) float unused[1] = {};
  float c[2] = {5.0f, 7.0f};
  elms_tile_args args{unused, unused, 0, 1, 2, c, 2, true};
  tile.multiply(&args);
  CHECK((c[0] == 5.0f && c[1] == 7.0f));
  args.accumulate = false;
  tile.multiply(&args);
  CHECK((c[0] == 0.0f && c[1] == 0.0f));
}

ELMS_KERNEL_CASE(tile_pack, "packing transposes rows and fills up with zeros", "[kernels][tile]") {
  auto rng = make_rng(61);
  std::normal_distribution<float> normal;
  for (const std::int32_t width : {kernels.tile_f32->mr, kernels.tile_f32->nr}) {
    for (std::int32_t rows = 1; rows <= width; ++rows) {
      for (const std::int32_t k : {1, 3, 4, 5, 8, 19}) {
        const std::size_t stride = static_cast<std::size_t>(k) + 2;
        GuardedBuffer<float> x(static_cast<std::size_t>(rows - 1) * stride + static_cast<std::size_t>(k));
        for (std::size_t i = 0; i < x.size(); ++i) x[i] = normal(rng);
        GuardedBuffer<float> panel(static_cast<std::size_t>(width * k), 64);
        kernels.tile_f32->pack_transposed(x.data(), stride, rows, k, width, panel.data());
        INFO("width " << width << " rows " << rows << " k " << k);
        for (std::int32_t l = 0; l < k; ++l) {
          for (std::int32_t r = 0; r < width; ++r) {
            const float wanted =
                r < rows ? x[static_cast<std::size_t>(r) * stride + static_cast<std::size_t>(l)] : 0.0f;
            REQUIRE(panel[static_cast<std::size_t>(l * width + r)] == wanted);
          }
        }
        REQUIRE((x.intact() && panel.intact()));
      }
    }
  }
}
