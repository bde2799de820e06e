// The score head and all layers below it, on labelled words.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "elms/detail/error.hpp"
#include "offline/random.hpp"
#include "offline/refiner/learner.hpp"
#include "offline/refiner/score_data.hpp"
#include "offline/train/ops.hpp"

namespace elms::inline v0::offline::refiner {
namespace {

/// Texts as the encoder sees them, with what is to be learnt of their tokens.
struct LabelledBatch {
  PackedBatch packed;
  std::vector<float> labels, weights;  ///< [n_tokens]
  std::vector<TokenId> sequence;       ///< the one being put together

  void clear() {
    packed.clear();
    labels.clear();
    weights.clear();
  }
  void begin(TokenId cls) {
    sequence.assign(1, cls);
    labels.push_back(0.0f);
    weights.push_back(0.0f);
  }
  void add(const LabelledText& text) {
    sequence.insert(sequence.end(), text.tokens.begin(), text.tokens.end());
    labels.insert(labels.end(), text.labels.begin(), text.labels.end());
    weights.insert(weights.end(), text.weights.begin(), text.weights.end());
  }
  void end(TokenId separator) {
    sequence.push_back(separator);
    labels.push_back(0.0f);
    weights.push_back(0.0f);
    packed.append(sequence);
  }
};

class ScoreLearner final : public EncoderLearner {
 public:
  ScoreLearner(const RefinerTrainingOptions& options, RefinerModel& model, const ScoreData& data,
               std::shared_ptr<ThreadPool> pool)
      : EncoderLearner(options, model, model.layout.main_tensors(), std::move(pool)), data_(data) {}

  Status prepare_all() {
    cls_ = model_.tokenizer->bos();
    separator_ = model_.tokenizer->eos();
    if (cls_ == kNoToken || separator_ == kNoToken)
      return detail::invalid_argument(model_.source.name(), ": the vocabulary has no [CLS] or no [SEP]");
    ELMS_RETURN_IF_ERROR(prepare(step_tokens()));
    ELMS_ASSIGN_OR_RETURN(logits_, detail::Buffer<float>::uninitialized(step_tokens()));
    return {};
  }

  double take_step(std::uint64_t step, double rate) override {
    fill(step);
    const Dropout dropout = step_dropout(step);
    const double loss = labelled_loss(dropout);
    const EncoderLayout& layout = model_.layout;
    float* const g = gradients_.data();
    train::linear_backward<float>(*pool_, batch_.packed.n_tokens(), layout.shape().d_model, 1,
                                  encoder_->states().data(), params() + layout.score_weight, logits_.data(),
                                  encoder_->gradient().data(), false, g + layout.score_weight,
                                  g + layout.score_bias);
    backward(batch_.packed, Branch::kScore, dropout, 0);
    optimise(step, rate);
    return loss;
  }

  std::vector<train::SharedLoss> validate() override {
    std::vector<train::SharedLoss> losses;
    const auto measure = [&](const std::string& name, const std::vector<LabelledText>& texts, double share) {
      train::SharedLoss measured{{name, 0.0, 0}, share};
      double sum = 0.0;
      for (std::size_t next = 0; next < texts.size();) {
        batch_.clear();
        std::size_t n = 0;
        while (next < texts.size() && fits(texts[next])) {
          append(texts[next]);
          n += texts[next++].words.size();
        }
        sum += labelled_loss({}) * static_cast<double>(n);
        measured.loss.n_tokens += n;
      }
      if (measured.loss.n_tokens == 0) return;
      measured.loss.loss = sum / static_cast<double>(measured.loss.n_tokens);
      losses.push_back(std::move(measured));
    };
    measure(options_.sentences, data_.valid, 1.0);
    if (!data_.valid_tasks.empty()) measure("task prompts", data_.valid_tasks, 0.0);
    return losses;
  }

