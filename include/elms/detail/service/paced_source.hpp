// A session as the generation loop sees it, which is timed, paced and stopped on the way.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "elms/detail/service/pacer.hpp"
#include "elms/detail/service/session_slot.hpp"
#include "elms/planning.hpp"
#include "elms/service_types.hpp"

namespace elms::inline v0::detail {

class PacedSource {
 public:
  /// Both must outlive it. `pacer` may be null: the level stays.
  PacedSource(SessionSlot& slot, Pacer* pacer, const std::function<double()>& now_ms)
      : slot_(slot), pacer_(pacer), now_ms_(now_ms) {}

  Status prefill(std::span<const TokenId> tokens) {
    slot_.watch.check();
    slot_.note(tokens);
    return slot_.session().prefill(tokens);
  }

  /// Counts as decoding from the second token on: the first only samples from the prefill's logits.
  Result<TokenId> decode() {
    slot_.watch.check();
    Session& session = slot_.session();
    if (n_tokens_ > 0) slot_.note({&last_, 1});
    const std::int32_t position = session.position();
    const double begin_ms = now_ms_();
    const Result<TokenId> token = session.decode();
    if (!token.has_value()) return token;
    const double end_ms = now_ms_();
    last_ = *token;
    if (n_tokens_++ == 0) {
      first_ms_ = last_ms_ = end_ms;
      return token;
    }
    if (parts_.empty() || parts_.back().level != session.level()) {
      Observation part;
      part.level = session.level();
      part.context_tokens = position;
      parts_.push_back(part);
    }
    ++parts_.back().n_decoded_tokens;
    parts_.back().decode_ms += end_ms - begin_ms;
    pace(end_ms - last_ms_);
    last_ms_ = end_ms;
    return token;
  }

  [[nodiscard]] std::int32_t n_tokens() const noexcept { return n_tokens_; }
  [[nodiscard]] double first_ms() const noexcept { return first_ms_; }  ///< on the clock
  [[nodiscard]] double last_ms() const noexcept { return last_ms_; }
  [[nodiscard]] const std::vector<LevelChange>& level_changes() const noexcept { return level_changes_; }
  /// What decoding took, level by level.
  [[nodiscard]] const std::vector<Observation>& parts() const noexcept { return parts_; }

 private:
  /// `token_ms`: since the token before, with what the caller's callback took.
  void pace(double token_ms) {
    if (pacer_ == nullptr) return;
    Session& session = slot_.session();
    const int level = pacer_->next_level(token_ms);
    if (level == session.level() || !session.set_level(level).ok()) return;
    level_changes_.push_back({n_tokens_, level});
  }

  SessionSlot& slot_;
  Pacer* pacer_;
  const std::function<double()>& now_ms_;
  std::int32_t n_tokens_ = 0;
  TokenId last_ = kNoToken;
  double first_ms_ = 0.0, last_ms_ = 0.0;
  std::vector<LevelChange> level_changes_;
  std::vector<Observation> parts_;
};

}  // namespace elms::inline v0::detail
