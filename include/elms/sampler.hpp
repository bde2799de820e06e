// From logits to the next token: penalties, filters, temperature, and a draw that anyone can repeat.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "elms/detail/buffer.hpp"
#include "elms/detail/candidates.hpp"
#include "elms/detail/error.hpp"
#include "elms/detail/random.hpp"
#include "elms/status.hpp"
#include "elms/types.hpp"

namespace elms::inline v0 {

/// Added to a token's logit before anything else. -infinity bans the token, +infinity forces it.
struct LogitBias {
  TokenId token = kNoToken;
  float bias = 0.0f;
};

/// How the next token is chosen. The steps run in this order, which is llama.cpp's default chain: logit bias,
/// repetition penalty, top-k, top-p, min-p, temperature, draw. Defaults are llama.cpp's too, but for the
/// seed, which there changes from run to run. At temperature 0 the best token is taken and the three filters,
/// which never remove it, are skipped.
struct SamplerOptions {
  float temperature = 0.8f;  ///< >= 0; 0 is greedy
  std::int32_t top_k = 40;   ///< keep the k best; 0 keeps all
  float top_p = 0.95f;       ///< [0, 1]: keep the fewest tokens with this probability together; 1 keeps all
  float min_p = 0.05f;       ///< [0, 1]: drop what is less likely than this share of the best; 0 keeps all
  float repetition_penalty =
      1.0f;  ///< > 0: recent tokens' logits are divided by it (multiplied if negative); 1 is off
  std::int32_t repetition_window = 64;  ///< how many accepted tokens count as recent; 0 is off
  std::uint64_t seed = 0;               ///< same seed, same logits: same tokens, on every platform
  std::vector<LogitBias> logit_bias{};   ///< several biases of one token add up
};

/// Chooses tokens. Belongs to one sequence; one thread at a time. No memory is allocated after create().
///
/// sample() does not change the recent tokens: whoever takes a token into the sequence tells the sampler by
/// accept().
class Sampler {
 public:
  /// The greedy sampler without penalties and biases; needs no memory and fits every vocabulary.
  Sampler() noexcept : rng_(0) { options_.temperature = 0.0f; }

  /// kInvalidArgument names the field that is out of range; kOutOfMemory. n_vocab: logits of a token, > 0.
  [[nodiscard]] static Result<Sampler> create(SamplerOptions options, std::int32_t n_vocab) noexcept {
    ELMS_RETURN_IF_ERROR(check(options, n_vocab));
    return allocate(std::move(options), static_cast<std::size_t>(n_vocab));
  }

  /// The next token; [n_vocab] logits, of which only as many as create() was told are looked at. NaN counts
  /// as -infinity. kNoToken when no token is left, that is, when every logit is NaN or -infinity: everything
  /// is banned, or the weights are broken.
  [[nodiscard]] TokenId sample(std::span<const float> logits) noexcept {
    logits = adjusted(logits);
    if (options_.temperature == 0.0f) return detail::argmax(logits);
    std::size_t count = detail::select_best(logits, best_k(logits.size()), candidates_);
    if (count == 0) return kNoToken;
    const auto kept = [&] { return std::span<detail::Candidate>(candidates_).first(count); };
    if (options_.top_p < 1.0f) count = detail::keep_top_p(kept(), options_.top_p);
    if (options_.min_p > 0.0f) count = detail::keep_min_p(kept(), options_.min_p);
    return detail::draw(kept(), options_.temperature, rng_);
  }

  /// Remembers a token of the sequence (prompt or answer) for the repetition penalty. Ids outside the
  /// vocabulary are ignored.
  void accept(TokenId token) noexcept {
    if (recent_.empty() || token < 0 || static_cast<std::size_t>(token) >= newest_slot_.size()) return;
    recent_[next_slot_] = token;
    newest_slot_[static_cast<std::size_t>(token)] = static_cast<std::int32_t>(next_slot_);
    next_slot_ = next_slot_ + 1 == recent_.size() ? 0 : next_slot_ + 1;
    n_recent_ = std::min(n_recent_ + 1, recent_.size());
  }

  /// Back to the state after create(): no recent tokens, random numbers from the start.
  void reset() noexcept {
    rng_ = detail::Xoshiro256(options_.seed);
    next_slot_ = 0;
    n_recent_ = 0;
  }

  [[nodiscard]] const SamplerOptions& options() const noexcept { return options_; }

 private:
  static Status check(const SamplerOptions& options, std::int32_t n_vocab) noexcept;
  static Result<Sampler> allocate(SamplerOptions options, std::size_t n_vocab) noexcept;
  [[nodiscard]] std::span<const float> adjusted(std::span<const float> logits) noexcept;
  [[nodiscard]] std::size_t best_k(std::size_t n) const noexcept {
    return options_.top_k == 0 ? n : std::min(n, static_cast<std::size_t>(options_.top_k));
  }

