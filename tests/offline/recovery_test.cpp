// Recovery brings levels closer to the full model, and what was trained is what runs: in the elastic model with its
// adapters, and in the model that extraction merges them into.
#include "elms/offline/recovery.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "elms/detail/adapter.hpp"
#include "elms/detail/level_table.hpp"
#include "elms/offline/elasticize.hpp"
#include "elms/session.hpp"
#include "offline/recovery/adapter_merge.hpp"
#include "offline/recovery/lora.hpp"
#include "offline/train/decoder.hpp"
#include "offline/train/model_file.hpp"
#include "offline/train/units.hpp"
#include "test_model.hpp"

using namespace elms_test;
namespace offline = elms::offline;
namespace train = elms::offline::train;

namespace {

const std::vector<elms::TokenId> kTokens = {1, 40, 22, 7, 300, 301, 19, 5};

/// A text with some structure: words of a small language, so that there is something to learn.
std::string write_text() {
  const std::string path = scratch_path("recovery.txt");
  auto rng = make_rng(77);
  std::string text;
  for (int i = 0; i < 3000; ++i) {
    static constexpr const char* kWords[] = {"red ", "green ", "blue ", "one ", "two ", "three ", "cat.\n", "dog.\n"};
    text += kWords[rng() % 8];
  }
  write_bytes(path, {text.begin(), text.end()});
  return path;
}

/// A small random model of three levels.
std::string write_elastic(elms::DType type = elms::DType::kF32) {
  auto shape = small_shape();
  const std::string original = write_model(shape, elms::DType::kF32, "recovery_original.gguf");
  offline::ElasticizeOptions options;
  options.importance = {offline::ImportanceMethod::kMagnitude};
  options.cost_targets = {0.5, 0.75};
  options.type = type;
  options.pool = make_pool(1);
  const std::string path = scratch_path("recovery_elastic.gguf");
  REQUIRE_OK(offline::elasticize(original, path, "", options));
  return path;
}

offline::RecoveryOptions small_recovery(offline::RecoveryMethod method) {
  offline::RecoveryOptions options;
  options.method = method;
  options.data = write_text();
  options.n_steps = 6;
  options.warmup_steps = 1;
  options.batch_rows = 2;
  options.length = 32;
  options.bias_tokens = 256;
  options.valid_rows = 4;
  options.rank = 4;
  options.alpha = 8;
  options.valid_fraction = 0.1;
  options.pool = make_pool(1);
  return options;
}

std::vector<float> session_logits(const std::string& path, int level) {
  auto session = elms::Session::create(open_model(path));
  REQUIRE_OK(session);
  if (level >= 0) REQUIRE_OK(session->set_level(level));
  REQUIRE_OK(session->prefill(kTokens));
  return {session->logits().begin(), session->logits().end()};
}

/// The logits behind kTokens of a level whose adapter was added to its dense parameters here.
std::vector<float> dense_logits(const std::string& path, int level) {
  auto source = elms::detail::ModelSource::open(path);
  REQUIRE_OK(source);
  auto table = elms::detail::load_levels(**source, false);
  REQUIRE_OK(table);
  const elms::ModelConfig& config = (*source)->config();
  const auto& slices = table->levels[static_cast<std::size_t>(level)].layers;
  const train::ParameterLayout whole(config), part(train::with_layers(config, slices), true);
  auto params = train::load_parameters(**source, whole);
  REQUIRE_OK(params);
  std::vector<float> values(part.size(), 0.0f);
  train::gather_units(whole, *params, train::first_units(config, slices), part, values);

  const std::string& name = table->elastic->adapters[static_cast<std::size_t>(level)];
  auto merge = offline::read_adapter_merge(elms::detail::adapter_path(path, name), config, slices);
  REQUIRE_OK(merge);
  for (const auto& [tensor_name, update] : merge->matrices) {
    const train::ParameterTensor& tensor = *part.find(tensor_name);
    for (std::size_t r = 0; r < tensor.rows; ++r) {
      for (std::size_t c = 0; c < tensor.cols; ++c) {
        for (std::size_t i = 0; i < update.rank; ++i) {
          values[tensor.offset + r * tensor.cols + c] += update.b[r * update.rank + i] * update.a[i * tensor.cols + c];
        }
      }
    }
  }
  const auto d = static_cast<std::size_t>(config.d_model);
  for (std::size_t layer = 0; layer < slices.size(); ++layer) {
    for (std::size_t i = 0; i < d; ++i) {
      if (!merge->attention_biases.empty()) values[part.layer(layer).bo + i] += merge->attention_biases[layer * d + i];
      if (!merge->ffn_biases.empty()) values[part.layer(layer).down_bias + i] += merge->ffn_biases[layer * d + i];
    }
  }
  auto decoder = train::TrainDecoder<float>::create(part.config(), {1, kTokens.size()});
  REQUIRE_OK(decoder);
  decoder->forward(*make_pool(1), part, values.data(), kTokens);
  const auto n_vocab = static_cast<std::ptrdiff_t>(config.n_vocab);
  return {decoder->logits().end() - n_vocab, decoder->logits().end()};
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) worst = std::max(worst, static_cast<double>(std::abs(a[i] - b[i])));
  return worst;
}

