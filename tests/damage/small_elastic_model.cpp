#include "small_elastic_model.hpp"

#include <span>
#include <vector>

#include "../io/tiny_checkpoint.hpp"
#include "elms/chat_template.hpp"
#include "elms/detail/elastic_metadata.hpp"
#include "elms/session.hpp"
#include "support.hpp"

namespace elms_test {

namespace {

using elms::Result;
using elms::TokenId;
using elms::detail::GgufWriter;

constexpr const char* kTemplate =
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + "
    "'<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

void add_vocabulary(GgufWriter& writer) {
  const std::vector<std::string_view> tokens = {"<unk>",
                                                "<s>",
                                                "</s>",
                                                "\xE2\x96\x81",
                                                "a",
                                                "b",
                                                "c",
                                                "d",
                                                "e",
                                                "\n",
                                                "ab",
                                                "cd",
                                                "abcd",
                                                "\xE2\x96\x81"
                                                "a",
                                                "\xE2\x96\x81"
                                                "ab",
                                                "<0x41>",
                                                "<0x42>",
                                                "<|im_start|>",
                                                "<|im_end|>",
                                                "<extra>"};
  std::vector<float> scores(tokens.size());
  for (std::size_t i = 0; i < scores.size(); ++i) scores[i] = -static_cast<float>(i);
  const std::vector<std::int32_t> types = {2, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 6, 6, 3, 3, 5};
  writer.set("tokenizer.ggml.model", "llama");
  writer.set("tokenizer.ggml.tokens", std::span(tokens));
  writer.set("tokenizer.ggml.scores", std::span<const float>(scores));
  writer.set("tokenizer.ggml.token_type", std::span<const std::int32_t>(types));
  writer.set("tokenizer.ggml.bos_token_id", std::uint32_t{1});
  writer.set("tokenizer.ggml.eos_token_id", std::uint32_t{2});
  writer.set("tokenizer.ggml.unknown_token_id", std::uint32_t{0});
  writer.set("tokenizer.ggml.add_bos_token", true);
  writer.set("tokenizer.ggml.add_eos_token", false);
  writer.set("tokenizer.chat_template", kTemplate);
}

elms::LayerShape slice(std::int32_t q_heads, std::int32_t ff) {
  return {q_heads, 2, ff};
}

void add_levels(GgufWriter& writer, const TinyShape& shape, const std::string& adapter_name) {
  const std::size_t n_heads = shape.layers * shape.heads, n_units = shape.layers * shape.ff;
  elms::detail::ElasticMetadata metadata;
  metadata.importance_method = "taylor";
  metadata.head_importance.assign(n_heads, 0.5f);
  metadata.ffn_importance.assign(n_units, 0.25f);
  for (std::size_t i = 0; i < n_heads; ++i)
    metadata.head_order.push_back(static_cast<std::int32_t>(i % shape.heads));
  for (std::size_t i = 0; i < n_units; ++i)
    metadata.ffn_order.push_back(static_cast<std::int32_t>(i % shape.ff));
  metadata.levels = {{slice(2, 12), slice(4, 8)}, {slice(4, 24), slice(4, 24)}};
  metadata.cost_shares = {0.6f, 1.0f};
  metadata.adapters = {adapter_name, ""};
  metadata.qualities = elms::StrategyQualities{{0.6f, 1.0f}, {0.5f, 1.0f}, {0.25f, 0.5f, 0.75f, 1.0f}};
  metadata.quality_source = "a test";
  elms::detail::write_elastic_metadata(writer, metadata, {.ff_step = 4});
}

/// Of the matrices of the first layer and biases of both.
void write_adapter(const std::string& path, const TinyShape& shape) {
  struct Matrix {
    const char* name;
    std::uint64_t rows, cols;
  };
  const Matrix matrices[] = {{"blk.0.attn_q.weight", 8, shape.d},
                             {"blk.0.ffn_up.weight", 12, shape.d},
                             {"blk.0.ffn_down.weight", shape.d, 12}};
  constexpr std::uint64_t kRank = 2;
  GgufWriter writer;
  writer.set("general.type", "adapter");
  writer.set("general.architecture", "llama");
  writer.set("general.name", "of a test");
  writer.set("adapter.type", "lora");
  writer.set("adapter.lora.alpha", 2.0f);
  const std::vector<float> biases(shape.layers * shape.d, 0.125f);
  writer.set("elms.adapter.bias.attn_output", std::span<const float>(biases));
  writer.set("elms.adapter.bias.ffn_down", std::span<const float>(biases));
  std::vector<std::size_t> sizes;
  for (const Matrix& matrix : matrices) {
    const std::uint64_t a[] = {matrix.cols, kRank}, b[] = {kRank, matrix.rows};
    REQUIRE_OK(writer.add_tensor(elms::detail::concat(matrix.name, ".lora_a"), elms::DType::kF32, a));
    REQUIRE_OK(writer.add_tensor(elms::detail::concat(matrix.name, ".lora_b"), elms::DType::kF32, b));
    sizes.insert(sizes.end(), {matrix.cols * kRank, matrix.rows * kRank});
  }
  REQUIRE_OK(writer.begin(path));
  for (const std::size_t size : sizes) {
    std::vector<float> values(size);
    for (std::size_t i = 0; i < size; ++i) values[i] = static_cast<float>(i % 7) / 16.0f - 0.1875f;
    REQUIRE_OK(writer.write({reinterpret_cast<const std::uint8_t*>(values.data()), size * sizeof(float)}));
  }
  REQUIRE_OK(writer.finish());
}

void append(std::string& text, std::span<const float> values) {
  text.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
}

elms::Status compute(const std::shared_ptr<const elms::ElasticModel>& model, std::string& text) {
  ELMS_ASSIGN_OR_RETURN(elms::Session session,
                        elms::Session::create(model, {.context_tokens = 16, .batch_tokens = 4}));
  for (int level = 0; level < static_cast<int>(model->levels().size()); ++level) {
    ELMS_RETURN_IF_ERROR(session.set_level(level));
    session.reset();
    ELMS_RETURN_IF_ERROR(session.prefill(std::vector<TokenId>{1, 4, 5}));
    append(text, session.logits());
    for (int i = 0; i < 2; ++i) {
      ELMS_ASSIGN_OR_RETURN(const TokenId token, session.decode());
      text += elms::detail::concat(' ', token);
    }
    text += elms::detail::concat(" at ", session.width(), '\n');
  }
  return {};
}

elms::Status talk(const elms::Tokenizer& tokenizer, std::string& text) {
  const std::vector<TokenId> tokens = tokenizer.encode("ab abcd</s>AB ?\n");
  for (const TokenId token : tokens) text += elms::detail::concat(token, ' ');
  text += tokenizer.decode(tokens);
  for (TokenId token = 0; token < tokenizer.n_vocab(); ++token)
    text += tokenizer.is_end_of_generation(token) ? '!' : '.';
  if (tokenizer.chat_template().empty()) return {};
  ELMS_ASSIGN_OR_RETURN(const auto chat, elms::ChatTemplate::create(tokenizer));
  const elms::ChatMessage messages[] = {elms::ChatMessage::system("be brief"),
                                        elms::ChatMessage::user("ab?")};
  ELMS_ASSIGN_OR_RETURN(const std::string prompt, chat->render(messages));
  text += prompt;
  return {};
}

}  // namespace

std::string write_small_elastic_model(const std::string& name, const std::string& adapter_name) {
  std::mt19937 rng = make_rng(93);
  const TinyShape shape;
  if (!adapter_name.empty()) write_adapter(scratch_path(adapter_name), shape);
  return write_gguf(name, shape, tiny_tensors(shape, rng), [&](GgufWriter& writer) {
    add_vocabulary(writer);
    add_levels(writer, shape, adapter_name);
  });
}

Result<std::string> use_model(const std::string& path, const std::shared_ptr<elms::ThreadPool>& pool,
                              const std::string& cache) {
  elms::OpenOptions options;
  options.pool = pool;
  options.pack_cache = cache;
  ELMS_ASSIGN_OR_RETURN(const auto model, elms::ElasticModel::open(path, options));
  std::string text;
  if (model->elastic_metadata().has_value() && model->elastic_metadata()->qualities.has_value()) {
    append(text, model->elastic_metadata()->qualities->quality);
  }
  ELMS_RETURN_IF_ERROR(compute(model, text));
  ELMS_ASSIGN_OR_RETURN(const auto tokenizer, model->tokenizer());
  ELMS_RETURN_IF_ERROR(talk(*tokenizer, text));
  return text;
}

}  // namespace elms_test
