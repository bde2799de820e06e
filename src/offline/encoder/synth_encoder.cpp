// Random encoders for benches and tests.
#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include "elms/detail/dtype.hpp"
#include "elms/detail/error.hpp"
#include "elms/offline/convert.hpp"
#include "offline/encoder/encoder_tensors.hpp"
#include "offline/encoder/wordpiece_metadata.hpp"
#include "offline/random.hpp"
#include "refine/encoder_config.hpp"

namespace elms::inline v0::offline {
namespace {

using detail::concat;
using detail::EncoderConfig;

/// Special tokens, characters with their continuations, and numbered words up to n.
WordPieceVocabulary numbered_vocabulary(std::int32_t n_vocab) {
  WordPieceVocabulary vocabulary;
  vocabulary.source = "random encoder";
  std::vector<std::string>& tokens = vocabulary.tokens;
  tokens = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
  for (const char* prefix : {"", "##"}) {
    for (char c = '!'; c <= '~'; ++c) {
      if (c < 'A' || c > 'Z') tokens.push_back(concat(prefix, c));
    }
  }
  const auto n = static_cast<std::size_t>(n_vocab);
  tokens.resize(std::min(tokens.size(), n));
  while (tokens.size() < n) tokens.push_back(concat("w", tokens.size()));
  return vocabulary;
}

class RandomEncoder {
 public:
  RandomEncoder(const EncoderConfig& config, DType type, std::uint64_t seed)
      : config_(config), type_(type), seed_(mixed(seed + 1)) {}

  Status write(const SynthHeads& heads, const std::string& output) {
    write_encoder_config(config_, type_, writer_);
    ELMS_RETURN_IF_ERROR(
        write_wordpiece(numbered_vocabulary(config_.n_vocab), config_.n_token_types, writer_));
    if (heads.score || heads.decision) {
      writer_.set("elms.refiner.version", std::uint32_t{1});
      writer_.set("elms.refiner.shared_layers", static_cast<std::uint32_t>(config_.n_shared_layers));
    }
    if (heads.score) set_score_head();
    if (heads.decision) set_decision_branch(heads.n_hidden);
    const std::vector<EncoderTensor> tensors = encoder_tensors(config_);
    for (const EncoderTensor& tensor : tensors) {
      const std::uint64_t dims[] = {static_cast<std::uint64_t>(tensor.cols),
                                    static_cast<std::uint64_t>(tensor.rows)};
      ELMS_RETURN_IF_ERROR(
          writer_.add_tensor(tensor.name, encoder_tensor_type(tensor, type_),
                             std::span(dims).first(tensor.rows == 1 && !tensor.is_matrix ? 1 : 2)));
    }
    ELMS_RETURN_IF_ERROR(writer_.begin(output));
    for (const EncoderTensor& tensor : tensors) {
      ELMS_RETURN_IF_ERROR(writer_.write(encoded(tensor, encoder_tensor_type(tensor, type_))));
    }
    return writer_.finish();
  }

 private:
  /// Values keep their size from layer to layer: a norm without a mean of its own halves what it adds up.
  std::vector<std::uint8_t> encoded(const EncoderTensor& tensor, DType type) {
    float mean = 0.0f, deviation = 0.05f;
    if (tensor.is_matrix) deviation = 1.0f / std::sqrt(static_cast<float>(tensor.cols));
    if (tensor.rows > 1 && !tensor.is_matrix) deviation = 0.3f;
    if (tensor.name == "token_embd.weight") deviation = 1.0f;
    if (tensor.name.ends_with("norm.weight") || tensor.name.find("_norm.") != std::string::npos) {
      const bool is_weight = tensor.name.ends_with(".weight");
      mean = !is_weight ? 0.0f : config_.norm == detail::EncoderNorm::kNoNorm ? 0.6f : 1.0f;
    }
    const auto cols = static_cast<std::size_t>(tensor.cols), rows = static_cast<std::size_t>(tensor.rows);
    const std::size_t row_size = detail::row_bytes(type, cols);
    std::vector<std::uint8_t> bytes(rows * row_size);
    std::vector<float> row(cols);
    for (std::size_t r = 0; r < rows; ++r) {
      draw_row(mixed(seed_++), cols, mean, deviation, row.data());
      detail::encode_row(type, row.data(), cols, bytes.data() + r * row_size);
    }
    return bytes;
  }

  void set_reals(const std::string& key, std::size_t n, float deviation) {
    std::vector<float> values(n);
    draw_row(mixed(seed_++), n, 0.0f, deviation, values.data());
    writer_.set(key, std::span<const float>(values));
  }

  void set_score_head() {
    const auto d = static_cast<std::size_t>(config_.d_model);
    set_reals("elms.refiner.score.weight", d, 1.5f / std::sqrt(static_cast<float>(d)));
    set_reals("elms.refiner.score.bias", 1, 0.1f);
  }

  void set_decision_branch(std::int32_t n_hidden) {
    const std::string prefix = "elms.refiner.decision.";
    DType type = type_;
    std::vector<EncoderTensor> tensors;
    for (std::int32_t i = 0; i < config_.n_decision_layers; ++i) {
      for (EncoderTensor& tensor : encoder_layer_tensors(config_, i)) tensors.push_back(std::move(tensor));
    }
    for (const EncoderTensor& tensor : tensors) {
      if (tensor.is_matrix && encoder_tensor_type(tensor, type) != type) type = DType::kF32;
    }
    writer_.set(prefix + "layers", static_cast<std::uint32_t>(config_.n_decision_layers));
    writer_.set(prefix + "type", static_cast<std::uint32_t>(type));
    for (const EncoderTensor& tensor : tensors) {
      write_byte_array(prefix + tensor.name, encoded(tensor, tensor.is_matrix ? type : DType::kF32), writer_);
    }
    const float widths[] = {0.25f, 0.5f, 0.75f, 1.0f}, keep_ratios[] = {0.3f, 0.6f, 1.0f};
    const auto d = static_cast<std::size_t>(config_.d_model), hidden = static_cast<std::size_t>(n_hidden);
    const std::size_t n_out = std::size(widths) * std::size(keep_ratios);
    writer_.set(prefix + "widths", std::span<const float>(widths));
    writer_.set(prefix + "keep_ratios", std::span<const float>(keep_ratios));
    set_reals(prefix + "hidden.weight", hidden * (d + 2), 1.0f / std::sqrt(static_cast<float>(d)));
    set_reals(prefix + "hidden.bias", hidden, 0.2f);
    set_reals(prefix + "output.weight", n_out * hidden, 0.5f);
    set_reals(prefix + "output.bias", n_out, 0.2f);
    const float temperature = 1.5f;
    writer_.set(prefix + "temperature", std::span<const float>(&temperature, 1));
  }

  EncoderConfig config_;
  DType type_;
  std::uint64_t seed_;
  detail::GgufWriter writer_;
};

}  // namespace

Status synthesize_encoder(const EncoderConfig& config, const SynthHeads& heads, DType type,
                          std::uint64_t seed, const std::string& output) {
  ELMS_RETURN_IF_ERROR(detail::check_encoder_config(config, "random encoder"));
  if (config.n_vocab < 256)
    return detail::invalid_argument("random encoder: expected 256 tokens or more, found ", config.n_vocab);
  if (type != DType::kF32 && type != DType::kF16 && type != DType::kQ8_0) {
    return detail::invalid_argument("encoders are written in F32, F16 or Q8_0, not ",
                                    detail::dtype_info(type).name);
  }
  return RandomEncoder(config, type, seed).write(heads, output);
}

}  // namespace elms::inline v0::offline
