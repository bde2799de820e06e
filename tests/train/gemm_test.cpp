// Float products of the three forms against a plain one in double.
#include "offline/train/gemm.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include "support.hpp"

using namespace elms_test;
namespace train = elms::offline::train;
using train::GemmForm;

namespace {

const GemmForm kForms[] = {GemmForm::kNT, GemmForm::kNN, GemmForm::kTN};

/// A matrix with NaN between its rows and after them.
struct Padded {
  Padded(std::size_t n_rows, std::size_t n_cols, std::size_t padding, std::mt19937& rng)
      : rows(n_rows),
        cols(n_cols),
        stride(n_cols + padding),
        values(n_rows * (n_cols + padding) + 64, std::numeric_limits<float>::quiet_NaN()) {
    std::normal_distribution<float> normal;
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t c = 0; c < cols; ++c) values[r * stride + c] = normal(rng);
    }
  }
  [[nodiscard]] float at(std::size_t r, std::size_t c) const { return values[r * stride + c]; }
  [[nodiscard]] train::MatrixView<const float> view() const { return {values.data(), rows, cols, stride}; }
  [[nodiscard]] train::MatrixView<float> view() { return {values.data(), rows, cols, stride}; }

  std::size_t rows, cols, stride;
  std::vector<float> values;
};

struct ProductCase {
  ProductCase(GemmForm f, std::size_t m_, std::size_t n_, std::size_t k_, std::size_t padding,
              std::mt19937& rng)
      : form(f),
        m(m_),
        n(n_),
        k(k_),
        a(f == GemmForm::kTN ? k_ : m_, f == GemmForm::kTN ? m_ : k_, padding, rng),
        b(f == GemmForm::kNT ? n_ : k_, f == GemmForm::kNT ? k_ : n_, padding + 1, rng),
        c(m_, n_, padding + 2, rng) {}

  [[nodiscard]] double a_at(std::size_t i, std::size_t l) const {
    return form == GemmForm::kTN ? a.at(l, i) : a.at(i, l);
  }
  [[nodiscard]] double b_at(std::size_t l, std::size_t j) const {
    return form == GemmForm::kNT ? b.at(j, l) : b.at(l, j);
  }

  /// Checks `out`, which began as c, and that nothing beside it was written.
  void check(const Padded& out, bool accumulate) const {
    INFO("form " << static_cast<int>(form) << ", m " << m << ", n " << n << ", k " << k << ", accumulate "
                 << accumulate);
    for (std::size_t i = 0; i < m; ++i) {
      for (std::size_t j = 0; j < n; ++j) {
        double sum = accumulate ? c.at(i, j) : 0.0, size = std::fabs(sum);
        for (std::size_t l = 0; l < k; ++l) {
          sum += a_at(i, l) * b_at(l, j);
          size += std::fabs(a_at(i, l) * b_at(l, j));
        }
        const double bound =
            std::numeric_limits<float>::epsilon() * size * (4.0 + std::sqrt(static_cast<double>(k)));
        if (!(std::fabs(out.at(i, j) - sum) <= bound))
          FAIL("[" << i << ", " << j << "] is " << out.at(i, j) << ", not " << sum);
      }
      for (std::size_t j = n; j < out.stride; ++j) REQUIRE(std::isnan(out.at(i, j)));
    }
    for (std::size_t i = m * out.stride; i < out.values.size(); ++i) REQUIRE(std::isnan(out.values[i]));
  }

  GemmForm form;
  std::size_t m, n, k;
  Padded a, b, c;
};

/// c as it is before a product: random where it is added to, NaN where it is written.
Padded before(const ProductCase& product, bool accumulate) {
  Padded out = product.c;
  if (!accumulate) std::fill(out.values.begin(), out.values.end(), std::numeric_limits<float>::quiet_NaN());
  return out;
}

elms::ThreadPool& threads(std::size_t n) {
  static const auto one = elms::ThreadPool::create(1), three = elms::ThreadPool::create(3);
  return n == 1 ? **one : **three;
}

/// Serial and on a pool, with and without adding.
void check_product(const ProductCase& product) {
  for (const bool accumulate : {false, true}) {
    Padded serial = before(product, accumulate);
    train::gemm_serial<float>(product.form, product.a.view(), product.b.view(), serial.view(), accumulate);
    product.check(serial, accumulate);
    Padded pooled = before(product, accumulate);
    train::gemm<float>(threads(1), product.form, product.a.view(), product.b.view(), pooled.view(),
                       accumulate);
    product.check(pooled, accumulate);
    for (std::size_t i = 0; i < product.m; ++i) {
      for (std::size_t j = 0; j < product.n; ++j) REQUIRE(pooled.at(i, j) == serial.at(i, j));
    }
  }
}

}  // namespace

TEST_CASE("train: float products of every small size", "[train][gemm]") {
  auto rng = make_rng(50);
  for (const GemmForm form : kForms) {
    for (std::size_t m = 1; m <= 17; ++m) {
      for (std::size_t n = 1; n <= 17; ++n)
        check_product(ProductCase(form, m, n, 1 + (m * 5 + n * 3) % 17, (m + n) % 5, rng));
    }
  }
}

TEST_CASE("train: float products around the edges of tiles and blocks", "[train][gemm]") {
  auto rng = make_rng(51);
  const std::size_t sizes[] = {1, 12, 31, 32, 33, 63, 65, 72, 73, 96, 97, 130};
  for (const GemmForm form : kForms) {
    for (std::size_t i = 0; i < std::size(sizes); ++i) {
      for (std::size_t j = 0; j < std::size(sizes); ++j)
        check_product(
            ProductCase(form, sizes[i], sizes[j], sizes[(i + 2 * j) % std::size(sizes)], i + j, rng));
    }
    for (const std::size_t k : {319, 320, 321, 640, 641, 1000})
      check_product(ProductCase(form, 13, 35, k, 3, rng));
    check_product(ProductCase(form, 75, 530, 330, 1, rng));
  }
}

TEST_CASE("train: a product without inner size is zero, or adds nothing", "[train][gemm]") {
  auto rng = make_rng(52);
  for (const GemmForm form : kForms) check_product(ProductCase(form, 5, 40, 0, 3, rng));
}

TEST_CASE("train: a packed operand that does not fit at once", "[train][gemm]") {
  auto rng = make_rng(53);
  // More than kPanelCols columns; more than kPackedFloats of them with their depth.
  check_product(ProductCase(GemmForm::kNT, 3, 8230, 5, 0, rng));
  check_product(ProductCase(GemmForm::kTN, 2, 1700, 2100, 0, rng));
}

TEST_CASE("train: float products have the same bits on one thread and on three", "[train][gemm][threads]") {
  auto rng = make_rng(54);
  for (const GemmForm form : kForms) {
    const ProductCase product(form, 301, 555, 700, 2, rng);
    for (const bool accumulate : {false, true}) {
      Padded one = before(product, accumulate), three = one;
      train::gemm<float>(threads(1), form, product.a.view(), product.b.view(), one.view(), accumulate);
      train::gemm<float>(threads(3), form, product.a.view(), product.b.view(), three.view(), accumulate);
      for (std::size_t i = 0; i < product.m; ++i) {
        for (std::size_t j = 0; j < product.n; ++j) REQUIRE(one.at(i, j) == three.at(i, j));
      }
    }
  }
}
