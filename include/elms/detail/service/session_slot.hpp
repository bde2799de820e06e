// A session of the service's pool, what its cache holds, and how a request is stopped while it computes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "elms/service_types.hpp"
#include "elms/session.hpp"

namespace elms::inline v0::detail {

/// Sets a session's cancel token when the request's own token is set or its deadline is over. Asked at the
/// input of every layer of every batch, so that a request stops within one layer.
class StopWatch {
 public:
  void start(const CancelToken* cancel, double deadline_ms, const std::function<double()>& now_ms) noexcept {
    token_.reset();
    expired_ = false;
    cancel_ = cancel;
    deadline_ms_ = deadline_ms;
    now_ms_ = &now_ms;
  }
  void check() {
    if (now_ms_ == nullptr || token_.cancelled()) return;
    if (cancel_ != nullptr && cancel_->cancelled()) {
      token_.cancel();
    } else if (deadline_ms_ < std::numeric_limits<double>::infinity() && (*now_ms_)() >= deadline_ms_) {
      expired_ = true;
      token_.cancel();
    }
  }
  /// Forgets the request, whose token may be gone.
  void stop() noexcept {
    cancel_ = nullptr;
    now_ms_ = nullptr;
  }
  [[nodiscard]] const CancelToken& token() const noexcept { return token_; }
  [[nodiscard]] bool expired() const noexcept { return expired_; }

 private:
  CancelToken token_;
  const CancelToken* cancel_ = nullptr;
  const std::function<double()>* now_ms_ = nullptr;
  double deadline_ms_ = 0.0;
  bool expired_ = false;
};

/// One thread at a time.
class SessionSlot {
 public:
  /// What Session::create() fails with.
  [[nodiscard]] static Result<std::unique_ptr<SessionSlot>> create(const ServiceOptions& options) {
    std::unique_ptr<SessionSlot> slot(new (std::nothrow) SessionSlot);
    if (slot == nullptr) return Status(StatusCode::kOutOfMemory, "service: session");
    SessionOptions session;
    session.context_tokens = options.context_tokens;
    session.batch_tokens = options.batch_tokens;
    session.kv_type = options.kv_type;
    session.pool = options.pool;
    session.probe = [watch = &slot->watch](ProbePoint point, std::int32_t, std::span<const float>,
                                           std::int32_t, std::int32_t) {
      if (point == ProbePoint::kLayerInput) watch->check();
    };
    ELMS_ASSIGN_OR_RETURN(Session created, Session::create(options.model, session));
    // Noting and settling then take no memory.
    slot->tokens_.reserve(static_cast<std::size_t>(created.context_tokens()));
    slot->levels_.reserve(slot->tokens_.capacity());
    slot->session_ = std::make_unique<Session>(std::move(created));
    return slot;
  }

  [[nodiscard]] Session& session() noexcept { return *session_; }
  [[nodiscard]] const Session& session() const noexcept { return *session_; }

  /// How many of the first tokens of `prompt` the cache holds at a level that a request at `level` may use.
  [[nodiscard]] std::int32_t reusable(std::span<const TokenId> prompt, int level,
                                      CacheReuse reuse) const noexcept {
    if (reuse == CacheReuse::kOff) return 0;
    std::size_t n = 0;
    const std::size_t limit = std::min(prompt.size(), tokens_.size());
    while (n < limit && tokens_[n] == prompt[n] &&
           (reuse == CacheReuse::kWider ? levels_[n] >= level : levels_[n] == level))
      ++n;
    return static_cast<std::int32_t>(n);
  }
  /// Likewise whatever the levels are.
  [[nodiscard]] std::int32_t shared_prefix(std::span<const TokenId> prompt) const noexcept {
    return static_cast<std::int32_t>(
        std::mismatch(prompt.begin(), prompt.end(), tokens_.begin(), tokens_.end()).first - prompt.begin());
  }

