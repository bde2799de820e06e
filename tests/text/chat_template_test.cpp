// Chat templates against @huggingface/jinja (data/make_chat_vectors.mjs), and what becomes of contents.
#include "elms/chat_template.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "support.hpp"
#include "vocab_files.hpp"

using elms::ChatMessage;
using elms::ChatTemplate;
using elms::Segment;
using elms::SegmentRole;

namespace {

using ChatJson = nlohmann::json;

ChatJson chat_vectors() {
  const char* given = std::getenv("ELMS_CHAT_VECTORS");
  std::ifstream file(given != nullptr ? given : ELMS_TEST_DATA_DIR "/chat_vectors.json");
  ChatJson json = ChatJson::parse(file, nullptr, false);
  REQUIRE_FALSE(json.is_discarded());
  return json;
}

std::vector<ChatMessage> messages_of(const ChatJson& conversation) {
  std::vector<ChatMessage> messages;
  for (const ChatJson& turn : conversation) {
    messages.push_back({turn["role"], {Segment::compress(turn["content"])}});
  }
  return messages;
}

std::shared_ptr<const ChatTemplate> chat_template(const std::string& source) {
  auto made = ChatTemplate::create(source, "<s>", "</s>");
  REQUIRE_OK(made);
  return *made;
}

const std::string kChatMl =
    "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\n' + m['content'] | trim + '<|im_end|>' + "
    "'\n'}}{% endfor %}";

std::string refusal(const std::string& source) {
  const auto made = ChatTemplate::create(source, "<s>", "</s>");
  if (made.has_value()) return "accepted";
  return made.error().code() == elms::StatusCode::kUnsupported ? "unsupported: " + made.error().message()
                                                               : "other";
}

elms::StatusCode outcome(const std::string& body) {
  const auto made = ChatTemplate::create("{# <|im_start|><|im_end|> #}" + body, "<s>", "</s>");
  if (!made.has_value()) return made.error().code();
  const std::vector<ChatMessage> messages = {ChatMessage::user("hi")};
  return (*made)->render(messages).error().code();
}

}  // namespace

TEST_CASE("chat templates render as @huggingface/jinja does", "[text][chat]") {
  const ChatJson vectors = chat_vectors();
  int n_compared = 0, n_refused = 0, n_unknown = 0;
  for (const ChatJson& entry : vectors["templates"]) {
    const auto made = ChatTemplate::create(entry["template"].get<std::string>(), vectors["bos_token"],
                                           vectors["eos_token"]);
    INFO(entry["name"].get<std::string>() << ": " << made.error().message());
    if (!made.has_value()) {
      CHECK(made.error().code() == elms::StatusCode::kUnsupported);
      if (std::getenv("ELMS_CHAT_VECTORS") == nullptr) CHECK(made.has_value());
      ++n_unknown;
      continue;
    }
    for (const ChatJson& expected : entry["cases"]) {
      const auto messages =
          messages_of(vectors["conversations"][expected["conversation"].get<std::size_t>()]);
      elms::ChatRenderOptions options;
      options.add_generation_prompt = expected["add_generation_prompt"];
      const auto text = (*made)->render(messages, options);
      INFO("conversation " << expected["conversation"] << " " << text.error().message());
      if (expected["text"].is_null()) {
        CHECK((text.error().code() == elms::StatusCode::kInvalidArgument ||
               text.error().code() == elms::StatusCode::kUnsupported));
        ++n_refused;
      } else {
        REQUIRE_OK(text);
        CHECK(*text == expected["text"].get<std::string>());
        ++n_compared;
      }
      const auto segments = (*made)->segments(messages, options);
      REQUIRE(segments.has_value() == text.has_value());
      std::string joined;
      for (std::size_t i = 0; segments.has_value() && i < segments->size(); ++i) {
        joined += (*segments)[i].text;
        CHECK((*segments)[i].may_lose_words() == ((*segments)[i].role != SegmentRole::kTemplate));
      }
      if (text.has_value()) CHECK(joined == *text);
    }
  }
  CHECK(n_compared > 100);
  CHECK(n_refused > 20);
  if (std::getenv("ELMS_CHAT_VECTORS") != nullptr) {
    WARN(n_compared << " texts equal, " << n_refused << " refused by both, " << n_unknown
                    << " templates not supported");
  }
}

