#include "elms/offline/synth.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "elms/session.hpp"
#include "test_model.hpp"

using namespace elms_test;
namespace offline = elms::offline;

namespace {

std::string problem_with(const std::string& json) {
  const auto shape = offline::parse_shape(json);
  CHECK_FALSE(shape.has_value());
  CHECK(shape.error().code() == elms::StatusCode::kInvalidArgument);
  return shape.error().message();
}

constexpr const char* kGoodShape =
    R"({"architecture":"qwen3","d_model":64,"n_layers":2,"n_heads":4,"n_kv_heads":2,"d_ff":96,"n_vocab":300,)"
    R"("head_dim":32,"context_length":77,"rope_theta":5e5,"tied_head":true,"qkv_bias":false})";

const std::vector<elms::TokenId>& prompt() {
  static const std::vector<elms::TokenId> tokens = {1, 40, 250, 77, 301, 12, 40, 90};
  return tokens;
}

}  // namespace

TEST_CASE("synth: every named shape is a legal one", "[offline]") {
  CHECK(offline::shape_names().size() >= 4);
  for (const std::string_view name : offline::shape_names()) {
    INFO(std::string(name));
    const auto shape = offline::find_shape(name);
    REQUIRE(shape.has_value());
    CHECK(shape->n_heads % shape->n_kv_heads == 0);
    CHECK(shape->d_model % 32 == 0);
    CHECK(shape->d_ff % 32 == 0);
  }
  CHECK_FALSE(offline::find_shape("tinyllama").has_value());
}

TEST_CASE("synth: a shape is read from JSON, field by field", "[offline]") {
  const auto shape = offline::parse_shape(kGoodShape);
  REQUIRE_OK(shape);
  CHECK(shape->architecture == "qwen3");
  CHECK(shape->d_model == 64);
  CHECK(shape->n_layers == 2);
  CHECK(shape->n_heads == 4);
  CHECK(shape->n_kv_heads == 2);
  CHECK(shape->d_ff == 96);
  CHECK(shape->n_vocab == 300);
  CHECK(shape->head_dim == 32);
  CHECK(shape->context_length == 77);
  CHECK(shape->rope_theta == 5e5f);
  CHECK(shape->tied_head);
  CHECK_FALSE(shape->qkv_bias);
}

TEST_CASE("synth: a wrong shape is refused by the name of the field", "[offline]") {
  using Catch::Contains;
  CHECK_THAT(problem_with("{"), Contains("no valid JSON"));
  CHECK_THAT(problem_with("[1]"), Contains("JSON object"));
  CHECK_THAT(problem_with(R"({"d_modle":64})"), Contains("d_modle"));
  CHECK_THAT(problem_with(R"({"d_model":"64"})"), Contains("d_model"));
  CHECK_THAT(problem_with(R"({"d_model":-1})"), Contains("d_model"));
  CHECK_THAT(problem_with(R"({"d_model":18446744073709551615})"), Contains("d_model"));
  CHECK_THAT(problem_with(R"({"tied_head":1})"), Contains("tied_head"));

  const auto with = [](const std::string& from, const std::string& to) {
    std::string json = kGoodShape;
    json.replace(json.find(from), from.size(), to);
    return problem_with(json);
  };
  CHECK_THAT(with("\"qwen3\"", "\"gpt2\""), Contains("architecture"));
  CHECK_THAT(with("\"n_layers\":2", "\"n_layers\":0"), Contains("n_layers"));
  CHECK_THAT(with("\"n_kv_heads\":2", "\"n_kv_heads\":3"), Contains("n_heads"));
  CHECK_THAT(with("\"head_dim\":32", "\"head_dim\":33"), Contains("head_dim"));
  CHECK_THAT(with("\"n_vocab\":300", "\"n_vocab\":259"), Contains("n_vocab"));
  CHECK_THAT(with("5e5", "-1"), Contains("rope_theta"));
  CHECK_THAT(with("\"qkv_bias\":false", "\"qkv_bias\":true"), Contains("qkv_bias"));
}

TEST_CASE("synth: the same arguments give the same bytes on any number of threads", "[offline][threads]") {
  const auto write = [](std::uint64_t seed, std::size_t n_threads, const std::string& name) {
    const std::string path = scratch_path(name);
    REQUIRE_OK(offline::synthesize(small_shape(), elms::DType::kQ8_0, seed, path, {}, make_pool(n_threads)));
    return read_bytes(path);
  };
  const auto first = write(5, 1, "one.gguf");
  CHECK(first == write(5, 3, "three.gguf"));
  CHECK_FALSE(first == write(6, 1, "other.gguf"));
}

TEST_CASE("synth: every kind of model opens as what was asked for, and speaks", "[offline]") {
  for (const std::string architecture : {"llama", "qwen2", "qwen3"}) {
    for (const bool tied : {false, true}) {
      for (const std::int32_t n_kv_heads : {2, 4}) {
        for (const elms::DType type : {elms::DType::kF32, elms::DType::kF16, elms::DType::kBF16, elms::DType::kQ8_0,
                                       elms::DType::kQ4_0}) {
          CAPTURE(architecture, tied, n_kv_heads, static_cast<int>(type));
          auto shape = small_shape(architecture);
          shape.tied_head = tied;
          shape.n_kv_heads = n_kv_heads;
          const auto model = open_model(write_model(shape, type, "kind.gguf"));
          const elms::ModelConfig& config = model->config();
          CHECK(config.architecture == architecture);
          CHECK(config.tied_head == tied);
          CHECK(config.layers.front() == elms::LayerShape{4, n_kv_heads, 192});
          CHECK(config.n_vocab == shape.n_vocab);
          CHECK(config.context_length == shape.context_length);
          CHECK(config.qkv_bias == (architecture == "qwen2"));
          CHECK(config.qk_norm == (architecture == "qwen3"));
          CHECK(model->source().find("blk.0.ffn_up.weight")->type == type);
          REQUIRE(model->levels().size() >= 2);
          CHECK(model->levels().back().cost_share == 1.0);

          auto session = elms::Session::create(model);
          REQUIRE_OK(session);
          REQUIRE_OK(session->prefill(prompt()));
          // Control token 2 ends generation: it must never be the best one.
          CHECK(session->logits()[2] == 0.0f);
          CHECK(*std::max_element(session->logits().begin(), session->logits().end()) > 1.0f);
        }
      }
    }
  }
}

