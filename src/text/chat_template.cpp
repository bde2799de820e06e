#include "elms/chat_template.hpp"

#include <array>

#include "text/jinja/jinja.hpp"

namespace elms::inline v0 {
namespace {

using detail::jinja::Value;

/// Of a family: all of these are in its templates. The first that fits is taken.
struct FamilyMarkers {
  ChatFamily family;
  std::array<std::string_view, 2> markers;
};
constexpr std::array<FamilyMarkers, 9> kFamilies = {{
    {ChatFamily::kChatMl, {"<|im_start|>", "<|im_end|>"}},
    {ChatFamily::kLlama3, {"<|start_header_id|>", "<|eot_id|>"}},
    {ChatFamily::kGemma, {"<start_of_turn>", "<end_of_turn>"}},
    {ChatFamily::kPhi, {"<|assistant|>", "<|end|>"}},
    {ChatFamily::kPhi, {"'|>'", "<|end|>"}},
    {ChatFamily::kZephyr, {"<|user|>", "<|assistant|>"}},
    {ChatFamily::kZephyr, {"<|assistant|>", "eos_token"}},
    {ChatFamily::kLlama2, {"[INST]", "<<SYS>>"}},
    {ChatFamily::kMistral, {"[INST]", "[/INST]"}},
}};

std::optional<ChatFamily> family_of(std::string_view source) noexcept {
  for (const FamilyMarkers& family : kFamilies) {
    const auto has = [&](std::string_view marker) { return source.find(marker) != std::string_view::npos; };
    if (has(family.markers[0]) && has(family.markers[1])) return family.family;
  }
  return std::nullopt;
}

/// The messages as the template sees them; every byte of a content knows its index in `contents`.
Value messages_value(std::span<const ChatMessage> messages, std::vector<const Segment*>& contents) {
  detail::jinja::List list;
  for (const ChatMessage& message : messages) {
    detail::jinja::Text text;
    for (const Segment& segment : message.content) {
      text.append(segment.text, static_cast<std::int32_t>(contents.size()));
      contents.push_back(&segment);
    }
    list.push_back(Value::of(detail::jinja::Dict{{"role", Value::of_text(message.role)},
                                                 {"content", Value::of(std::move(text))}}));
  }
  return Value::of(std::move(list));
}

/// Text of the template and contents of messages in turn.
std::vector<Segment> segments_of(const detail::jinja::Text& text, std::span<const Segment* const> contents) {
  std::vector<Segment> out;
  for (std::size_t begin = 0; begin < text.bytes.size();) {
    std::size_t end = begin + 1;
    while (end < text.bytes.size() && text.source[end] == text.source[begin]) ++end;
    std::string piece = text.bytes.substr(begin, end - begin);
    const std::int32_t source = text.source[begin];
    if (source == detail::jinja::kFromTemplate) {
      out.push_back(Segment::protect(std::move(piece), SegmentRole::kTemplate));
    } else {
      const Segment& content = *contents[static_cast<std::size_t>(source)];
      out.push_back({std::move(piece), content.compressible, content.role, content.keep_ratio});
    }
    begin = end;
  }
  return out;
}


}  // namespace

struct ChatTemplate::Impl {
  detail::jinja::Program program;
  std::string bos_token, eos_token;

  Result<detail::jinja::Text> render(std::span<const ChatMessage> messages, const ChatRenderOptions& options,
                                     std::vector<const Segment*>& contents) const {
    detail::jinja::Dict globals = {{"messages", messages_value(messages, contents)},
                                   {"add_generation_prompt", Value::of(options.add_generation_prompt)},
                                   {"bos_token", Value::of_text(bos_token)},
                                   {"eos_token", Value::of_text(eos_token)}};
    return detail::jinja::render(program, std::move(globals), options.now.value_or(std::time(nullptr)));
  }
};

const char* to_string(ChatFamily family) noexcept {
  switch (family) {
    case ChatFamily::kChatMl:
      return "chatml";
    case ChatFamily::kLlama2:
      return "llama2";
    case ChatFamily::kLlama3:
      return "llama3";
    case ChatFamily::kMistral:
      return "mistral";
    case ChatFamily::kGemma:
      return "gemma";
    case ChatFamily::kPhi:
      return "phi";
    case ChatFamily::kZephyr:
      return "zephyr";
  }
  return "unknown";
}

ChatTemplate::ChatTemplate(ChatFamily family, std::unique_ptr<const Impl> impl) noexcept
    : family_(family), impl_(std::move(impl)) {}
ChatTemplate::~ChatTemplate() = default;

Result<std::shared_ptr<const ChatTemplate>> ChatTemplate::create(std::string_view source,
                                                                 std::string bos_token,
                                                                 std::string eos_token) {
  if (source.empty()) return detail::error(StatusCode::kNotFound, "the model has no chat template");
  const std::optional<ChatFamily> family = family_of(source);
  if (!family.has_value()) {
    return detail::unsupported(
        "the model's chat template has the markers of no known family (chatml, llama2, llama3, "
        "mistral, gemma, phi, zephyr); it begins with \"",
        source.substr(0, 60), "\"");
  }
  return detail::or_out_of_memory([&]() -> Result<std::shared_ptr<const ChatTemplate>> {
    ELMS_ASSIGN_OR_RETURN(detail::jinja::Program program, detail::jinja::parse(source));
    auto impl =
        std::make_unique<Impl>(Impl{std::move(program), std::move(bos_token), std::move(eos_token)});
    std::unique_ptr<const ChatTemplate> chat(new ChatTemplate(*family, std::move(impl)));
    return std::shared_ptr<const ChatTemplate>(std::move(chat));
  });
}

Result<std::shared_ptr<const ChatTemplate>> ChatTemplate::create(const Tokenizer& tokenizer) {
  return create(tokenizer.chat_template(), std::string(tokenizer.token_text(tokenizer.bos())),
                std::string(tokenizer.token_text(tokenizer.eos())));
}

Result<std::string> ChatTemplate::render(std::span<const ChatMessage> messages,
                                         const ChatRenderOptions& options) const {
  return detail::or_out_of_memory([&]() -> Result<std::string> {
    std::vector<const Segment*> contents;
    ELMS_ASSIGN_OR_RETURN(detail::jinja::Text text, impl_->render(messages, options, contents));
    return std::move(text.bytes);
  });
}

Result<std::vector<Segment>> ChatTemplate::segments(std::span<const ChatMessage> messages,
                                                    const ChatRenderOptions& options) const {
  return detail::or_out_of_memory([&]() -> Result<std::vector<Segment>> {
    std::vector<const Segment*> contents;
    ELMS_ASSIGN_OR_RETURN(const detail::jinja::Text text, impl_->render(messages, options, contents));
    return segments_of(text, contents);
  });
}

std::vector<TokenId> encode_segments(const Tokenizer& tokenizer, std::span<const Segment> segments,
                                     bool add_special) {
  std::string text;
  std::vector<TextRange> markers;
  for (const Segment& segment : segments) {
    if (segment.role == SegmentRole::kTemplate)
      markers.push_back({text.size(), text.size() + segment.text.size()});
    text += segment.text;
  }
  return tokenizer.encode(
      text, {.add_special = add_special, .parse_special = !markers.empty(), .special_ranges = markers});
}

}  // namespace elms::inline v0
