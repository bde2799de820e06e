#include "elms/offline/task_eval.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "elms/detail/error.hpp"
#include "elms/session.hpp"
#include "offline/progress_meter.hpp"

namespace elms::inline v0::offline {
namespace {

using detail::invalid_argument;
using Tokens = std::vector<TokenId>;

/// log of the sum of exp(logits): what a logit must lose to be a log probability.
double log_sum_exp(std::span<const float> logits) {
  const float best = *std::max_element(logits.begin(), logits.end());
  double sum = 0.0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - static_cast<double>(best));
  return std::log(sum) + static_cast<double>(best);
}

double log_probability(std::span<const float> logits, TokenId token) {
  return static_cast<double>(logits[static_cast<std::size_t>(token)]) - log_sum_exp(logits);
}

std::size_t common_prefix(const Tokens& a, const Tokens& b) {
  return static_cast<std::size_t>(
      std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(std::min(a.size(), b.size())),
                    b.begin())
          .first -
      a.begin());
}

/// Log likelihoods of an item's choices at the session's level.
class ChoiceScorer {
 public:
  explicit ChoiceScorer(Session& session) : session_(session) {}

  /// [n_choices]; no choice is empty, and the longest fits.
  Result<std::vector<double>> score(const TaskTokens& item) {
    session_.reset();
    ELMS_RETURN_IF_ERROR(session_.prefill(item.prompt));
    n_prompt_ = session_.position();
    first_logits_.assign(session_.logits().begin(), session_.logits().end());
    first_sum_ = log_sum_exp(first_logits_);

    // In the order of their tokens each choice shares the most with the one before it, which is still in the
    // cache.
    std::vector<std::size_t> order(item.choices.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return item.choices[a] < item.choices[b]; });
    std::vector<double> likelihoods(item.choices.size());
    const Tokens none;
    const Tokens* before = &none;
    for (const std::size_t choice : order) {
      const Tokens& tokens = item.choices[choice];
      ELMS_RETURN_IF_ERROR(score_tokens(tokens, common_prefix(tokens, *before)));
      likelihoods[choice] = std::accumulate(token_scores_.begin(), token_scores_.end(), 0.0);
      before = &tokens;
    }
    return likelihoods;
  }

 private:
  /// token_scores_ of `tokens`, of which the first n_known are there from the choice before.
  Status score_tokens(const Tokens& tokens, std::size_t n_known) {
    token_scores_.resize(tokens.size());
    if (n_known == 0) {
      token_scores_[0] = static_cast<double>(first_logits_[static_cast<std::size_t>(tokens[0])]) - first_sum_;
      n_known = 1;
    }
    if (n_known >= tokens.size()) return {};
    // The logits that judge the first unknown token come from the last known one, which is computed again.
    const std::size_t begin = n_known - 1;
    ELMS_RETURN_IF_ERROR(session_.rewind(n_prompt_ + static_cast<std::int32_t>(begin)));
    PrefillOptions options;
    options.on_logits = [&](std::int32_t first, std::int32_t n_rows, std::span<const float> logits) {
      const std::size_t n_vocab = logits.size() / static_cast<std::size_t>(n_rows);
      for (std::size_t r = 0; r < static_cast<std::size_t>(n_rows); ++r) {
        const std::size_t target = static_cast<std::size_t>(first - n_prompt_) + r + 1;
        token_scores_[target] = log_probability(logits.subspan(r * n_vocab, n_vocab), tokens[target]);
      }
      return Flow::kContinue;
    };
    return session_.prefill(std::span(tokens).subspan(begin, tokens.size() - 1 - begin), options);
  }

  Session& session_;
  std::int32_t n_prompt_ = 0;
  std::vector<float> first_logits_;  ///< [n_vocab] after the prompt
  double first_sum_ = 0.0;
  std::vector<double> token_scores_;
};

Status check_items(const ElasticModel* model, std::span<const TaskItem> items, std::span<const int> levels,
                   const TaskEvalOptions& options) {
  if (model == nullptr) return invalid_argument("task: the model is null");
  if (items.empty()) return invalid_argument("task: there are no items");
  if (options.max_items < 0) return invalid_argument("task: at most ", options.max_items, " items");
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::vector<std::string>& choices = items[i].choices;
    const bool empty =
        std::any_of(choices.begin(), choices.end(), [](const std::string& c) { return c.empty(); });
    if (choices.size() < 2 || items[i].answer >= choices.size() || empty || items[i].prompt.empty()) {
      return invalid_argument("task: item ", i, " has a prompt of ", items[i].prompt.size(), " bytes, ",
                              choices.size(), " choices and answer ", items[i].answer,
                              "; texts may not be empty");
    }
  }
  const auto n_levels = static_cast<int>(model->levels().size());
  for (const int level : levels) {
    if (level < 0 || level >= n_levels) {
      return invalid_argument("task: level ", level, ": the model has levels 0 to ", n_levels - 1);
    }
  }
  return {};
}