  std::size_t step_tokens() const override { return options_.run.batch_rows * options_.run.length; }
  std::size_t data_tokens() const override {
    std::size_t n = 0;
    for (const auto* texts : {&data_.sentences, &data_.meetings, &data_.tasks}) {
      for (const LabelledText& text : *texts) n += text.tokens.size();
    }
    return n;
  }

 private:
  [[nodiscard]] bool fits(const LabelledText& text) const {
    return batch_.packed.n_tokens() + text.tokens.size() + 2 <= step_tokens();
  }
  void append(const LabelledText& text) {
    batch_.begin(cls_);
    batch_.add(text);
    batch_.end(separator_);
  }

  /// Texts drawn from seed and step until the batch is full: half of the tokens sentences (a third of them
  /// several in a row, as in a longer text), the other half task prompts and some meetings.
  void fill(std::uint64_t step) {
    batch_.clear();
    constexpr std::uint64_t kDraws = 100000;
    std::uint64_t draw = mixed(mixed(options_.run.seed + 5) + step) / kDraws * kDraws;
    const auto next = [&] { return mixed(++draw); };
    const auto pick = [&](const std::vector<LabelledText>& texts) -> const LabelledText& {
      return texts[next() % texts.size()];
    };
    std::size_t budget = step_tokens() / 2;
    if (data_.tasks.empty() && data_.meetings.empty()) budget = 0;
    while (batch_.packed.n_tokens() < budget) {
      const bool meeting = data_.tasks.empty() || (!data_.meetings.empty() && next() % 8 == 0);
      const LabelledText& text = pick(meeting ? data_.meetings : data_.tasks);
      if (!fits(text)) break;
      append(text);
    }
    while (true) {
      const LabelledText* text = &pick(data_.sentences);
      if (!fits(*text)) break;
      batch_.begin(cls_);
      batch_.add(*text);
      std::size_t more = next() % 3 == 0 ? next() % 8 : 0;
      for (; more > 0; --more) {
        text = &pick(data_.sentences);
        const std::size_t length = batch_.sequence.size() + text->tokens.size() + 1;
        if (length > model_.layout.shape().max_positions || batch_.packed.n_tokens() + length > step_tokens())
          break;
        batch_.add(*text);
      }
      batch_.end(separator_);
    }
    drop_tokens(mixed(draw));
  }

  /// Some tokens become unknown ones: what is kept has to follow from the others too.
  void drop_tokens(std::uint64_t seed) {
    const TokenId mask = model_.tokenizer->find("[MASK]");
    if (mask == kNoToken || options_.dropout == 0.0) return;
    const auto limit = static_cast<std::uint64_t>(0.5 * options_.dropout * 65536.0);
    for (std::size_t i = 0; i < batch_.packed.n_tokens(); ++i) {
      TokenId& token = batch_.packed.tokens[i];
      if (token > mask && (mixed(seed + i * 0x9e3779b97f4a7c15u) & 0xffffu) < limit) token = mask;
    }
  }

  /// Mean loss of the batch; logits_ becomes its gradient.
  double labelled_loss(const Dropout& dropout) {
    const EncoderLayout& layout = model_.layout;
    const std::size_t n = batch_.packed.n_tokens();
    forward(batch_.packed, Branch::kScore, dropout);
    train::linear_forward<float>(*pool_, n, layout.shape().d_model, 1, encoder_->states().data(),
                                 params() + layout.score_weight, params() + layout.score_bias,
                                 logits_.data());
    const float total = std::accumulate(batch_.weights.begin(), batch_.weights.end(), 0.0f);
    if (total <= 0.0f) {
      std::fill_n(logits_.data(), n, 0.0f);
      return 0.0;
    }
    for (float& weight : batch_.weights) weight /= total;
    return train::binary_cross_entropy<float>(n, batch_.labels.data(), batch_.weights.data(), logits_.data(),
                                              logits_.data());
  }

