// Who computes next: priority, then earliest deadline, then first come.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <limits>
#include <mutex>
#include <vector>

#include "elms/detail/error.hpp"
#include "elms/status.hpp"

namespace elms::inline v0::detail {

/// A request in line. Lives on its thread's stack.
struct Ticket {
  int priority = 0;
  double deadline_ms = 0.0;   ///< of the service's clock: when its first token is due, or the answer
  double predicted_ms = 0.0;  ///< that it will compute
  double started_ms = 0.0;
  std::uint64_t number =
      std::numeric_limits<std::uint64_t>::max();  ///< in order of arrival; until it is in line: the last

  [[nodiscard]] bool before(const Ticket& other) const noexcept {
    if (priority != other.priority) return priority > other.priority;
    if (deadline_ms != other.deadline_ms) return deadline_ms < other.deadline_ms;
    return number < other.number;
  }
};

/// Thread-safe. Requests compute on the threads that ask; the queue only lets them through.
class RequestQueue {
 public:
  RequestQueue(std::int32_t max_running, std::int32_t max_queued)
      : max_running_(max_running), max_queued_(max_queued) {
    running_.reserve(static_cast<std::size_t>(max_running));  // whose turn it is needs no memory
  }

  /// Milliseconds until a request with this ticket could start, if every other one takes what was predicted.
  [[nodiscard]] double predicted_wait_ms(const Ticket& ticket, double now_ms) const {
    const std::lock_guard lock(mutex_);
    double work = 0.0;
    for (const Ticket* running : running_)
      work += std::max(0.0, running->started_ms + running->predicted_ms - now_ms);
    for (const Ticket* waiting : waiting_) work += waiting->before(ticket) ? waiting->predicted_ms : 0.0;
    if (waiting_.empty() && static_cast<std::int32_t>(running_.size()) < max_running_) return 0.0;
    return work / static_cast<double>(max_running_);
  }

  /// A ticket's turn; ends where this does.
  class Turn {
   public:
    Turn(RequestQueue& queue, const Ticket& ticket) noexcept : queue_(queue), ticket_(ticket) {}
    ~Turn() { queue_.leave(ticket_); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    RequestQueue& queue_;
    const Ticket& ticket_;
  };

  /// Returns when it is this ticket's turn, which a Turn must end; kUnavailable when the line is full. `gives_up` is
  /// asked every few milliseconds while it waits: what it returns, where that is not ok, is returned.
  Status enter(Ticket& ticket, const std::function<Status()>& gives_up,
               const std::function<double()>& now_ms) {
    std::unique_lock lock(mutex_);
    ticket.number = ++n_tickets_;
    const bool must_wait = !waiting_.empty() || static_cast<std::int32_t>(running_.size()) >= max_running_;
    if (must_wait && static_cast<std::int32_t>(waiting_.size()) >= max_queued_) {
      return error(StatusCode::kUnavailable, "service: ", waiting_.size(), " requests wait already");
    }
    waiting_.push_back(&ticket);
    while (!is_next(ticket)) {
      // Neither cancel tokens nor a caller's clock can wake us.
      changed_.wait_for(lock, std::chrono::milliseconds(5));
      lock.unlock();
      Status status = or_out_of_memory(gives_up);
      lock.lock();
      if (!status.ok()) {
        remove(waiting_, ticket);
        changed_.notify_all();
        return status;
      }
    }
    remove(waiting_, ticket);
    ticket.started_ms = now_ms();
    running_.push_back(&ticket);
    changed_.notify_all();
    return {};
  }

  void leave(const Ticket& ticket) {
    const std::lock_guard lock(mutex_);
    remove(running_, ticket);
    changed_.notify_all();
  }

  [[nodiscard]] std::int32_t n_running() const {
    const std::lock_guard lock(mutex_);
    return static_cast<std::int32_t>(running_.size());
  }
  [[nodiscard]] std::int32_t n_queued() const {
    const std::lock_guard lock(mutex_);
    return static_cast<std::int32_t>(waiting_.size());
  }

 private:
  [[nodiscard]] bool is_next(const Ticket& ticket) const noexcept {
    if (static_cast<std::int32_t>(running_.size()) >= max_running_) return false;
    return std::none_of(waiting_.begin(), waiting_.end(),
                        [&](const Ticket* other) { return other->before(ticket); });
  }
  static void remove(std::vector<const Ticket*>& tickets, const Ticket& ticket) noexcept {
    tickets.erase(std::remove(tickets.begin(), tickets.end(), &ticket), tickets.end());
  }

  const std::int32_t max_running_, max_queued_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t n_tickets_ = 0;
  std::vector<const Ticket*> waiting_, running_;  ///< guarded by mutex_
};

}  // namespace elms::inline v0::detail
