// States of converted encoders against PyTorch (tests/data/make_encoder_vectors.py).
#include <cmath>

#include "encoder_fixture.hpp"

namespace {

using namespace elms_test;

const char* const kFolders[] = {"bert", "mobilebert", "mobilebert_variant"};

std::string convert(const std::string& folder, elms::DType type) {
  const std::string path = scratch_path("converted.gguf");
  REQUIRE_OK(elms::offline::convert_encoder(encoder_folder(folder), path, type));
  return path;
}

std::vector<TokenId> ids_of(const std::vector<float>& values) {
  std::vector<TokenId> ids;
  for (const float value : values) ids.push_back(static_cast<TokenId>(value));
  return ids;
}

}  // namespace

TEST_CASE("converted encoders have PyTorch's states within 1e-4 in f32", "[refine][encoder]") {
  for (const char* folder : kFolders) {
    for (const std::size_t n_threads : {1, 2}) {
      INFO(folder << " on " << n_threads << " threads");
      const auto expected = read_expected(encoder_folder(folder));
      const auto encoder = make_encoder(convert(folder, elms::DType::kF32), {}, n_threads);
      CHECK(encoder->model().precision() == EncoderPrecision::kF32);
      std::vector<float> states(expected.at("window.states").size());
      REQUIRE_OK(encoder->hidden(ids_of(expected.at("window.tokens")), states));
      CHECK(largest_difference(states, expected.at("window.states")) < 1e-4);
    }
  }
}

TEST_CASE("a batch with padding at either end has PyTorch's states, and what padding holds changes nothing",
          "[refine][encoder]") {
  for (const char* folder : kFolders) {
    INFO(folder);
    const auto expected = read_expected(encoder_folder(folder));
    const auto encoder = make_encoder(convert(folder, elms::DType::kF32));
    std::vector<TokenId> tokens = ids_of(expected.at("batch.tokens"));
    std::vector<std::uint8_t> mask;
    for (const float value : expected.at("batch.mask")) mask.push_back(value != 0);
    std::vector<float> states(expected.at("batch.states").size()), other(states.size());
    REQUIRE_OK(encoder->hidden_batch(tokens, mask, 10, states));
    CHECK(largest_difference(states, expected.at("batch.states")) < 1e-4);
    for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = mask[i] != 0 ? tokens[i] : 77;
    REQUIRE_OK(encoder->hidden_batch(tokens, mask, 10, other));
    CHECK(other == states);
  }
}

TEST_CASE("encoders in f16 and Q8_0 stay close to PyTorch", "[refine][encoder]") {
  for (const char* folder : kFolders) {
    const auto expected = read_expected(encoder_folder(folder));
    for (const auto& [type, bound] :
         {std::pair(elms::DType::kF16, 0.02), std::pair(elms::DType::kQ8_0, 0.2)}) {
      const auto encoder = make_encoder(convert(folder, type));
      INFO(folder);
      std::vector<float> states(expected.at("window.states").size());
      REQUIRE_OK(encoder->hidden(ids_of(expected.at("window.tokens")), states));
      const double difference = largest_difference(states, expected.at("window.states"));
      CHECK(difference < bound);
      CHECK(difference > 0);
      CHECK((encoder->model().precision() == EncoderPrecision::kInt8) ==
            (type == elms::DType::kQ8_0 &&
             std::string(folder) == "bert"));  // the others' rows are no whole blocks
    }
  }
}

TEST_CASE("two labels for tokens become a score head", "[refine][encoder]") {
  const auto encoder = make_encoder(convert("bert", elms::DType::kF32));
  REQUIRE(encoder->model().has_score_head());
  CHECK_FALSE(encoder->model().has_decision_head());
  const auto tokens = ids_of(read_expected(encoder_folder("bert")).at("window.tokens"));
  std::vector<float> scores(tokens.size());
  REQUIRE_OK(encoder->score(tokens, scores));
  for (const float score : scores) CHECK((score > 0 && score < 1));
  CHECK(scores[0] != scores[1]);
  std::vector<float> quality(12);
  CHECK(encoder->decide(tokens, 1, 1, quality).code() == elms::StatusCode::kUnsupported);
}

TEST_CASE("a converted encoder has the WordPiece of its vocab.txt", "[refine][encoder]") {
  const auto model = open_encoder(convert("mobilebert", elms::DType::kF32));
  const auto& tokenizer = model->tokenizer();
  CHECK(tokenizer.n_vocab() == 96);
  const std::vector<TokenId> ids = tokenizer.encode("Ab, word3 \xE4\xB8\xAD");
  std::vector<std::string> texts;
  for (const TokenId id : ids) texts.emplace_back(tokenizer.token_text(id));
  const std::string begin = "\xE2\x96\x81";
  CHECK(texts ==
        std::vector<std::string>{"[CLS]", begin + "a", "b", begin + ",", begin + "word3", "[UNK]", "[SEP]"});
}