  SamplerOptions options_;
  detail::Xoshiro256 rng_;
  std::size_t n_vocab_ = std::numeric_limits<std::size_t>::max();
  detail::Buffer<detail::Candidate> candidates_;  // [select_capacity(top_k, n_vocab)]; empty when greedy
  detail::Buffer<float> adjusted_;                // [n_vocab]; empty without biases and penalty
  detail::Buffer<TokenId> recent_;                // [repetition_window], a ring; empty without penalty
  detail::Buffer<std::int32_t> newest_slot_;      // [n_vocab]: where a recent token was written last
  std::size_t next_slot_ = 0;
  std::size_t n_recent_ = 0;
};

inline Status Sampler::check(const SamplerOptions& options, std::int32_t n_vocab) noexcept {
  using detail::invalid_argument;
  const auto share = [](float value) { return value >= 0.0f && value <= 1.0f; };  // false for NaN
  if (n_vocab <= 0) return invalid_argument("sampler: n_vocab is ", n_vocab, ", expected at least 1");
  if (!(options.temperature >= 0.0f) || std::isinf(options.temperature)) {
    return invalid_argument("sampler: temperature is ", options.temperature,
                            ", expected a finite number >= 0");
  }
  if (options.top_k < 0)
    return invalid_argument("sampler: top_k is ", options.top_k, ", expected >= 0 (0 keeps all)");
  if (!share(options.top_p))
    return invalid_argument("sampler: top_p is ", options.top_p, ", expected 0 to 1");
  if (!share(options.min_p))
    return invalid_argument("sampler: min_p is ", options.min_p, ", expected 0 to 1");
  if (!(options.repetition_penalty > 0.0f) || std::isinf(options.repetition_penalty)) {
    return invalid_argument("sampler: repetition_penalty is ", options.repetition_penalty,
                            ", expected a finite number > 0 (1 is off)");
  }
  if (options.repetition_window < 0) {
    return invalid_argument("sampler: repetition_window is ", options.repetition_window,
                            ", expected >= 0 (0 is off)");
  }
  for (std::size_t i = 0; i < options.logit_bias.size(); ++i) {
    const LogitBias& bias = options.logit_bias[i];
    if (bias.token < 0 || bias.token >= n_vocab) {
      return invalid_argument("sampler: logit_bias[", i, "].token is ", bias.token, ", expected 0 to ",
                              n_vocab - 1);
    }
    if (std::isnan(bias.bias)) return invalid_argument("sampler: logit_bias[", i, "].bias is not a number");
  }
  return {};
}

inline Result<Sampler> Sampler::allocate(SamplerOptions options, std::size_t n_vocab) noexcept {
  Sampler sampler;
  sampler.options_ = std::move(options);
  sampler.n_vocab_ = n_vocab;
  sampler.reset();
  const SamplerOptions& checked = sampler.options_;
  const bool penalizes = checked.repetition_penalty != 1.0f && checked.repetition_window > 0;
  if (checked.temperature != 0.0f) {
    const std::size_t capacity = detail::select_capacity(sampler.best_k(n_vocab), n_vocab);
    ELMS_ASSIGN_OR_RETURN(sampler.candidates_, detail::Buffer<detail::Candidate>::uninitialized(capacity));
  }
  if (penalizes) {
    const auto window = static_cast<std::size_t>(checked.repetition_window);
    ELMS_ASSIGN_OR_RETURN(sampler.recent_, detail::Buffer<TokenId>::uninitialized(window));
    ELMS_ASSIGN_OR_RETURN(sampler.newest_slot_, detail::Buffer<std::int32_t>::zeroed(n_vocab));
  }
  if (penalizes || !checked.logit_bias.empty()) {
    ELMS_ASSIGN_OR_RETURN(sampler.adjusted_, detail::Buffer<float>::uninitialized(n_vocab));
  }
  return sampler;
}

/// The logits with biases and penalties, in our own copy; the caller's where there is nothing to adjust.
inline std::span<const float> Sampler::adjusted(std::span<const float> logits) noexcept {
  logits = logits.first(std::min(logits.size(), n_vocab_));
  if (adjusted_.empty()) return logits;
  std::copy(logits.begin(), logits.end(), adjusted_.data());
  for (const LogitBias& bias : options_.logit_bias) {
    const auto token = static_cast<std::size_t>(bias.token);
    if (token < logits.size()) adjusted_[token] += bias.bias;
  }
  for (std::size_t slot = 0; slot < n_recent_; ++slot) {
    const auto token = static_cast<std::size_t>(recent_[slot]);
    // A token that came several times is penalised once: at its newest place.
    if (token >= logits.size() || newest_slot_[token] != static_cast<std::int32_t>(slot)) continue;
    float& logit = adjusted_[token];
    logit = logit > 0.0f ? logit / options_.repetition_penalty : logit * options_.repetition_penalty;
  }
  return std::span<const float>(adjusted_).first(logits.size());
}

/// A token and its probability under the unchanged logits (softmax at temperature 1).
struct TokenProbability {
  TokenId token = kNoToken;
  double probability = 0.0;
};

/// The n most likely tokens, best first, ties by lowest id; fewer where logits are NaN or -infinity. For
/// inspection: allocates.
[[nodiscard]] inline std::vector<TokenProbability> top_probabilities(std::span<const float> logits,
                                                                     std::size_t n) {
  const std::size_t k = std::min(n, logits.size());
  std::vector<detail::Candidate> best(detail::select_capacity(k, logits.size()));
  best.resize(detail::select_best(logits, k, best));
  std::sort(best.begin(), best.end(), detail::ranks_before);
  std::vector<TokenProbability> out;
  if (best.empty()) return out;
  const auto mass = [&](float logit) {
    return std::isnan(logit) ? 0.0
                             : std::exp(std::min<double>(0.0, static_cast<double>(logit) - best[0].logit));
  };
  double total = 0.0;
  for (const float logit : logits) total += mass(logit);
  for (const detail::Candidate& candidate : best)
    out.push_back({candidate.id, mass(candidate.logit) / total});
  return out;
}

}  // namespace elms::inline v0
