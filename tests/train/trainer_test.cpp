// Training from options to file: the optimiser, runs that go on, checkpoints that do not fit, and stopping.
#include "offline/train/trainer.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "elms/detail/model_source.hpp"
#include "elms/offline/training.hpp"
#include "offline/train/model_file.hpp"
#include "offline/train/schedule.hpp"
#include "test_model.hpp"

using namespace elms_test;
namespace offline = elms::offline;
namespace train = elms::offline::train;

namespace {

/// Sentences that a small model learns in a few steps.
std::string write_training_text() {
  const std::string path = scratch_path("trainer_text.txt");
  std::ofstream text(path);
  for (int i = 0; i < 300; ++i) text << "the cat sat on mat " << i % 3 << ".\n\n";
  return path;
}

std::string vocabulary_file() {
  static const std::string path = write_model(small_shape(), elms::DType::kF32, "trainer_vocab.gguf");
  return path;
}

offline::TrainingOptions tiny_options(const std::string& output, std::size_t n_threads = 1) {
  offline::TrainingOptions options;
  options.data = write_training_text();
  options.vocabulary = vocabulary_file();
  options.shape = small_shape();
  options.shape.n_vocab = 0;
  options.shape.d_model = 32;
  options.shape.n_layers = 2;
  options.shape.head_dim = 8;
  options.shape.d_ff = 64;
  options.n_steps = 6;
  options.batch_rows = 2;
  options.length = 16;
  options.warmup_steps = 2;
  options.valid_every = 2;
  options.valid_rows = 4;
  options.output = scratch_path(output);
  options.type = elms::DType::kF32;
  options.pool = make_pool(n_threads);
  return options;
}

offline::TrainingReport run_training(const offline::TrainingOptions& options) {
  auto report = offline::train_model(options);
  REQUIRE_OK(report);
  return *report;
}

/// The parameters of a file.
std::vector<float> parameters_of(const std::string& path) {
  auto source = elms::detail::ModelSource::open(path);
  REQUIRE_OK(source);
  auto params = train::load_parameters(**source, train::ParameterLayout((*source)->config()));
  REQUIRE_OK(params);
  return {params->data(), params->data() + params->size()};
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

void check_refused(const offline::TrainingOptions& options, elms::StatusCode code, const std::string& what) {
  const auto report = offline::train_model(options);
  REQUIRE_FALSE(report.has_value());
  INFO(report.error().message());
  CHECK(report.error().code() == code);
  CHECK(report.error().message().find(what) != std::string::npos);
}

}  // namespace

TEST_CASE("train: AdamW does what its paper says", "[train]") {
  elms::ModelConfig config;
  config.architecture = "llama";
  config.d_model = 6;
  config.n_layers = 1;
  config.n_vocab = 3000;  // tensors longer than a block of the optimiser
  config.head_dim = 4;
  config.layers = {{2, 1, 5}};
  config.rope.n_rot = 4;
  const train::ParameterLayout layout(config);
  const train::AdamWOptions options{0.9, 0.95, 1e-8, 0.1};
  auto adam = train::AdamW::create(layout, options);
  REQUIRE_OK(adam);
  const train::ParameterTensor& slow = layout.tensors().front();
  adam->slow_down(slow.offset, slow.size(), 0.25);

  auto rng = make_rng(61);
  std::normal_distribution<float> normal;
  std::vector<float> params(layout.size()), gradients(layout.size());
  for (float& p : params) p = normal(rng);
  std::vector<double> x(params.begin(), params.end()), m(x.size(), 0.0), v(x.size(), 0.0);
  std::vector<double> decay(x.size(), 0.0);
  for (const train::ParameterTensor& tensor : layout.tensors()) {
    if (tensor.rows > 1)
      std::fill_n(decay.begin() + static_cast<std::ptrdiff_t>(tensor.offset), tensor.size(), 0.1);
  }
  const auto pool = make_pool(2);
  for (std::uint64_t t = 1; t <= 4; ++t) {
    const double full_rate = 0.01 * static_cast<double>(t), scale = 0.7;
    double squares = 0.0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const bool is_slow = i >= slow.offset && i < slow.offset + slow.size();
      const double rate = is_slow ? 0.25 * full_rate : full_rate;
      gradients[i] = normal(rng);
      const double given = static_cast<double>(gradients[i]), g = scale * given;
      squares += given * given;
      x[i] -= rate * decay[i] * x[i];
      m[i] = 0.9 * m[i] + 0.1 * g;
      v[i] = 0.95 * v[i] + 0.05 * g * g;
      const double mean = m[i] / (1.0 - std::pow(0.9, t)), variance = v[i] / (1.0 - std::pow(0.95, t));
      x[i] -= rate * mean / (std::sqrt(variance) + 1e-8);
    }
    CHECK(adam->norm(*pool, gradients) == Approx(std::sqrt(squares)).epsilon(1e-12));
    adam->step(*pool, t, full_rate, scale, gradients, params);
    double worst = 0.0;
    for (std::size_t i = 0; i < x.size(); ++i)
      worst = std::max(worst, std::abs(x[i] - static_cast<double>(params[i])));
    CHECK(worst < 2e-6);
    CHECK(std::all_of(gradients.begin(), gradients.end(), [](float g) { return g == 0.0f; }));
  }
}

