#include "elms/offline/perplexity.hpp"

#include <algorithm>
#include <cmath>

#include "elms/detail/buffer.hpp"
#include "elms/detail/error.hpp"
#include "elms/session.hpp"
#include "offline/progress_meter.hpp"

namespace elms::inline v0::offline {
namespace {

using detail::invalid_argument;

/// -log softmax(logits)[target], in nats.
double negative_log_likelihood(std::span<const float> logits, TokenId target) {
  const float best = *std::max_element(logits.begin(), logits.end());
  double sum = 0.0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - static_cast<double>(best));
  return std::log(sum) + static_cast<double>(best) -
         static_cast<double>(logits[static_cast<std::size_t>(target)]);
}

/// BOS of the vocabulary; kNoToken where it, or the whole vocabulary, is absent.
TokenId bos_of(const ElasticModel& model) {
  const Result<std::shared_ptr<const Tokenizer>> tokenizer = model.tokenizer();
  return tokenizer.has_value() ? (*tokenizer)->bos() : kNoToken;
}

/// Tokens that see each other, and the sum of what a level makes of them.
class WindowEvaluator {
 public:
  /// Of every window n_read tokens come first and are not predicted, one of which, the last, begins the rest.
  WindowEvaluator(Session& session, ThreadPool& pool, std::size_t max_tokens, std::size_t n_read,
                  std::optional<int> read_level)
      : session_(session), pool_(pool), n_read_(n_read), read_level_(read_level) {
    row_nll_.resize(max_tokens);
  }

  /// Takes the next window, of more than n_read tokens.
  void begin(std::span<const TokenId> window) {
    window_ = window;
    is_read_ = false;
  }

  /// Sum of the negative log likelihoods of the window's tokens behind the first n_read.
  Result<double> evaluate(int level) {
    ELMS_RETURN_IF_ERROR(read(read_level_.value_or(level)));
    ELMS_RETURN_IF_ERROR(session_.set_level(level));
    return predict();
  }

 private:
  /// Leaves what comes before the first row that predicts in the cache.
  Status read(int level) {
    const std::size_t n = n_read_ - 1;
    if (is_read_ && read_level_.has_value()) return session_.rewind(static_cast<std::int32_t>(n));
    session_.reset();
    is_read_ = true;
    ELMS_RETURN_IF_ERROR(session_.set_level(level));
    return n == 0 ? Status() : session_.prefill(window_.first(n));
  }

  /// Of the window's tokens behind the first n_read, each at the position of the one before it.
  Result<double> predict() {
    const std::size_t n_predicted = window_.size() - n_read_;
    PrefillOptions options;
    options.on_logits = [&](std::int32_t first, std::int32_t n_rows, std::span<const float> logits) {
      const std::size_t n_vocab = logits.size() / static_cast<std::size_t>(n_rows);
      const std::size_t begin = static_cast<std::size_t>(first) - (n_read_ - 1);
      const std::size_t n =
          std::min(static_cast<std::size_t>(n_rows), n_predicted - std::min(n_predicted, begin));
      pool_.parallel_for(n, [&](std::size_t r) {
        row_nll_[begin + r] =
            negative_log_likelihood(logits.subspan(r * n_vocab, n_vocab), window_[n_read_ + begin + r]);
      });
      return Flow::kContinue;
    };
    ELMS_RETURN_IF_ERROR(session_.prefill(window_.subspan(n_read_ - 1), options));
    double sum = 0.0;
    for (std::size_t i = 0; i < n_predicted; ++i) sum += row_nll_[i];
    return sum;
  }

