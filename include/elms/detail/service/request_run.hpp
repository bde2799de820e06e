// One request from its prompt to its answer, on a session that it has got.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "elms/detail/generation.hpp"
#include "elms/detail/service/paced_source.hpp"
#include "elms/detail/service/pacer.hpp"
#include "elms/detail/service/prompt_shape.hpp"
#include "elms/detail/service/session_slot.hpp"
#include "elms/elastic_model.hpp"
#include "elms/prompt_refiner.hpp"
#include "elms/refine.hpp"
#include "elms/service_types.hpp"
#include "elms/slo_planner.hpp"
#include "elms/tokenizer.hpp"

namespace elms::inline v0::detail {

/// What all requests of a service share.
struct ServiceParts {
  ServiceOptions options;
  std::shared_ptr<const Tokenizer> tokenizer;
  std::shared_ptr<const ChatTemplate> chat_template;  ///< null: chat_template_error says why
  Status chat_template_error;
};

/// Planning of one request. The prompt must outlive it.
class RequestPlanner {
 public:
  /// `cut_by_question`: what is to be cut is known without the refiner.
  RequestPlanner(const ServiceParts& parts, const ServiceRequest& request, const PromptShape& shape,
                 bool may_refine, bool cut_by_question)
      : parts_(parts),
        request_(request),
        shape_(shape),
        may_refine_(may_refine),
        cut_by_question_(cut_by_question) {}

  [[nodiscard]] PlanRequest plan_request(std::int32_t n_cached, double elapsed_ms,
                                         std::int32_t context_tokens) const {
    PlanRequest plan;
    shape_.describe(n_cached, plan);
    plan.n_output_tokens = std::max(1, std::min(request_.expected_tokens, request_.max_tokens));
    plan.context_tokens = context_tokens;
    plan.may_refine = may_refine_;
    if (cut_by_question_) plan.n_refine_words = 0;
    plan.slo = request_.slo;
    plan.shares = request_.shares;
    plan.elapsed_ms = elapsed_ms;
    plan.confidence = request_.confidence;
    plan.policy = request_.policy;
    return plan;
  }

  [[nodiscard]] bool cuts_by_question() const noexcept { return cut_by_question_; }
  /// Whether the request says what to run.
  [[nodiscard]] bool is_forced() const noexcept {
    return request_.level.has_value() || request_.keep_ratio.has_value();
  }

  /// The planner's choice, or what the request forces it to be.
  [[nodiscard]] Plan plan(const PlanRequest& request) const {
    return is_forced() ? forced(request) : parts_.options.planner->plan(request);
  }

  /// How much of a cache may be used depends on the level, and the level on how much of the cache is used.
  [[nodiscard]] Plan plan_with_cache(const SessionSlot& slot, PlanRequest request) const {
    const CacheReuse reuse = parts_.options.reuse;
    std::int32_t n_cached = reuse == CacheReuse::kOff ? 0 : slot.shared_prefix(shape_.tokens);
    Plan chosen;
    for (int attempt = 0; attempt < 3; ++attempt) {
      shape_.describe(n_cached, request);
      chosen = plan(request);
      const std::int32_t usable = slot.reusable(shape_.tokens, chosen.level, reuse);
      if (usable >= n_cached) return chosen;
      n_cached = attempt < 1 ? usable : 0;
    }
    return chosen;
  }

 private:
  [[nodiscard]] Plan forced(const PlanRequest& request) const {
    const int top = static_cast<int>(parts_.options.model->levels().size()) - 1;
    Plan plan = parts_.options.planner->plan_for(request, request_.level.value_or(top),
                                                 may_refine_ ? request_.keep_ratio.value_or(1.0) : 1.0);
    plan.reason = "as the request says";
    return plan;
  }