bool same_tensors(const std::string& a, const std::string& b) {
  auto first = elms::detail::GgufFile::open(a), second = elms::detail::GgufFile::open(b);
  REQUIRE_OK(first);
  REQUIRE_OK(second);
  REQUIRE(first->tensors().size() == second->tensors().size());
  return std::all_of(first->tensors().begin(), first->tensors().end(), [&](const elms::detail::GgufTensor& tensor) {
    const elms::detail::GgufTensor* other = second->find_tensor(tensor.name);
    return other != nullptr && std::equal(tensor.data.begin(), tensor.data.end(), other->data.begin(), other->data.end());
  });
}

}  // namespace

TEST_CASE("recovery: gradients of low-rank updates and biases are central differences", "[recovery]") {
  elms::ModelConfig config;
  config.architecture = "llama";
  config.d_model = 6;
  config.n_layers = 2;
  config.n_vocab = 9;
  config.head_dim = 4;
  config.context_length = 16;
  config.layers = {{4, 2, 5}, {2, 2, 7}};
  config.rms_epsilon = 1e-2f;
  config.rope.n_rot = 4;
  const train::ParameterLayout layout(config, true);
  offline::LoraShape shape;
  shape.rank = 2;
  shape.alpha = 3.0;
  shape.targets = {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"};
  shape.attention_bias = shape.ffn_bias = true;
  const offline::LoraLayout lora(layout, shape);
  REQUIRE(lora.matrices().size() == 14);
  REQUIRE(lora.biases().size() == 4);

  const std::vector<elms::TokenId> tokens{1, 4, 4, 0, 8, 2}, targets{4, 4, 0, 8, 2, 1};
  auto rng = make_rng(5);
  std::uniform_real_distribution<double> uniform(-0.7, 0.7);
  std::vector<double> base(layout.size()), update(lora.size());
  for (double& value : base) value = uniform(rng);
  for (double& value : update) value = uniform(rng);
  const auto pool = make_pool(1);
  auto decoder = train::TrainDecoder<double>::create(config, {1, tokens.size()});
  REQUIRE_OK(decoder);
  std::vector<double> params = base;
  const auto loss = [&](bool with_gradient) {
    offline::apply_update<double>(*pool, lora, base, update, params);
    decoder->forward(*pool, layout, params.data(), tokens);
    return train::cross_entropy<double>(*pool, targets, 9, decoder->logits().data(),
                                        with_gradient ? decoder->logits().data() : nullptr, decoder->row_loss());
  };
  loss(true);
  std::vector<double> d_params(layout.size(), 0.0), gradient(lora.size(), 0.0);
  decoder->backward(*pool, layout, params.data(), tokens, d_params.data());
  offline::add_update_gradient<double>(*pool, lora, update, d_params, gradient);
  constexpr double kStep = 1e-5;
  for (std::size_t i = 0; i < update.size(); ++i) {
    const double kept = update[i];
    update[i] = kept + kStep;
    const double above = loss(false);
    update[i] = kept - kStep;
    const double below = loss(false);
    update[i] = kept;
    CAPTURE(i);
    REQUIRE(std::abs((above - below) / (2 * kStep) - gradient[i]) < 1e-7);
  }
}

TEST_CASE("recovery: every method makes levels better, adapters leave its tensors alone", "[recovery]") {
  const std::string elastic = write_elastic();
  for (const auto method : {offline::RecoveryMethod::kBias, offline::RecoveryMethod::kLora, offline::RecoveryMethod::kNested}) {
    INFO(offline::to_string(method));
    const std::string output = scratch_path(std::string("recovered_") + offline::to_string(method) + ".gguf");
    auto options = small_recovery(method);
    if (method != offline::RecoveryMethod::kBias) options.n_steps = 30;
    if (method == offline::RecoveryMethod::kNested) options.learning_rate = 1e-3;
    const auto report = offline::recover(elastic, output, options);
    REQUIRE_OK(report);
    const bool nested = method == offline::RecoveryMethod::kNested;
    REQUIRE(report->levels.size() == (nested ? 3 : 2));
    for (std::size_t i = 0; i < 2; ++i) {
      CAPTURE(i, report->levels[i].kl_before, report->levels[i].kl_after);
      CHECK(report->levels[i].kl_before > 0.01);
      // Nested training moves the full model too, towards the data.
      if (!nested) CHECK(report->levels[i].kl_after < 0.97 * report->levels[i].kl_before);
      if (nested) CHECK(report->levels[i].loss_after < 0.97 * report->levels[i].loss_before);
    }
    CHECK(same_tensors(elastic, output) == !nested);
    CHECK(open_model(output)->levels().size() == 3);
    if (!nested) CHECK(session_logits(elastic, 2) == session_logits(output, 2));
  }
}

TEST_CASE("recovery: the elastic model with its adapters computes what was trained, and so does a merged extract", "[recovery]") {
  const std::string elastic = write_elastic();
  struct Case {
    const char* name;
    bool attention_bias, ffn_bias;
  };
  for (const Case& c : {Case{"plain", false, false}, Case{"attention", true, false}, Case{"both", true, true}}) {
    INFO(c.name);
    auto options = small_recovery(offline::RecoveryMethod::kLora);
    options.learning_rate = 1e-2;
    options.train_biases = c.attention_bias || c.ffn_bias;
    options.attention_bias = c.attention_bias;
    options.ffn_bias = c.ffn_bias;
    const std::string output = scratch_path(std::string("adapted_") + c.name + ".gguf");
    REQUIRE_OK(offline::recover(elastic, output, options));
    for (const int level : {0, 1}) {
      CAPTURE(level);
      const std::vector<float> expected = dense_logits(output, level);
      CHECK(largest_difference(session_logits(elastic, level), expected) > 0.02);  // the adapter matters
      CHECK(largest_difference(session_logits(output, level), expected) < 2e-3);
      const std::string merged = scratch_path("merged.gguf");
      const elms::Status status =
          offline::extract(output, level, merged, {}, options.pool, offline::AdapterUse::kMerge);
      if (c.ffn_bias) {
        CHECK(status.code() == elms::StatusCode::kUnsupported);
        continue;
      }
      REQUIRE_OK(status);
      CHECK(largest_difference(session_logits(merged, -1), expected) < 2e-3);
      REQUIRE_OK(offline::extract(output, level, merged, {}, options.pool));
      CHECK(session_logits(merged, -1) == session_logits(elastic, level));
    }
  }
}

TEST_CASE("recovery: levels that are not asked for keep their adapters", "[recovery]") {
  const std::string elastic = write_elastic();
  const std::string first = scratch_path("first.gguf"), second = scratch_path("second.gguf");
  REQUIRE_OK(offline::recover(elastic, first, small_recovery(offline::RecoveryMethod::kBias)));
  auto options = small_recovery(offline::RecoveryMethod::kLora);
  options.levels = {1};
  REQUIRE_OK(offline::recover(first, second, options));
  CHECK(session_logits(first, 0) == session_logits(second, 0));
  CHECK(session_logits(first, 1) != session_logits(second, 1));
}

TEST_CASE("recovery: the result does not depend on the number of threads", "[recovery]") {
  const std::string elastic = write_elastic();
  std::vector<std::uint8_t> adapters[2];
  for (const std::size_t n_threads : {1, 2}) {
    auto options = small_recovery(offline::RecoveryMethod::kLora);
    options.n_steps = 3;
    options.pool = make_pool(n_threads);
    const std::string output = scratch_path("threads.gguf");
    const auto report = offline::recover(elastic, output, options);
    REQUIRE_OK(report);
    adapters[n_threads - 1] = read_bytes(elms::detail::adapter_path(output, report->levels[0].adapter));
  }
  CHECK(adapters[0] == adapters[1]);
}

/// Stops the work in the middle of learning.
elms::offline::ProgressCallback stop_when_half_learnt() {
  return [](const offline::Progress& progress) {
    return progress.phase == "recover" && progress.fraction >= 0.5 ? elms::Flow::kStop : elms::Flow::kContinue;
  };
}

TEST_CASE("recovery: a run that is stopped and resumed gives the same bytes", "[recovery]") {
  const std::string elastic = write_elastic();
  for (const auto method : {offline::RecoveryMethod::kLora, offline::RecoveryMethod::kNested}) {
    INFO(offline::to_string(method));
    const std::string whole = scratch_path("run_whole.gguf"), broken = scratch_path("run_broken.gguf");
    auto options = small_recovery(method);
    REQUIRE_OK(offline::recover(elastic, whole, options));
    // Step 4 of 6 is kept, and the model never written: a run that was broken off.
    options.checkpoint = scratch_path("run.checkpoint");
    options.checkpoint_every = 4;
    options.progress = [](const offline::Progress& progress) {
      return progress.phase == "write" ? elms::Flow::kStop : elms::Flow::kContinue;
    };
    CHECK(offline::recover(elastic, broken, options).error().code() == elms::StatusCode::kCancelled);
    REQUIRE(std::filesystem::exists(options.checkpoint));
    options.progress = nullptr;
    CHECK(offline::recover(elastic, broken, options).error().code() == elms::StatusCode::kInvalidArgument);  // not resumed
    options.resume = true;
    auto other = options;
    other.length = 16;
    CHECK(offline::recover(elastic, broken, other).error().code() == elms::StatusCode::kInvalidArgument);
    const auto report = offline::recover(elastic, broken, options);
    REQUIRE_OK(report);
    CHECK(report->n_steps == options.n_steps);
    CHECK_FALSE(std::filesystem::exists(options.checkpoint));
    CHECK(session_logits(whole, 0) == session_logits(broken, 0));
    CHECK(session_logits(whole, 2) == session_logits(broken, 2));
  }
}

TEST_CASE("recovery: elasticize recovers too, and goes on where it was stopped", "[recovery]") {
  const std::string original = write_model(small_shape(), elms::DType::kF32, "recovery_original.gguf");
  const std::string elastic = write_elastic(), output = scratch_path("in_one.gguf");
  offline::ElasticizeOptions options;
  options.importance = {offline::ImportanceMethod::kMagnitude};
  options.cost_targets = {0.5, 0.75};
  options.type = elms::DType::kF32;
  options.pool = make_pool(1);
  options.recovery = small_recovery(offline::RecoveryMethod::kLora);
  const auto report = offline::elasticize(original, output, "", options);
  REQUIRE_OK(report);
  REQUIRE(report->recovery.has_value());
  const std::string apart = scratch_path("apart.gguf");
  REQUIRE_OK(offline::recover(elastic, apart, small_recovery(offline::RecoveryMethod::kLora)));
  CHECK(session_logits(output, 0) == session_logits(apart, 0));
  CHECK_FALSE(std::filesystem::exists(output + ".unrecovered"));
  CHECK_FALSE(std::filesystem::exists(output + ".checkpoint"));

  const std::string later = scratch_path("in_two.gguf");
  options.recovery->n_steps = 0;
  options.recovery->minutes = 0.02;
  options.progress = stop_when_half_learnt();
  CHECK(offline::elasticize(original, later, "", options).error().code() == elms::StatusCode::kCancelled);
  CHECK(std::filesystem::exists(later + ".unrecovered"));
  CHECK(std::filesystem::exists(later + ".checkpoint"));
  CHECK_FALSE(std::filesystem::exists(later));
  options.progress = nullptr;
  options.recovery->resume = true;
  const auto resumed = offline::elasticize(original, later, "", options);
  REQUIRE_OK(resumed);
  CHECK(resumed->levels.size() == 3);
  CHECK(resumed->recovery->n_steps > 0);
  CHECK(open_model(later)->levels().size() == 3);
  CHECK_FALSE(std::filesystem::exists(later + ".unrecovered"));
}

TEST_CASE("recovery: what cannot work is refused, and what is stopped leaves nothing", "[recovery]") {
  const std::string elastic = write_elastic();
  const std::string output = scratch_path("stopped.gguf");
  const auto left_behind = [&] {
    std::size_t n = 0;
    for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(output).parent_path())) {
      n += entry.path().filename().string().starts_with("stopped") ? 1 : 0;
    }
    return n;
  };
  const auto code = [&](const offline::RecoveryOptions& options, const std::string& input) {
    const auto report = offline::recover(input, output, options);
    CHECK(left_behind() == 0);
    return report.error().code();
  };
  for (const auto method : {offline::RecoveryMethod::kBias, offline::RecoveryMethod::kLora, offline::RecoveryMethod::kNested}) {
    for (const char* phase : {"measure", "recover", "write"}) {
      CAPTURE(offline::to_string(method), phase);
      auto options = small_recovery(method);
      options.minutes = 10.0;
      options.n_steps = 0;
      options.progress = [&](const offline::Progress& progress) {
        return progress.phase == phase ? elms::Flow::kStop : elms::Flow::kContinue;
      };
      if (phase == std::string("write")) {
        options.minutes = 0.0;
        options.n_steps = 2;
      }
      CHECK(code(options, elastic) == elms::StatusCode::kCancelled);
    }
  }
  auto options = small_recovery(offline::RecoveryMethod::kLora);
  CHECK(code(options, write_model(small_shape(), elms::DType::kF32, "absent_levels.gguf") + ".not") ==
        elms::StatusCode::kNotFound);
  options.n_steps = 0;
  CHECK(code(options, elastic) == elms::StatusCode::kInvalidArgument);
  options = small_recovery(offline::RecoveryMethod::kLora);
  options.levels = {2};  // the full model
  CHECK(code(options, elastic) == elms::StatusCode::kInvalidArgument);
  options = small_recovery(offline::RecoveryMethod::kLora);
  options.targets = {"attn_r"};
  CHECK(code(options, elastic) == elms::StatusCode::kInvalidArgument);
  options = small_recovery(offline::RecoveryMethod::kLora);
  options.rank = 0;
  CHECK(code(options, elastic) == elms::StatusCode::kInvalidArgument);
}
