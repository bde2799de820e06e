// The float ops, which run through kernels, against the same ops in double, whose gradients ops_test.cpp
// checks.
#include <algorithm>
#include <cmath>
#include <vector>

#include "offline/train/ops.hpp"
#include "support.hpp"

using namespace elms_test;
namespace train = elms::offline::train;

namespace {

elms::ThreadPool& float_pool() {
  static const auto pool = elms::ThreadPool::create(1);
  return **pool;
}

/// The same values in both types.
struct Both {
  Both(std::size_t n, std::uint32_t salt, float scale = 1.0f) : narrow(n) {
    auto rng = make_rng(salt);
    std::normal_distribution<float> normal(0.0f, scale);
    for (float& v : narrow) v = normal(rng);
    wide.assign(narrow.begin(), narrow.end());
  }
  std::vector<float> narrow;
  std::vector<double> wide;
};

/// The distance of two vectors as a share of the length of one.
double difference(const std::vector<float>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  double error = 0, size = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    error += (a[i] - b[i]) * (a[i] - b[i]);
    size += b[i] * b[i];
  }
  REQUIRE(size > 0);
  return std::sqrt(error / size);
}

constexpr double kClose = 1e-6;

}  // namespace

TEST_CASE("train: float SwiGLU is that of double", "[train]") {
  constexpr std::size_t n = 5003;  // more than one block of elements
  const Both gate(n, 70, 3.0f), up(n, 71), dy(n, 72);
  std::vector<float> y(n), d_gate(n), d_up(n);
  std::vector<double> wide_y(n), wide_d_gate(n), wide_d_up(n);
  train::swiglu_forward<float>(float_pool(), n, gate.narrow.data(), up.narrow.data(), y.data());
  train::swiglu_forward<double>(float_pool(), n, gate.wide.data(), up.wide.data(), wide_y.data());
  CHECK(difference(y, wide_y) < kClose);
  train::swiglu_backward<float>(float_pool(), n, gate.narrow.data(), up.narrow.data(), dy.narrow.data(),
                                d_gate.data(), d_up.data());
  train::swiglu_backward<double>(float_pool(), n, gate.wide.data(), up.wide.data(), dy.wide.data(),
                                 wide_d_gate.data(), wide_d_up.data());
  CHECK(difference(d_gate, wide_d_gate) < kClose);
  CHECK(difference(d_up, wide_d_up) < kClose);
}

TEST_CASE("train: float RMSNorm is that of double", "[train]") {
  constexpr std::size_t n = 5, d = 131;
  const Both x(n * d, 73), w(d, 74), dy(n * d, 75);
  std::vector<float> y(n * d), inv(n), dx(n * d), dw(d);
  std::vector<double> wide_y(n * d), wide_inv(n), wide_dx(n * d), wide_dw(d);
  train::rms_norm_forward<float>(float_pool(), n, d, 1e-5f, x.narrow.data(), w.narrow.data(), y.data(),
                                 inv.data());
  train::rms_norm_forward<double>(float_pool(), n, d, 1e-5, x.wide.data(), w.wide.data(), wide_y.data(),
                                  wide_inv.data());
  CHECK(difference(y, wide_y) < kClose);
  train::rms_norm_backward<float>(float_pool(), n, d, x.narrow.data(), w.narrow.data(), inv.data(),
                                  dy.narrow.data(), dx.data(), dw.data());
  train::rms_norm_backward<double>(float_pool(), n, d, x.wide.data(), w.wide.data(), wide_inv.data(),
                                   dy.wide.data(), wide_dx.data(), wide_dw.data());
  CHECK(difference(dx, wide_dx) < kClose);
  CHECK(difference(dw, wide_dw) < kClose);
}