  const ServiceParts& parts_;
  const ServiceRequest& request_;
  const PromptShape& shape_;
  bool may_refine_, cut_by_question_;
};

/// For a plan that is not accepted: the answer says so, but where prompt or plan find no room that is an
/// error.
inline Status refuse(Answer& answer) {
  if (answer.plan.verdict == Verdict::kOutOfMemory)
    return Status(StatusCode::kOutOfMemory, answer.plan.reason);
  if (answer.plan.verdict == Verdict::kOutOfContext) {
    return error(StatusCode::kOutOfContext, "service: the prompt of ", answer.n_original_tokens,
                 " tokens does not fit: ", answer.plan.reason);
  }
  answer.finish = FinishReason::kRejected;
  return {};
}

class RequestRun {
 public:
  RequestRun(const ServiceParts& parts, const ServiceRequest& request, std::span<const Segment> prompt,
             const PromptShape& shape, const RequestPlanner& planner, double arrival_ms, SessionSlot& slot,
             Answer& answer)
      : parts_(parts),
        request_(request),
        prompt_(prompt),
        shape_(shape),
        planner_(planner),
        arrival_ms_(arrival_ms),
        slot_(slot),
        answer_(answer) {}

  /// Fills the answer. Fails for what generate() fails with.
  Status run() {
    PlanRequest plan_request = planner_.plan_request(0, 0.0, slot_.session().context_tokens());
    ELMS_RETURN_IF_ERROR(analyse(plan_request));
    if (stopped()) return {};
    const double plan_begin_ms = now();
    plan_request.elapsed_ms = plan_begin_ms - arrival_ms_;
    answer_.plan = planner_.plan_with_cache(slot_, plan_request);
    answer_.times.plan_ms = now() - plan_begin_ms;
    if (!answer_.plan.accepted) return refuse(answer_);
    ELMS_RETURN_IF_ERROR(refine());
    if (stopped()) return {};
    return generate();
  }

 private:
  [[nodiscard]] double now() const { return parts_.options.now_ms(); }
  [[nodiscard]] bool may_refine(const PlanRequest& request) const noexcept {
    return request.may_refine && request.n_compressible_tokens > 0;
  }
  [[nodiscard]] RefineOptions refine_options() const {
    RefineOptions options = parts_.options.refine;
    options.encode = {.add_special = request_.messages.empty(), .parse_special = !request_.messages.empty()};
    return options;
  }

  /// True after filling the finish reason, where the request is not wanted any more.
  bool stopped() {
    slot_.watch.check();
    if (!slot_.watch.token().cancelled()) return false;
    answer_.finish = slot_.watch.expired() ? FinishReason::kDeadline : FinishReason::kCancelled;
    return true;
  }

  /// Whether what the decision head says of this prompt is worth the refiner's time: where the prompt will be
  /// cut anyway, whose scores come out of the same pass, or where the pass is short.
  [[nodiscard]] bool decision_pays(PlanRequest request) const {
    constexpr double kShortPass = 0.05;  // of the TTFT target
    const bool has_target = request_.shares.has_value() || std::isfinite(request_.slo.ttft_ms) ||
                            std::isfinite(request_.slo.tpot_ms);
    const PromptRefiner* refiner = parts_.options.refiner.get();
    if (!parts_.options.decide || refiner == nullptr || !refiner->can_decide() || !has_target) return false;
    request.elapsed_ms = now() - arrival_ms_;
    const Plan without = planner_.plan_with_cache(slot_, request);
    if (without.keep_ratio < 1.0 && !planner_.cuts_by_question()) return true;
    request.n_refine_words = -1;
    const std::int32_t n_words = estimated_words(request);
    return parts_.options.planner->predict_refine(n_words).ms <= kShortPass * without.slo.ttft_ms;
  }

  /// The refiner's pass before planning, where it has a say in the plan. Its scores are then there already.
  Status analyse(PlanRequest& request) {
    if (!may_refine(request) || planner_.is_forced() || !decision_pays(request)) return {};
    const double begin_ms = now();
    const SLOPlanner& planner = *parts_.options.planner;
    const SloShares shares =
        request_.shares.has_value() ? *request_.shares : planner.shares_of(request_.slo, request);
    Result<PromptAnalysis> analysis =
        parts_.options.refiner->analyse(prompt_, refine_options(), shares, &slot_.watch.token());
    refine_ms_ = now() - begin_ms;
    answer_.times.refine_ms += refine_ms_;
    if (!analysis.has_value())
      return analysis.error().code() == StatusCode::kCancelled ? Status() : analysis.error();
    if (analysis->strategies.valid()) request.qualities = std::move(analysis->strategies);
    scores_ = std::move(analysis->scores);
    request.n_refine_words = -1;
    n_words_read_ = estimated_words(request);
    if (!scores_.empty()) request.n_refine_words = 0;
    return {};
  }

