// What a generation is asked for, and what comes out of it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "elms/types.hpp"

namespace elms::inline v0 {

struct GenerateOptions {
  std::int32_t max_tokens = 256;  ///< >= 0; 0 only prefills
  /// Strings that end the text, none of them empty, all UTF-8. Neither they nor what follows is part of the
  /// text.
  std::vector<std::string> stop{};
  bool stop_at_end_of_generation =
      true;                             ///< false: an end token is generated like any other and adds no text
  const CancelToken* cancel = nullptr;  ///< may be set from any thread; must outlive the call
  /// Gets the text piece by piece, in whole UTF-8 characters, on the calling thread; kStop ends the
  /// generation. Pieces are never empty; one token may yield none. May be empty.
  std::function<Flow(std::string_view)> on_text{};
};

enum class FinishReason : std::uint8_t {
  kEndOfGeneration,  ///< the model produced an end token
  kStopString,       ///< a stop string came
  kMaxTokens,        ///< max_tokens were generated
  kCallback,         ///< on_text said kStop
  kCancelled,        ///< the cancel token was set
  kContextFull,      ///< the session's context has no room for another token
  // Of a service only:
  kDeadline,  ///< the request's deadline was over
  kRejected,  ///< not run: it could not have met its targets
  kError,     ///< Answer::status says what went wrong
};

/// In words, e.g. "stop string". Never null; static storage.
[[nodiscard]] constexpr const char* to_string(FinishReason reason) noexcept {
  switch (reason) {
    case FinishReason::kEndOfGeneration:
      return "end of generation";
    case FinishReason::kStopString:
      return "stop string";
    case FinishReason::kMaxTokens:
      return "max tokens";
    case FinishReason::kCallback:
      return "callback";
    case FinishReason::kCancelled:
      return "cancelled";
    case FinishReason::kContextFull:
      return "context full";
    case FinishReason::kDeadline:
      return "deadline";
    case FinishReason::kRejected:
      return "rejected";
    case FinishReason::kError:
      return "error";
  }
  return "unknown";
}

struct Generated {
  std::vector<TokenId> tokens;  ///< all that were sampled, with those of a stop string and the end token
  std::string text;             ///< exactly what on_text was given, or would have been
  FinishReason finish = FinishReason::kMaxTokens;
  double ttft_ms = 0.0;  ///< from the call to the first token, prefill included; 0 without tokens
  double tpot_ms = 0.0;  ///< mean time of a token after the first; 0 with fewer than two tokens
};

}  // namespace elms::inline v0
