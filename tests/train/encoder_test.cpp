// The encoder's operations against PyTorch's, the whole encoder's gradients against central differences, and
// a file that training wrote against the device library's encoder.
#include "elms/detail/encoder.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>
#include <vector>

#include "elms/detail/gguf.hpp"
#include "offline/refiner/refiner_file.hpp"
#include "offline/refiner/token_embeddings.hpp"
#include "offline/refiner/train_encoder.hpp"
#include "offline/train/encoder_ops.hpp"
#include "offline/train/ops.hpp"
#include "offline/vocab/wordpiece.hpp"
#include "stored_tensors.hpp"
#include "support.hpp"
#include "test_model.hpp"

using namespace elms_test;
namespace train = elms::offline::train;
namespace refiner = elms::offline::refiner;

namespace {

const StoredTensors& encoder_vectors() {
  static const StoredTensors tensors("encoder_train_vectors.gguf");
  return tensors;
}

refiner::EncoderShape tiny_encoder_shape() {
  refiner::EncoderShape shape;
  shape.n_vocab = 11;
  shape.d_model = 8;
  shape.n_heads = 2;
  shape.d_ff = 12;
  shape.max_positions = 10;
  shape.n_layers = 2;
  shape.n_shared_layers = 1;
  shape.n_decision_layers = 1;
  shape.n_decision_hidden = 3;
  shape.norm_epsilon = 1e-3f;
  shape.widths = {0.5f, 1.0f};
  shape.keep_ratios = {0.4f, 1.0f};
  return shape;
}

/// Weights that are far from symmetric, norms and biases too.
template <typename T>
std::vector<T> random_parameters(std::size_t n, std::uint32_t salt) {
  auto rng = make_rng(salt);
  std::uniform_real_distribution<double> uniform(-0.6, 0.8);
  std::vector<T> values(n);
  for (T& value : values) value = static_cast<T>(uniform(rng));
  return values;
}

}  // namespace

TEMPLATE_TEST_CASE("train: the encoder's operations are PyTorch's", "[train]", float, double) {
  using T = TestType;
  using Values = std::vector<T>;
  const auto stored = [](const std::string& name) { return encoder_vectors().values<T>(name); };
  const auto pool = make_pool(2);
  {
    const Values x = stored("layer_norm.x"), w = stored("layer_norm.weight"), b = stored("layer_norm.bias");
    Values y(x.size()), mean(5), scale(5), dx = stored("layer_norm.dy"), dw(24, T{0}), db(24, T{0});
    train::layer_norm_forward<T>(*pool, 5, 24, T(1e-5), x.data(), w.data(), b.data(), y.data(), mean.data(),
                                 scale.data());
    train::layer_norm_backward<T>(*pool, 5, 24, x.data(), w.data(), mean.data(), scale.data(), dx.data(),
                                  dx.data(), dw.data(), db.data());
    encoder_vectors().check(y, "layer_norm.y");
    encoder_vectors().check(dx, "layer_norm.d_x");
    encoder_vectors().check(dw, "layer_norm.d_weight");
    encoder_vectors().check(db, "layer_norm.d_bias");
  }
  {
    const Values x = stored("gelu.x");
    Values y(x.size()), dx = stored("gelu.dy");
    train::gelu_forward<T>(*pool, x.size(), x.data(), y.data());
    train::gelu_backward<T>(*pool, x.size(), x.data(), dx.data(), dx.data());
    encoder_vectors().check(y, "gelu.y");
    encoder_vectors().check(dx, "gelu.d_x");
  }
  {
    const Values q = stored("packed_attention.q"), k = stored("packed_attention.k"),
                 v = stored("packed_attention.v"), dy = stored("packed_attention.dy");
    const train::SequenceSpan sequences[] = {{0, 70}, {70, 1}, {71, 9}};
    const train::PackedAttentionShape shape{sequences, 2, 8};
    Values y(q.size()), dq(q.size()), dk(q.size()), dv(q.size()), scratch(shape.scratch_elems(80, 2));
    train::packed_attention_forward<T>(*pool, shape, q.data(), k.data(), v.data(), y.data(), scratch.data());
    train::packed_attention_backward<T>(*pool, shape, q.data(), k.data(), v.data(), dy.data(), dq.data(),
                                        dk.data(), dv.data(), scratch.data());
    encoder_vectors().check(y, "packed_attention.y");
    encoder_vectors().check(dq, "packed_attention.d_q");
    encoder_vectors().check(dk, "packed_attention.d_k");
    encoder_vectors().check(dv, "packed_attention.d_v");
  }
  const Values labels = stored("binary.labels"), weights = stored("binary.weights");
  Values logits = stored("binary.logits");
  const double loss =
      train::binary_cross_entropy<T>(40, labels.data(), weights.data(), logits.data(), logits.data());
  CHECK(loss == Approx(encoder_vectors().values<double>("binary.y")[0]).epsilon(1e-5));
  encoder_vectors().check(logits, "binary.d_logits");
}

