#include "elms/detail/generation.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "support.hpp"

using namespace elms;

namespace {
constexpr TokenId kEos = 256;

/// Token = byte; 256 ends.
class ByteTokenizer final : public Tokenizer {
 public:
  std::vector<TokenId> encode(std::string_view text, const EncodeOptions&) const override {
    std::vector<TokenId> tokens;
    for (const char c : text) tokens.push_back(static_cast<unsigned char>(c));
    return tokens;
  }
  std::unique_ptr<TokenizerRun> start_run() const override { return nullptr; }  // nothing here asks for one
  std::string token_bytes(TokenId token, bool special) const override {
    if (token == kEos) return special ? "</s>" : "";
    return token >= 0 && token < 256 ? std::string(1, static_cast<char>(token)) : std::string();
  }
  std::string decode(std::span<const TokenId> tokens, bool special) const override {
    std::string text;
    for (const TokenId token : tokens) text += token_bytes(token, special);
    return text;
  }
  std::string_view token_text(TokenId) const override { return {}; }
  TokenId find(std::string_view) const override { return kNoToken; }
  std::int32_t n_vocab() const noexcept override { return 257; }
  TokenId bos() const noexcept override { return kNoToken; }
  TokenId eos() const noexcept override { return kEos; }
  TokenId unk() const noexcept override { return kNoToken; }
  bool is_control(TokenId token) const noexcept override { return token == kEos; }
  bool is_end_of_generation(TokenId token) const noexcept override { return token == kEos; }
  std::string_view model() const noexcept override { return "bytes"; }
  std::string_view chat_template() const noexcept override { return {}; }

 private:
  void append_piece(TokenId token, bool special, bool& at_start, std::string& text) const override {
    const std::string bytes = token_bytes(token, special);
    if (!(at_start && bytes == " ")) text += bytes;
    at_start = false;
  }
  std::string take_settled(std::string& pending, bool at_end) const override {
    std::size_t whole = pending.size();
    while (!detail::is_utf8(std::string_view(pending).substr(0, whole))) --whole;
    std::string settled = pending.substr(0, whole);
    pending.erase(0, whole);
    if (at_end && !pending.empty()) settled += "\uFFFD";
    return settled;
  }
};

/// Plays back a text, then repeats an end token or fails as told.
struct ScriptedSource {
  std::vector<TokenId> script;
  Status at_end = Status(StatusCode::kOutOfContext, "the script is over");
  Status prefill_status = {};
  std::vector<TokenId> prompt = {};
  std::size_t n_decoded = 0;
  CancelToken* cancel_at = nullptr;  // cancelled while token `cancel_step` is computed
  std::size_t cancel_step = 0;

  Status prefill(std::span<const TokenId> tokens) {
    prompt.assign(tokens.begin(), tokens.end());
    return prefill_status;
  }
  Result<TokenId> decode() {
    if (cancel_at != nullptr && n_decoded == cancel_step) cancel_at->cancel();
    if (cancel_at != nullptr && cancel_at->cancelled())
      return Status(StatusCode::kCancelled, "cancelled in a layer");
    if (n_decoded == script.size()) return at_end;
    return script[n_decoded++];
  }
};

std::vector<TokenId> bytes(std::string_view text) {
  return ByteTokenizer().encode(text, {});
}

struct Run {
  Generated generated;
  std::vector<std::string> pieces;
};

/// Generates from the source and checks what holds always: on_text got exactly the text, in whole characters.
Run run(ScriptedSource& source, GenerateOptions options, std::optional<std::size_t> stop_after_pieces = {}) {
  Run out;
  const ByteTokenizer tokenizer;
  options.on_text = [&](std::string_view piece) {
    CHECK_FALSE(piece.empty());
    CHECK(detail::is_utf8(piece));
    out.pieces.emplace_back(piece);
    return stop_after_pieces == out.pieces.size() ? Flow::kStop : Flow::kContinue;
  };
  const std::vector<TokenId> prompt = {1, 2, 3};
  Result<Generated> generated = detail::generate_from(source, tokenizer, prompt, options);
  REQUIRE_OK(generated);
  out.generated = *std::move(generated);
  std::string joined;
  for (const std::string& piece : out.pieces) joined += piece;
  CHECK(joined == out.generated.text);
  CHECK(source.prompt == prompt);
  return out;
}
}  // namespace