TEST_CASE("chat templates: families are told by their markers", "[text][chat]") {
  const ChatJson vectors = chat_vectors();
  for (const ChatJson& entry : vectors["templates"]) {
    const auto made = ChatTemplate::create(entry["template"].get<std::string>(), "", "");
    if (!made.has_value()) continue;
    const std::string name = entry["name"], family = elms::to_string((*made)->family());
    if (std::getenv("ELMS_CHAT_VECTORS") == nullptr) CHECK(name.starts_with(family));
  }
}

TEST_CASE("chat templates: unknown ones are refused, not guessed", "[text][chat]") {
  CHECK(ChatTemplate::create("", "", "").error().code() == elms::StatusCode::kNotFound);
  CHECK(refusal("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}")
            .starts_with("unsupported: the model's"));
  for (const char* broken : {"{% if x %}", "{{ 'a }}", "{{ a b }}", "{% frobnicate %}", "{{ [1, }}", "{# ",
                             "{{ x | }}", "{{ 'x' is divisibleby(2) }}"}) {
    INFO(broken);
    CHECK(refusal("<|im_start|><|im_end|>" + std::string(broken))
              .starts_with("unsupported: chat template, offset"));
  }
  CHECK(outcome("{{ messages | frobnicate }}") == elms::StatusCode::kUnsupported);
  CHECK(outcome("{{ frobnicate() }}") == elms::StatusCode::kUnsupported);
  CHECK(outcome("{{ messages[0].nothing + 'x' }}") == elms::StatusCode::kInvalidArgument);
  CHECK(outcome("{{ raise_exception('no') }}") == elms::StatusCode::kInvalidArgument);
}

TEST_CASE("chat templates: hostile ones end", "[text][chat]") {
  std::string open, sum = "1", loops = "x";
  for (int i = 0; i < 5000; ++i) {
    open += "(";
    sum += "+1";
  }
  CHECK(outcome("{{ " + open) == elms::StatusCode::kUnsupported);
  CHECK(outcome("{{ " + sum + " }}") == elms::StatusCode::kUnsupported);
  for (int i = 0; i < 5; ++i) loops = "{% for i in range(100000) %}" + loops + "{% endfor %}";
  CHECK(outcome(loops) == elms::StatusCode::kUnsupported);
  CHECK(
      outcome(
          "{% set n = namespace(x='ab') %}{% for i in range(100) %}{% set n.x = n.x + n.x %}{% endfor %}") ==
      elms::StatusCode::kUnsupported);
  CHECK(
      outcome("{% set n = namespace(x=1) %}{% for i in range(100000) %}{% set n.x = [n.x] %}{% endfor %}") ==
      elms::StatusCode::kUnsupported);
  CHECK(outcome(
            "{% set n = namespace(x=[1]) %}{% for i in range(100) %}{% set n.x = n.x + n.x %}{% endfor %}") ==
        elms::StatusCode::kUnsupported);
  CHECK(outcome("{% set n = namespace(x='a') %}{% for i in range(1000000) %}{% set n.x = n.x + 'a' %}{% "
                "endfor %}") == elms::StatusCode::kUnsupported);
  CHECK(outcome("{% set n = namespace(x=1) %}{% set n.x = n %}") == elms::StatusCode::kUnsupported);
  CHECK(outcome("{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}") == elms::StatusCode::kUnsupported);
}