TEST_CASE("train: the rate rises, falls, and follows the clock where time is short", "[train]") {
  train::Schedule schedule{1.0, 0.1, 4, 100, 0.0};
  CHECK(schedule.rate(0, 0.0) == Approx(0.25));
  CHECK(schedule.rate(3, 0.0) > 0.99);
  CHECK(schedule.rate(50, 0.0) == Approx(0.55));
  CHECK(schedule.rate(100, 0.0) == Approx(0.1));
  schedule.n_seconds = 10.0;
  CHECK(schedule.rate(20, 5.0) == Approx(0.55));  // half of the time, a fifth of the steps
  CHECK(schedule.share(20, 11.0) == 1.0);
  schedule.n_steps = 0;
  CHECK(schedule.rate(1000000, 5.0) == Approx(0.55));
}

TEST_CASE("train: a tiny model learns a tiny text, and elms runs it", "[train]") {
  offline::TrainingOptions options = tiny_options("trainer_learns.gguf");
  options.n_steps = 60;
  options.batch_rows = 4;
  options.learning_rate = 1e-2;
  options.valid_fraction = 0.05;
  options.name = "cat";
  const offline::TrainingReport report = run_training(options);
  REQUIRE(report.train.size() == 60);
  CHECK(report.train.front().loss == Approx(std::log(320.0)).epsilon(0.05));  // knows nothing
  CHECK(report.train.back().loss < 0.5 * report.train.front().loss);
  REQUIRE(report.valid.size() == 30);
  CHECK(report.valid.back().step == 60);
  CHECK(report.valid.back().loss < 0.5 * report.train.front().loss);
  REQUIRE(report.valid_by_source.size() == 1);
  CHECK(report.valid_by_source[0].loss == Approx(report.valid.back().loss));
  CHECK(report.n_tokens == 60 * 4 * 16);

  const auto model = open_model(options.output);
  CHECK(model->config().name == "cat");
  CHECK(model->config().n_vocab == 320);

  offline::TrainingOptions further = tiny_options("trainer_further.gguf");
  further.vocabulary.clear();
  further.init_model = options.output;
  further.n_steps = 2;
  further.learning_rate = 1e-4;
  const offline::TrainingReport second = run_training(further);
  CHECK(second.train.front().loss < 0.5 * report.train.front().loss);
  CHECK(open_model(further.output)->config().name == "cat");
}

TEST_CASE("train: a run that is broken off and resumed gives the same bits", "[train][threads]") {
  const offline::TrainingOptions straight = tiny_options("trainer_straight.gguf", 2);
  const offline::TrainingReport whole = run_training(straight);

  offline::TrainingOptions broken = tiny_options("trainer_broken.gguf", 1);
  broken.checkpoint = scratch_path("trainer_broken.ckpt");
  broken.on_step = [](const offline::TrainingProgress& progress) {
    return progress.step == 3 ? elms::Flow::kStop : elms::Flow::kContinue;
  };
  const auto stopped = offline::train_model(broken);
  REQUIRE_FALSE(stopped.has_value());
  CHECK(stopped.error().code() == elms::StatusCode::kCancelled);
  CHECK_FALSE(std::filesystem::exists(broken.output));

  broken.on_step = {};
  broken.resume = true;
  broken.pool = make_pool(3);
  const offline::TrainingReport resumed = run_training(broken);
  CHECK(same_bits(parameters_of(straight.output), parameters_of(broken.output)));
  REQUIRE(resumed.train.size() == whole.train.size());
  for (std::size_t i = 0; i < whole.train.size(); ++i) CHECK(whole.train[i].loss == resumed.train[i].loss);
  CHECK(resumed.valid.size() == whole.valid.size());

  broken.n_steps = 7;  // a finished run can be made longer
  CHECK(run_training(broken).train.size() == 7);
}

TEST_CASE("train: accumulated batches are as good as large ones", "[train]") {
  offline::TrainingOptions large = tiny_options("trainer_large.gguf");
  large.batch_rows = 4;
  offline::TrainingOptions parts = tiny_options("trainer_parts.gguf");
  parts.accumulate = 2;
  offline::TrainingOptions recomputed = tiny_options("trainer_recomputed.gguf");
  recomputed.batch_rows = 4;
  recomputed.recompute_activations = true;
  const offline::TrainingReport a = run_training(large), b = run_training(parts),
                                c = run_training(recomputed);
  for (std::size_t i = 0; i < a.train.size(); ++i)
    CHECK(a.train[i].loss == Approx(b.train[i].loss).epsilon(1e-4));
  CHECK(same_bits(parameters_of(large.output), parameters_of(recomputed.output)));
  CHECK_FALSE(same_bits(parameters_of(large.output), parameters_of(parts.output)));
}

