// Masked-LM pre-training (Devlin et al. 2018): of the chosen tokens 80% become [MASK], 10% another token, 10%
// stay; the output matrix is the embedding.
#include <algorithm>
#include <utility>

#include "elms/detail/error.hpp"
#include "offline/random.hpp"
#include "offline/refiner/learner.hpp"
#include "offline/train/ops.hpp"

namespace elms::inline v0::offline::refiner {
namespace {

using train::TokenBatch;

/// Tokens of a row before its padding: up to the last that predicts or is predicted.
std::size_t row_length(std::span<const TokenId> targets) {
  std::size_t n = targets.size();
  while (n > 0 && targets[n - 1] == train::kIgnoredTarget) --n;
  return std::min(targets.size(), n + 1);
}

class MaskedLmLearner final : public EncoderLearner {
 public:
  MaskedLmLearner(const RefinerTrainingOptions& options, RefinerModel& model, const train::Dataset& dataset,
                  std::shared_ptr<ThreadPool> pool)
      : EncoderLearner(options, model, model.layout.main_tensors(), std::move(pool)), dataset_(dataset) {}

  Status prepare_all() {
    mask_ = model_.tokenizer->find("[MASK]");
    if (mask_ == kNoToken || model_.tokenizer->bos() == kNoToken)
      return detail::invalid_argument(model_.source.name(), ": the vocabulary has no [MASK] or no [CLS]");
    const std::size_t n = step_tokens();
    ELMS_RETURN_IF_ERROR(prepare(n));
    // More than are masked of a batch but for a chance that never comes; what is beyond is not masked.
    max_masked_ =
        std::min(n, static_cast<std::size_t>(1.5 * options_.mask_share * static_cast<double>(n)) + 16);
    const EncoderShape& shape = model_.layout.shape();
    ELMS_ASSIGN_OR_RETURN(rows_, detail::Buffer<float>::uninitialized(max_masked_ * shape.d_model));
    ELMS_ASSIGN_OR_RETURN(logits_, detail::Buffer<float>::uninitialized(max_masked_ * shape.n_vocab));
    ELMS_ASSIGN_OR_RETURN(row_loss_, detail::Buffer<double>::uninitialized(max_masked_));
    return {};
  }

  double take_step(std::uint64_t step, double rate) override {
    dataset_.train_batch(step, options_.run.batch_rows, rows_of_tokens_);
    mask(rows_of_tokens_, mixed(options_.run.seed + 77) + step);
    const Dropout dropout = step_dropout(step);
    const double loss = masked_loss(dropout, true);
    backward(batch_, Branch::kScore, dropout, 0);
    optimise(step, rate);
    return loss;
  }

  std::vector<train::SharedLoss> validate() override {
    std::vector<train::SharedLoss> losses;
    for (const train::DataSourceStatistics& source : dataset_.statistics()) {
      train::SharedLoss measured{{source.path, 0.0, 0}, source.share};
      const std::size_t n_rows = std::min(options_.run.valid_rows, source.n_valid_rows);
      double sum = 0.0;
      for (std::size_t row = 0; row < n_rows; ++row) {
        dataset_.valid_batch(source.first_valid_row + row, 1, rows_of_tokens_);
        mask(rows_of_tokens_, row);
        sum += masked_loss({}, false) * static_cast<double>(masked_.size());
        measured.loss.n_tokens += masked_.size();
      }
      if (measured.loss.n_tokens == 0) continue;
      measured.loss.loss = sum / static_cast<double>(measured.loss.n_tokens);
      losses.push_back(std::move(measured));
    }
    return losses;
  }

  std::size_t step_tokens() const override { return options_.run.batch_rows * options_.run.length; }
  std::size_t data_tokens() const override { return dataset_.n_train_tokens(); }