TEST_CASE("generate stops at the end token and counts it", "[sampling][generate]") {
  ScriptedSource source{bytes("hi there")};
  source.script.push_back(kEos);
  source.script.push_back('x');
  const Run result = run(source, {});
  CHECK(result.generated.finish == FinishReason::kEndOfGeneration);
  CHECK(result.generated.text == "hi there");
  CHECK(result.generated.tokens.size() == 9);
  CHECK(result.generated.tokens.back() == kEos);
  CHECK(result.generated.ttft_ms >= 0.0);
  CHECK(result.generated.tpot_ms >= 0.0);
}

TEST_CASE("generate keeps a space that parts the answer from the prompt", "[sampling][generate]") {
  ScriptedSource source{bytes(" yes")};
  source.script.push_back(kEos);
  CHECK(run(source, {}).generated.text == " yes");
}

TEST_CASE("generate goes on over end tokens when asked to", "[sampling][generate]") {
  ScriptedSource source{{'a', kEos, 'b'}};
  GenerateOptions options;
  options.stop_at_end_of_generation = false;
  options.max_tokens = 3;
  const Run result = run(source, options);
  CHECK(result.generated.finish == FinishReason::kMaxTokens);
  CHECK(result.generated.text == "ab");
  CHECK(result.generated.tokens == std::vector<TokenId>{'a', kEos, 'b'});
}

TEST_CASE("generate makes exactly max_tokens", "[sampling][generate]") {
  for (const int max_tokens : {0, 1, 2, 5}) {
    ScriptedSource source{bytes("abcdefgh")};
    GenerateOptions options;
    options.max_tokens = max_tokens;
    const Run result = run(source, options);
    CHECK(result.generated.finish == FinishReason::kMaxTokens);
    CHECK(result.generated.text == std::string("abcdefgh").substr(0, static_cast<std::size_t>(max_tokens)));
    CHECK(source.n_decoded == static_cast<std::size_t>(max_tokens));
  }
}

TEST_CASE("generate ends at the first stop string and drops it", "[sampling][generate]") {
  ScriptedSource source{bytes("say it\nUser: more")};
  GenerateOptions options;
  options.stop = {"User:", "\nUser:", "</s>"};
  const Run result = run(source, options);
  CHECK(result.generated.finish == FinishReason::kStopString);
  CHECK(result.generated.text == "say it");
  CHECK(source.n_decoded == std::string("say it\nUser:").size());
}

TEST_CASE("generate releases a half stop string when the text ends first", "[sampling][generate]") {
  GenerateOptions options;
  options.stop = {"STOP"};
  ScriptedSource ended{bytes("abc STO")};
  ended.script.push_back(kEos);
  CHECK(run(ended, options).generated.text == "abc STO");
  ScriptedSource full{bytes("abc STO")};
  const Run result = run(full, options);
  CHECK(result.generated.finish == FinishReason::kContextFull);
  CHECK(result.generated.text == "abc STO");
  CHECK(result.pieces == std::vector<std::string>{"a", "b", "c", " ", "STO"});
}

TEST_CASE("generate hands out whole characters", "[sampling][generate]") {
  ScriptedSource source{bytes("a\u00E9\u20AC\U0001F600z")};
  source.script.push_back(kEos);
  CHECK(run(source, {}).pieces == std::vector<std::string>{"a", "\u00E9", "\u20AC", "\U0001F600", "z"});

  ScriptedSource cut{bytes("a\u20AC")};
  GenerateOptions options;
  options.max_tokens = 3;  // in the middle of the character
  const Run result = run(cut, options);
  CHECK(result.generated.finish == FinishReason::kMaxTokens);
  CHECK(result.generated.text == "a\uFFFD");
}

