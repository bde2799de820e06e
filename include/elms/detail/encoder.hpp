// The encoder of the prompt refiner: BERT and MobileBERT from a GGUF file, with a score head for each token
// and a decision head for the whole prompt. Bidirectional, so there is no cache: every call computes whole
// windows.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "elms/status.hpp"
#include "elms/thread_pool.hpp"
#include "elms/tokenizer.hpp"
#include "elms/types.hpp"

namespace elms::inline v0::detail {

struct EncoderParts;  // src/refine/encoder_parts.hpp

enum class EncoderFamily : std::uint8_t { kBert, kMobileBert };
enum class EncoderActivation : std::uint8_t { kGelu /* with the error function */, kRelu };
enum class EncoderNorm : std::uint8_t { kLayerNorm, kNoNorm /* x * weight + bias */ };

/// Sizes of an encoder, from the metadata of its file. In BERT the sizes of a bottleneck are those of the
/// model.
struct EncoderConfig {
  EncoderFamily family = EncoderFamily::kBert;
  EncoderActivation activation = EncoderActivation::kGelu;
  EncoderNorm norm = EncoderNorm::kLayerNorm;  ///< MobileBERT has either
  std::int32_t n_vocab = 0;
  std::int32_t d_embedding = 0;  ///< columns of the token table; MobileBERT widens them to d_model
  std::int32_t d_model = 0;      ///< of a layer's input and output, and so of a token's state
  std::int32_t d_inner = 0;      ///< in which attention and FFN work: d_model, or that of the bottleneck
  std::int32_t d_ff = 0;
  std::int32_t n_layers = 0;       ///< shared trunk and score branch
  std::int32_t n_heads = 0;        ///< of d_inner / n_heads values each
  std::int32_t n_ffn = 1;          ///< feed-forward networks of a layer, one after the other
  std::int32_t max_positions = 0;  ///< of the position table: tokens of a window, [CLS] and [SEP] included
  std::int32_t n_token_types = 0;
  float norm_epsilon = 1e-12f;
  /// A token's input is the embeddings of its right neighbour, its own and its left neighbour's.
  bool trigram = false;
  bool bottleneck = false;            ///< layers work in d_inner
  bool bottleneck_attention = false;  ///< queries, keys and values all come from the bottlenecked input
  /// That both branches start with; all of them where the file does not say.
  std::int32_t n_shared_layers = 0;
  std::int32_t n_decision_layers = 0;  ///< of the decision branch, after the shared ones
};

/// How matrices are computed with. Everything else is f32 either way, but for keys and values, which are f16
/// in kInt8.
enum class EncoderPrecision : std::uint8_t {
  kF32,   ///< XNNPACK's fully connected operator
  kInt8,  ///< int8 weights and activations in blocks of 32 (Q8_0), elms' own kernels
};

struct EncoderOpenOptions {
  std::shared_ptr<ThreadPool> pool;  ///< null: one of its own, with all fast cores
  /// Nothing: kInt8 where the file's matrices are Q8_0, otherwise kF32.
  std::optional<EncoderPrecision> precision;
};

/// An encoder in memory. Immutable; any number of threads may use one, each with an Encoder of its own.
class EncoderModel {
 public:
  /// kNotFound, kIoError; kMalformedFile and kUnsupported name file and key or tensor; kOutOfMemory.
  [[nodiscard]] static Result<std::shared_ptr<const EncoderModel>> open(
      const std::string& path, const EncoderOpenOptions& options = {});
  EncoderModel(const EncoderModel&) = delete;
  EncoderModel& operator=(const EncoderModel&) = delete;
  ~EncoderModel();

  [[nodiscard]] const EncoderConfig& config() const noexcept;
  [[nodiscard]] EncoderPrecision precision() const noexcept;
  [[nodiscard]] const Tokenizer& tokenizer() const noexcept;  ///< the encoder's own WordPiece
  [[nodiscard]] const std::shared_ptr<ThreadPool>& pool() const noexcept;

  [[nodiscard]] bool has_score_head() const noexcept;
  [[nodiscard]] bool has_decision_head() const noexcept;
  // The decision grid, both ascending; empty without a decision head.
  [[nodiscard]] std::span<const float> widths() const noexcept;       ///< [n_widths]
  [[nodiscard]] std::span<const float> keep_ratios() const noexcept;  ///< [n_keep]

  /// Tokens of a window without [CLS] and [SEP].
  [[nodiscard]] std::int32_t window_tokens() const noexcept { return config().max_positions - 2; }
  /// Bytes of weights in memory, the mapped embedding table not counted.
  [[nodiscard]] std::size_t weight_bytes() const noexcept;
  /// Multiply-adds of all layers for one window of n rows, [CLS] and [SEP] included; heads are not counted.
  [[nodiscard]] std::int64_t macs(std::int32_t n_rows) const noexcept;

 private:
  friend class Encoder;
  explicit EncoderModel(std::unique_ptr<const EncoderParts> parts) noexcept;
  std::unique_ptr<const EncoderParts> parts_;
};

/// One forward pass at a time over an EncoderModel, and the buffers for it: nothing is allocated after
/// create(). Many may share a model. Not thread-safe.
///
/// Tokens are WordPiece ids without [CLS] and [SEP], any number of them: what is longer than a window is cut
/// into windows that overlap by a quarter, each computed with its own length, and their results are merged.
/// Errors: kInvalidArgument for a token outside the vocabulary or a span of the wrong size, kUnsupported
/// where the file has no such head, kCancelled.
class Encoder {
 public:
  /// kOutOfMemory.
  [[nodiscard]] static Result<std::unique_ptr<Encoder>> create(std::shared_ptr<const EncoderModel> model);
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;
  ~Encoder();

  /// Looked at before every layer; null: never. The owner keeps it alive.
  void set_cancel(const CancelToken* cancel) noexcept;

  /// Probability in (0, 1) that each token is kept, [n_tokens]. Where windows overlap, a token's value is the
  /// mean of theirs, weighted by the distance to the end of the window.
  Status score(std::span<const TokenId> tokens, std::span<float> keep_probability);

  /// Probability that each strategy of the grid still answers well, [n_widths * n_keep], width by width.
  /// Shares are those of the full model's latency that the request may take, in (0, 1].
  Status decide(std::span<const TokenId> tokens, float ttft_share, float tpot_share,
                std::span<float> quality);

  /// Both, with the shared layers computed once.
  Status score_and_decide(std::span<const TokenId> tokens, std::span<float> keep_probability,
                          float ttft_share, float tpot_share, std::span<float> quality);

  /// States after the last layer of one window with its [CLS] and [SEP], [n_tokens + 2, d_model]; n_tokens at
  /// most window_tokens().
  Status hidden(std::span<const TokenId> tokens, std::span<float> states);

  /// The same for a batch of chunks as training code keeps them: tokens [n_chunks, length] with their
  /// specials and padding, mask [n_chunks, length], 0 where there is padding, states [n_chunks, length,
  /// d_model]. Padding is not computed, wherever it is: nothing depends on it, and its states are zeros.
  /// length is at most max_positions.
  Status hidden_batch(std::span<const TokenId> tokens, std::span<const std::uint8_t> mask, std::size_t length,
                      std::span<float> states);

  [[nodiscard]] const EncoderModel& model() const noexcept;
  [[nodiscard]] std::size_t scratch_bytes() const noexcept;

 private:
  struct Impl;
  explicit Encoder(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace elms::inline v0::detail