TEST_CASE("train: with rows balanced, accumulated batches are as good as large ones too", "[train]") {
  offline::TrainingOptions large = tiny_options("trainer_rows.gguf");
  large.batch_rows = 4;
  large.balance = offline::LossBalance::kRows;
  offline::TrainingOptions parts = tiny_options("trainer_rows_parts.gguf");
  parts.accumulate = 2;
  parts.balance = offline::LossBalance::kRows;
  const offline::TrainingReport a = run_training(large), b = run_training(parts);
  for (std::size_t i = 0; i < a.train.size(); ++i)
    CHECK(a.train[i].loss == Approx(b.train[i].loss).epsilon(1e-4));
}

TEST_CASE("train: a run limited by time ends in time with a small rate", "[train]") {
  offline::TrainingOptions options = tiny_options("trainer_minutes.gguf");
  options.n_steps = 0;
  options.minutes = 0.005;
  double last_rate = 1.0;
  options.on_step = [&](const offline::TrainingProgress& progress) {
    last_rate = progress.learning_rate;
    return elms::Flow::kContinue;
  };
  const offline::TrainingReport report = run_training(options);
  CHECK(report.seconds >= 0.3);
  CHECK(report.n_steps > 0);
  CHECK(last_rate < options.learning_rate);
}

TEST_CASE("train: checkpoints that do not fit are refused", "[train]") {
  offline::TrainingOptions options = tiny_options("trainer_refused.gguf");
  options.n_steps = 2;
  options.checkpoint = scratch_path("trainer_refused.ckpt");
  run_training(options);
  using elms::StatusCode;
  check_refused(options, StatusCode::kInvalidArgument, "is there");

  options.resume = true;
  options.n_steps = 4;
  offline::TrainingOptions other = options;
  other.learning_rate = 1e-3;
  check_refused(other, StatusCode::kInvalidArgument, "learning rate");
  other = options;
  other.seed = 2;
  check_refused(other, StatusCode::kInvalidArgument, "seed");
  other = options;
  other.shape.d_ff = 96;
  check_refused(other, StatusCode::kInvalidArgument, "ffn_");
  other = options;
  other.checkpoint = scratch_path("trainer_none.ckpt");
  check_refused(other, StatusCode::kNotFound, "trainer_none.ckpt");
  other.checkpoint = vocabulary_file();
  check_refused(other, StatusCode::kMalformedFile, "no checkpoint");

  const std::vector<std::uint8_t> bytes = read_bytes(options.checkpoint);
  const auto check_damaged = [&](const std::vector<std::uint8_t>& damaged) {
    other = options;
    other.checkpoint = scratch_path("trainer_damaged.ckpt");
    write_bytes(other.checkpoint, damaged);
    check_refused(other, StatusCode::kMalformedFile, "trainer_damaged.ckpt");
  };
  for (const std::size_t size : {std::size_t{0}, std::size_t{100}, bytes.size() / 2, bytes.size() - 1}) {
    INFO(size << " bytes");
    check_damaged({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)});
  }
  std::vector<std::uint8_t> not_finite = bytes;
  std::fill_n(not_finite.end() - 4096, 256, std::uint8_t{0xff});
  check_damaged(not_finite);
  const std::string key = "elms.train.step";
  const auto found = std::search(bytes.begin(), bytes.end(), key.begin(), key.end());
  REQUIRE(found != bytes.end());
  std::vector<std::uint8_t> other_step = bytes;
  other_step[static_cast<std::size_t>(found - bytes.begin()) + key.size() + 4] = 9;
  check_damaged(other_step);
}

TEST_CASE("train: options that cannot work are refused", "[train]") {
  using elms::StatusCode;
  const auto with = [](auto change) {
    offline::TrainingOptions options = tiny_options("trainer_options.gguf");
    change(options);
    return options;
  };
  check_refused(with([](auto& o) { o.n_steps = 0; }), StatusCode::kInvalidArgument, "neither steps");
  check_refused(with([](auto& o) { o.length = 4096; }), StatusCode::kInvalidArgument, "context");
  check_refused(with([](auto& o) { o.learning_rate = std::nan(""); }), StatusCode::kInvalidArgument,
                "learning rate");
  check_refused(with([](auto& o) { o.batch_rows = 0; }), StatusCode::kInvalidArgument, "rows of a batch");
  check_refused(with([](auto& o) { o.init_model = "x.gguf"; }), StatusCode::kInvalidArgument, "not both");
  check_refused(with([](auto& o) { o.shape.n_vocab = 400; }), StatusCode::kInvalidArgument, "n_vocab");
  check_refused(with([](auto& o) { o.resume = true; }), StatusCode::kInvalidArgument, "checkpoint");
  check_refused(with([](auto& o) { o.type = elms::DType::kQ4_K; }), StatusCode::kInvalidArgument,
                "cannot be written");
  check_refused(with([](auto& o) { o.data = "nowhere.txt"; }), StatusCode::kNotFound, "nowhere.txt");
}