  Session& session_;
  ThreadPool& pool_;
  std::size_t n_read_;
  std::optional<int> read_level_;
  std::span<const TokenId> window_;
  bool is_read_ = false;
  std::vector<double> row_nll_;
};

Status check(const ElasticModel* model, std::span<const TokenId> tokens, std::span<const int> levels,
             const PerplexityOptions& options) {
  if (model == nullptr) return invalid_argument("perplexity: the model is null");
  if (options.max_tokens < 0 || options.window_tokens < 2) {
    return invalid_argument("perplexity: at most ", options.max_tokens, " tokens in windows of ",
                            options.window_tokens, "; a window has at least 2");
  }
  if (options.prompt_tokens < 0 || options.prompt_tokens >= options.window_tokens) {
    return invalid_argument("perplexity: prompts of ", options.prompt_tokens, " tokens in windows of ",
                            options.window_tokens);
  }
  if (tokens.size() < 2 || tokens.size() <= static_cast<std::size_t>(options.prompt_tokens))
    return invalid_argument("perplexity: a text of ", tokens.size(), " tokens predicts nothing");
  const auto n_levels = static_cast<int>(model->levels().size());
  std::vector<int> all(levels.begin(), levels.end());
  if (options.prompt_level.has_value()) all.push_back(*options.prompt_level);
  for (const int level : all) {
    if (level < 0 || level >= n_levels) {
      return invalid_argument("perplexity: level ", level, ": the model has levels 0 to ", n_levels - 1);
    }
  }
  for (const TokenId token : tokens) {
    if (token < 0 || token >= model->config().n_vocab) {
      return invalid_argument("perplexity: token ", token, " is outside the vocabulary of ",
                              model->config().n_vocab);
    }
  }
  return {};
}

}  // namespace

Result<std::vector<PerplexityResult>> evaluate_perplexity(std::shared_ptr<const ElasticModel> model,
                                                          std::span<const TokenId> tokens,
                                                          std::span<const int> levels,
                                                          const PerplexityOptions& options) {
  if (options.max_tokens > 0)
    tokens = tokens.first(std::min(tokens.size(), static_cast<std::size_t>(options.max_tokens)));
  ELMS_RETURN_IF_ERROR(check(model.get(), tokens, levels, options));

  const auto window_tokens =
      static_cast<std::size_t>(std::min(options.window_tokens, model->config().context_length));
  const TokenId bos = bos_of(*model);
  const std::size_t n_bos = bos == kNoToken ? 0 : 1;
  const std::size_t text_per_window = window_tokens - n_bos;
  const std::size_t n_read =
      std::max<std::size_t>(1, static_cast<std::size_t>(options.prompt_tokens) + n_bos);
  if (window_tokens <= n_read)
    return invalid_argument("perplexity: a context of ", window_tokens, " predicts nothing");

  SessionOptions session_options;
  session_options.context_tokens = static_cast<std::int32_t>(window_tokens);
  session_options.kv_type = options.kv_type;
  session_options.pool = options.pool;
  ELMS_ASSIGN_OR_RETURN(Session session, Session::create(model, session_options));
  ThreadPool& pool = options.pool != nullptr ? *options.pool : *model->pool();
  WindowEvaluator evaluator(session, pool, window_tokens, n_read, options.prompt_level);
  ProgressMeter progress(options.progress, "evaluate");

  std::vector<PerplexityResult> results;
  for (const int level : levels) {
    results.push_back({level, model->levels()[static_cast<std::size_t>(level)].cost_share, 0.0, 0.0, 0});
  }
  std::vector<TokenId> window;
  for (std::size_t begin = 0; begin < tokens.size(); begin += text_per_window) {
    const std::span<const TokenId> text =
        tokens.subspan(begin, std::min(text_per_window, tokens.size() - begin));
    window.assign(n_bos, bos);
    window.insert(window.end(), text.begin(), text.end());
    if (window.size() <= n_read) break;  // too few are left over
    evaluator.begin(window);
    for (std::size_t i = 0; i < results.size(); ++i) {
      ELMS_ASSIGN_OR_RETURN(const double nll, evaluator.evaluate(results[i].level));
      results[i].nll += nll;
      results[i].tokens += static_cast<std::int64_t>(window.size() - n_read);
      const double in_window = static_cast<double>(i + 1) / static_cast<double>(results.size());
      const double done = static_cast<double>(begin) + in_window * static_cast<double>(text.size());
      ELMS_RETURN_IF_ERROR(progress.report(done / static_cast<double>(tokens.size())));
    }
  }
  for (PerplexityResult& result : results) {
    result.nll /= static_cast<double>(result.tokens);
    result.perplexity = std::exp(result.nll);
  }
  return results;
}

}  // namespace elms::inline v0::offline