TEST_CASE("train: gradients of a whole encoder, with dropout, on both branches", "[train]") {
  const refiner::EncoderLayout layout(tiny_encoder_shape());
  const auto pool = make_pool(1);
  std::vector<double> params = random_parameters<double>(layout.size(), 31);
  refiner::PackedBatch batch;
  batch.append(std::vector<elms::TokenId>{2, 5, 5, 9}, 3);
  batch.append(std::vector<elms::TokenId>{2});
  batch.append(std::vector<elms::TokenId>{4, 1, 10});
  const std::vector<double> dy = random_parameters<double>(8 * layout.shape().d_model, 32);
  auto encoder = refiner::TrainEncoder<double>::create(layout.shape(), 8, 2);
  REQUIRE_OK(encoder);
  for (const refiner::Branch branch : {refiner::Branch::kScore, refiner::Branch::kDecision}) {
    const refiner::Dropout dropout{branch == refiner::Branch::kScore ? 0.25 : 0.0, 7};
    const auto loss = [&] {
      encoder->forward(*pool, layout, params.data(), batch, branch, dropout);
      double sum = 0.0;
      for (std::size_t i = 0; i < dy.size(); ++i) sum += encoder->states()[i] * dy[i];
      return sum;
    };
    loss();
    std::vector<double> gradients(layout.size(), 0.0);
    std::copy(dy.begin(), dy.end(), encoder->gradient().begin());
    encoder->backward(*pool, layout, params.data(), batch, branch, dropout, 0, gradients.data());
    auto rng = make_rng(33);
    for (const train::ParameterTensor& tensor : layout.tensors()) {
      for (int draw = 0; draw < 6; ++draw) {
        const std::size_t i = tensor.offset + rng() % tensor.size();
        constexpr double kStep = 1e-5;
        const double kept = params[i];
        params[i] = kept + kStep;
        const double above = loss();
        params[i] = kept - kStep;
        const double below = loss();
        params[i] = kept;
        INFO(tensor.name << " at " << i - tensor.offset);
        REQUIRE(gradients[i] == Approx((above - below) / (2 * kStep)).epsilon(2e-5).margin(1e-8));
      }
    }
  }
}

TEST_CASE("train: dropout keeps the mean and repeats itself", "[train]") {
  const auto pool = make_pool(2);
  std::vector<float> x(20000, 1.0f), again(20000, 1.0f);
  train::dropout<float>(*pool, x.size(), 0.25, 5, x.data());
  train::dropout<float>(*pool, again.size(), 0.25, 5, again.data());
  CHECK(x == again);
  double sum = 0.0;
  for (const float value : x) sum += static_cast<double>(value);
  CHECK(sum / 20000.0 == Approx(1.0).epsilon(0.02));
  CHECK(static_cast<double>(std::count(x.begin(), x.end(), 0.0f)) / 20000.0 == Approx(0.25).epsilon(0.05));
}