 private:
  /// Sets batch_, masked_ and targets_. Rows begin at random positions, so that all positions are learnt from
  /// short rows.
  void mask(const TokenBatch& rows, std::uint64_t seed) {
    const std::size_t length = options_.run.length;
    batch_.clear();
    masked_.clear();
    targets_.clear();
    for (std::size_t begin = 0; begin < rows.tokens.size(); begin += length) {
      const std::size_t n = row_length(std::span(rows.targets).subspan(begin, length));
      const std::size_t room = model_.layout.shape().max_positions - n;
      const std::uint64_t draw = mixed(mixed(seed) + begin);
      batch_.append(std::span(rows.tokens).subspan(begin, n), draw % 2 == 0 ? 0 : (draw >> 8) % (room + 1));
    }
    const auto limit = static_cast<std::uint64_t>(options_.mask_share * 65536.0);
    for (std::size_t i = 0; i < batch_.n_tokens(); ++i) {
      const std::uint64_t draw = mixed(mixed(seed + 1) + i * 0x9e3779b97f4a7c15u);
      const TokenId token = batch_.tokens[i];
      const bool is_special = token <= mask_;  // they are the first of the vocabulary
      if (is_special || (draw & 0xffffu) >= limit || masked_.size() == max_masked_) continue;
      masked_.push_back(i);
      targets_.push_back(token);
      const std::uint64_t kind = (draw >> 16) % 10, other = draw >> 32;
      if (kind < 8) batch_.tokens[i] = mask_;
      if (kind == 8) batch_.tokens[i] = static_cast<TokenId>(other % model_.layout.shape().n_vocab);
    }
  }

  /// Mean loss of the masked tokens; the gradient of the states where asked for.
  double masked_loss(const Dropout& dropout, bool with_gradient) {
    const EncoderLayout& layout = model_.layout;
    const std::size_t d = layout.shape().d_model, n = masked_.size(), n_vocab = layout.shape().n_vocab;
    forward(batch_, Branch::kScore, dropout);
    const std::span<const float> states = encoder_->states();
    for (std::size_t i = 0; i < n; ++i) std::copy_n(&states[masked_[i] * d], d, rows_.data() + i * d);
    train::linear_forward<float>(*pool_, n, d, n_vocab, rows_.data(), params() + layout.token_embedding,
                                 params() + layout.mlm_bias, logits_.data());
    const double loss =
        train::cross_entropy<float>(*pool_, targets_, n_vocab, logits_.data(),
                                    with_gradient ? logits_.data() : nullptr, row_loss_.data());
    if (!with_gradient) return loss;
    const std::span<float> gradient = encoder_->gradient();
    std::fill(gradient.begin(), gradient.end(), 0.0f);
    float* const g = gradients_.data();
    train::linear_backward<float>(*pool_, n, d, n_vocab, rows_.data(), params() + layout.token_embedding,
                                  logits_.data(), d_rows(), false, g + layout.token_embedding,
                                  g + layout.mlm_bias);
    for (std::size_t i = 0; i < n; ++i) std::copy_n(d_rows() + i * d, d, &gradient[masked_[i] * d]);
    return loss;
  }
  /// The rows are not needed once their gradient is there, but a product may not overlap its operands.
  float* d_rows() {
    d_rows_.resize(max_masked_ * model_.layout.shape().d_model);
    return d_rows_.data();
  }

  const train::Dataset& dataset_;
  TokenId mask_ = kNoToken;
  std::size_t max_masked_ = 0;
  TokenBatch rows_of_tokens_;
  PackedBatch batch_;
  std::vector<std::size_t> masked_;  ///< rows of the batch
  std::vector<TokenId> targets_;     ///< what stood there
  detail::Buffer<float> rows_, logits_;
  std::vector<float> d_rows_;
  detail::Buffer<double> row_loss_;
};

}  // namespace

Result<std::unique_ptr<train::Learner>> masked_lm_learner(const RefinerTrainingOptions& options,
                                                          RefinerModel& model, const train::Dataset& dataset,
                                                          std::shared_ptr<ThreadPool> pool) {
  auto learner = std::make_unique<MaskedLmLearner>(options, model, dataset, std::move(pool));
  ELMS_RETURN_IF_ERROR(learner->prepare_all());
  return std::unique_ptr<train::Learner>(std::move(learner));
}

}  // namespace elms::inline v0::offline::refiner
