// The whole decoder: its forward pass against the plain reference decoder, its gradients against central differences, and
// what cuts a level out of it.
#include "offline/train/decoder.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "elms/detail/model_source.hpp"
#include "offline/train/model_file.hpp"
#include "offline/train/units.hpp"
#include "reference_decoder.hpp"
#include "test_model.hpp"

using namespace elms_test;
namespace train = elms::offline::train;

namespace {

elms::ModelConfig tiny_config() {
  elms::ModelConfig config;
  config.architecture = "llama";
  config.d_model = 6;
  config.n_layers = 2;
  config.n_vocab = 9;
  config.head_dim = 4;
  config.context_length = 16;
  config.layers = {{4, 2, 5}, {2, 2, 7}};  // a level: layers differ
  config.rms_epsilon = 1e-2f;
  config.rope.n_rot = 4;
  config.rope.theta = 50.0f;
  return config;
}

struct TinyRun {
  train::ParameterLayout layout;
  train::BatchShape shape{2, 4};
  std::vector<elms::TokenId> tokens{1, 4, 4, 0, 8, 2, 7, 1}, targets{4, 4, -1, 3, 2, 7, 1, 0};
  std::vector<double> params;
  train::TrainDecoder<double> decoder;

  TinyRun(const elms::ModelConfig& config, bool recovery_biases,
          train::ActivationMemory memory = train::ActivationMemory::kKeepAll)
      : layout(config, recovery_biases), params(layout.size()), decoder(*train::TrainDecoder<double>::create(config, shape, memory)) {
    auto rng = make_rng(41);
    std::uniform_real_distribution<double> uniform(-0.8, 0.8);
    for (double& p : params) p = uniform(rng);
  }
  double loss(bool with_gradient) {
    decoder.forward(*pool, layout, params.data(), tokens);
    return train::cross_entropy<double>(*pool, targets, static_cast<std::size_t>(layout.config().n_vocab),
                                        decoder.logits().data(), with_gradient ? decoder.logits().data() : nullptr,
                                        decoder.row_loss());
  }
  std::vector<double> gradient(train::UnitGradients<double>* units = nullptr) {
    std::vector<double> gradients(layout.size(), 0.0);
    loss(true);
    decoder.backward(*pool, layout, params.data(), tokens, gradients.data(), units);
    return gradients;
  }
  std::shared_ptr<elms::ThreadPool> pool = make_pool(1);
};

std::vector<std::pair<std::string, elms::ModelConfig>> families() {
  std::vector<std::pair<std::string, elms::ModelConfig>> out = {{"llama", tiny_config()}};
  elms::ModelConfig qwen2 = tiny_config();
  qwen2.qkv_bias = qwen2.tied_head = true;
  qwen2.rope.style = elms::RopeStyle::kHalves;
  out.emplace_back("qwen2, tied", qwen2);
  elms::ModelConfig qwen3 = tiny_config();
  qwen3.qk_norm = true;
  qwen3.rope.style = elms::RopeStyle::kHalves;
  out.emplace_back("qwen3", qwen3);
  elms::ModelConfig biased = tiny_config();
  biased.output_bias = true;
  out.emplace_back("output bias", biased);
  return out;
}

}  // namespace

TEST_CASE("train: decoder gradients of every parameter, in every family", "[train]") {
  for (const auto& [name, config] : families()) {
    for (const bool recovery_biases : {false, true}) {
      INFO(name << (recovery_biases ? ", recovery biases" : ""));
      TinyRun run(config, recovery_biases);
      const std::vector<double> gradients = run.gradient();
      constexpr double kStep = 1e-5;
      for (const train::ParameterTensor& tensor : run.layout.tensors()) {
        for (std::size_t i = tensor.offset; i < tensor.offset + tensor.size(); ++i) {
          const double kept = run.params[i];
          run.params[i] = kept + kStep;
          const double above = run.loss(false);
          run.params[i] = kept - kStep;
          const double below = run.loss(false);
          run.params[i] = kept;
          INFO(tensor.name << ", element " << i - tensor.offset);
          REQUIRE(gradients[i] == Approx((above - below) / (2 * kStep)).epsilon(1e-5).margin(1e-9));
        }
      }
    }
  }
}

TEST_CASE("train: decoder that computes activations again has the same gradients", "[train]") {
  TinyRun keeping(tiny_config(), true), recomputing(tiny_config(), true, train::ActivationMemory::kRecompute);
  CHECK(keeping.gradient() == recomputing.gradient());
  CHECK(recomputing.decoder.memory_bytes() < keeping.decoder.memory_bytes());
}

