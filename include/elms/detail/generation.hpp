// The loop that turns sampled tokens into streamed text, for whatever hands out the tokens.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "elms/detail/error.hpp"
#include "elms/detail/stop_strings.hpp"
#include "elms/generate_options.hpp"
#include "elms/status.hpp"
#include "elms/tokenizer.hpp"
#include "elms/types.hpp"

namespace elms::inline v0::detail {

/// What generation needs from a Session. decode() evaluates the token it returned last, then samples the
/// next.
template <typename T>
concept TokenSource = requires(T source, std::span<const TokenId> tokens) {
  { source.prefill(tokens) } -> std::same_as<Status>;
  { source.decode() } -> std::same_as<Result<TokenId>>;
};

/// Tokens in, text out: whole characters, stop strings taken out, everything handed to on_text as soon as it
/// is certain.
class TextStream {
 public:
  /// The prompt goes through the decoder first, so that the text continues it: a space at the very start of a
  /// sequence is one that encode() put in, and is taken out; after a prompt it belongs to the answer.
  TextStream(const Tokenizer& tokenizer, std::span<const TokenId> prompt, const GenerateOptions& options)
      : decoder_(tokenizer), matcher_(options.stop), on_text_(options.on_text) {
    for (const TokenId token : prompt) static_cast<void>(decoder_.push(token));
  }

  enum class State : std::uint8_t { kOpen, kStopString, kCallback };

  State push(TokenId token) { return push_text(decoder_.push(token)); }

  /// Releases what was held back. The state can still become kStopString: by the U+FFFD of an unfinished
  /// character.
  State finish() {
    const State state = push_text(decoder_.finish());
    return state == State::kOpen ? release(matcher_.finish()) : state;
  }

  [[nodiscard]] std::string take_text() noexcept { return std::move(text_); }

 private:
  State push_text(std::string_view piece) {
    const StopMatcher::Step step = matcher_.push(piece);
    const State state = release(step.released);
    return step.stopped ? State::kStopString : state;
  }

  State release(std::string_view piece) {
    if (piece.empty()) return State::kOpen;
    text_.append(piece);
    return on_text_ && on_text_(piece) == Flow::kStop ? State::kCallback : State::kOpen;
  }

  StreamDecoder decoder_;
  StopMatcher matcher_;
  const std::function<Flow(std::string_view)>& on_text_;
  std::string text_;
};

[[nodiscard]] inline Status check(const GenerateOptions& options) {
  if (options.max_tokens < 0) {
    return invalid_argument("generate: max_tokens is ", options.max_tokens, ", expected >= 0");
  }
  for (std::size_t i = 0; i < options.stop.size(); ++i) {
    if (options.stop[i].empty()) return invalid_argument("generate: stop[", i, "] is empty");
    if (!is_utf8(options.stop[i])) return invalid_argument("generate: stop[", i, "] is not UTF-8");
  }
  return {};
}

/// Fills `out` until a reason to finish comes up. `clock` is called after each token. What is held back at
/// the end is released, except where the caller wants no more: after kCallback and kCancelled.
template <TokenSource Source, std::invocable Clock>
[[nodiscard]] Result<FinishReason> generate_tokens(Source& source, const Tokenizer& tokenizer,
                                                   TextStream& stream, const GenerateOptions& options,
                                                   std::vector<TokenId>& tokens, Clock&& on_token) {
  const auto flushed = [&](FinishReason reason) {
    switch (stream.finish()) {
      case TextStream::State::kStopString:
        return FinishReason::kStopString;
      case TextStream::State::kCallback:
        return FinishReason::kCallback;
      case TextStream::State::kOpen:
        break;
    }
    return reason;
  };
  while (tokens.size() < static_cast<std::size_t>(options.max_tokens)) {
    if (options.cancel != nullptr && options.cancel->cancelled()) return FinishReason::kCancelled;
    const Result<TokenId> token = source.decode();
    if (!token.has_value()) {
      if (token.error().code() == StatusCode::kCancelled) return FinishReason::kCancelled;
      if (token.error().code() == StatusCode::kOutOfContext) return flushed(FinishReason::kContextFull);
      return token.error();
    }
    tokens.push_back(*token);
    on_token();
    if (options.stop_at_end_of_generation && tokenizer.is_end_of_generation(*token)) {
      return flushed(FinishReason::kEndOfGeneration);
    }
    switch (stream.push(*token)) {
      case TextStream::State::kStopString:
        return FinishReason::kStopString;
      case TextStream::State::kCallback:
        return FinishReason::kCallback;
      case TextStream::State::kOpen:
        break;
    }
  }
  return flushed(FinishReason::kMaxTokens);
}

/// See generate() in elms/generate.hpp.
template <TokenSource Source>
[[nodiscard]] Result<Generated> generate_from(Source& source, const Tokenizer& tokenizer,
                                              std::span<const TokenId> prompt,
                                              const GenerateOptions& options) {
  using Clock = std::chrono::steady_clock;
  const auto ms_between = [](Clock::time_point from, Clock::time_point to) {
    return std::chrono::duration<double, std::milli>(to - from).count();
  };
  ELMS_RETURN_IF_ERROR(check(options));
  const Clock::time_point start = Clock::now();
  Generated out;
  if (Status status = source.prefill(prompt); !status.ok()) {
    if (status.code() != StatusCode::kCancelled) return status;
    out.finish = FinishReason::kCancelled;
    return out;
  }
  Clock::time_point first = start;
  Clock::time_point last = start;
  const auto on_token = [&] {
    last = Clock::now();
    if (out.tokens.size() == 1) first = last;
  };
  TextStream stream(tokenizer, prompt, options);
  ELMS_ASSIGN_OR_RETURN(out.finish,
                        generate_tokens(source, tokenizer, stream, options, out.tokens, on_token));
  out.text = stream.take_text();
  if (!out.tokens.empty()) out.ttft_ms = ms_between(start, first);
  if (out.tokens.size() > 1)
    out.tpot_ms = ms_between(first, last) / static_cast<double>(out.tokens.size() - 1);
  return out;
}

}  // namespace elms::inline v0::detail
