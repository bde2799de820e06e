// Every operation, and ten steps of training, against what PyTorch computed in float64
// (data/make_train_vectors.py).
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "offline/train/ops.hpp"
#include "offline/train/schedule.hpp"
#include "offline/train/trainer.hpp"
#include "stored_tensors.hpp"
#include "test_model.hpp"

using namespace elms_test;
namespace train = elms::offline::train;

namespace {

const StoredTensors& train_vectors() {
  static const StoredTensors tensors("train_vectors.gguf");
  return tensors;
}
template <typename T>
std::vector<T> stored(const std::string& name) {
  return train_vectors().values<T>(name);
}
template <typename T>
void check_stored(const std::vector<T>& values, const std::string& name, double tolerance = 1e-5) {
  train_vectors().check(values, name, tolerance);
}

elms::RopeConfig rope_config(elms::RopeStyle style) {
  elms::RopeConfig rope;
  rope.style = style;
  rope.n_rot = 6;
  rope.theta = 50.0f;
  return rope;
}

elms::ModelConfig make_curve_config() {
  elms::ModelConfig config;
  config.architecture = "llama";
  config.d_model = 16;
  config.n_layers = 2;
  config.n_vocab = 32;
  config.head_dim = 4;
  config.context_length = 12;
  config.layers.assign(2, {4, 2, 24});
  config.rope.n_rot = 4;
  return config;
}

}  // namespace

TEMPLATE_TEST_CASE("train: operations on rows are PyTorch's", "[train]", float, double) {
  using T = TestType;
  using Values = std::vector<T>;
  const auto pool = make_pool(2);
  {
    const auto tokens = stored<elms::TokenId>("embedding.tokens");
    const Values table = stored<T>("embedding.table"), dy = stored<T>("embedding.dy");
    Values y(dy.size()), d_table(table.size(), 0);
    train::embedding_forward<T>(*pool, tokens, 20, table.data(), y.data());
    train::embedding_backward<T>(*pool, tokens, 20, dy.data(), d_table.data());
    check_stored(y, "embedding.y");
    check_stored(d_table, "embedding.d_table");
  }
  {
    const Values x = stored<T>("rms_norm.x"), weight = stored<T>("rms_norm.weight"),
                 dy = stored<T>("rms_norm.dy");
    Values y(x.size()), inv_rms(5), dx(x.size()), d_weight(24, 0);
    train::rms_norm_forward<T>(*pool, 5, 24, T(1e-5), x.data(), weight.data(), y.data(), inv_rms.data());
    train::rms_norm_backward<T>(*pool, 5, 24, x.data(), weight.data(), inv_rms.data(), dy.data(), dx.data(),
                                d_weight.data());
    check_stored(y, "rms_norm.y");
    check_stored(dx, "rms_norm.d_x");
    check_stored(d_weight, "rms_norm.d_weight");
  }
  {
    const Values x = stored<T>("linear.x"), weight = stored<T>("linear.weight"),
                 bias = stored<T>("linear.bias"), dy = stored<T>("linear.dy");
    Values y(dy.size()), dx(x.size()), d_weight(weight.size(), 0), d_bias(bias.size(), 0);
    train::linear_forward<T>(*pool, 9, 33, 21, x.data(), weight.data(), bias.data(), y.data());
    train::linear_backward<T>(*pool, 9, 33, 21, x.data(), weight.data(), dy.data(), dx.data(), false,
                              d_weight.data(), d_bias.data());
    check_stored(y, "linear.y");
    check_stored(dx, "linear.d_x");
    check_stored(d_weight, "linear.d_weight");
    check_stored(d_bias, "linear.d_bias");
  }
  {
    const Values gate = stored<T>("swiglu.gate"), up = stored<T>("swiglu.up"), dy = stored<T>("swiglu.dy");
    Values y(50), d_gate(50), d_up(50);
    train::swiglu_forward<T>(*pool, 50, gate.data(), up.data(), y.data());
    train::swiglu_backward<T>(*pool, 50, gate.data(), up.data(), dy.data(), d_gate.data(), d_up.data());
    check_stored(y, "swiglu.y");
    check_stored(d_gate, "swiglu.d_gate");
    check_stored(d_up, "swiglu.d_up");
  }
}

