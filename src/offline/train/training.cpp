// train_model: options checked, things opened in order, the run, the file.
#include "elms/offline/training.hpp"

#include <cmath>
#include <filesystem>
#include <utility>

#include "elms/detail/error.hpp"
#include "offline/train/initial_model.hpp"
#include "offline/train/model_file.hpp"
#include "offline/train/run.hpp"
#include "offline/train/trainer.hpp"

namespace elms::inline v0::offline {
namespace {

using detail::invalid_argument;

struct NumberRule {
  std::string_view name;
  double value, least, greatest;
};

Status check_numbers(const TrainingOptions& options) {
  const NumberRule rules[] = {
      {"minutes", options.minutes, 0.0, 1e7},
      {"learning rate", options.learning_rate, 0.0, 10.0},
      {"least share of the learning rate", options.min_rate_share, 0.0, 1.0},
      {"beta1", options.beta1, 0.0, 0.999999},
      {"beta2", options.beta2, 0.0, 0.999999},
      {"epsilon", options.epsilon, 0.0, 1.0},
      {"weight decay", options.weight_decay, 0.0, 10.0},
      {"clipping norm", options.clip_norm, 0.0, 1e9},
      {"rows of a batch", static_cast<double>(options.batch_rows), 1, 65536},
      {"batches of a step", static_cast<double>(options.accumulate), 1, 65536},
  };
  for (const NumberRule& rule : rules) {
    if (rule.value >= rule.least && rule.value <= rule.greatest) continue;
    return invalid_argument("training: ", rule.name, ": expected ", rule.least, " to ", rule.greatest,
                            ", found ", rule.value);
  }
  return {};
}

Status check(const TrainingOptions& options) {
  ELMS_RETURN_IF_ERROR(check_numbers(options));
  if (options.n_steps == 0 && options.minutes == 0.0)
    return invalid_argument("training: neither steps nor minutes given");
  if (options.output.empty()) return invalid_argument("training: no file to write");
  if (!detail::dtype_info(options.type).can_encode) {
    return invalid_argument("training: weights of type ", detail::dtype_info(options.type).name,
                            " cannot be written");
  }
  return train::check_checkpoint_options(options.checkpoint, options.checkpoint_every, options.resume);
}

Result<train::Dataset> open_dataset(const TrainingOptions& options, const Tokenizer& tokenizer,
                                    const std::shared_ptr<ThreadPool>& pool) {
  ELMS_ASSIGN_OR_RETURN(const std::vector<train::DataSource> sources,
                        train::parse_data_sources(options.data));
  train::DatasetOptions dataset;
  dataset.length = options.length;
  dataset.valid_fraction = options.valid_fraction;
  dataset.seed = options.seed;
  dataset.pool = pool;
  dataset.progress = options.progress;
  return train::Dataset::open(sources, tokenizer, dataset);
}

/// A decoder over the rows of a data set.
class DecoderLearner final : public train::Learner {
 public:
  DecoderLearner(const TrainingOptions& options, const train::Dataset& dataset, train::Trainer& trainer)
      : options_(options), dataset_(dataset), trainer_(trainer) {}

  double take_step(std::uint64_t step, double rate) override {
    return trainer_.take_step(dataset_, step, rate);
  }
  std::vector<train::SharedLoss> validate() override {
    std::vector<train::SharedLoss> losses;
    for (const train::DataSourceStatistics& source : dataset_.statistics()) {
      train::SharedLoss measured{{source.path, 0.0, 0}, source.share};
      measured.loss.loss =
          trainer_.validate(dataset_, source, options_.valid_rows, measured.loss.n_tokens);
      if (measured.loss.n_tokens > 0) losses.push_back(std::move(measured));
    }
    return losses;
  }
  std::vector<train::RunTensor> run_tensors() override { return trainer_.run_tensors(); }
  std::size_t n_parameters() const override { return trainer_.layout().size(); }
  std::size_t step_tokens() const override {
    return options_.batch_rows * options_.length * options_.accumulate;
  }
  std::size_t data_tokens() const override { return dataset_.n_train_tokens(); }

 private:
  const TrainingOptions& options_;
  const train::Dataset& dataset_;
  train::Trainer& trainer_;
};

}  // namespace

Result<TrainingReport> train_model(const TrainingOptions& options) {
  ELMS_RETURN_IF_ERROR(check(options));
  std::shared_ptr<ThreadPool> pool = options.pool;
  if (pool == nullptr) {
    ELMS_ASSIGN_OR_RETURN(pool, ThreadPool::create());
  }
  ELMS_ASSIGN_OR_RETURN(train::InitialModel model, train::open_initial_model(options));
  if (options.length > static_cast<std::size_t>(model.config.context_length)) {
    return invalid_argument("training: rows of ", options.length,
                            " tokens are longer than the model's context of ", model.config.context_length);
  }
  ELMS_ASSIGN_OR_RETURN(const train::Dataset dataset, open_dataset(options, *model.tokenizer, pool));
  train::Recipe recipe = train::make_recipe(options, model.config, dataset);
  const train::StepShape shape{
      {options.batch_rows, options.length}, options.accumulate, options.clip_norm, options.balance};
  const train::AdamWOptions adam{options.beta1, options.beta2, options.epsilon, options.weight_decay};
  const auto memory =
      options.recompute_activations ? train::ActivationMemory::kRecompute : train::ActivationMemory::kKeepAll;
  ELMS_ASSIGN_OR_RETURN(train::Trainer trainer,
                        train::Trainer::create(train::ParameterLayout(model.config), std::move(model.params),
                                               shape, adam, memory, pool));
  DecoderLearner learner(options, dataset, trainer);
  train::TrainingRun run(options, learner, std::move(recipe));
  if (options.resume) ELMS_RETURN_IF_ERROR(run.resume());
  ELMS_RETURN_IF_ERROR(run.run());
  ELMS_RETURN_IF_ERROR(train::write_parameters(model.metadata, trainer.layout(), trainer.params(),
                                               options.type, options.output));
  TrainingReport report = run.report();
  std::error_code failure;
  report.bytes_written = std::filesystem::file_size(options.output, failure);
  return report;
}

}  // namespace elms::inline v0::offline
