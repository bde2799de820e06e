// A profile from a few timed tokens: right to a third or so, until requests have been observed.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "elms/detail/latency_model.hpp"
#include "elms/session.hpp"

namespace elms::inline v0::detail {

[[nodiscard]] inline double now_ms() noexcept {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// n tokens spread over the vocabulary, so that rows of the embedding are in no cache.
[[nodiscard]] inline std::vector<TokenId> spread_tokens(std::int32_t n_vocab, std::int32_t n) {
  std::vector<TokenId> tokens(static_cast<std::size_t>(std::max(0, n)));
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    tokens[i] =
        static_cast<TokenId>((i * 2654435761u + 7) % static_cast<std::uint32_t>(std::max(1, n_vocab)));
  }
  return tokens;
}

/// Scales the guess of a model's laws to what a small prefill and two tokens take on the narrowest level: the
/// time of about 20 tokens, once, on the calling thread and the model's pool. What Session fails with.
[[nodiscard]] inline Result<DeviceProfile> probe_profile(const std::shared_ptr<const ElasticModel>& model,
                                                         const LatencyModel& guess, KvType kv_type) {
  constexpr std::int32_t kTokens = 16;
  SessionOptions options;
  options.context_tokens = kTokens + 8;
  options.batch_tokens = kTokens;
  options.kv_type = kv_type;
  ELMS_ASSIGN_OR_RETURN(Session session, Session::create(model, options));
  ELMS_RETURN_IF_ERROR(session.set_level(0));
  const std::vector<TokenId> tokens = spread_tokens(model->config().n_vocab, kTokens);
  ELMS_RETURN_IF_ERROR(session.prefill(std::span(tokens).first(1)));  // pages, caches, threads
  session.reset();
  double start = now_ms();
  ELMS_RETURN_IF_ERROR(session.prefill(tokens));
  const double prefill = now_ms() - start;
  double decode = 0.0;
  for (int i = 0; i < 3; ++i) {  // the first costs no forward pass
    start = now_ms();
    ELMS_RETURN_IF_ERROR(session.decode().error());
    if (i > 0) decode = i == 1 ? now_ms() - start : std::min(decode, now_ms() - start);
  }
  DeviceProfile profile = guess.profile();
  const double prefill_ratio = prefill / guess.prefill_ms(0, kTokens, 0);
  const double decode_ratio = decode / guess.decode_ms(0, kTokens + 1.0);
  for (double& coefficient : profile[Phase::kPrefill].coefficients) coefficient *= prefill_ratio;
  for (double& coefficient : profile[Phase::kDecode].coefficients) coefficient *= decode_ratio;
  return profile;
}

}  // namespace elms::inline v0::detail