TEST_CASE("generate keeps characters whole where stop strings share their bytes", "[sampling][generate]") {
  GenerateOptions options;
  options.stop = {"\u20AC\u20AC"};
  ScriptedSource similar{bytes("1\u20AC\u20AD2\u20AC")};  // the same two bytes first
  similar.script.push_back(kEos);
  CHECK(run(similar, options).generated.text == "1\u20AC\u20AD2\u20AC");
  ScriptedSource hit{bytes("1\u20AC2\u20AC\u20AC3")};
  const Run result = run(hit, options);
  CHECK(result.generated.text == "1\u20AC2");
  CHECK(result.generated.finish == FinishReason::kStopString);
}

TEST_CASE("generate stops when the callback says so", "[sampling][generate]") {
  for (std::size_t pieces = 1; pieces <= 4; ++pieces) {
    ScriptedSource source{bytes("abcdef")};
    const Run result = run(source, {}, pieces);
    CHECK(result.generated.finish == FinishReason::kCallback);
    CHECK(result.generated.text == std::string("abcdef").substr(0, pieces));
    CHECK(result.pieces.size() == pieces);
    CHECK(source.n_decoded == pieces);
  }
}

TEST_CASE("generate keeps the text that was streamed before it was cancelled", "[sampling][generate]") {
  for (std::size_t step = 0; step <= 5; ++step) {
    CancelToken cancel;
    ScriptedSource source{bytes("abSTO")};
    source.cancel_at = &cancel;
    source.cancel_step = step;
    GenerateOptions options;
    options.stop = {"STOP"};
    options.cancel = &cancel;
    const Run result = run(source, options);
    CHECK(result.generated.finish == FinishReason::kCancelled);
    CHECK(result.generated.text == std::string("ab").substr(0, std::min<std::size_t>(step, 2)));
    CHECK(result.generated.tokens.size() == step);
  }
  CancelToken before;
  before.cancel();
  ScriptedSource source{bytes("ab")};
  GenerateOptions options;
  options.cancel = &before;
  CHECK(run(source, options).generated.finish == FinishReason::kCancelled);
  CHECK(source.n_decoded == 0);
}

TEST_CASE("generate reports a prefill that was cancelled or failed", "[sampling][generate]") {
  ScriptedSource cancelled{bytes("ab")};
  cancelled.prefill_status = Status(StatusCode::kCancelled, "cancelled in a layer");
  const Run result = run(cancelled, {});
  CHECK(result.generated.finish == FinishReason::kCancelled);
  CHECK(result.generated.tokens.empty());
  CHECK(result.generated.ttft_ms == 0.0);

  ScriptedSource too_long{bytes("ab")};
  too_long.prefill_status = Status(StatusCode::kOutOfContext, "the prompt is too long");
  const Result<Generated> failed =
      detail::generate_from(too_long, ByteTokenizer(), std::vector<TokenId>{1}, {});
  CHECK(failed.error().code() == StatusCode::kOutOfContext);
  CHECK(failed.error().message() == "the prompt is too long");
}

TEST_CASE("generate passes on an error in the middle", "[sampling][generate]") {
  ScriptedSource source{bytes("ab")};
  source.at_end = Status(StatusCode::kInternal, "broken");
  const Result<Generated> failed =
      detail::generate_from(source, ByteTokenizer(), std::vector<TokenId>{1}, {});
  CHECK(failed.error().code() == StatusCode::kInternal);
}

TEST_CASE("generate refuses options that can never work and names them", "[sampling][generate]") {
  const auto refusal = [](GenerateOptions options) {
    ScriptedSource source{bytes("ab")};
    const Result<Generated> failed =
        detail::generate_from(source, ByteTokenizer(), std::vector<TokenId>{1}, options);
    CHECK(failed.error().code() == StatusCode::kInvalidArgument);
    CHECK(source.prompt.empty());
    return failed.error().message();
  };
  GenerateOptions options;
  options.max_tokens = -1;
  CHECK(refusal(options) == "generate: max_tokens is -1, expected >= 0");
  options = {};
  options.stop = {"ok", ""};
  CHECK(refusal(options) == "generate: stop[1] is empty");
  options.stop = {"\xE2\x82"};
  CHECK(refusal(options) == "generate: stop[0] is not UTF-8");
}