TEMPLATE_TEST_CASE("train: RoPE and attention with shared KV heads are PyTorch's", "[train]", float, double) {
  using T = TestType;
  using Values = std::vector<T>;
  const auto pool = make_pool(2);
  const std::pair<std::string, elms::RopeStyle> styles[] = {
      {"rope_interleaved", elms::RopeStyle::kInterleaved}, {"rope_halves", elms::RopeStyle::kHalves}};
  for (const auto& [name, style] : styles) {
    const elms::RopeConfig rope = rope_config(style);
    Values table(7 * 6), y = stored<T>(name + ".x"), dx = stored<T>(name + ".dy");
    train::rope_table<T>(rope, 7, table.data());
    train::rope_forward<T>(*pool, rope, 2, 7, 3, 8, table.data(), y.data());
    train::rope_backward<T>(*pool, rope, 2, 7, 3, 8, table.data(), dx.data());
    check_stored(y, name + ".y");
    check_stored(dx, name + ".d_x");
  }
  const train::AttentionShape shape{2, 70, 4, 2, 8};  // more rows than a block of probabilities has
  const Values q = stored<T>("attention.q"), k = stored<T>("attention.k"), v = stored<T>("attention.v"),
               dy = stored<T>("attention.dy");
  Values y(q.size()), dq(q.size()), dk(k.size()), dv(v.size()), scratch(shape.scratch_elems());
  train::attention_forward<T>(*pool, shape, q.data(), k.data(), v.data(), y.data(), scratch.data());
  train::attention_backward<T>(*pool, shape, q.data(), k.data(), v.data(), dy.data(), dq.data(), dk.data(),
                               dv.data(), scratch.data());
  check_stored(y, "attention.y");
  check_stored(dq, "attention.d_q");
  check_stored(dk, "attention.d_k");
  check_stored(dv, "attention.d_v");
}

TEMPLATE_TEST_CASE("train: losses are PyTorch's", "[train]", float, double) {
  using T = TestType;
  const auto pool = make_pool(2);
  std::vector<double> row_loss(6);
  std::vector<T> logits = stored<T>("cross_entropy.logits");
  const auto targets = stored<elms::TokenId>("cross_entropy.targets");
  const double entropy =
      train::cross_entropy<T>(*pool, targets, 37, logits.data(), logits.data(), row_loss.data());
  check_stored(std::vector<double>{entropy}, "cross_entropy.y");
  check_stored(logits, "cross_entropy.d_logits");

  logits = stored<T>("kl.logits");
  const std::vector<T> teacher = stored<T>("kl.teacher");
  const double divergence =
      train::kl_divergence<T>(*pool, 6, 37, teacher.data(), logits.data(), logits.data(), row_loss.data());
  check_stored(std::vector<double>{divergence}, "kl.y");
  check_stored(logits, "kl.d_logits");
}

TEST_CASE("train: ten steps of training lose what PyTorch's lose", "[train]") {
  const train::ParameterLayout layout(make_curve_config());
  auto params = elms::detail::Buffer<float>::zeroed(layout.size());
  REQUIRE_OK(params);
  for (const train::ParameterTensor& tensor : layout.tensors()) {
    const std::vector<float> values = stored<float>("curve.before." + tensor.name);
    REQUIRE(values.size() == tensor.size());
    std::copy(values.begin(), values.end(), params->data() + tensor.offset);
  }
  auto trainer = train::Trainer::create(layout, std::move(*params), {{2, 12}, 1, 0.5}, {},
                                        train::ActivationMemory::kKeepAll, make_pool(2));
  REQUIRE_OK(trainer);
  train::Schedule schedule;
  schedule.peak = 1e-2;
  schedule.warmup_steps = 3;
  schedule.n_steps = 10;

  const auto tokens = stored<elms::TokenId>("curve.tokens"), targets = stored<elms::TokenId>("curve.targets");
  const std::vector<double> losses = stored<double>("curve.losses");
  REQUIRE(losses.size() == 10);
  for (std::size_t step = 0; step < losses.size(); ++step) {
    const auto begin = static_cast<std::ptrdiff_t>(step * 24), end = begin + 24;
    const train::TokenBatch batch{{tokens.begin() + begin, tokens.begin() + end},
                                  {targets.begin() + begin, targets.begin() + end}};
    const double loss = trainer->take_step(std::vector{batch}, step, schedule.rate(step, 0.0));
    INFO("step " << step);
    CHECK(loss == Approx(losses[step]).epsilon(1e-5));
  }
  for (const train::ParameterTensor& tensor : layout.tensors()) {
    const std::span<const float> values = trainer->params().subspan(tensor.offset, tensor.size());
    check_stored(std::vector<float>(values.begin(), values.end()), "curve.after." + tensor.name, 1e-4);
  }
}
