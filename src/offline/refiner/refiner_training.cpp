// train_refiner: options checked, the model opened or made, the stage's data and learner, the run, the file.
#include "elms/offline/refiner_training.hpp"

#include <filesystem>
#include <utility>

#include "elms/detail/error.hpp"
#include "offline/refiner/decision_stage.hpp"
#include "offline/refiner/learner.hpp"
#include "offline/refiner/score_data.hpp"
#include "offline/refiner/token_embeddings.hpp"

namespace elms::inline v0::offline {
namespace {

using detail::invalid_argument;
using refiner::RefinerModel;

Status check_refiner_options(const RefinerTrainingOptions& options) {
  const TrainingOptions& run = options.run;
  if (run.n_steps == 0 && run.minutes == 0.0)
    return invalid_argument("refiner: neither steps nor minutes given");
  if (run.output.empty()) return invalid_argument("refiner: no file to write");
  if (run.init_model.empty() == run.vocabulary.empty())
    return invalid_argument("refiner: give a refiner file to begin with, or a vocabulary, not both");
  if (!(options.dropout >= 0.0 && options.dropout < 0.9) ||
      !(options.mask_share > 0.0 && options.mask_share < 0.9))
    return invalid_argument("refiner: dropout ", options.dropout, ", masked share ", options.mask_share,
                            "; expected 0 to 0.9");
  if (!(options.embedding_rate_share >= 0.0 && options.embedding_rate_share <= 1.0))
    return invalid_argument("refiner: ", options.embedding_rate_share,
                            " of the rate for embeddings; expected 0 to 1");
  if (run.batch_rows == 0 || run.length < 8)
    return invalid_argument("refiner: batches of ", run.batch_rows, " rows of ", run.length);
  return train::check_checkpoint_options(run.checkpoint, run.checkpoint_every, run.resume);
}

Result<RefinerModel> new_refiner(const RefinerTrainingOptions& options,
                                 const std::shared_ptr<ThreadPool>& pool) {
  const RefinerShape& wanted = options.shape;
  if (wanted.n_heads == 0 || wanted.d_model % wanted.n_heads != 0 || wanted.d_ff < wanted.d_model ||
      wanted.n_layers == 0 || wanted.n_shared_layers > wanted.n_layers || wanted.max_positions < 8) {
    return invalid_argument("refiner: ", wanted.d_model, " values, ", wanted.n_heads, " heads, ", wanted.d_ff,
                            " hidden units, ", wanted.n_shared_layers, " of ", wanted.n_layers,
                            " layers shared, ", wanted.max_positions,
                            " positions: no encoder has this shape");
  }
  ELMS_ASSIGN_OR_RETURN(detail::GgufFile file, detail::GgufFile::open(options.run.vocabulary));
  ELMS_ASSIGN_OR_RETURN(auto tokenizer, Tokenizer::from_gguf(file));
  refiner::EncoderShape shape;
  shape.n_vocab = static_cast<std::size_t>(tokenizer->n_vocab());
  shape.d_model = wanted.d_model;
  shape.n_heads = wanted.n_heads;
  shape.d_ff = wanted.d_ff;
  shape.max_positions = wanted.max_positions;
  shape.n_layers = wanted.n_layers;
  shape.n_shared_layers = wanted.n_shared_layers;
  refiner::EncoderLayout layout(std::move(shape));
  ELMS_ASSIGN_OR_RETURN(auto params, detail::Buffer<float>::zeroed(layout.size()));
  refiner::draw_encoder(layout.tensors(), options.run.seed, params);
  RefinerModel model{std::move(layout), std::move(params), std::move(file), std::move(tokenizer), false};
  if (!options.embedding_data.empty() && !options.run.resume) {
    ELMS_RETURN_IF_ERROR(refiner::embed_tokens(options.embedding_data, pool, options.run.progress, model));
  }
  return model;
}

const char* to_string(RefinerStage stage) {
  switch (stage) {
    case RefinerStage::kMaskedLm:
      return "mlm";
    case RefinerStage::kScore:
      return "score";
    case RefinerStage::kDecision:
      return "decision";
  }
  return "";
}

train::Recipe refiner_recipe(const RefinerTrainingOptions& options, const std::string& data) {
  train::Recipe recipe;
  const auto add = [&](std::string_view key, const auto& value) {
    recipe.push_back(detail::concat(key, " ", value));
  };
  add("refiner stage", to_string(options.stage));
  add("data", data);
  add("rows of tokens", options.run.length);
  add("rows of a batch", options.run.batch_rows);
  add("learning rate", options.run.learning_rate);
  add("least share of it", options.run.min_rate_share);
  add("warm-up steps", options.run.warmup_steps);
  add("weight decay", options.run.weight_decay);
  add("clipping at", options.run.clip_norm);
  add("share of the rate for embeddings", options.embedding_rate_share);
  add("dropout", options.dropout);
  add("masked share", options.mask_share);
  add("weights of meetings and tasks", detail::concat(options.meeting_weight, ", ", options.task_weight));
  add("seed", options.run.seed);
  return recipe;
}

Status run_stage(const RefinerTrainingOptions& options, train::Learner& learner, const std::string& data,
                 TrainingReport& report) {
  train::TrainingRun run(options.run, learner, refiner_recipe(options, data));
  if (options.run.resume) ELMS_RETURN_IF_ERROR(run.resume());
  ELMS_RETURN_IF_ERROR(run.run());
  report = run.report();
  return {};
}

Status train_masked_lm(const RefinerTrainingOptions& options, RefinerModel& model,
                       const std::shared_ptr<ThreadPool>& pool, RefinerTrainingReport& report) {
  if (options.run.length > model.layout.shape().max_positions)
    return invalid_argument("refiner: rows of ", options.run.length,
                            " tokens are longer than the position table");
  ELMS_ASSIGN_OR_RETURN(const auto sources, train::parse_data_sources(options.run.data));
  train::DatasetOptions dataset_options;
  dataset_options.length = options.run.length;
  dataset_options.valid_fraction = options.run.valid_fraction;
  dataset_options.seed = options.run.seed;
  dataset_options.shorten_prompts = true;
  dataset_options.pool = pool;
  dataset_options.progress = options.run.progress;
  ELMS_ASSIGN_OR_RETURN(const train::Dataset dataset,
                        train::Dataset::open(sources, *model.tokenizer, dataset_options));
  ELMS_ASSIGN_OR_RETURN(const auto learner, refiner::masked_lm_learner(options, model, dataset, pool));
  return run_stage(options, *learner, options.run.data, report.training);
}

Status train_score(const RefinerTrainingOptions& options, RefinerModel& model,
                   const std::shared_ptr<ThreadPool>& pool, RefinerTrainingReport& report) {
  ELMS_ASSIGN_OR_RETURN(const refiner::ScoreData data, refiner::read_score_data(options, model));
  report.n_pairs = data.n_pairs;
  report.n_not_deletions = data.n_not_deletions;
  if (!model.has_score_head) {
    for (const train::ParameterTensor& tensor : model.layout.main_tensors()) {
      if (tensor.name == "elms.refiner.score.weight")
        refiner::draw_encoder(std::span(&tensor, 1), options.run.seed, model.params);
    }
  }
  model.has_score_head = true;
  ELMS_ASSIGN_OR_RETURN(const auto learner, refiner::score_learner(options, model, data, pool));
  ELMS_RETURN_IF_ERROR(run_stage(options, *learner, options.sentences, report.training));
  ELMS_ASSIGN_OR_RETURN(report.quality, refiner::measure_keeping(model, data, *pool));
  return {};
}

Status train_decision(const RefinerTrainingOptions& options, RefinerModel& model,
                      const std::shared_ptr<ThreadPool>& pool, RefinerTrainingReport& report) {
  ELMS_ASSIGN_OR_RETURN(const refiner::DecisionData data, refiner::read_decision_data(options.labels, model));
  ELMS_ASSIGN_OR_RETURN(model, refiner::with_decision_branch(options, std::move(model), data));
  ELMS_ASSIGN_OR_RETURN(const auto learner, refiner::decision_learner(options, model, data, pool));
  ELMS_RETURN_IF_ERROR(run_stage(options, *learner, options.labels, report.training));
  ELMS_ASSIGN_OR_RETURN(report.decision, refiner::judge_decisions(model, data, *pool));
  return {};
}

}  // namespace

Result<RefinerTrainingReport> train_refiner(const RefinerTrainingOptions& options) {
  ELMS_RETURN_IF_ERROR(check_refiner_options(options));
  std::shared_ptr<ThreadPool> pool = options.run.pool;
  if (pool == nullptr) {
    ELMS_ASSIGN_OR_RETURN(pool, ThreadPool::create());
  }
  ELMS_ASSIGN_OR_RETURN(RefinerModel model, options.run.vocabulary.empty()
                                                ? refiner::open_refiner(options.run.init_model)
                                                : new_refiner(options, pool));
  RefinerTrainingReport report;
  float temperature = 1.0f;
  if (options.stage == RefinerStage::kMaskedLm)
    ELMS_RETURN_IF_ERROR(train_masked_lm(options, model, pool, report));
  if (options.stage == RefinerStage::kScore) ELMS_RETURN_IF_ERROR(train_score(options, model, pool, report));
  if (options.stage == RefinerStage::kDecision) {
    ELMS_RETURN_IF_ERROR(train_decision(options, model, pool, report));
    temperature = static_cast<float>(report.decision.temperature);
  }
  ELMS_RETURN_IF_ERROR(
      refiner::write_refiner(model, temperature, options.run.type, options.run.name, options.run.output));
  std::error_code failure;
  report.training.bytes_written = std::filesystem::file_size(options.run.output, failure);
  return report;
}

}  // namespace elms::inline v0::offline
