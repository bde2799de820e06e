// The forward pass at every width against a plain double implementation.
#include <algorithm>
#include <cmath>

#include "elms/session.hpp"
#include "reference_decoder.hpp"
#include "test_model.hpp"

using namespace elms_test;

namespace {

std::vector<elms::TokenId> random_tokens(std::size_t n, std::int32_t n_vocab, std::uint32_t salt) {
  auto rng = make_rng(salt);
  std::vector<elms::TokenId> tokens(n);
  for (auto& token : tokens) token = static_cast<elms::TokenId>(rng() % static_cast<std::uint32_t>(n_vocab));
  return tokens;
}

/// Largest difference of two rows of logits over the spread of the expected ones.
double relative_error(std::span<const float> actual, const std::vector<double>& expected) {
  double worst = 0, largest = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(actual[i]) - expected[i]));
    largest = std::max(largest, std::abs(expected[i]));
  }
  return worst / largest;
}

/// One token after the other at a level for each token; -> the largest error.
double compare_decoding(const std::string& path, const std::vector<int>& level_of_token, std::uint32_t salt,
                        elms::KvType kv_type = elms::KvType::kF16) {
  const auto model = open_model(path);
  elms::SessionOptions options;
  options.kv_type = kv_type;
  auto session = elms::Session::create(model, options);
  REQUIRE_OK(session);
  ReferenceDecoder reference(model->source());
  const auto tokens = random_tokens(level_of_token.size(), model->config().n_vocab, salt);
  double worst = 0;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const int level = std::min(level_of_token[i], static_cast<int>(model->levels().size()) - 1);
    REQUIRE_OK(session->set_level(level));
    REQUIRE_OK(session->prefill(std::span(&tokens[i], 1)));
    const auto expected = reference.eval(tokens[i], model->levels()[static_cast<std::size_t>(level)].layers);
    worst = std::max(worst, relative_error(session->logits(), expected));
  }
  return worst;
}

struct Variant {
  const char* architecture;
  std::int32_t n_kv_heads;
  bool tied_head, qkv_bias;
};

const Variant kVariants[] = {
    {"llama", 2, false, false}, {"llama", 4, false, false}, {"llama", 1, true, false},
    {"llama", 2, false, true},  {"qwen2", 2, true, true},   {"qwen2", 4, false, true},
    {"qwen3", 2, false, false}, {"qwen3", 4, true, false},
};

}  // namespace

TEST_CASE("decoder agrees with a plain double implementation for every family at every level", "[model]") {
  for (const Variant& v : kVariants) {
    auto shape = small_shape(v.architecture);
    shape.n_kv_heads = v.n_kv_heads;
    shape.tied_head = v.tied_head;
    shape.qkv_bias = v.qkv_bias;
    const std::string path = write_model(shape, elms::DType::kF32, "family.gguf");
    const auto n_levels = static_cast<int>(open_model(path)->levels().size());
    REQUIRE(n_levels >= 3);
    for (int level = 0; level < n_levels; ++level) {
      CAPTURE(v.architecture, v.n_kv_heads, v.tied_head, v.qkv_bias, level);
      CHECK(compare_decoding(path, std::vector<int>(12, level), 1) < 2e-3);  // the KV cache holds halves
    }
  }
}

TEST_CASE("decoder is nearly as right with keys and values in int8, in about half the memory", "[model]") {
  for (const Variant& v : kVariants) {
    auto shape = small_shape(v.architecture);
    shape.n_kv_heads = v.n_kv_heads;
    shape.tied_head = v.tied_head;
    shape.qkv_bias = v.qkv_bias;
    const std::string path = write_model(shape, elms::DType::kF32, "q8_kv.gguf");
    CAPTURE(v.architecture, v.n_kv_heads, v.tied_head, v.qkv_bias);
    const std::vector<int> levels = {0, 0, 2, 2, 99, 99, 1, 99, 0, 99, 99, 2};
    const double halves = compare_decoding(path, levels, 8), bytes = compare_decoding(path, levels, 8, elms::KvType::kQ8);
    CHECK(bytes < 2e-2);
    CHECK(bytes > halves);  // it is another cache

    elms::SessionOptions options;
    options.context_tokens = 10;
    auto f16 = elms::Session::create(open_model(path), options);
    options.kv_type = elms::KvType::kQ8;
    auto q8 = elms::Session::create(open_model(path), options);
    REQUIRE_OK(f16);
    REQUIRE_OK(q8);
    const auto entries = static_cast<std::size_t>(2 * 10 * shape.n_layers * v.n_kv_heads);
    CHECK(f16->kv_bytes() == entries * 64);
    CHECK(q8->kv_bytes() == entries * (32 + 2));
  }
}