void count(const TaskItem& item, const std::vector<double>& likelihoods, TaskEvalResult& result) {
  std::size_t best = 0, best_normalised = 0;
  const auto per_byte = [&](std::size_t i) {
    return likelihoods[i] / static_cast<double>(item.choices[i].size());
  };
  for (std::size_t i = 1; i < likelihoods.size(); ++i) {
    if (likelihoods[i] > likelihoods[best]) best = i;
    if (per_byte(i) > per_byte(best_normalised)) best_normalised = i;
  }
  const auto add = [](Score& score, bool right) {
    ++score.n;
    score.right += right ? 1 : 0;
  };
  add(result.total, best == item.answer);
  add(result.normalised, best_normalised == item.answer);
  if (item.seen.has_value()) add(*item.seen ? result.seen : result.unseen, best == item.answer);
  result.chance += 1.0 / static_cast<double>(item.choices.size());
}

/// Tokens of the prompt and of the longest choice, whose last token is not computed.
std::size_t positions_of(const TaskTokens& tokens) {
  std::size_t longest = 1;
  for (const Tokens& choice : tokens.choices) longest = std::max(longest, choice.size());
  return tokens.prompt.size() + longest - 1;
}

bool has_empty(const TaskTokens& tokens) {
  return tokens.prompt.empty() || std::any_of(tokens.choices.begin(), tokens.choices.end(),
                                              [](const Tokens& choice) { return choice.empty(); });
}

}  // namespace

Result<std::vector<TaskEvalResult>> evaluate_task(std::shared_ptr<const ElasticModel> model,
                                                  std::span<const TaskItem> items,
                                                  std::span<const int> levels,
                                                  const TaskEvalOptions& options) {
  ELMS_RETURN_IF_ERROR(check_items(model.get(), items, levels, options));
  ELMS_ASSIGN_OR_RETURN(const std::shared_ptr<const Tokenizer> tokenizer, model->tokenizer());
  SessionOptions session_options;
  session_options.kv_type = options.kv_type;
  session_options.pool = options.pool;
  ELMS_ASSIGN_OR_RETURN(Session session, Session::create(model, session_options));
  ChoiceScorer scorer(session);
  ProgressMeter progress(options.progress, "task");

  std::vector<TaskEvalResult> results(levels.size());
  for (std::size_t l = 0; l < levels.size(); ++l) {
    results[l].level = levels[l];
    results[l].cost_share = model->levels()[static_cast<std::size_t>(levels[l])].cost_share;
  }
  std::size_t n = items.size();
  if (options.max_items > 0) n = std::min(n, static_cast<std::size_t>(options.max_items));
  const auto capacity = static_cast<std::size_t>(session.context_tokens());
  std::int64_t skipped = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const TaskItem& item = items[i * items.size() / n];
    const TaskTokens tokens = tokenize_task(*tokenizer, item);
    if (has_empty(tokens))
      return invalid_argument("task: a prompt or choice of item ", i * items.size() / n, " is no token");
    if (positions_of(tokens) > capacity) {
      ++skipped;
      continue;
    }
    for (std::size_t l = 0; l < levels.size(); ++l) {
      ELMS_RETURN_IF_ERROR(session.set_level(levels[l]));
      ELMS_ASSIGN_OR_RETURN(const std::vector<double> likelihoods, scorer.score(tokens));
      count(item, likelihoods, results[l]);
      const double done =
          static_cast<double>(i) + static_cast<double>(l + 1) / static_cast<double>(levels.size());
      ELMS_RETURN_IF_ERROR(progress.report(done / static_cast<double>(n)));
    }
  }
  if (skipped == static_cast<std::int64_t>(n)) {
    return detail::error(StatusCode::kOutOfContext, "task: none of ", n, " items fits into a context of ",
                         capacity, " tokens");
  }
  for (TaskEvalResult& result : results) {
    result.skipped = skipped;
    result.chance /= static_cast<double>(std::max<std::int64_t>(1, result.total.n));
  }
  return results;
}

}  // namespace elms::inline v0::offline
