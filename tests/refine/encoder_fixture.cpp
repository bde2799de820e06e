#include "encoder_fixture.hpp"

#include <cmath>
#include <cstring>

#include "io/safetensors.hpp"

namespace elms_test {

EncoderConfig bert_config(std::int32_t d_model, std::int32_t n_layers, std::int32_t max_positions) {
  EncoderConfig config;
  config.n_vocab = 300;
  config.d_embedding = config.d_model = config.d_inner = d_model;
  config.d_ff = 4 * d_model;
  config.n_layers = n_layers;
  config.n_heads = d_model / 32;
  config.max_positions = max_positions;
  config.n_token_types = 2;
  config.n_shared_layers = (n_layers + 1) / 2;
  config.n_decision_layers = 1;
  return config;
}

EncoderConfig mobilebert_config() {
  EncoderConfig config = bert_config(96, 2, 40);
  config.family = elms::detail::EncoderFamily::kMobileBert;
  config.activation = elms::detail::EncoderActivation::kRelu;
  config.norm = elms::detail::EncoderNorm::kNoNorm;
  config.d_embedding = 32;
  config.d_inner = 64;
  config.n_heads = 2;
  config.d_ff = 96;
  config.n_ffn = 3;
  config.trigram = config.bottleneck = true;
  return config;
}

std::string write_random_encoder(const EncoderConfig& config, elms::DType type, const std::string& name) {
  const std::string path = scratch_path(name);
  REQUIRE_OK(elms::offline::synthesize_encoder(config, {.score = true, .decision = true}, type, 7, path));
  return path;
}

std::shared_ptr<const EncoderModel> open_encoder(const std::string& path,
                                                 std::optional<EncoderPrecision> precision,
                                                 std::size_t n_threads) {
  auto pool = elms::ThreadPool::create(n_threads);
  REQUIRE_OK(pool);
  auto model = EncoderModel::open(path, {.pool = *pool, .precision = precision});
  REQUIRE_OK(model);
  return *model;
}

std::unique_ptr<Encoder> make_encoder(const std::string& path, std::optional<EncoderPrecision> precision,
                                      std::size_t n_threads) {
  auto encoder = Encoder::create(open_encoder(path, precision, n_threads));
  REQUIRE_OK(encoder);
  return std::move(*encoder);
}

std::vector<TokenId> random_tokens(std::size_t n, std::int32_t n_vocab, std::uint32_t salt) {
  auto rng = make_rng(salt);
  std::uniform_int_distribution<TokenId> draw(5, n_vocab - 1);
  std::vector<TokenId> tokens(n);
  for (TokenId& token : tokens) token = draw(rng);
  return tokens;
}

std::string encoder_folder(const std::string& name) {
  return std::string(ELMS_TEST_DATA_DIR) + "/encoder/" + name;
}

std::map<std::string, std::vector<float>> read_expected(const std::string& folder) {
  const auto file = elms::detail::SafetensorsFile::open(folder + "/expected.safetensors");
  REQUIRE_OK(file);
  std::map<std::string, std::vector<float>> out;
  for (const auto& tensor : file->tensors()) {
    std::vector<float> values(tensor.data.size() / sizeof(float));
    std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
    out.emplace(tensor.name, std::move(values));
  }
  return out;
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = std::fabs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    most = difference > most || std::isnan(difference) ? difference : most;
    if (std::isnan(difference)) break;
  }
  return most;
}

}  // namespace elms_test