/// Two pieces, and all single letters.
std::string tiny_wordpiece_file() {
  const std::string vocabulary = scratch_path("encoder_vocab.gguf");
  elms::offline::SpmPieces pieces;
  pieces.texts = {"\xE2\x96\x81the", "ing"};
  pieces.types.assign(2, elms::detail::TokenType::kNormal);
  elms::detail::GgufWriter writer;
  writer.set("general.architecture", "bert");
  elms::offline::write_wordpiece_metadata(elms::offline::wordpiece_tokens(pieces, 200), writer);
  REQUIRE_OK(writer.begin(vocabulary));
  REQUIRE_OK(writer.finish());
  return vocabulary;
}

TEST_CASE("train: tokens that stand in the same places get embeddings that lie close", "[train]") {
  auto file = elms::detail::GgufFile::open(tiny_wordpiece_file());
  REQUIRE_OK(file);
  auto tokenizer = elms::Tokenizer::from_gguf(*file);
  REQUIRE_OK(tokenizer);
  std::string text;
  const char* const nouns[] = {"a", "b", "c"};
  const char* const verbs[] = {"s", "t", "u"};
  for (std::size_t i = 0; i < 270; ++i) {  // every sentence equally often
    text += std::string("d ") + nouns[i % 3] + " " + verbs[i / 3 % 3] + " e " + nouns[i / 9 % 3] + " .\n\n";
  }
  refiner::EncoderShape shape = tiny_encoder_shape();
  shape.n_vocab = static_cast<std::size_t>((*tokenizer)->n_vocab());
  refiner::EncoderLayout layout(shape);
  const std::size_t d = shape.d_model, table = layout.token_embedding;
  auto params = elms::detail::Buffer<float>::zeroed(layout.size());
  REQUIRE_OK(params);
  refiner::RefinerModel model{std::move(layout), std::move(*params), std::move(*file), *tokenizer, false};
  const std::string path = scratch_path("embedding_texts.txt");
  std::ofstream(path) << text;
  REQUIRE_OK(refiner::embed_tokens(path, make_pool(2), {}, model));

  const auto row = [&](const std::string& word) {
    const auto token = static_cast<std::size_t>((*tokenizer)->find("\xE2\x96\x81" + word));
    return std::span<const float>(model.params).subspan(table + token * d, d);
  };
  const auto cosine = [&](const std::string& first, const std::string& second) {
    double dot = 0.0, of_first = 0.0, of_second = 0.0;
    for (std::size_t i = 0; i < d; ++i) {
      const double x = static_cast<double>(row(first)[i]), y = static_cast<double>(row(second)[i]);
      dot += x * y;
      of_first += x * x;
      of_second += y * y;
    }
    return dot / std::sqrt(of_first * of_second);
  };
  CHECK(cosine("a", "b") > 0.9);
  CHECK(cosine("s", "t") > 0.9);
  CHECK(cosine("a", "s") < 0.5);
  CHECK(cosine("a", "d") < 0.5);
  double square = 0.0;
  for (const float value : row("a")) square += static_cast<double>(value * value) / static_cast<double>(d);
  CHECK(std::sqrt(square) == Approx(static_cast<double>(refiner::kEmbeddingDeviation)).epsilon(1e-3));
  for (const float value : row("z")) CHECK(value == 0.0f);

  auto again = elms::detail::Buffer<float>::zeroed(model.params.size());
  REQUIRE_OK(again);
  std::swap(*again, model.params);
  REQUIRE_OK(refiner::embed_tokens(path, make_pool(1), {}, model));
  CHECK(std::equal(again->data(), again->data() + again->size(), model.params.data()));
  CHECK_FALSE(refiner::embed_tokens("no_such_file.txt", make_pool(1), {}, model).ok());
}

