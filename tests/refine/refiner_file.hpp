// A refiner of random weights with both heads, small enough to be written by a test.
#pragma once

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "elms/detail/gguf.hpp"
#include "support.hpp"

namespace elms_test {

struct RefinerShape {
  bool score_head = true, decision_head = true;
};

/// BERT of one layer, 32 wide, windows of 30 tokens; its vocabulary is the letters.
class RefinerFileWriter {
 public:
  static std::string write(const std::string& name, const RefinerShape& shape = {}) {
    RefinerFileWriter writer;
    writer.add_sizes();
    writer.add_vocabulary();
    writer.add_heads(shape);
    return writer.add_tensors_and_finish(name);
  }

 private:
  static constexpr std::size_t kWidth = 32, kFfn = 64, kPositions = 32;

  void add_sizes() {
    gguf_.set("general.architecture", "bert");
    const std::pair<const char*, std::uint32_t> sizes[] = {
        {"context_length", kPositions}, {"embedding_length", kWidth},
        {"feed_forward_length", kFfn},  {"block_count", 1},
        {"attention.head_count", 2},    {"pooling_type", 0}};
    for (const auto& [key, size] : sizes) gguf_.set(std::string("bert.") + key, size);
    gguf_.set("bert.attention.layer_norm_epsilon", 1e-12f);
    gguf_.set("bert.attention.causal", false);
    gguf_.set("elms.refiner.version", std::uint32_t{1});
    gguf_.set("elms.refiner.shared_layers", std::uint32_t{1});
  }

  void add_vocabulary() {
    std::vector<std::string> tokens = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
    for (char c = '!'; c <= '~'; ++c) {
      if (c >= 'A' && c <= 'Z') continue;
      tokens.push_back(std::string("\xE2\x96\x81") + c);
      if (c >= 'a' && c <= 'z') tokens.push_back(std::string(1, c));
    }
    n_vocab_ = tokens.size();
    const std::vector<std::string_view> views(tokens.begin(), tokens.end());
    gguf_.set("tokenizer.ggml.model", "bert");
    gguf_.set("tokenizer.ggml.tokens", views);
    std::vector<std::int32_t> types(n_vocab_, 1);
    std::fill(types.begin(), types.begin() + 5, 3);
    gguf_.set("tokenizer.ggml.token_type", types);
    const std::pair<const char*, std::uint32_t> ids[] = {{"padding", 0}, {"unknown", 1},   {"cls", 2},
                                                         {"bos", 2},     {"seperator", 3}, {"mask", 4}};
    for (const auto& [key, id] : ids) gguf_.set(std::string("tokenizer.ggml.") + key + "_token_id", id);
  }

  void add_heads(const RefinerShape& shape) {
    if (shape.score_head) {
      gguf_.set("elms.refiner.score.weight", random_values(kWidth));
      gguf_.set("elms.refiner.score.bias", std::vector<float>{0.1f});
    }
    if (!shape.decision_head) return;
    const std::string prefix = "elms.refiner.decision.";
    gguf_.set(prefix + "layers", std::uint32_t{0});
    gguf_.set(prefix + "type", std::uint32_t{0});
    gguf_.set(prefix + "widths", std::vector<float>{0.25f, 0.5f, 1.0f});
    gguf_.set(prefix + "keep_ratios", std::vector<float>{0.5f, 1.0f});
    gguf_.set(prefix + "hidden.weight", random_values(4 * (kWidth + 2)));
    gguf_.set(prefix + "hidden.bias", random_values(4));
    gguf_.set(prefix + "output.weight", random_values(6 * 4));
    gguf_.set(prefix + "output.bias", random_values(6));
    gguf_.set(prefix + "temperature", std::vector<float>{1.5f});
  }

  std::string add_tensors_and_finish(const std::string& name) {
    const auto matrix = [&](const std::string& its, std::size_t rows, std::size_t cols) {
      tensors_.push_back({its, rows, cols});
    };
    const auto both = [&](const std::string& its, std::size_t rows, std::size_t cols) {
      if (cols > 0)
        matrix(its + ".weight", rows, cols);
      else
        tensors_.push_back({its + ".weight", 0, rows});
      tensors_.push_back({its + ".bias", 0, rows});
    };
    matrix("token_embd.weight", n_vocab_, kWidth);
    matrix("position_embd.weight", kPositions, kWidth);
    matrix("token_types.weight", 2, kWidth);
    both("token_embd_norm", kWidth, 0);
    for (const char* its : {"attn_q", "attn_k", "attn_v", "attn_output"})
      both(std::string("blk.0.") + its, kWidth, kWidth);
    both("blk.0.attn_output_norm", kWidth, 0);
    both("blk.0.ffn_up", kFfn, kWidth);
    both("blk.0.ffn_down", kWidth, kFfn);
    both("blk.0.layer_output_norm", kWidth, 0);
    for (const Tensor& tensor : tensors_) {
      std::vector<std::uint64_t> dims = {tensor.cols};
      if (tensor.rows > 0) dims.push_back(tensor.rows);
      REQUIRE_OK(gguf_.add_tensor(tensor.name, elms::DType::kF32, dims));
    }
    const std::string path = scratch_path(name);
    REQUIRE_OK(gguf_.begin(path));
    for (const Tensor& tensor : tensors_) {
      const std::vector<float> values = random_values(std::max<std::size_t>(1, tensor.rows) * tensor.cols);
      REQUIRE_OK(
          gguf_.write({reinterpret_cast<const std::uint8_t*>(values.data()), values.size() * sizeof(float)}));
    }
    REQUIRE_OK(gguf_.finish());
    return path;
  }

  std::vector<float> random_values(std::size_t n) {
    std::vector<float> values(n);
    for (float& value : values) value = static_cast<float>(static_cast<int>(rng_() % 2001) - 1000) / 1000.0f;
    return values;
  }

  struct Tensor {
    std::string name;
    std::size_t rows, cols;
  };
  elms::detail::GgufWriter gguf_;
  std::vector<Tensor> tensors_;
  std::size_t n_vocab_ = 0;
  std::mt19937 rng_{7};
};

}  // namespace elms_test