TEST_CASE("synth: llama may have biases, which count", "[offline]") {
  auto shape = small_shape();
  shape.qkv_bias = true;
  const auto model = open_model(write_model(shape, elms::DType::kF32, "bias.gguf"));
  CHECK(model->config().qkv_bias);
  const auto* bias = model->source().find("blk.2.attn_k.bias");
  REQUIRE(bias != nullptr);
  std::vector<float> values(bias->cols);
  bias->decode_row(0, values.data());
  CHECK(std::any_of(values.begin(), values.end(), [](float value) { return std::fabs(value) > 0.1f; }));
}

TEST_CASE("synth: activations keep their size through many layers, and next tokens are peaked", "[offline]") {
  for (const bool tied : {false, true}) {
    CAPTURE(tied);
    auto shape = small_shape();
    shape.d_model = 128;
    shape.n_layers = 16;
    shape.n_vocab = 1024;
    shape.tied_head = tied;
    const auto model = open_model(write_model(shape, elms::DType::kF32, "deep.gguf"));
    std::map<std::int32_t, double> size;  // root mean square of the residual stream by layer
    elms::SessionOptions options;
    options.probe = [&](elms::ProbePoint point, std::int32_t layer, std::span<const float> values, std::int32_t, std::int32_t) {
      if (point != elms::ProbePoint::kLayerInput) return;
      double squares = 0.0;
      for (const float value : values) squares += static_cast<double>(value) * value;
      size[layer] = std::sqrt(squares / static_cast<double>(values.size()));
    };
    auto session = elms::Session::create(model, options);
    REQUIRE_OK(session);
    REQUIRE_OK(session->prefill(prompt()));
    REQUIRE(size.size() == 16);
    for (const auto& [layer, value] : size) {
      CAPTURE(layer);
      CHECK(value > 0.1);
      CHECK(value < 20.0);
    }
    std::vector<double> best;
    for (int step = 0; step < 40; ++step) {
      REQUIRE_OK(session->decode());
      best.push_back(elms::top_probabilities(session->logits(), 1).front().probability);
    }
    std::nth_element(best.begin(), best.begin() + 20, best.end());
    CHECK(best[20] > 0.1);
    CHECK(best[20] < 0.9999);
  }
}

TEST_CASE("synth: levels ascend and keep to their targets", "[offline]") {
  const auto model = open_model(write_model(small_shape(), elms::DType::kQ4_0, "levels.gguf"));
  CHECK(model->elastic_metadata()->importance_method == "none");
  double below = 0.0;
  for (const elms::Level& level : model->levels()) {
    CHECK(level.cost_share > below);
    below = level.cost_share;
  }
}

TEST_CASE("synth: text is encoded as bytes and comes back", "[offline]") {
  const auto model = open_model(write_model(small_shape(), elms::DType::kF32, "text.gguf"));
  const auto tokenizer = model->tokenizer();
  REQUIRE_OK(tokenizer);
  const std::string text = "w1 caf\u00e9, \u732b!\n";
  const auto tokens = (*tokenizer)->encode(text);
  REQUIRE_FALSE(tokens.empty());
  CHECK(tokens.front() == (*tokenizer)->bos());
  for (std::size_t i = 1; i < tokens.size(); ++i) CHECK((tokens[i] >= 3 && tokens[i] <= 259));
  CHECK((*tokenizer)->decode(tokens) == text);
  CHECK((*tokenizer)->decode(std::vector<elms::TokenId>{1, 260, 261}) == "w0 w1");
  CHECK((*tokenizer)->is_end_of_generation(2));
}

TEST_CASE("synth: what cannot be written is refused, and nothing is left behind", "[offline]") {
  const std::string path = scratch_path("never.gguf");
  auto odd = small_shape();
  odd.d_model = 80;  // no whole number of 32-blocks
  CHECK(offline::synthesize(odd, elms::DType::kQ4_0, 1, path).code() == elms::StatusCode::kInvalidArgument);
  CHECK(offline::synthesize(small_shape(), elms::DType::kQ4_K, 1, path).code() == elms::StatusCode::kInvalidArgument);
  const auto stop = [](const offline::Progress& progress) {
    CHECK(progress.phase == "write");
    return elms::Flow::kStop;
  };
  CHECK(offline::synthesize(small_shape(), elms::DType::kF32, 1, path, stop).code() == elms::StatusCode::kCancelled);
  CHECK_FALSE(std::filesystem::exists(path));
  CHECK(offline::synthesize(small_shape(), elms::DType::kF32, 1, scratch_path("no") + "/such/dir.gguf").code() !=
        elms::StatusCode::kOk);
}
