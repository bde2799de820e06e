#include "offline/refiner/decision_stage.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "elms/detail/error.hpp"
#include "elms/detail/file_mapping.hpp"
#include "offline/jsonl.hpp"
#include "offline/random.hpp"
#include "offline/train/ops.hpp"

namespace elms::inline v0::offline::refiner {
namespace {

using Json = nlohmann::json;

/// Numbers of an array of numbers, or of one of arrays; empty where it is something else.
std::vector<float> numbers_of(const Json& json) {
  std::vector<float> out;
  if (!json.is_array()) return out;
  for (const Json& element : json) {
    if (element.is_number()) out.push_back(element.get<float>());
    for (const float number : numbers_of(element)) out.push_back(number);
  }
  return out;
}

/// The head over the pooled states of a batch, forward and backward.
class DecisionHead {
 public:
  explicit DecisionHead(const EncoderLayout& layout) : layout_(layout) {
    n_in_ = layout.shape().d_model + EncoderLayout::kSloInputs;
    n_hidden_ = layout.shape().n_decision_hidden;
    n_out_ = layout.shape().grid_size();
  }

  /// logits [n_sequences, grid]; slo [n_sequences, 2].
  std::span<float> forward(ThreadPool& pool, const float* params, const PackedBatch& batch,
                           std::span<const float> states, std::span<const float> slo) {
    const std::size_t n = batch.sequences.size(), d = n_in_ - EncoderLayout::kSloInputs;
    input_.assign(n * n_in_, 0.0f);
    for (std::size_t s = 0; s < n; ++s) {
      const train::SequenceSpan span = batch.sequences[s];
      float* const pooled = &input_[s * n_in_];
      for (std::size_t t = span.begin; t < span.begin + span.length; ++t) {
        for (std::size_t c = 0; c < d; ++c) pooled[c] += states[t * d + c];
      }
      for (std::size_t c = 0; c < d; ++c) pooled[c] /= static_cast<float>(span.length);
      for (std::size_t c = 0; c < EncoderLayout::kSloInputs; ++c)
        pooled[d + c] = slo[s * EncoderLayout::kSloInputs + c];
    }
    hidden_.resize(n * n_hidden_);
    logits_.resize(n * n_out_);
    train::linear_forward<float>(pool, n, n_in_, n_hidden_, input_.data(), params + layout_.hidden_weight,
                                 params + layout_.hidden_bias, hidden_.data());
    for (float& value : hidden_) value = std::tanh(value);
    train::linear_forward<float>(pool, n, n_hidden_, n_out_, hidden_.data(), params + layout_.output_weight,
                                 params + layout_.output_bias, logits_.data());
    return logits_;
  }

  /// Of the gradient of the logits, which lies where they did: adds to gradients, writes d_states.
  void backward(ThreadPool& pool, const float* params, const PackedBatch& batch, float* gradients,
                std::span<float> d_states) {
    const std::size_t n = batch.sequences.size(), d = n_in_ - EncoderLayout::kSloInputs;
    d_hidden_.resize(n * n_hidden_);
    d_input_.resize(n * n_in_);
    train::linear_backward<float>(pool, n, n_hidden_, n_out_, hidden_.data(), params + layout_.output_weight,
                                  logits_.data(), d_hidden_.data(), false, gradients + layout_.output_weight,
                                  gradients + layout_.output_bias);
    for (std::size_t i = 0; i < d_hidden_.size(); ++i) d_hidden_[i] *= 1.0f - hidden_[i] * hidden_[i];
    train::linear_backward<float>(pool, n, n_in_, n_hidden_, input_.data(), params + layout_.hidden_weight,
                                  d_hidden_.data(), d_input_.data(), false, gradients + layout_.hidden_weight,
                                  gradients + layout_.hidden_bias);
    for (std::size_t s = 0; s < n; ++s) {
      const train::SequenceSpan span = batch.sequences[s];
      for (std::size_t t = span.begin; t < span.begin + span.length; ++t) {
        for (std::size_t c = 0; c < d; ++c)
          d_states[t * d + c] = d_input_[s * n_in_ + c] / static_cast<float>(span.length);
      }
    }
  }

 private:
  const EncoderLayout& layout_;
  std::size_t n_in_ = 0, n_hidden_ = 0, n_out_ = 0;
  std::vector<float> input_, hidden_, logits_, d_hidden_, d_input_;
};

class DecisionLearner final : public EncoderLearner {
 public:
  DecisionLearner(const RefinerTrainingOptions& options, RefinerModel& model, const DecisionData& data,
                  std::shared_ptr<ThreadPool> pool)
      : EncoderLearner(options, model, model.layout.decision_tensors(), std::move(pool)),
        data_(data),
        head_(model.layout) {}

