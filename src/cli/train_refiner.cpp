// elms train refiner: the encoder that shortens prompts, stage by stage.
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "cli/arguments.hpp"
#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "cli/plot.hpp"
#include "cli/training_arguments.hpp"
#include "elms/offline/refiner_training.hpp"

namespace elms_cli {
namespace {

namespace offline = elms::offline;

struct TrainRefinerArguments {
  offline::RefinerTrainingOptions options;
  std::string stage = "score", type = "f32", plot, calibration_plot;
  std::size_t threads = 0;
  bool json = false;
};

offline::RefinerStage stage_named(const std::string& name) {
  if (name == "mlm") return offline::RefinerStage::kMaskedLm;
  return name == "score" ? offline::RefinerStage::kScore : offline::RefinerStage::kDecision;
}

Json decision_json(const offline::DecisionQuality& quality) {
  Json bins = Json::array(), regrets = Json::array();
  for (const offline::CalibrationBin& bin : quality.bins)
    bins.push_back({{"predicted", bin.predicted}, {"observed", bin.observed}, {"n", bin.n}});
  for (const offline::StrategyRegret& regret : quality.regrets) {
    regrets.push_back({{"cost_cap", regret.cost_cap},
                       {"chosen", regret.chosen},
                       {"best_fixed", regret.best_fixed},
                       {"oracle", regret.oracle}});
  }
  return {{"prompts", quality.n_prompts},
          {"temperature", quality.temperature},
          {"loss", quality.loss},
          {"base_loss", quality.base_loss},
          {"calibration_error", quality.calibration_error},
          {"bins", bins},
          {"regrets", regrets}};
}

void print_decision(const offline::DecisionQuality& quality) {
  std::printf(
      "decisions on %zu prompts: loss %.4f (%.4f with every strategy's rate), calibration error %.3f, "
      "temperature %.2f\n",
      quality.n_prompts, quality.loss, quality.base_loss, quality.calibration_error, quality.temperature);
  Table table({"cost at most", "head", "best fixed", "oracle"});
  for (const offline::StrategyRegret& r : quality.regrets)
    table.add({fixed(r.cost_cap, 2), fixed(r.chosen, 3), fixed(r.best_fixed, 3), fixed(r.oracle, 3)});
  table.print();
  Table bins({"predicted", "observed", "n"});
  for (const offline::CalibrationBin& bin : quality.bins) {
    if (bin.n > 0) bins.add({fixed(bin.predicted, 3), fixed(bin.observed, 3), std::to_string(bin.n)});
  }
  bins.print();
}

elms::Status write_calibration_plot(const offline::DecisionQuality& quality, const std::string& path) {
  Plot plot{.title = "Calibration of the decision head",
            .x_label = "predicted quality",
            .y_label = "share of right answers",
            .series = {{"decision head", {}}, {"exact", {{0.0, 0.0}, {1.0, 1.0}}}},
            .legend_on_left = true};
  for (const offline::CalibrationBin& bin : quality.bins) {
    if (bin.n > 0) plot.series[0].points.push_back({bin.predicted, bin.observed});
  }
  return write_svg(plot, path);
}

void print_refiner_report(const TrainRefinerArguments& arguments,
                          const offline::RefinerTrainingReport& report) {
  const offline::TrainingReport& training = report.training;
  if (!arguments.json) {
    print_training(training, arguments.options.run.output);
    for (const offline::KeepQuality& quality : report.quality)
      std::printf("  kept words by %s: precision %.3f, recall %.3f, F1 %.3f on %zu pairs\n",
                  quality.method.c_str(), quality.precision, quality.recall, quality.f1, quality.n_pairs);
    if (arguments.options.stage == offline::RefinerStage::kDecision) print_decision(report.decision);
    return;
  }
  Json quality = Json::array();
  for (const offline::KeepQuality& q : report.quality) {
    quality.push_back({{"method", q.method},
                       {"precision", q.precision},
                       {"recall", q.recall},
                       {"f1", q.f1},
                       {"pairs", q.n_pairs}});
  }
  Json json = training_json(training, arguments.options.run.output);
  json["pairs"] = report.n_pairs;
  json["pairs_not_deletions"] = report.n_not_deletions;
  json["quality"] = std::move(quality);
  if (arguments.options.stage == offline::RefinerStage::kDecision)
    json["decision"] = decision_json(report.decision);
  print_json(json);
}

elms::Status train_refiner(const TrainRefinerArguments& arguments) {
  offline::RefinerTrainingOptions options = arguments.options;
  options.run.type = type_named(arguments.type);
  ELMS_ASSIGN_OR_RETURN(options.run.pool, elms::ThreadPool::create(arguments.threads));
  const auto report = train_watched(options.run, [&] { return offline::train_refiner(options); });
  if (!report.has_value()) return report.error();
  if (!arguments.plot.empty()) ELMS_RETURN_IF_ERROR(write_loss_plot(report->training, arguments.plot));
  if (!arguments.calibration_plot.empty())
    ELMS_RETURN_IF_ERROR(write_calibration_plot(report->decision, arguments.calibration_plot));
  print_refiner_report(arguments, *report);
  return {};
}

void add_refiner_data_options(CLI::App& command, TrainRefinerArguments& arguments) {
  offline::RefinerTrainingOptions& options = arguments.options;
  command.add_option("--stage", arguments.stage, "What is trained")
      ->check(CLI::IsMember({"mlm", "score", "decision"}))
      ->required()
      ->option_text("mlm|score|decision");
  command.add_option("--init", options.run.init_model, "Refiner file to go on with")->option_text("FILE");
  command.add_option("--vocab", options.run.vocabulary, "WordPiece vocabulary of a new encoder")
      ->option_text("FILE");
  command.add_option("--layers", options.shape.n_layers, "Layers of a new encoder: trunk and score branch")
      ->option_text("N [4]");
  command.add_option("--shared-layers", options.shape.n_shared_layers, "Of these, the trunk's")
      ->option_text("N [2]");
  command.add_option("--d-model", options.shape.d_model, "Values of a token")->option_text("N [256]");
  command.add_option("--heads", options.shape.n_heads, "Attention heads of a layer")->option_text("N [4]");
  command.add_option("--d-ff", options.shape.d_ff, "Hidden units of a layer")->option_text("N [1024]");
  command
      .add_option("--embedding-data", options.embedding_data,
                  "Texts whose neighbourhoods a new encoder's token embeddings come from")
      ->option_text("FILE:WEIGHT,...");
  command.add_option("--data", options.run.data, "mlm: texts with weights, as for elms train")
      ->option_text("FILE:WEIGHT,...");
  command.add_option("--sentences", options.sentences, "score: sentences, one a line")->option_text("FILE");
  command.add_option("--compressions", options.compressions, "score: what is left of them")
      ->option_text("FILE");
  command.add_option("--test-from", options.test_from, "score: first line that is never trained on")
      ->option_text("N [8500]");
  command.add_option("--meetings", options.meetings, "score: QMSum files")->option_text("FILE...");
  command.add_option("--tasks", options.tasks, "score: files of elms tasks")->option_text("FILE...");
  command.add_option("--meeting-weight", options.meeting_weight, "Of a word of these")
      ->option_text("X [0.15]");
  command.add_option("--task-weight", options.task_weight, "Likewise")->option_text("X [0.5]");
  command.add_option("--labels", options.labels, "decision: which strategies answered right")
      ->option_text("FILE");
  command
      .add_option("--calibration-plot", arguments.calibration_plot,
                  "decision: draw predicted against observed")
      ->option_text("FILE.svg");
  command.add_option("-o,--output", options.run.output, "Refiner file to write")
      ->required()
      ->option_text("FILE");
  add_type(command, arguments.type)->option_text("TYPE [f32]");
}

void add_refiner_run_options(CLI::App& command, TrainRefinerArguments& arguments) {
  offline::TrainingOptions& run = arguments.options.run;
  run.batch_rows = 16;
  run.length = 128;
  run.learning_rate = 1e-3;
  run.weight_decay = 0.01;
  run.beta2 = 0.98;
  run.valid_rows = 100;
  add_course_options(command, run);
  command
      .add_option("--embedding-rate", arguments.options.embedding_rate_share,
                  "Share of the learning rate by which token embeddings move")
      ->check(CLI::Range(0.0, 1.0))
      ->option_text("X [1]");
  command.add_option("--dropout", arguments.options.dropout, "Of every layer's outputs")
      ->check(CLI::Range(0.0, 0.9))
      ->option_text("X [0.1]");
  command.add_option("--mask", arguments.options.mask_share, "mlm: share of tokens to predict")
      ->check(CLI::Range(0.01, 0.9))
      ->option_text("X [0.2]");
  add_checkpoint_options(command, run);
  command.add_option("--plot", arguments.plot, "Draw the losses")->option_text("FILE.svg");
  add_threads(command, arguments.threads);
  add_json(command, arguments.json);
}

}  // namespace

void add_train_refiner(CLI::App& train, Action& action) {
  auto arguments = std::make_shared<TrainRefinerArguments>();
  CLI::App& command = *train.add_subcommand("refiner", "Train the encoder that shortens prompts");
  add_refiner_data_options(command, *arguments);
  add_refiner_run_options(command, *arguments);
  command.footer(
      "Examples:\n"
      "  elms train refiner --stage mlm --vocab wordpiece.gguf --data wiki.txt:2 --minutes 20 -o mlm.gguf\n"
      "  elms train refiner --stage score --init mlm.gguf --sentences s.txt --compressions c.txt --steps "
      "2000 "
      "-o refiner.gguf");
  command.callback([arguments, &action] {
    check_course(arguments->options.run);
    arguments->options.stage = stage_named(arguments->stage);
    action = [arguments] { return train_refiner(*arguments); };
  });
}

}  // namespace elms_cli