  /// Cuts the prompt to what the plan keeps, and encodes it.
  Status refine() {
    const Plan& plan = answer_.plan;
    tokens_ = shape_.tokens;
    answer_.n_original_tokens = static_cast<std::int32_t>(tokens_.size());
    answer_.n_prompt_tokens = answer_.n_original_tokens;
    const std::int32_t n_compressible = shape_.n_compressible(tokens_.size());
    if (plan.keep_ratio >= 1.0 || n_compressible == 0) return {};
    const double begin_ms = now();
    // Gaps between words that guards keep may need a token or two that the plan did not count.
    const RefineBudget budget =
        RefineBudget::tokens(std::max(1, answer_.n_original_tokens - n_compressible + plan.n_keep_tokens))
            .or_protected();
    const RefineOptions options = refine_options();
    std::vector<Segment> shortened(prompt_.begin(), prompt_.end());
    const bool splits = plan.reuse_cache && plan.n_reused_tokens > 0;
    if (splits)
      shortened =
          with_protected_head(prompt_, shape_.ends[static_cast<std::size_t>(plan.n_reused_tokens) - 1]);
    if (planner_.cuts_by_question() && (scores_.empty() || splits)) {
      scores_.assign(prompt_words(shortened, options).size(), 0.0f);  // the first words of a line
    } else if (splits) {
      scores_.clear();  // of other words
    }
    Result<RefinedPrompt> refined =
        !scores_.empty() ? refine_by_scores(shortened, scores_, *parts_.tokenizer, budget, options)
                         : parts_.options.refiner->refine(shortened, *parts_.tokenizer, budget, options,
                                                          &slot_.watch.token());
    if (!refined.has_value()) {
      answer_.times.refine_ms += now() - begin_ms;
      return refined.error().code() == StatusCode::kCancelled ? Status() : refined.error();
    }
    for (std::size_t i = 0; i < shortened.size(); ++i) shortened[i].text = std::move(refined->segments[i]);
    tokens_ = encode_segments(*parts_.tokenizer, shortened, request_.messages.empty());
    count_refining(now() - begin_ms);
    answer_.refined_prompt = std::move(refined->text);
    answer_.n_prompt_tokens = static_cast<std::int32_t>(tokens_.size());
    return {};
  }

  /// What refine() took, as the planner is to learn it. A call that scores and cuts is the refiner's but for
  /// what cutting is predicted to take.
  void count_refining(double ms) {
    answer_.times.refine_ms += ms;
    if (!scores_.empty()) {
      cut_ms_ += ms;
      return;
    }
    const double cut_ms = parts_.options.planner->predict_cut(answer_.plan.n_cut_words).ms;
    refine_ms_ += std::max(0.5 * ms, ms - cut_ms);
  }

  /// Level, cache and sampler as the plan wants them; how many prompt tokens the cache holds.
  Result<std::int32_t> prepare() {
    Session& session = slot_.session();
    ELMS_RETURN_IF_ERROR(session.set_level(answer_.plan.level));
    const std::int32_t n = static_cast<std::int32_t>(tokens_.size());
    const std::int32_t n_reused =
        std::min(slot_.reusable(tokens_, answer_.plan.level, parts_.options.reuse), n - 1);
    ELMS_RETURN_IF_ERROR(slot_.rewind(n_reused));
    ELMS_ASSIGN_OR_RETURN(Sampler sampler,
                          Sampler::create(request_.sampling, parts_.options.model->config().n_vocab));
    for (std::int32_t i = 0; i < n_reused; ++i) sampler.accept(tokens_[static_cast<std::size_t>(i)]);
    session.set_sampler(std::move(sampler));
    session.set_cancel(&slot_.watch.token());
    return n_reused;
  }

