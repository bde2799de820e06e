// What an ElasticService is asked and what it answers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "elms/chat_template.hpp"
#include "elms/generate_options.hpp"
#include "elms/planning.hpp"
#include "elms/refine_options.hpp"
#include "elms/sampler.hpp"
#include "elms/segment.hpp"
#include "elms/slo.hpp"
#include "elms/status.hpp"
#include "elms/types.hpp"

namespace elms::inline v0 {

class ElasticModel;
class PromptRefiner;
class SLOPlanner;
class ThreadPool;

/// Which entries of a session's cache a request may use again.
enum class CacheReuse : std::uint8_t {
  kWider,      ///< those computed at the level that it runs at, or at a wider one: never worse than computing
               ///< them anew
  kSameLevel,  ///< only those of the same level: every answer is the one that the request would get alone
  kOff,        ///< none
};

struct ServiceOptions {
  std::shared_ptr<const ElasticModel> model{};
  /// Null: only prompts are shortened whose question says what to cut (cut_by_question).
  std::shared_ptr<const PromptRefiner> refiner{};
  std::shared_ptr<SLOPlanner> planner{};  ///< null: one of the service's own, without a profile

  static constexpr std::int32_t kMostSessions = 1024;  ///< more are a mistake that would take all memory
  std::int32_t n_sessions = 2;  ///< KV caches that are kept, and so how many conversations stay warm
  /// Requests that compute at the same time, at most n_sessions. They share the model's threads: two at once
  /// each take about twice as long, which predictions do not know.
  std::int32_t max_running = 1;
  std::int32_t max_queued = 64;     ///< requests that wait at most; another one is kUnavailable
  std::int32_t context_tokens = 0;  ///< of each session; 0: what the model was trained for
  std::int32_t batch_tokens = 512;
  KvType kv_type = KvType::kF16;
  std::shared_ptr<ThreadPool> pool{};  ///< of the sessions; null: the model's

  CacheReuse reuse = CacheReuse::kWider;
  bool narrow_while_decoding = true;  ///< see detail/service/pacer.hpp
  bool learn = true;                  ///< the planner observes every request
  /// The decision head of the refiner, where it has one, says what strategies are worth for a prompt. It is
  /// asked where the prompt is to be cut anyway or where that takes at most 5% of the TTFT target.
  bool decide = true;
  /// Where RefineOptions::filter is kQuestion and lines of a prompt have something in common with its
  /// question, that alone says what to cut, in microseconds and without a refiner; where there is one its
  /// encoder, which would only choose among the words of one line, does not read the prompt for it.
  bool cut_by_question = true;
  RefineOptions refine{};  ///< `encode` is set by the service

  /// Milliseconds of a clock that never goes back; empty: the system's. For tests.
  std::function<double()> now_ms{};
};

/// A prompt in segments, or messages for the model's chat template: one of the two.
struct ServiceRequest {
  std::vector<Segment> prompt{};
  std::vector<ChatMessage> messages{};
  Slo slo{};
  std::optional<SloShares> shares{};  ///< instead of slo: shares of the full model's latency
  std::int32_t max_tokens = 256;
  std::vector<std::string> stop{};
  /// The text piece by piece on the calling thread, as GenerateOptions::on_text. It must not call the
  /// service.
  std::function<Flow(std::string_view)> on_text{};

  SamplerOptions sampling = greedy();
  double confidence = 0.99;  ///< in [0.5, 0.9999], with which targets are to be met
  InfeasiblePolicy policy = InfeasiblePolicy::kBestEffort;
  std::int32_t expected_tokens = 64;  ///< of the answer, for planning; at most max_tokens counts

  int priority = 0;  ///< higher ones first; equal ones by their deadline
  double deadline_ms = std::numeric_limits<double>::infinity();  ///< from the call to the end of the answer
  const CancelToken* cancel = nullptr;  ///< may be set from any thread; must outlive the call

  /// Instead of what the planner would choose: a level's index, and the share of compressible tokens that
  /// stay.
  std::optional<int> level{};
  std::optional<double> keep_ratio{};

  [[nodiscard]] static SamplerOptions greedy() {
    SamplerOptions options;
    options.temperature = 0.0f;
    return options;
  }
};

/// From this token of the answer on, counted from 0, the level was this.
struct LevelChange {
  std::int32_t token = 0;
  int level = 0;
};

/// Milliseconds; phases that did not happen are 0.
struct AnswerTimes {
  double queue_ms = 0.0;   ///< until a session was free
  double refine_ms = 0.0;  ///< scores, decision head and cutting
  double plan_ms = 0.0;
  double prefill_ms = 0.0;  ///< tokens that the cache did not hold, with the first token's sampling
  double ttft_ms = 0.0;     ///< from the call to the first token; 0 without tokens
  double tpot_ms = 0.0;     ///< mean of the tokens after the first; 0 with fewer than two
  double total_ms = 0.0;    ///< of the whole call
};

struct Answer {
  std::string text;             ///< exactly what on_text was given, or would have been
  std::vector<TokenId> tokens;  ///< with those of a stop string and the end token
  FinishReason finish = FinishReason::kMaxTokens;
  Status status;  ///< what went wrong, where finish is kError; text and tokens are those before

  Plan plan;  ///< with the predicted times; its level is the one at the first token
  AnswerTimes times;
  std::vector<LevelChange> level_changes;  ///< while decoding, after the plan's

  std::int32_t n_prompt_tokens = 0;    ///< as run, that is, after refinement
  std::int32_t n_original_tokens = 0;  ///< before it
  std::int32_t n_reused_tokens = 0;    ///< of the prompt, that came from a session's cache
  std::string refined_prompt;          ///< where words were cut: what was run
};

/// How a service is doing.
struct ServiceStatus {
  std::int32_t n_running = 0;
  std::int32_t n_queued = 0;
  std::uint64_t n_answered = 0;  ///< calls that came back with an Answer
  std::size_t kv_bytes = 0;      ///< of all sessions
};

}  // namespace elms::inline v0