  Status prepare_all() { return prepare(step_tokens()); }

  double take_step(std::uint64_t step, double rate) override {
    std::uint64_t draw = mixed(mixed(options_.run.seed + 9) + step);
    begin_batch();
    while (true) {
      const LabelledPrompt& prompt = data_.train[mixed(++draw) % data_.train.size()];
      if (!fits(prompt)) break;
      // Labels do not depend on the targets: the head learns that quality alone does not either.
      const float ttft_share = static_cast<float>(mixed(++draw) % 1000 + 1) / 1000.0f;
      const float tpot_share = static_cast<float>(mixed(++draw) % 1000 + 1) / 1000.0f;
      append(prompt, ttft_share, tpot_share);
    }
    const Dropout dropout = step_dropout(step);
    const double loss = grid_loss(dropout);
    head_.backward(*pool_, params(), batch_, gradients_.data(), encoder_->gradient());
    backward(batch_, Branch::kDecision, dropout, model_.layout.shape().n_shared_layers);
    optimise(step, rate);
    return loss;
  }

  std::vector<train::SharedLoss> validate() override {
    train::SharedLoss measured{{options_.labels, 0.0, 0}, 1.0};
    double sum = 0.0;
    for (const LabelledPrompt& prompt : data_.calibration) {
      begin_batch();
      append(prompt, 1.0f, 1.0f);
      sum += grid_loss({});
    }
    measured.loss.n_tokens = data_.calibration.size();
    if (data_.calibration.empty()) return {};
    measured.loss.loss = sum / static_cast<double>(data_.calibration.size());
    return {std::move(measured)};
  }

  std::size_t step_tokens() const override { return options_.run.batch_rows * options_.run.length; }
  std::size_t data_tokens() const override {
    std::size_t n = 0;
    for (const LabelledPrompt& prompt : data_.train) n += prompt.tokens.size();
    return n;
  }

 private:
  void begin_batch() {
    batch_.clear();
    slo_.clear();
    right_.clear();
  }
  [[nodiscard]] bool fits(const LabelledPrompt& prompt) const {
    return batch_.n_tokens() + prompt.tokens.size() <= step_tokens();
  }
  void append(const LabelledPrompt& prompt, float ttft_share, float tpot_share) {
    batch_.append(prompt.tokens);
    slo_.insert(slo_.end(), {ttft_share, tpot_share});
    right_.insert(right_.end(), prompt.right.begin(), prompt.right.end());
  }
  /// Mean over prompts and grid; the logits become its gradient.
  double grid_loss(const Dropout& dropout) {
    forward(batch_, Branch::kDecision, dropout);
    const std::span<float> logits = head_.forward(*pool_, params(), batch_, encoder_->states(), slo_);
    weights_.assign(logits.size(), 1.0f / static_cast<float>(logits.size()));
    return train::binary_cross_entropy<float>(logits.size(), right_.data(), weights_.data(), logits.data(),
                                              logits.data());
  }

