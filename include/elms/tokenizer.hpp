// Text to tokens and back, with the vocabulary that the model was trained with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "elms/status.hpp"
#include "elms/types.hpp"

namespace elms::inline v0 {

namespace detail {
class GgufFile;
}

/// Bytes [begin, end) of a text.
struct TextRange {
  std::size_t begin = 0;
  std::size_t end = 0;
};

struct EncodeOptions {
  bool add_special = true;  ///< put BOS/EOS (or [CLS]/[SEP]) where the model's metadata says so
  bool parse_special =
      false;  ///< text such as "<|im_end|>" becomes the control token; never for text from users
  /// With parse_special: only inside one of these ranges of the text, which ascend and do not overlap. Empty:
  /// anywhere.
  std::span<const TextRange> special_ranges{};
};

/// Encodes one text after another with the same working memory: words, or drafts of one text. For one thread
/// at a time; refers to its tokenizer, which must outlive it.
class TokenizerRun {
 public:
  virtual ~TokenizerRun() = default;
  /// Appends what Tokenizer::encode() gives.
  virtual void encode(std::string_view text, const EncodeOptions& options, std::vector<TokenId>& out) = 0;
  /// How many tokens that is. What pieces of earlier texts came to is remembered, which makes the count of a
  /// text that is mostly known several times as fast.
  [[nodiscard]] virtual std::size_t count(std::string_view text, const EncodeOptions& options) = 0;
};

/// Immutable after construction; any number of threads may use one.
class Tokenizer {
 public:
  /// From the `tokenizer.ggml` metadata: models "llama" (SentencePiece), "gpt2" (byte-level BPE with the
  /// pre-tokenisers gpt-2, llama-bpe, qwen2, deepseek-coder and their aliases) and "bert" (WordPiece).
  /// kNotFound: the file has no tokenizer. kUnsupported names what is unknown; kMalformedFile names the key.
  /// Copies what it needs: the file may be closed.
  [[nodiscard]] static Result<std::shared_ptr<const Tokenizer>> from_gguf(const detail::GgufFile& file);

  /// From a Hugging Face tokenizer.json (models BPE and WordPiece) and the tokenizer_config.json beside it,
  /// if any. kNotFound: there is no such file. A component that would not be done exactly is kUnsupported and
  /// named.
  [[nodiscard]] static Result<std::shared_ptr<const Tokenizer>> from_tokenizer_json(const std::string& path);

  virtual ~Tokenizer() = default;

  /// Any bytes are accepted; what is not UTF-8 becomes byte tokens or the unknown token. Linear in the length
  /// of the text up to a logarithm.
  [[nodiscard]] virtual std::vector<TokenId> encode(std::string_view text,
                                                    const EncodeOptions& options = {}) const = 0;

  /// For many texts in a row. Never null.
  [[nodiscard]] virtual std::unique_ptr<TokenizerRun> start_run() const = 0;

  /// The bytes that one token stands for; empty for control tokens (unless `special`) and for ids outside the
  /// vocabulary. Not necessarily whole UTF-8 characters: see StreamDecoder.
  [[nodiscard]] virtual std::string token_bytes(TokenId token, bool special = false) const = 0;

  /// Text of a sequence, always well-formed UTF-8: what is not becomes U+FFFD. A leading space that encode()
  /// put in is taken out again. The same text as a StreamDecoder gives piece by piece.
  [[nodiscard]] virtual std::string decode(std::span<const TokenId> tokens, bool special = false) const = 0;

  /// The token as it is written in the vocabulary, e.g. "▁the", "<0x0A>"; empty outside the vocabulary.
  [[nodiscard]] virtual std::string_view token_text(TokenId token) const = 0;
  /// The id of a vocabulary entry, kNoToken when there is none.
  [[nodiscard]] virtual TokenId find(std::string_view token_text) const = 0;

  [[nodiscard]] virtual std::int32_t n_vocab() const noexcept = 0;
  [[nodiscard]] virtual TokenId bos() const noexcept = 0;  ///< kNoToken where the model has none
  [[nodiscard]] virtual TokenId eos() const noexcept = 0;
  [[nodiscard]] virtual TokenId unk() const noexcept = 0;
  [[nodiscard]] virtual bool is_control(TokenId token) const noexcept = 0;
  /// EOS, and the end-of-turn tokens of chat models (`<|im_end|>`, `<|eot_id|>`, `<end_of_turn>` ...).
  [[nodiscard]] virtual bool is_end_of_generation(TokenId token) const noexcept = 0;
  /// "llama", "gpt2" or "bert", as in GGUF.
  [[nodiscard]] virtual std::string_view model() const noexcept = 0;
  /// The model's chat template (Jinja) as its file has it; empty where there is none.
  [[nodiscard]] virtual std::string_view chat_template() const noexcept = 0;

 private:
  friend class StreamDecoder;
  /// Appends what decode() makes of `token` to `text`. `at_start`: nothing came before it, so a space
  /// here is one that encode() put in; updated.
  virtual void append_piece(TokenId token, bool special, bool& at_start, std::string& text) const = 0;
  /// Moves from `pending` to the result what no later token can change; all of it if `at_end`.
  virtual std::string take_settled(std::string& pending, bool at_end) const = 0;
};

/// Turns a stream of tokens into text that never ends inside a UTF-8 character. One per generated sequence;
/// holds a pointer to the tokenizer, which must outlive it.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, bool special = false) noexcept
      : tokenizer_(&tokenizer), special_(special) {}

  /// Bytes that this token completes; may be empty. Invalid sequences come out as U+FFFD.
  [[nodiscard]] std::string push(TokenId token);
  /// What is left at the end: an unfinished character becomes U+FFFD.
  [[nodiscard]] std::string finish();

 private:
  const Tokenizer* tokenizer_;
  bool special_;
  bool at_start_ = true;
  std::string pending_;
};

}  // namespace elms::inline v0