  const ScoreData& data_;
  TokenId cls_ = kNoToken, separator_ = kNoToken;
  LabelledBatch batch_;
  detail::Buffer<float> logits_;  ///< [step_tokens]
};

/// Counts over words.
struct KeepCounts {
  double both = 0.0, kept = 0.0, wanted = 0.0;
  void add(bool keep, bool want) {
    both += keep && want ? 1.0 : 0.0;
    kept += keep ? 1.0 : 0.0;
    wanted += want ? 1.0 : 0.0;
  }
  [[nodiscard]] KeepQuality quality(std::string method, std::size_t n) const {
    const double precision = kept > 0.0 ? both / kept : 0.0, recall = wanted > 0.0 ? both / wanted : 0.0;
    const double sum = precision + recall;
    return {std::move(method), precision, recall, sum > 0.0 ? 2.0 * precision * recall / sum : 0.0, n};
  }
};

/// The mean score of every word's tokens.
std::vector<float> word_scores(const LabelledText& text, std::span<const float> token_scores) {
  std::vector<float> scores;
  for (std::size_t w = 0; w < text.words.size(); ++w) {
    const std::size_t begin = text.words[w],
                      end = w + 1 < text.words.size() ? text.words[w + 1] : text.tokens.size();
    scores.push_back(std::accumulate(token_scores.begin() + static_cast<std::ptrdiff_t>(begin),
                                     token_scores.begin() + static_cast<std::ptrdiff_t>(end), 0.0f) /
                     static_cast<float>(end - begin));
  }
  return scores;
}

}  // namespace

Result<std::unique_ptr<train::Learner>> score_learner(const RefinerTrainingOptions& options,
                                                      RefinerModel& model, const ScoreData& data,
                                                      std::shared_ptr<ThreadPool> pool) {
  auto learner = std::make_unique<ScoreLearner>(options, model, data, std::move(pool));
  ELMS_RETURN_IF_ERROR(learner->prepare_all());
  return std::unique_ptr<train::Learner>(std::move(learner));
}

Result<std::vector<KeepQuality>> measure_keeping(const RefinerModel& model, const ScoreData& data,
                                                 ThreadPool& pool) {
  const EncoderLayout& layout = model.layout;
  const std::size_t d = layout.shape().d_model, max_tokens = layout.shape().max_positions;
  ELMS_ASSIGN_OR_RETURN(auto encoder,
                        TrainEncoder<float>::create(layout.shape(), max_tokens, layout.shape().n_layers));
  double n_words = 0.0, n_wanted = 0.0;
  for (const LabelledText& text : data.test) {
    for (const std::size_t word : text.words) n_wanted += static_cast<double>(text.labels[word]);
    n_words += static_cast<double>(text.words.size());
  }
  KeepCounts threshold, ratio;
  std::vector<float> scores(max_tokens);
  PackedBatch batch;
  for (const LabelledText& text : data.test) {
    std::vector<TokenId> sequence = {model.tokenizer->bos()};
    sequence.insert(sequence.end(), text.tokens.begin(), text.tokens.end());
    sequence.push_back(model.tokenizer->eos());
    batch.clear();
    batch.append(sequence);
    encoder.forward(pool, layout, model.params.data(), batch, Branch::kScore);
    train::linear_forward<float>(pool, sequence.size(), d, 1, encoder.states().data(),
                                 model.params.data() + layout.score_weight,
                                 model.params.data() + layout.score_bias, scores.data());
    const std::vector<float> words = word_scores(text, std::span(scores).subspan(1, text.tokens.size()));
    std::vector<std::size_t> order(words.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return words[a] > words[b]; });
    const auto n_kept = static_cast<std::size_t>(
        std::lround(n_wanted / std::max(1.0, n_words) * static_cast<double>(words.size())));
    for (std::size_t rank = 0; rank < order.size(); ++rank) {
      const bool wanted = text.labels[text.words[order[rank]]] > 0.5f;
      ratio.add(rank < n_kept, wanted);
      threshold.add(words[order[rank]] > 0.0f, wanted);
    }
  }
  return std::vector<KeepQuality>{threshold.quality("threshold", data.test.size()),
                                  ratio.quality("ratio", data.test.size())};
}

}  // namespace elms::inline v0::offline::refiner
