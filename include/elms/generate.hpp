// From a prompt to streamed text: prefill, decode, stop strings, callbacks, cancellation.
#pragma once

#include <span>

#include "elms/detail/generation.hpp"
#include "elms/generate_options.hpp"
#include "elms/session.hpp"
#include "elms/status.hpp"
#include "elms/tokenizer.hpp"
#include "elms/types.hpp"

namespace elms::inline v0 {

/// Appends the prompt to the session and generates an answer with the session's sampler and width. The last token of
/// the answer stays pending in the session (see Session::decode), so that a next call carries on from here. The text
/// continues the prompt: Tokenizer::decode of both together is that of the prompt followed by the text.
///
/// Being cancelled, or filling the context, is no failure: the text so far is returned, and FinishReason says why it
/// ends. Failures: kInvalidArgument for options that can never work, whatever Session::prefill says of the prompt
/// (kOutOfContext when it does not fit), and errors of decoding. While it runs, options.cancel, if any, replaces the
/// session's cancel token.
[[nodiscard]] inline Result<Generated> generate(Session& session, const Tokenizer& tokenizer,
                                                std::span<const TokenId> prompt, const GenerateOptions& options = {}) {
  const CancelToken* previous = session.cancel();
  if (options.cancel != nullptr) session.set_cancel(options.cancel);
  Result<Generated> generated =
      detail::or_out_of_memory([&] { return detail::generate_from(session, tokenizer, prompt, options); });
  session.set_cancel(previous);
  return generated;
}

}  // namespace elms::inline v0
