#include "offline/compare/quality.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <utility>

#include "elms/detail/error.hpp"
#include "offline/train/decoder.hpp"

namespace elms::inline v0::offline {

namespace {

using Decoder = train::TrainDecoder<float>;

constexpr std::size_t kBatchTokens = 1024;
constexpr std::size_t kPromptTokens = 16, kNewTokens = 32;

Result<Decoder> forward_decoder(const MemoryModel& model, train::BatchShape shape) {
  return Decoder::create(model.config(), shape, train::ActivationMemory::kRecompute);
}

double log_probability_at(std::span<const float> logits, TokenId token) {
  const double best = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
  double sum = 0.0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - best);
  return static_cast<double>(logits[static_cast<std::size_t>(token)]) - best - std::log(sum);
}

double share_of_repeated_4grams(std::span<const TokenId> text) {
  std::set<std::vector<TokenId>> seen;
  std::size_t n = 0, repeated = 0;
  for (std::size_t i = 0; i + 4 <= text.size(); ++i, ++n) {
    if (!seen.emplace(text.begin() + static_cast<std::ptrdiff_t>(i),
                      text.begin() + static_cast<std::ptrdiff_t>(i + 4))
             .second)
      ++repeated;
  }
  return n == 0 ? 0.0 : static_cast<double>(repeated) / static_cast<double>(n);
}

}  // namespace

Result<QualityMeter> QualityMeter::create(ThreadPool& pool, const MemoryModel& full, Inputs inputs) {
  if (inputs.held_out.n_windows() == 0)
    return detail::invalid_argument("compare: the held-out text predicts nothing");
  QualityMeter meter(pool, full, std::move(inputs));
  const TokenWindows windows = first_windows(meter.inputs_.held_out, meter.inputs_.kl_windows);
  const WindowBatches batches(meter.inputs_.held_out, kBatchTokens);
  ELMS_ASSIGN_OR_RETURN(Decoder decoder, forward_decoder(full, batches.shape()));
  const std::size_t n_batches =
      (windows.n_windows() + batches.shape().n_sequences - 1) / batches.shape().n_sequences;
  for (std::size_t i = 0; i < n_batches; ++i) {
    decoder.forward(pool, full.layout, full.params.data(), batches.at(i).tokens);
    meter.teacher_.emplace_back(decoder.logits().begin(), decoder.logits().end());
  }
  return meter;
}

Status QualityMeter::measure_text(const MemoryModel& model, Quality& quality) {
  const WindowBatches batches(inputs_.held_out, kBatchTokens);
  ELMS_ASSIGN_OR_RETURN(Decoder decoder, forward_decoder(model, batches.shape()));
  const auto n_vocab = static_cast<std::size_t>(model.config().n_vocab);
  double nll = 0.0, divergence = 0.0;
  std::size_t n_predicted = 0, n_compared = 0;
  for (std::size_t i = 0; i < batches.size(); ++i) {
    const WindowBatches::Batch batch = batches.at(i);
    decoder.forward(*pool_, model.layout, model.params.data(), batch.tokens);
    nll += train::cross_entropy<float>(*pool_, batch.targets, n_vocab, decoder.logits().data(), nullptr,
                                       decoder.row_loss()) *
           static_cast<double>(batch.n_predicted);
    n_predicted += batch.n_predicted;
    if (i >= teacher_.size()) continue;
    const std::size_t n_rows = batch.n_windows * inputs_.held_out.length;
    divergence += train::kl_divergence<float>(*pool_, n_rows, n_vocab, teacher_[i].data(),
                                              decoder.logits().data(), nullptr, decoder.row_loss()) *
                  static_cast<double>(n_rows);
    n_compared += n_rows;
  }
  quality.perplexity = std::exp(nll / static_cast<double>(n_predicted));
  quality.divergence = n_compared == 0 ? 0.0 : divergence / static_cast<double>(n_compared);
  return {};
}