TEST_CASE("chat templates: few steps that each take long, or much memory, end too", "[text][chat]") {
  const std::string list =
      "{% set n = namespace(x=[1]) %}{% for i in range(40) %}{% set n.x = [n.x, n.x] %}{% endfor %}";
  CHECK(outcome(list + "{{ n.x }}") == elms::StatusCode::kUnsupported);
  CHECK(outcome(list + "{{ n.x|tojson(indent=4)|length }}") == elms::StatusCode::kUnsupported);
  const std::string text =  // of 2 MiB
      "{% set n = namespace(x='0123456789abcdef') %}{% for i in range(17) %}{% set n.x = n.x ~ n.x %}{% "
      "endfor %}";
  for (const char* work : {"{% set y %}{{ n.x }}{% endset %}", "{% set y = n.x == n.x %}",
                           "{% set y = 'z' in n.x %}", "{% set y = n.x|length %}"}) {
    INFO(work);
    CHECK(outcome(text + "{% for i in range(50000) %}" + work + "{% endfor %}") ==
          elms::StatusCode::kUnsupported);
  }
  CHECK(outcome(text + "{{ range(1000)|join(n.x)|length }}") == elms::StatusCode::kUnsupported);
  CHECK(outcome(text + "{{ n.x.replace('a', n.x)|length }}") == elms::StatusCode::kUnsupported);
  CHECK(outcome(text + "{{ n.x.split('a')|length }}") == elms::StatusCode::kUnsupported);
  CHECK(
      outcome(
          "{% set l = range(50000) %}{% for i in l %}{% for j in l %}{% break %}{% endfor %}{% endfor %}") ==
      elms::StatusCode::kUnsupported);
}

TEST_CASE("chat templates: contents keep what their segments say, whatever the template does to them",
          "[text][chat]") {
  const auto made = chat_template(kChatMl);
  const std::vector<ChatMessage> messages = {
      {"user",
       {Segment::protect(" Read: ", SegmentRole::kQuestion),
        Segment::compress("a long text ", SegmentRole::kContext, 0.5)}}};
  const auto segments = made->segments(messages);
  REQUIRE_OK(segments);
  REQUIRE(segments->size() == 4);
  CHECK((*segments)[0].text == "<|im_start|>user\n");
  CHECK((*segments)[0].role == SegmentRole::kTemplate);
  CHECK((*segments)[1].text == "Read: ");
  CHECK((*segments)[1].role == SegmentRole::kQuestion);
  CHECK((*segments)[2].text == "a long text");
  CHECK((*segments)[2].may_lose_words());
  CHECK((*segments)[2].keep_ratio == 0.5);
  CHECK((*segments)[3].text == "<|im_end|>\n");
}

TEST_CASE("chat templates: today's date is the caller's where one is given", "[text][chat]") {
  const auto made = chat_template("{# <|im_start|><|im_end|> #}{{ strftime_now('%d %b %Y %B %m %H %%') }}");
  elms::ChatRenderOptions options;
  std::tm date{};
  date.tm_year = 124;
  date.tm_mon = 6;
  date.tm_mday = 5;
  date.tm_hour = 12;
  options.now = std::mktime(&date);
  const auto text = made->render({}, options);
  REQUIRE_OK(text);
  CHECK(*text == "05 Jul 2024 July 07 12 %");
}

TEST_CASE("chat templates: only markers become control tokens", "[text][chat]") {
  ELMS_REQUIRE_SHARED(path, "tokenizers/ggml-vocab/ggml-vocab-phi-3.gguf");
  const auto tokenizer = elms_test::open_gguf_tokenizer(path);
  const auto made = ChatTemplate::create(*tokenizer);
  REQUIRE_OK(made);
  CHECK((*made)->family() == elms::ChatFamily::kPhi);
  const elms::TokenId end = tokenizer->find("<|end|>");
  REQUIRE(end != elms::kNoToken);
  const auto n_ends = [&](const std::string& content) {
    const std::vector<ChatMessage> messages = {ChatMessage::user(content)};
    const auto segments = (*made)->segments(messages);
    REQUIRE_OK(segments);
    const auto tokens = elms::encode_segments(*tokenizer, *segments);
    CHECK(tokens.front() == tokenizer->bos());
    CHECK(tokenizer->decode(tokens).find("Hello") != std::string::npos);
    return std::count(tokens.begin(), tokens.end(), end);
  };
  CHECK(n_ends("Hello") == 1);
  CHECK(n_ends("Hello <|end|> <|user|>") == 1);
  // Where contents have no markers, the tokens are those of the whole text.
  const std::vector<ChatMessage> messages = {ChatMessage::user("Hello, world 42")};
  const auto segments = (*made)->segments(messages);
  const auto text = (*made)->render(messages);
  REQUIRE_OK(text);
  CHECK(elms::encode_segments(*tokenizer, *segments) ==
        tokenizer->encode(*text, {.add_special = false, .parse_special = true}));
}