TEST_CASE("train: the device library's encoder gives the scores that training computed", "[train]") {
  const std::string path = scratch_path("trained_refiner.gguf");
  auto file = elms::detail::GgufFile::open(tiny_wordpiece_file());
  REQUIRE_OK(file);
  auto tokenizer = elms::Tokenizer::from_gguf(*file);
  REQUIRE_OK(tokenizer);
  CHECK((*tokenizer)->encode("The king") ==
        std::vector<elms::TokenId>{2, (*tokenizer)->find("\xE2\x96\x81the"),
                                   (*tokenizer)->find("\xE2\x96\x81k"), (*tokenizer)->find("ing"), 3});

  refiner::EncoderShape shape = tiny_encoder_shape();
  shape.n_vocab = static_cast<std::size_t>((*tokenizer)->n_vocab());
  shape.d_model = 32;
  shape.d_ff = 64;
  shape.max_positions = 16;
  refiner::EncoderLayout layout(shape);
  auto params = elms::detail::Buffer<float>::zeroed(layout.size());
  REQUIRE_OK(params);
  refiner::draw_encoder(layout.tensors(), 3, *params);
  for (float& value : std::span<float>(*params)) value *= 3.0f;
  const refiner::RefinerModel model{std::move(layout), std::move(*params), std::move(*file), *tokenizer,
                                    true};
  REQUIRE_OK(refiner::write_refiner(model, 1.5f, elms::DType::kF32, "", path));
  // llama.cpp adds the row of the token type as the file has it, and takes no other type there.
  const std::string quantised_path = scratch_path("trained_refiner_q8.gguf");
  REQUIRE_OK(refiner::write_refiner(model, 1.5f, elms::DType::kQ8_0, "", quantised_path));
  const auto quantised = elms::detail::GgufFile::open(quantised_path);
  REQUIRE_OK(quantised);
  REQUIRE(quantised->find_tensor("token_types.weight") != nullptr);
  CHECK(quantised->find_tensor("token_types.weight")->type == elms::DType::kF32);
  REQUIRE(quantised->find_tensor("token_embd.weight") != nullptr);
  CHECK(quantised->find_tensor("token_embd.weight")->type == elms::DType::kQ8_0);

  const std::vector<elms::TokenId> tokens = (*tokenizer)->encode("the thing, 12", {.add_special = false});
  auto opened = elms::detail::EncoderModel::open(path);
  REQUIRE_OK(opened);
  CHECK((*opened)->has_score_head());
  CHECK((*opened)->has_decision_head());
  auto encoder = elms::detail::Encoder::create(*opened);
  REQUIRE_OK(encoder);
  std::vector<float> keep(tokens.size());
  REQUIRE_OK((*encoder)->score(tokens, keep));

  auto back = refiner::open_refiner(path);
  REQUIRE_OK(back);
  CHECK(std::equal(model.params.data(), model.params.data() + model.layout.mlm_bias, back->params.data()));
  auto trained = refiner::TrainEncoder<float>::create(back->layout.shape(), tokens.size() + 2, 2);
  REQUIRE_OK(trained);
  std::vector<elms::TokenId> sequence = {2};
  sequence.insert(sequence.end(), tokens.begin(), tokens.end());
  sequence.push_back(3);
  refiner::PackedBatch batch;
  batch.append(sequence);
  const auto pool = make_pool(1);
  trained->forward(*pool, back->layout, back->params.data(), batch, refiner::Branch::kScore);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    double logit = static_cast<double>(back->params[back->layout.score_bias]);
    for (std::size_t c = 0; c < 32; ++c) {
      logit += static_cast<double>(trained->states()[(i + 1) * 32 + c]) *
               static_cast<double>(back->params[back->layout.score_weight + c]);
    }
    INFO("token " << i);
    CHECK(static_cast<double>(keep[i]) == Approx(1.0 / (1.0 + std::exp(-logit))).margin(1e-4));
  }
}