  const DecisionData& data_;
  DecisionHead head_;
  PackedBatch batch_;
  std::vector<float> slo_, right_, weights_;
};

/// Logits of every prompt under a loose SLO.
Result<std::vector<std::vector<float>>> all_logits(const RefinerModel& model,
                                                   const std::vector<LabelledPrompt>& prompts,
                                                   ThreadPool& pool) {
  const EncoderShape& shape = model.layout.shape();
  ELMS_ASSIGN_OR_RETURN(auto encoder,
                        TrainEncoder<float>::create(shape, shape.max_positions,
                                                    shape.n_shared_layers + shape.n_decision_layers));
  DecisionHead head(model.layout);
  const float slo[] = {1.0f, 1.0f};
  std::vector<std::vector<float>> logits;
  PackedBatch batch;
  for (const LabelledPrompt& prompt : prompts) {
    batch.clear();
    batch.append(prompt.tokens);
    encoder.forward(pool, model.layout, model.params.data(), batch, Branch::kDecision);
    const std::span<float> one = head.forward(pool, model.params.data(), batch, encoder.states(), slo);
    logits.emplace_back(one.begin(), one.end());
  }
  return logits;
}

double sigmoid_of(double x) {
  return 1.0 / (1.0 + std::exp(-x));
}

double mean_loss(const std::vector<std::vector<float>>& logits, const std::vector<LabelledPrompt>& prompts,
                 double temperature) {
  double sum = 0.0;
  std::size_t n = 0;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    for (std::size_t g = 0; g < logits[i].size(); ++g, ++n) {
      const double p =
          std::clamp(sigmoid_of(static_cast<double>(logits[i][g]) / temperature), 1e-6, 1.0 - 1e-6);
      sum -= prompts[i].right[g] > 0.5f ? std::log(p) : std::log(1.0 - p);
    }
  }
  return n == 0 ? 0.0 : sum / static_cast<double>(n);
}

void add_regrets(const DecisionData& data, const std::vector<std::vector<float>>& logits,
                 const std::vector<double>& rates, DecisionQuality& quality) {
  for (const double cap : {0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0}) {
    std::vector<std::size_t> allowed;
    for (std::size_t g = 0; g < rates.size(); ++g) {
      const double cost = static_cast<double>(data.widths[g / data.keep_ratios.size()]) *
                          static_cast<double>(data.keep_ratios[g % data.keep_ratios.size()]);
      if (cost <= cap + 1e-6) allowed.push_back(g);
    }
    if (allowed.empty()) continue;
    const std::size_t fixed = *std::max_element(
        allowed.begin(), allowed.end(), [&](std::size_t a, std::size_t b) { return rates[a] < rates[b]; });
    StrategyRegret regret{cap, 0.0, 0.0, 0.0};
    for (std::size_t i = 0; i < data.test.size(); ++i) {
      const std::vector<float>& right = data.test[i].right;
      const std::size_t chosen =
          *std::max_element(allowed.begin(), allowed.end(),
                            [&](std::size_t a, std::size_t b) { return logits[i][a] < logits[i][b]; });
      const bool any =
          std::any_of(allowed.begin(), allowed.end(), [&](std::size_t g) { return right[g] > 0.5f; });
      regret.chosen += static_cast<double>(right[chosen]);
      regret.best_fixed += static_cast<double>(right[fixed]);
      regret.oracle += any ? 1.0 : 0.0;
    }
    const auto n = static_cast<double>(std::max<std::size_t>(1, data.test.size()));
    regret.chosen /= n;
    regret.best_fixed /= n;
    regret.oracle /= n;
    quality.regrets.push_back(regret);
  }
}

void add_bins(const DecisionData& data, const std::vector<std::vector<float>>& logits,
              DecisionQuality& quality) {
  constexpr std::size_t kBins = 10;
  quality.bins.assign(kBins, {});
  std::size_t n = 0;
  for (std::size_t i = 0; i < data.test.size(); ++i) {
    for (std::size_t g = 0; g < logits[i].size(); ++g, ++n) {
      const double p = sigmoid_of(static_cast<double>(logits[i][g]) / quality.temperature);
      CalibrationBin& bin = quality.bins[std::min(kBins - 1, static_cast<std::size_t>(p * kBins))];
      bin.predicted += p;
      bin.observed += static_cast<double>(data.test[i].right[g]);
      ++bin.n;
    }
  }
  for (CalibrationBin& bin : quality.bins) {
    if (bin.n == 0) continue;
    quality.calibration_error += std::abs(bin.predicted - bin.observed) / static_cast<double>(n);
    bin.predicted /= static_cast<double>(bin.n);
    bin.observed /= static_cast<double>(bin.n);
  }
}

}  // namespace

Result<DecisionData> read_decision_data(const std::string& path, const RefinerModel& model) {
  ELMS_ASSIGN_OR_RETURN(const detail::FileMapping mapping, detail::FileMapping::open(path));
  std::string_view text(reinterpret_cast<const char*>(mapping.bytes().data()), mapping.bytes().size());
  DecisionData data;
  for (std::size_t number = 0; !text.empty(); ++number) {
    const std::string_view line = take_line(text);
    if (is_blank(line)) continue;
    const Json json = Json::parse(line, nullptr, false);
    if (!json.is_object() || !json.contains("prompt") || !json["prompt"].is_string() ||
        !json.contains("widths") || !json.contains("keep_ratios") || !json.contains("right"))
      return detail::malformed(path, ": line ", number + 1, ": these are no labels of strategies");
    const std::vector<float> widths = numbers_of(json["widths"]), ratios = numbers_of(json["keep_ratios"]);
    if (data.widths.empty()) {
      data.widths = widths;
      data.keep_ratios = ratios;
    }
    LabelledPrompt prompt;
    prompt.right = numbers_of(json["right"]);
    if (widths != data.widths || ratios != data.keep_ratios ||
        prompt.right.size() != widths.size() * ratios.size() || prompt.right.empty())
      return detail::malformed(path, ": line ", number + 1, ": another grid than the lines before");
    prompt.tokens = model.tokenizer->encode(json["prompt"].get<std::string>());
    if (prompt.tokens.size() > model.layout.shape().max_positions) {
      ++data.n_too_long;
      continue;
    }
    const std::size_t part = number % 10;
    (part < 7 ? data.train : part == 7 ? data.calibration : data.test).push_back(std::move(prompt));
  }
  if (data.train.empty() || data.calibration.empty() || data.test.empty())
    return detail::invalid_argument(path, ": too few prompts: ten are the least");
  return data;
}

