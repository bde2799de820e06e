// Every backward function against central differences of its forward function, in double.
#include "offline/train/ops.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "support.hpp"

using namespace elms_test;
namespace train = elms::offline::train;

namespace {

using Values = std::vector<double>;

elms::ThreadPool& one_thread() {
  static const auto pool = elms::ThreadPool::create(1);
  return **pool;
}

Values random_values(std::size_t n, std::uint32_t salt) {
  auto rng = make_rng(salt);
  std::uniform_real_distribution<double> uniform(-1.0, 1.0);
  Values values(n);
  for (double& v : values) v = uniform(rng);
  return values;
}

double dot(const Values& a, const Values& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// Compares `gradient` with the central differences of `loss` by every element of x.
void check_gradient(Values& x, const Values& gradient, const std::function<double()>& loss) {
  REQUIRE(x.size() == gradient.size());
  constexpr double kStep = 1e-5;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double kept = x[i];
    x[i] = kept + kStep;
    const double above = loss();
    x[i] = kept - kStep;
    const double below = loss();
    x[i] = kept;
    INFO("element " << i);
    REQUIRE(gradient[i] == Approx((above - below) / (2 * kStep)).epsilon(1e-6).margin(1e-8));
  }
}

}  // namespace

TEST_CASE("train: embedding gradients add up over repeated tokens", "[train]") {
  const std::vector<elms::TokenId> tokens = {2, 0, 2, 4};
  constexpr std::size_t d = 19;
  Values table = random_values(5 * d, 1), y(4 * d), d_table(5 * d, 0.0);
  const Values dy = random_values(4 * d, 2);
  train::embedding_backward<double>(one_thread(), tokens, d, dy.data(), d_table.data());
  check_gradient(table, d_table, [&] {
    train::embedding_forward<double>(one_thread(), tokens, d, table.data(), y.data());
    return dot(y, dy);
  });
}

TEST_CASE("train: RMSNorm gradients", "[train]") {
  constexpr std::size_t n = 3, d = 18;
  Values x = random_values(n * d, 3), w = random_values(d, 4), y(n * d), inv(n), dx(n * d), dw(d, 0.0);
  const Values dy = random_values(n * d, 5);
  const auto loss = [&] {
    train::rms_norm_forward<double>(one_thread(), n, d, 1e-2, x.data(), w.data(), y.data(), inv.data());
    return dot(y, dy);
  };
  loss();
  train::rms_norm_backward<double>(one_thread(), n, d, x.data(), w.data(), inv.data(), dy.data(), dx.data(),
                                   dw.data());
  check_gradient(x, dx, loss);
  check_gradient(w, dw, loss);
}

TEST_CASE("train: linear gradients, with and without bias", "[train]") {
  constexpr std::size_t n = 4, in = 5, out = 7;
  Values x = random_values(n * in, 6), w = random_values(out * in, 7), b = random_values(out, 8), y(n * out);
  const Values dy = random_values(n * out, 9);
  for (const bool biased : {true, false}) {
    Values dx(n * in), dw(out * in, 0.0), db(out, 0.0);
    const auto loss = [&] {
      train::linear_forward<double>(one_thread(), n, in, out, x.data(), w.data(), biased ? b.data() : nullptr,
                                    y.data());
      return dot(y, dy);
    };
    train::linear_backward<double>(one_thread(), n, in, out, x.data(), w.data(), dy.data(), dx.data(), false,
                                   dw.data(), biased ? db.data() : nullptr);
    check_gradient(x, dx, loss);
    check_gradient(w, dw, loss);
    check_gradient(b, db, loss);
    const Values once = dx;
    train::linear_backward<double>(one_thread(), n, in, out, x.data(), w.data(), dy.data(), dx.data(), true,
                                   dw.data(), nullptr);
    CHECK(dx[3] == Approx(2 * once[3]));
  }
}

TEST_CASE("train: RoPE gradients in both styles", "[train]") {
  constexpr std::size_t sequences = 2, length = 3, heads = 2, head_dim = 8;
  for (const auto style : {elms::RopeStyle::kInterleaved, elms::RopeStyle::kHalves}) {
    elms::RopeConfig rope;
    rope.style = style;
    rope.n_rot = 6;
    rope.theta = 100.0f;
    Values table(length * 6), x = random_values(sequences * length * heads * head_dim, 10);
    train::rope_table<double>(rope, length, table.data());
    const Values dy = random_values(x.size(), 11);
    Values dx = dy;
    train::rope_backward<double>(one_thread(), rope, sequences, length, heads, head_dim, table.data(),
                                 dx.data());
    check_gradient(x, dx, [&] {
      Values y = x;
      train::rope_forward<double>(one_thread(), rope, sequences, length, heads, head_dim, table.data(),
                                  y.data());
      return dot(y, dy);
    });
  }
}

TEST_CASE("train: attention gradients of grouped queries, over a block boundary", "[train]") {
  for (const std::size_t length : {std::size_t{5}, train::AttentionShape::kBlockRows + 1}) {
    const train::AttentionShape shape{length == 5 ? 2u : 1u, length, 4, 2, 3};
    const std::size_t n = shape.n_sequences * length;
    Values q = random_values(n * 12, 12), k = random_values(n * 6, 13), v = random_values(n * 6, 14),
           y(n * 12);
    Values dq(q.size()), dk(k.size()), dv(v.size()), scratch(shape.scratch_elems());
    const Values dy = random_values(y.size(), 15);
    const auto loss = [&] {
      train::attention_forward<double>(one_thread(), shape, q.data(), k.data(), v.data(), y.data(),
                                       scratch.data());
      return dot(y, dy);
    };
    train::attention_backward<double>(one_thread(), shape, q.data(), k.data(), v.data(), dy.data(), dq.data(),
                                      dk.data(), dv.data(), scratch.data());
    check_gradient(q, dq, loss);
    check_gradient(k, dk, loss);
    check_gradient(v, dv, loss);
  }
}