TEST_CASE("decoder follows the stated KV policy when the width changes between tokens", "[model]") {
  for (std::int32_t n_kv_heads : {2, 4}) {
    auto shape = small_shape();
    shape.n_kv_heads = n_kv_heads;
    const std::string path = write_model(shape, elms::DType::kF32, "policy.gguf");
    CAPTURE(n_kv_heads);
    CHECK(compare_decoding(path, {9, 9, 0, 0, 9, 1, 9, 0, 2, 9, 0, 9}, 2) < 2e-3);
    CHECK(compare_decoding(path, {0, 0, 0, 9, 9, 9}, 3) < 2e-3);
  }
}

TEST_CASE("decoder computes with every weight type", "[model]") {
  // The reference reads the same stored values; what differs is the rounding of activations to int8.
  struct Case {
    elms::DType type;
    double tolerance;
  };
  for (const Case& c : {Case{elms::DType::kF16, 2e-3}, Case{elms::DType::kBF16, 2e-3}, Case{elms::DType::kQ8_0, 1e-1},
                        Case{elms::DType::kQ4_0, 1e-1}}) {
    const std::string path = write_model(small_shape(), c.type, "typed.gguf");
    for (int level : {0, 3, 99}) {
      CAPTURE(static_cast<int>(c.type), level);
      CHECK(compare_decoding(path, std::vector<int>(10, level), 4) < c.tolerance);
    }
  }
}

TEST_CASE("prefill in batches of any size gives the logits of single steps", "[model]") {
  const std::string path = write_model(small_shape(), elms::DType::kF32, "batches.gguf");
  const auto model = open_model(path);
  const auto tokens = random_tokens(45, model->config().n_vocab, 5);
  for (double width : {1.0, 0.6}) {
    std::vector<std::vector<float>> expected;
    auto single = elms::Session::create(model);
    REQUIRE_OK(single);
    single->set_width(width);
    for (elms::TokenId token : tokens) {
      REQUIRE_OK(single->prefill(std::span(&token, 1)));
      expected.emplace_back(single->logits().begin(), single->logits().end());
    }
    for (std::int32_t batch : {1, 2, 7, 16, 33, 45, 512}) {
      elms::SessionOptions options;
      options.batch_tokens = batch;
      auto session = elms::Session::create(model, options);
      REQUIRE_OK(session);
      session->set_width(width);
      std::size_t rows = 0;
      double worst = 0;
      elms::PrefillOptions prefill;
      prefill.on_logits = [&](std::int32_t first, std::int32_t n, std::span<const float> logits) {
        REQUIRE(static_cast<std::size_t>(first) == rows);
        const std::size_t n_vocab = logits.size() / static_cast<std::size_t>(n);
        for (std::size_t r = 0; r < static_cast<std::size_t>(n); ++r) {
          const std::vector<double> row(expected[rows + r].begin(), expected[rows + r].end());
          worst = std::max(worst, relative_error(logits.subspan(r * n_vocab, n_vocab), row));
        }
        rows += static_cast<std::size_t>(n);
        return elms::Flow::kContinue;
      };
      REQUIRE_OK(session->prefill(tokens, prefill));
      CAPTURE(width, batch);
      CHECK(rows == tokens.size());
      CHECK(worst < 1e-3);
      const std::vector<double> last(expected.back().begin(), expected.back().end());
      CHECK(relative_error(session->logits(), last) < 1e-3);
    }
  }
}

TEST_CASE("decoder agrees with the double implementation on a trained model", "[model]") {
  ELMS_REQUIRE_SHARED(path, "models/stories260K.gguf");
  CHECK(compare_decoding(path, std::vector<int>(24, 99), 6) < 2e-3);
}