Result<RefinerModel> with_decision_branch(const RefinerTrainingOptions& options, RefinerModel model,
                                          const DecisionData& data) {
  EncoderShape shape = model.layout.shape();
  if (options.n_decision_layers == 0 || options.n_decision_hidden == 0)
    return detail::invalid_argument("refiner: a decision branch of ", options.n_decision_layers,
                                    " layers and ", options.n_decision_hidden, " hidden units");
  shape.n_decision_layers = options.n_decision_layers;
  shape.n_decision_hidden = options.n_decision_hidden;
  shape.widths = data.widths;
  shape.keep_ratios = data.keep_ratios;
  ELMS_ASSIGN_OR_RETURN(RefinerModel wider, with_shape(std::move(model), std::move(shape)));
  const EncoderLayout& layout = wider.layout;
  draw_encoder(layout.decision_tensors(), options.run.seed, wider.params);
  const std::size_t shared = layout.shape().n_shared_layers;
  const auto score = layout.path(Branch::kScore), decision = layout.path(Branch::kDecision);
  const std::size_t layer_size = score[0].out_norm_bias + layout.shape().d_model - score[0].wq;
  for (std::size_t i = shared; i < std::min(score.size(), decision.size()); ++i)
    std::copy_n(wider.params.data() + score[i].wq, layer_size, wider.params.data() + decision[i].wq);
  return wider;
}

Result<std::unique_ptr<train::Learner>> decision_learner(const RefinerTrainingOptions& options,
                                                         RefinerModel& model, const DecisionData& data,
                                                         std::shared_ptr<ThreadPool> pool) {
  for (const auto* prompts : {&data.train, &data.calibration}) {
    for (const LabelledPrompt& prompt : *prompts) {
      if (prompt.tokens.size() > options.run.batch_rows * options.run.length)
        return detail::invalid_argument("refiner: a prompt of ", prompt.tokens.size(),
                                        " tokens fits into no batch");
    }
  }
  auto learner = std::make_unique<DecisionLearner>(options, model, data, std::move(pool));
  ELMS_RETURN_IF_ERROR(learner->prepare_all());
  return std::unique_ptr<train::Learner>(std::move(learner));
}

Result<DecisionQuality> judge_decisions(const RefinerModel& model, const DecisionData& data,
                                        ThreadPool& pool) {
  ELMS_ASSIGN_OR_RETURN(const auto calibration, all_logits(model, data.calibration, pool));
  ELMS_ASSIGN_OR_RETURN(const auto test, all_logits(model, data.test, pool));
  DecisionQuality quality;
  double best = mean_loss(calibration, data.calibration, 1.0);
  for (double temperature = 0.25; temperature <= 8.0; temperature *= 1.05) {
    const double loss = mean_loss(calibration, data.calibration, temperature);
    if (loss >= best) continue;
    best = loss;
    quality.temperature = temperature;
  }
  std::vector<double> rates(model.layout.shape().grid_size(), 0.0);
  for (const LabelledPrompt& prompt : data.train) {
    for (std::size_t g = 0; g < rates.size(); ++g)
      rates[g] += static_cast<double>(prompt.right[g]) / static_cast<double>(data.train.size());
  }
  std::vector<float> base;
  for (const double rate : rates) {
    const double p = std::clamp(rate, 1e-3, 1.0 - 1e-3);
    base.push_back(static_cast<float>(std::log(p / (1.0 - p))));
  }
  quality.n_prompts = data.test.size();
  quality.loss = mean_loss(test, data.test, quality.temperature);
  quality.base_loss = mean_loss(std::vector<std::vector<float>>(data.test.size(), base), data.test, 1.0);
  add_bins(data, test, quality);
  add_regrets(data, test, rates, quality);
  return quality;
}

}  // namespace elms::inline v0::offline::refiner