TEST_CASE("train: float attention is that of double", "[train]") {
  const train::AttentionShape shape{2, 150, 4, 2, 40};
  const std::size_t n = shape.n_sequences * shape.length, q_size = n * 160, kv_size = n * 80;
  const Both q(q_size, 76), k(kv_size, 77), v(kv_size, 78), dy(q_size, 79);
  std::vector<float> y(q_size), dq(q_size), dk(kv_size), dv(kv_size), scratch(shape.scratch_elems());
  std::vector<double> wide_y(q_size), wide_dq(q_size), wide_dk(kv_size), wide_dv(kv_size),
      wide_scratch(shape.scratch_elems());
  train::attention_forward<float>(float_pool(), shape, q.narrow.data(), k.narrow.data(), v.narrow.data(),
                                  y.data(), scratch.data());
  train::attention_forward<double>(float_pool(), shape, q.wide.data(), k.wide.data(), v.wide.data(),
                                   wide_y.data(), wide_scratch.data());
  CHECK(difference(y, wide_y) < kClose);
  train::attention_backward<float>(float_pool(), shape, q.narrow.data(), k.narrow.data(), v.narrow.data(),
                                   dy.narrow.data(), dq.data(), dk.data(), dv.data(), scratch.data());
  train::attention_backward<double>(float_pool(), shape, q.wide.data(), k.wide.data(), v.wide.data(),
                                    dy.wide.data(), wide_dq.data(), wide_dk.data(), wide_dv.data(),
                                    wide_scratch.data());
  CHECK(difference(dq, wide_dq) < 2 * kClose);
  CHECK(difference(dk, wide_dk) < 2 * kClose);
  CHECK(difference(dv, wide_dv) < 2 * kClose);
}

TEST_CASE("train: float losses are those of double, gradients onto the logits too", "[train]") {
  constexpr std::size_t n = 3, n_vocab = 2500;  // more than two chunks of a row
  const std::vector<elms::TokenId> targets = {2499, train::kIgnoredTarget, 7};
  Both logits(n * n_vocab, 80, 4.0f);
  const Both teacher(n * n_vocab, 81, 4.0f);
  std::vector<double> rows(n), wide_gradient(n * n_vocab);
  std::vector<float> gradient(n * n_vocab), onto_logits = logits.narrow;

  double wide = train::cross_entropy<double>(float_pool(), targets, n_vocab, logits.wide.data(),
                                             wide_gradient.data(), rows.data());
  CHECK(train::cross_entropy<float>(float_pool(), targets, n_vocab, logits.narrow.data(), nullptr,
                                    rows.data()) == Approx(wide).epsilon(kClose));
  CHECK(train::cross_entropy<float>(float_pool(), targets, n_vocab, logits.narrow.data(), gradient.data(),
                                    rows.data()) == Approx(wide).epsilon(kClose));
  CHECK(difference(gradient, wide_gradient) < kClose);
  train::cross_entropy<float>(float_pool(), targets, n_vocab, onto_logits.data(), onto_logits.data(),
                              rows.data());
  CHECK(onto_logits == gradient);

  wide = train::kl_divergence<double>(float_pool(), n, n_vocab, teacher.wide.data(), logits.wide.data(),
                                      wide_gradient.data(), rows.data());
  CHECK(train::kl_divergence<float>(float_pool(), n, n_vocab, teacher.narrow.data(), logits.narrow.data(),
                                    nullptr, rows.data()) == Approx(wide).epsilon(kClose));
  onto_logits = logits.narrow;
  train::kl_divergence<float>(float_pool(), n, n_vocab, teacher.narrow.data(), logits.narrow.data(),
                              gradient.data(), rows.data());
  CHECK(difference(gradient, wide_gradient) < kClose);
  CHECK(train::kl_divergence<float>(float_pool(), n, n_vocab, teacher.narrow.data(), onto_logits.data(),
                                    onto_logits.data(), rows.data()) == Approx(wide).epsilon(kClose));
  CHECK(onto_logits == gradient);
  CHECK(train::kl_divergence<float>(float_pool(), n, n_vocab, logits.narrow.data(), logits.narrow.data(),
                                    nullptr, rows.data()) == Approx(0.0).margin(1e-12));
}