  Status generate() {
    if (tokens_.empty())
      return invalid_argument("service: the prompt is empty, and this model starts with no token");
    ELMS_ASSIGN_OR_RETURN(answer_.n_reused_tokens, prepare());
    std::optional<Pacer> pacer = make_pacer();
    PacedSource source(slot_, pacer.has_value() ? &*pacer : nullptr, parts_.options.now_ms);
    const double begin_ms = now();
    const std::span<const TokenId> rest =
        std::span<const TokenId>(tokens_).subspan(static_cast<std::size_t>(answer_.n_reused_tokens));
    const Status prefilled = source.prefill(rest);
    if (!prefilled.ok()) {
      answer_.times.prefill_ms = now() - begin_ms;
      return prefilled.code() == StatusCode::kCancelled && stopped() ? Status() : prefilled;
    }
    decode(source);
    report_times(source, begin_ms);
    if (parts_.options.learn) observe(source, static_cast<std::int32_t>(rest.size()));
    return {};
  }

  [[nodiscard]] std::optional<Pacer> make_pacer() const {
    const double target_ms = answer_.plan.slo.tpot_ms;
    if (!parts_.options.narrow_while_decoding || !std::isfinite(target_ms) || request_.max_tokens < 2)
      return std::nullopt;
    const std::int32_t context =
        answer_.n_prompt_tokens + std::min(request_.max_tokens, request_.expected_tokens) / 2;
    const Plan& plan = answer_.plan;
    return Pacer(
        {target_ms, plan.level, plan.narrowest_level, request_.max_tokens - 1},
        [this, context](int level) { return parts_.options.planner->predict_tpot(level, context).ms; });
  }

  void decode(PacedSource& source) {
    GenerateOptions options;
    options.max_tokens = request_.max_tokens;
    options.stop = request_.stop;
    options.cancel = &slot_.watch.token();
    options.on_text = request_.on_text;
    TextStream stream(*parts_.tokenizer, tokens_, options);
    // What was streamed already is not lost with the memory.
    const Result<FinishReason> finish = or_out_of_memory(
        [&] { return generate_tokens(source, *parts_.tokenizer, stream, options, answer_.tokens, [] {}); });
    answer_.text = stream.take_text();
    answer_.level_changes = source.level_changes();
    if (!finish.has_value()) {
      answer_.finish = FinishReason::kError;
      answer_.status = finish.error();
    } else if (*finish != FinishReason::kCancelled || !stopped()) {
      answer_.finish = *finish;
    }
  }

  void report_times(const PacedSource& source, double prefill_begin_ms) {
    AnswerTimes& times = answer_.times;
    times.prefill_ms = (source.n_tokens() > 0 ? source.first_ms() : now()) - prefill_begin_ms;
    if (source.n_tokens() > 0) times.ttft_ms = source.first_ms() - arrival_ms_;
    if (source.n_tokens() > 1)
      times.tpot_ms = (source.last_ms() - source.first_ms()) / (source.n_tokens() - 1);
  }

  void observe(const PacedSource& source, std::int32_t n_prefilled) const {
    SLOPlanner& planner = *parts_.options.planner;
    if (source.n_tokens() > 0) {
      Observation first;
      first.level = answer_.plan.level;
      first.n_refine_words = refine_ms_ > 0.0 ? std::max(n_words_read_, answer_.plan.n_refine_words) : 0;
      first.refine_ms = refine_ms_;
      first.n_cut_words = cut_ms_ > 0.0 ? answer_.plan.n_cut_words : 0;
      first.cut_ms = cut_ms_;
      first.n_prefill_tokens = n_prefilled;
      first.n_cached_tokens = answer_.n_reused_tokens;
      first.prefill_ms = answer_.times.prefill_ms;
      planner.observe(first);
    }
    for (const Observation& part : source.parts()) planner.observe(part);
  }

  const ServiceParts& parts_;
  const ServiceRequest& request_;
  std::span<const Segment> prompt_;
  const PromptShape& shape_;
  const RequestPlanner& planner_;
  double arrival_ms_;
  SessionSlot& slot_;
  Answer& answer_;
  std::vector<float> scores_;      ///< of the prompt's words, where analyse() made them
  std::int32_t n_words_read_ = 0;  ///< by the refiner in analyse()
  double refine_ms_ = 0.0;         ///< of the refiner, cutting not included
  double cut_ms_ = 0.0;
  std::vector<TokenId> tokens_;  ///< as run
};

}  // namespace elms::inline v0::detail