TEST_CASE("train: SwiGLU gradients", "[train]") {
  Values gate = random_values(9, 16), up = random_values(9, 17), y(9), d_gate(9), d_up(9);
  const Values dy = random_values(9, 18);
  const auto loss = [&] {
    train::swiglu_forward<double>(one_thread(), 9, gate.data(), up.data(), y.data());
    return dot(y, dy);
  };
  train::swiglu_backward<double>(one_thread(), 9, gate.data(), up.data(), dy.data(), d_gate.data(),
                                 d_up.data());
  check_gradient(gate, d_gate, loss);
  check_gradient(up, d_up, loss);
}

TEST_CASE("train: cross-entropy gradients, ignored targets count for nothing", "[train]") {
  const std::vector<elms::TokenId> targets = {3, train::kIgnoredTarget, 0};
  Values logits = random_values(15, 19), gradient(15), rows(3);
  const double mean =
      train::cross_entropy<double>(one_thread(), targets, 5, logits.data(), gradient.data(), rows.data());
  double expected = 0;
  for (const std::size_t r : {std::size_t{0}, std::size_t{2}}) {
    double total = 0;
    for (std::size_t i = 0; i < 5; ++i) total += std::exp(logits[r * 5 + i]);
    expected -= (logits[r * 5 + static_cast<std::size_t>(targets[r])] - std::log(total)) / 2;
  }
  CHECK(mean == Approx(expected));
  check_gradient(logits, gradient, [&] {
    return train::cross_entropy<double>(one_thread(), targets, 5, logits.data(), nullptr, rows.data());
  });
}

TEST_CASE("train: rows of a batch count the same, however many targets they have", "[train]") {
  const std::vector<elms::TokenId> targets = {1, 0, 2, 4, -1, -1, 3, -1, -1, -1, -1, -1};  // 4, 1 and 0 of 4
  std::vector<double> weights(12);
  train::equal_weights<double>(targets, 4, weights.data());
  CHECK(weights == std::vector<double>{0.125, 0.125, 0.125, 0.125, 0, 0, 0.5, 0, 0, 0, 0, 0});

  Values logits = random_values(12 * 5, 60), gradient(logits.size()), rows(12);
  const auto loss = [&] {
    return train::weighted_cross_entropy<double>(one_thread(), targets, weights.data(), 5, logits.data(), nullptr, rows.data());
  };
  train::weighted_cross_entropy<double>(one_thread(), targets, weights.data(), 5, logits.data(), gradient.data(), rows.data());
  check_gradient(logits, gradient, loss);
  const double first = train::cross_entropy<double>(one_thread(), std::span(targets).first(4), 5, logits.data(), nullptr, rows.data());
  const double second = train::cross_entropy<double>(one_thread(), std::span(targets).subspan(4, 4), 5, logits.data() + 20,
                                                     nullptr, rows.data());
  CHECK(loss() == Approx((first + second) / 2));
}

TEST_CASE("train: KL gradients, zero for the teacher's own logits", "[train]") {
  Values logits = random_values(15, 20), gradient(15), rows(3);
  const Values teacher = random_values(15, 21);
  const auto loss = [&] {
    return train::kl_divergence<double>(one_thread(), 3, 5, teacher.data(), logits.data(), nullptr,
                                        rows.data());
  };
  CHECK(loss() > 0.01);
  train::kl_divergence<double>(one_thread(), 3, 5, teacher.data(), logits.data(), gradient.data(),
                               rows.data());
  check_gradient(logits, gradient, loss);
  logits = teacher;
  CHECK(loss() == Approx(0.0).margin(1e-12));
}

TEST_CASE("train: a unit's score is the derivative of the loss by a gate on the unit", "[train]") {
  const Values activation = random_values(2 * 3 * 8, 22), gradient = random_values(2 * 3 * 8, 23);
  Values scores(2 * 4), gates(2 * 4, 1.0);
  train::unit_gradients<double>(one_thread(), 2, 3, 4, 2, activation.data(), gradient.data(), scores.data());
  check_gradient(gates, scores, [&] {
    double sum = 0;
    for (std::size_t i = 0; i < activation.size(); ++i)
      sum += gates[i / 24 * 4 + i % 8 / 2] * activation[i] * gradient[i];
    return sum;
  });
}

TEST_CASE("train: results do not depend on the number of threads", "[train][threads]") {
  const auto two = elms::ThreadPool::create(2);
  REQUIRE_OK(two);
  constexpr std::size_t n = 130, in = 70, out = 300;
  const Values xd = random_values(n * in, 24), wd = random_values(out * in, 25),
               dyd = random_values(n * out, 26);
  const std::vector<float> x(xd.begin(), xd.end()), w(wd.begin(), wd.end()), dy(dyd.begin(), dyd.end());
  std::vector<std::vector<float>> results;
  for (elms::ThreadPool* pool : {&one_thread(), two->get()}) {
    std::vector<float> all(n * out + n * in + out * in + out, 0.0f);
    float* y = all.data();
    float* dx = y + n * out;
    float* dw = dx + n * in;
    train::linear_forward<float>(*pool, n, in, out, x.data(), w.data(), nullptr, y);
    train::linear_backward<float>(*pool, n, in, out, x.data(), w.data(), dy.data(), dx, false, dw,
                                  dw + out * in);
    results.push_back(all);
  }
  CHECK(results[0] == results[1]);
}
