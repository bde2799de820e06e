#include "elms/elastic_model.hpp"

#include "test_model.hpp"

using namespace elms_test;

TEST_CASE("elastic_model: levels are nested, legal, ascending and named by their cost", "[model]") {
  for (elms::DType type : {elms::DType::kF32, elms::DType::kQ8_0, elms::DType::kQ4_0}) {
    const auto model = open_model(write_model(small_shape(), type, "levels.gguf"));
    const auto levels = model->levels();
    REQUIRE(levels.size() >= 3);
    CHECK(levels.back().cost_share == 1.0);
    CHECK(levels.back().layers == model->config().layers);
    for (std::size_t i = 1; i < levels.size(); ++i) {
      CHECK(levels[i - 1].cost_share < levels[i].cost_share);
      for (std::size_t l = 0; l < levels[i].layers.size(); ++l) {
        CHECK(levels[i - 1].layers[l].q_heads <= levels[i].layers[l].q_heads);
        CHECK(levels[i - 1].layers[l].ff <= levels[i].layers[l].ff);
        CHECK(levels[i].layers[l].ff % (type == elms::DType::kF32 ? 4 : 32) == 0);
      }
    }
  }
}

TEST_CASE("elastic_model: cost share is weight bytes of one token, head included", "[model]") {
  auto shape = small_shape();
  const auto model = open_model(write_model(shape, elms::DType::kF32, "cost.gguf"));
  const elms::Level& level = model->levels()[1];
  const auto bytes = [&](const std::vector<elms::LayerShape>& layers) {
    std::uint64_t n = 4ull * 64 * 320 + 4 * 64 + 4 * 64;  // head, embedding row, output norm
    for (const elms::LayerShape& layer : layers) {
      n += 4ull * 64 * 32 * static_cast<std::uint64_t>(2 * layer.q_heads + 2 * layer.kv_heads) +
           4ull * 64 * 3 * static_cast<std::uint64_t>(layer.ff) + 2 * 4 * 64;
    }
    return n;
  };
  CHECK(level.bytes_per_token == bytes(level.layers));
  CHECK(level.cost_share == Approx(static_cast<double>(bytes(level.layers)) / static_cast<double>(bytes(model->config().layers))));
}

TEST_CASE("elastic_model: any width finds the widest level that it pays for", "[model]") {
  const auto model = open_model(write_model(small_shape(), elms::DType::kF32, "widths.gguf"));
  const auto levels = model->levels();
  CHECK(model->level_for_width(0.0) == 0);
  CHECK(model->level_for_width(1e-9) == 0);
  CHECK(model->level_for_width(1.0) == static_cast<int>(levels.size()) - 1);
  CHECK(model->level_for_width(7.0) == static_cast<int>(levels.size()) - 1);
  for (std::size_t i = 0; i < levels.size(); ++i) {
    CHECK(model->level_for_width(levels[i].cost_share) == static_cast<int>(i));
    if (i > 0) CHECK(model->level_for_width(levels[i].cost_share - 0.002) == static_cast<int>(i) - 1);
  }
}

TEST_CASE("elastic_model: errors of open name the file", "[model]") {
  const auto missing = elms::ElasticModel::open(scratch_path("nowhere.gguf"));
  CHECK(missing.error().code() == elms::StatusCode::kNotFound);
  CHECK(missing.error().message().find("nowhere.gguf") != std::string::npos);

  auto bytes = read_bytes(write_model(small_shape(), elms::DType::kF32, "whole.gguf"));
  bytes.resize(bytes.size() - 100);
  const std::string truncated = scratch_path("truncated.gguf");
  write_bytes(truncated, bytes);
  const auto model = elms::ElasticModel::open(truncated);
  CHECK(model.error().code() == elms::StatusCode::kMalformedFile);
  CHECK(model.error().message().find("truncated.gguf") != std::string::npos);
}

TEST_CASE("elastic_model: a plain checkpoint has full width, or uniform levels on request", "[model]") {
  ELMS_REQUIRE_SHARED(path, "models/stories260K.gguf");
  const auto plain = open_model(path);
  CHECK(plain->levels().size() == 1);
  CHECK_FALSE(plain->is_elastic());
  elms::OpenOptions options;
  options.uniform_levels_if_none = true;
  const auto ladder = elms::ElasticModel::open(path, options);
  REQUIRE_OK(ladder);
  CHECK((*ladder)->levels().size() > 5);
}