Status QualityMeter::measure_texts_of_its_own(const MemoryModel& model, Quality& quality) {
  const TokenWindows& text = inputs_.held_out;
  const std::size_t n = std::min(inputs_.n_prompts, text.n_windows()),
                    n_prompt = std::min(kPromptTokens, text.length);
  if (n == 0) return {};
  const std::size_t length = n_prompt + kNewTokens;
  const auto n_vocab = static_cast<std::size_t>(model.config().n_vocab);
  std::vector<TokenId> tokens(n * length, 0);
  for (std::size_t s = 0; s < n; ++s) {
    const auto window =
        text.tokens.begin() + static_cast<std::ptrdiff_t>(s * text.n_windows() / n * text.length);
    std::copy_n(window, n_prompt, tokens.begin() + static_cast<std::ptrdiff_t>(s * length));
  }
  ELMS_ASSIGN_OR_RETURN(Decoder decoder, forward_decoder(model, {n, length}));
  for (std::size_t at = n_prompt; at < length; ++at) {  // what comes later is not seen yet
    decoder.forward(*pool_, model.layout, model.params.data(), tokens);
    for (std::size_t s = 0; s < n; ++s) {
      const auto row = decoder.logits().subspan((s * length + at - 1) * n_vocab, n_vocab);
      tokens[s * length + at] = static_cast<TokenId>(std::max_element(row.begin(), row.end()) - row.begin());
    }
  }
  ELMS_ASSIGN_OR_RETURN(Decoder judge, forward_decoder(*full_, {n, length}));
  judge.forward(*pool_, full_->layout, full_->params.data(), tokens);
  for (std::size_t s = 0; s < n; ++s) {
    quality.repeated_4grams +=
        share_of_repeated_4grams(std::span(tokens).subspan(s * length + n_prompt, kNewTokens)) /
        static_cast<double>(n);
    for (std::size_t at = n_prompt; at < length; ++at) {
      quality.nll_under_full -=
          log_probability_at(judge.logits().subspan((s * length + at - 1) * n_vocab, n_vocab),
                             tokens[s * length + at]) /
          static_cast<double>(n * kNewTokens);
    }
  }
  return {};
}

Result<std::size_t> QualityMeter::likeliest_choice(const MemoryModel& model, const TaskTokens& item) {
  const auto n_vocab = static_cast<std::size_t>(model.config().n_vocab);
  std::vector<TokenId> tokens = item.prompt;
  // What follows `tokens`, at every position from the prompt's last on.
  const auto logits_of = [&]() -> Result<std::vector<float>> {
    ELMS_ASSIGN_OR_RETURN(Decoder decoder, forward_decoder(model, {1, tokens.size()}));
    decoder.forward(*pool_, model.layout, model.params.data(), tokens);
    const auto logits = decoder.logits().subspan((item.prompt.size() - 1) * n_vocab);
    return std::vector<float>(logits.begin(), logits.end());
  };

  // No choice is likelier than its first token. The likeliest beginnings come first, until none of the others can win.
  ELMS_ASSIGN_OR_RETURN(const std::vector<float> first, logits_of());
  std::vector<double> bounds;
  for (const auto& choice : item.choices)
    bounds.push_back(log_probability_at(std::span(first).first(n_vocab), choice[0]));
  std::vector<std::size_t> order(item.choices.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return bounds[a] > bounds[b]; });
  std::size_t best = order[0];
  double best_likelihood = -std::numeric_limits<double>::infinity();
  for (const std::size_t c : order) {
    if (bounds[c] < best_likelihood) break;
    const std::vector<TokenId>& choice = item.choices[c];
    double likelihood = bounds[c];
    if (choice.size() > 1) {
      tokens.resize(item.prompt.size());
      tokens.insert(tokens.end(), choice.begin(), choice.end() - 1);  // nothing follows the last one
      ELMS_ASSIGN_OR_RETURN(const std::vector<float> logits, logits_of());
      for (std::size_t i = 1; i < choice.size(); ++i)
        likelihood += log_probability_at(std::span(logits).subspan(i * n_vocab, n_vocab), choice[i]);
    }
    if (likelihood > best_likelihood || (likelihood == best_likelihood && c < best)) {
      best = c;
      best_likelihood = likelihood;
    }
  }
  return best;
}

Result<double> QualityMeter::accuracy(const MemoryModel& model, const Inputs::Task& task) {
  std::size_t right = 0;
  for (std::size_t i = 0; i < task.items.size(); ++i) {
    ELMS_ASSIGN_OR_RETURN(const std::size_t chosen, likeliest_choice(model, task.items[i]));
    if (chosen == task.answers[i]) ++right;
  }
  return static_cast<double>(right) / static_cast<double>(task.items.size());
}

Result<Quality> QualityMeter::measure(const MemoryModel& model) {
  Quality quality;
  ELMS_RETURN_IF_ERROR(measure_text(model, quality));
  ELMS_RETURN_IF_ERROR(measure_texts_of_its_own(model, quality));
  for (const Inputs::Task& task : inputs_.tasks) {
    ELMS_ASSIGN_OR_RETURN(quality.accuracy[task.name], accuracy(model, task));
  }
  return quality;
}

}  // namespace elms::inline v0::offline