TEST_CASE("train: decoder's unit gradients are those of the weights that read the unit", "[train]") {
  // The loss sees a unit only through the matrix behind it: sum(a dL/da) over tokens = sum(w dL/dw) over its column.
  TinyRun run(tiny_config(), false);
  train::UnitGradients<double> units;
  const std::vector<double> gradients = run.gradient(&units);
  const auto column_sum = [&](const std::string& name, std::size_t begin, std::size_t n) {
    const train::ParameterTensor& tensor = *run.layout.find(name);
    double sum = 0;
    for (std::size_t r = 0; r < tensor.rows; ++r) {
      for (std::size_t c = begin; c < begin + n; ++c) {
        const std::size_t at = tensor.offset + r * tensor.cols + c;
        sum += run.params[at] * gradients[at];
      }
    }
    return sum;
  };
  for (std::size_t layer = 0; layer < 2; ++layer) {
    const elms::LayerShape shape = run.layout.config().layers[layer];
    const std::string blk = "blk." + std::to_string(layer);
    const auto n_heads = static_cast<std::size_t>(shape.q_heads), n_units = static_cast<std::size_t>(shape.ff);
    REQUIRE(units.heads[layer].size() == 2 * n_heads);
    for (std::size_t h = 0; h < n_heads; ++h) {
      CHECK(units.heads[layer][h] + units.heads[layer][n_heads + h] ==
            Approx(column_sum(blk + ".attn_output.weight", h * 4, 4)).margin(1e-12));
    }
    for (std::size_t u = 0; u < n_units; ++u) {
      CHECK(units.ffn_units[layer][u] + units.ffn_units[layer][n_units + u] ==
            Approx(column_sum(blk + ".ffn_down.weight", u, 1)).margin(1e-12));
    }
  }
}

TEST_CASE("train: decoder's logits are the reference decoder's, of models and of their levels", "[train]") {
  for (const std::string architecture : {"llama", "qwen2", "qwen3"}) {
    INFO(architecture);
    const std::string path = write_model(small_shape(architecture), elms::DType::kF32, "train_" + architecture + ".gguf");
    auto source = elms::detail::ModelSource::open(path);
    REQUIRE_OK(source);
    const elms::ModelConfig& config = (*source)->config();
    const train::ParameterLayout whole(config);
    auto params = train::load_parameters(**source, whole);
    REQUIRE_OK(params);
    for (const bool cut : {false, true}) {
      std::vector<elms::LayerShape> slices = config.layers;
      if (cut) slices = {{2, 2, 96}, {4, 2, 32}, {2, 2, 192}};
      const train::ParameterLayout layout(train::with_layers(config, slices));
      std::vector<float> part(layout.size());
      train::gather_units(whole, *params, train::first_units(config, slices), layout, part);
      const std::vector<elms::TokenId> tokens = {3, 17, 250, 4, 4, 9};
      auto decoder = train::TrainDecoder<float>::create(layout.config(), {1, tokens.size()});
      REQUIRE_OK(decoder);
      decoder->forward(*make_pool(2), layout, part.data(), tokens);
      ReferenceDecoder reference(**source);
      const auto n_vocab = static_cast<std::size_t>(config.n_vocab);
      for (std::size_t t = 0; t < tokens.size(); ++t) {
        const ReferenceDecoder::Row expected = reference.eval(tokens[t], slices);
        double worst = 0;
        for (std::size_t i = 0; i < n_vocab; ++i) {
          worst = std::max(worst, std::abs(expected[i] - static_cast<double>(decoder->logits()[t * n_vocab + i])));
        }
        CHECK(worst < 1e-3);
      }
    }
  }
}

TEST_CASE("train: parameters survive a file, and gradients of a level go back to where they came from", "[train]") {
  const std::string path = write_model(small_shape(), elms::DType::kF32, "train_io.gguf");
  auto source = elms::detail::ModelSource::open(path);
  REQUIRE_OK(source);
  const train::ParameterLayout layout((*source)->config());
  auto params = train::load_parameters(**source, layout);
  REQUIRE_OK(params);

  elms::detail::GgufWriter writer;
  REQUIRE_OK((*source)->copy_metadata(writer));
  const std::string copy = scratch_path("train_io_copy.gguf");
  REQUIRE_OK(train::write_parameters(writer, layout, *params, elms::DType::kF32, copy));
  auto written = elms::detail::ModelSource::open(copy);
  REQUIRE_OK(written);
  auto again = train::load_parameters(**written, layout);
  REQUIRE_OK(again);
  CHECK(std::equal(params->data(), params->data() + params->size(), again->data(), again->data() + again->size()));

  const std::vector<elms::LayerShape> slices = {{2, 2, 64}, {4, 2, 32}, {2, 2, 96}};
  const train::UnitSelection selection = train::first_units(layout.config(), slices);
  const train::ParameterLayout part_layout(train::with_layers(layout.config(), slices));
  std::vector<float> part(part_layout.size()), back(layout.size(), 0.0f);
  train::gather_units(layout, *params, selection, part_layout, part);
  train::scatter_add_units(part_layout, part, selection, layout, back);
  std::size_t n_back = 0;
  for (std::size_t i = 0; i < layout.size(); ++i) {
    if (back[i] == 0.0f) continue;
    ++n_back;
    REQUIRE(back[i] == (*params)[i]);
  }
  CHECK(n_back == part.size() - static_cast<std::size_t>(std::count(part.begin(), part.end(), 0.0f)));
}
