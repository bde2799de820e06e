// Any bytes as a chat template, and the messages that it is rendered with: a template that ends with a zero
// byte, and messages that do, each a byte for its role and its content.
#include <array>
#include <vector>

#include "elms/chat_template.hpp"
#include "tests/fuzz/fuzz_targets.hpp"

using namespace elms;  // NOLINT

namespace {

using elms_test::require;

std::vector<ChatMessage> read_messages(elms_test::FuzzReader& in) {
  constexpr std::array<const char*, 5> kRoles = {"system", "user", "assistant", "tool", ""};
  std::vector<ChatMessage> messages;
  while (!in.done() && messages.size() < 16) {
    std::string_view content = in.text_until(0);
    const std::size_t role = content.empty() ? 1 : static_cast<std::uint8_t>(content[0]) % kRoles.size();
    if (!content.empty()) content.remove_prefix(1);
    const std::string_view head = content.substr(0, content.size() / 2);
    messages.push_back(
        {kRoles[role],
         {Segment::protect(std::string(head)), Segment::compress(std::string(content.substr(head.size())))}});
  }
  return messages;
}

void check_rendering(const ChatTemplate& chat, const std::vector<ChatMessage>& messages,
                     bool add_generation_prompt) {
  const ChatRenderOptions options = {.add_generation_prompt = add_generation_prompt, .now = 1'700'000'000};
  const auto text = chat.render(messages, options);
  const auto segments = chat.segments(messages, options);
  require(text.has_value() == segments.has_value(), "text and segments are there or not");
  if (!text.has_value()) {
    require(text.error().code() == StatusCode::kInvalidArgument ||
                text.error().code() == StatusCode::kUnsupported,
            "what cannot be rendered is refused");
    return;
  }
  std::string joined;
  for (const Segment& segment : *segments) {
    require(!segment.text.empty(), "no segment is empty");
    joined += segment.text;
  }
  require(joined == *text, "the segments are the text");
}

}  // namespace

void elms_test::fuzz_chat_template(FuzzBytes bytes) {
  FuzzReader in(bytes);
  std::string source(in.text_until(0));
  const std::vector<ChatMessage> messages = read_messages(in);
  auto chat = ChatTemplate::create(source, "<s>", "</s>");
  if (!chat.has_value()) {  // of some family, then
    source += "{#<|im_start|><|im_end|>#}";
    chat = ChatTemplate::create(source, "<s>", "</s>");
  }
  if (!chat.has_value()) {
    require(chat.error().code() == StatusCode::kUnsupported, "what is not understood is refused");
    return;
  }
  check_rendering(**chat, messages, messages.size() % 2 == 1);
}
