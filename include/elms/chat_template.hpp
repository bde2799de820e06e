// Chat templates: from messages to the prompt that a model was trained to answer.
#pragma once

#include <cstdint>
#include <ctime>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "elms/segment.hpp"
#include "elms/status.hpp"
#include "elms/tokenizer.hpp"

namespace elms::inline v0 {

/// Families of templates, told by the markers in the template's text.
enum class ChatFamily : std::uint8_t {
  kChatMl,   ///< `<|im_start|>role ... <|im_end|>`: qwen, smollm, phi-4, ...
  kLlama2,   ///< `[INST] <<SYS>> ... [/INST]`
  kLlama3,   ///< `<|start_header_id|>role<|end_header_id|> ... <|eot_id|>`
  kMistral,  ///< `[INST] ... [/INST]`, in all its spacings
  kGemma,    ///< `<start_of_turn>role ... <end_of_turn>`
  kPhi,      ///< `<|user|> ... <|end|>`
  kZephyr,   ///< `<|user|> ... </s>`: zephyr, TinyLlama chat
};
/// "chatml", "llama2", ...
[[nodiscard]] const char* to_string(ChatFamily family) noexcept;

struct ChatMessage {
  std::string role;  ///< "system", "user", "assistant", or what else the template knows
  /// One text after the other. What may be shortened says so itself; templates trim some contents at their
  /// ends.
  std::vector<Segment> content;

  [[nodiscard]] static ChatMessage system(std::string text) {
    return {"system", {Segment::protect(std::move(text), SegmentRole::kSystem)}};
  }
  [[nodiscard]] static ChatMessage user(std::string text) {
    return {"user", {Segment::protect(std::move(text), SegmentRole::kQuestion)}};
  }
  [[nodiscard]] static ChatMessage assistant(std::string text) {
    return {"assistant", {Segment::protect(std::move(text), SegmentRole::kContext)}};
  }
};

struct ChatRenderOptions {
  bool add_generation_prompt = true;  ///< end with the marker that opens the assistant's answer
  /// What templates that print today's date take for now (local time); empty: the system's clock. Fix it
  /// where a prompt's prefix is to stay the same from day to day.
  std::optional<std::time_t> now{};
};

/// A parsed template. Immutable; any number of threads may use one.
class ChatTemplate {
 public:
  /// `source` is Jinja, as in `tokenizer.chat_template`. kNotFound for an empty one; kUnsupported for a
  /// template of no known family, and for one that uses what elms does not know of Jinja: never a guess.
  [[nodiscard]] static Result<std::shared_ptr<const ChatTemplate>> create(std::string_view source,
                                                                          std::string bos_token,
                                                                          std::string eos_token);
  /// The template of a model's vocabulary.
  [[nodiscard]] static Result<std::shared_ptr<const ChatTemplate>> create(const Tokenizer& tokenizer);

  [[nodiscard]] ChatFamily family() const noexcept { return family_; }

  /// The prompt as Jinja renders it, with trim_blocks and lstrip_blocks. BOS is part of it where the template
  /// says so: encode it with add_special = false. A conversation that the template refuses (an unknown role,
  /// roles that do not alternate, no messages at all) is kInvalidArgument with the template's own words.
  [[nodiscard]] Result<std::string> render(std::span<const ChatMessage> messages,
                                           const ChatRenderOptions& options = {}) const;

  /// The same text in segments: markers (SegmentRole::kTemplate, protected), and between them contents with
  /// what their own segments say, so that refinement can shorten these and never a marker.
  [[nodiscard]] Result<std::vector<Segment>> segments(std::span<const ChatMessage> messages,
                                                      const ChatRenderOptions& options = {}) const;

  ~ChatTemplate();
  ChatTemplate(const ChatTemplate&) = delete;
  ChatTemplate& operator=(const ChatTemplate&) = delete;

 private:
  struct Impl;
  ChatTemplate(ChatFamily family, std::unique_ptr<const Impl> impl) noexcept;
  ChatFamily family_;
  std::unique_ptr<const Impl> impl_;
};

/// Tokens of a prompt in segments, as of its whole text: control tokens are recognised in
/// SegmentRole::kTemplate segments only, so that text of users never becomes one. No BOS is added: the
/// template writes it.
[[nodiscard]] std::vector<TokenId> encode_segments(const Tokenizer& tokenizer,
                                                   std::span<const Segment> segments,
                                                   bool add_special = false);

}  // namespace elms::inline v0