  /// Notes tokens that are given to the session next, at its current level. Those that will not fit are left out.
  void note(std::span<const TokenId> tokens) {
    tokens = tokens.first(std::min(tokens.size(), tokens_.capacity() - tokens_.size()));
    tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
    levels_.resize(tokens_.size(), session_->level());
  }
  /// Forgets the noted tokens that did not get into the cache.
  void settle() { truncate(session_->position()); }
  Status rewind(std::int32_t n) {
    ELMS_RETURN_IF_ERROR(session_->rewind(n));
    truncate(n);
    return {};
  }

  StopWatch watch;
  std::uint64_t used_at = 0;  ///< of the pool: the least recent one is given away first

 private:
  SessionSlot() = default;
  void truncate(std::int32_t n) {
    tokens_.resize(std::min(tokens_.size(), static_cast<std::size_t>(n)));
    levels_.resize(tokens_.size());
  }

  std::unique_ptr<Session> session_;
  std::vector<TokenId> tokens_;  ///< [session position], in the cache
  std::vector<int> levels_;      ///< [session position], that each was computed at
};

/// Thread-safe. There are at least as many slots as requests run at once, so that one is always free.
class SlotPool {
 public:
  /// A slot for the time of a request; settles and goes back when that ends.
  class Lease {
   public:
    Lease(SlotPool& pool, std::span<const TokenId> prompt) : pool_(pool), slot_(pool.take(prompt)) {}
    ~Lease() {
      slot_->watch.stop();
      slot_->settle();
      pool_.give_back(std::move(slot_));
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    [[nodiscard]] SessionSlot& operator*() const noexcept { return *slot_; }
    [[nodiscard]] SessionSlot* operator->() const noexcept { return slot_.get(); }

   private:
    SlotPool& pool_;
    std::unique_ptr<SessionSlot> slot_;
  };

  [[nodiscard]] Status fill(const ServiceOptions& options) {
    free_.reserve(static_cast<std::size_t>(options.n_sessions));  // a slot goes back without taking memory
    for (std::int32_t i = 0; i < options.n_sessions; ++i) {
      ELMS_ASSIGN_OR_RETURN(std::unique_ptr<SessionSlot> slot, SessionSlot::create(options));
      kv_bytes_ += slot->session().kv_bytes();
      free_.push_back(std::move(slot));
    }
    return {};
  }

  /// The one whose cache begins most like the prompt; of equal ones the one that was used longest ago. A few
  /// tokens in common (less than a quarter of both) are not worth a cache of another conversation.
  [[nodiscard]] std::unique_ptr<SessionSlot> take(std::span<const TokenId> prompt) {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return nullptr;
    std::size_t best = 0;
    std::int32_t best_shared = -1;
    for (std::size_t i = 0; i < free_.size(); ++i) {
      std::int32_t shared = free_[i]->shared_prefix(prompt);
      if (4 * shared < free_[i]->session().position() && 4 * static_cast<std::size_t>(shared) < prompt.size())
        shared = 0;
      if (shared > best_shared || (shared == best_shared && free_[i]->used_at < free_[best]->used_at)) {
        best = i;
        best_shared = shared;
      }
    }
    std::unique_ptr<SessionSlot> slot = std::move(free_[best]);
    free_.erase(free_.begin() + static_cast<std::ptrdiff_t>(best));
    return slot;
  }
  void give_back(std::unique_ptr<SessionSlot> slot) {
    const std::lock_guard lock(mutex_);
    slot->used_at = ++n_uses_;
    free_.push_back(std::move(slot));
  }

  [[nodiscard]] std::size_t kv_bytes() const noexcept { return kv_bytes_; }

 private:
  std::mutex mutex_;
  std::uint64_t n_uses_ = 0;
  std::vector<std::unique_ptr<SessionSlot>> free_;  ///< guarded by mutex_
  std::size_t kv_bytes_ = 0;
};

}  // namespace elms::inline v0::detail
