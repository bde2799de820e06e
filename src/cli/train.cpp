// elms train: a model trained from nothing, or further.
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "cli/arguments.hpp"
#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "cli/training_arguments.hpp"
#include "elms/detail/gguf.hpp"
#include "elms/offline/training.hpp"
#include "elms/tokenizer.hpp"

namespace elms_cli {
namespace {

namespace offline = elms::offline;

struct TrainArguments {
  offline::TrainingOptions options;
  std::string shape, type = "f16", plot, balance = "tokens";
  std::size_t threads = 0;
  bool json = false;
};

void print_report(const TrainArguments& arguments, const offline::TrainingReport& report) {
  if (arguments.json) {
    print_json(training_json(report, arguments.options.output));
  } else {
    print_training(report, arguments.options.output);
  }
}

/// The shape of a new model with the vocabulary's number of tokens.
elms::Result<offline::SynthShape> read_new_shape(const std::string& text, const std::string& vocabulary) {
  ELMS_ASSIGN_OR_RETURN(const auto file, elms::detail::GgufFile::open(vocabulary));
  ELMS_ASSIGN_OR_RETURN(const auto tokenizer, elms::Tokenizer::from_gguf(file));
  return offline::parse_shape(text, tokenizer->n_vocab());
}

elms::Status train(const TrainArguments& arguments) {
  offline::TrainingOptions options = arguments.options;
  options.type = type_named(arguments.type);
  options.balance = loss_balance_named(arguments.balance);
  ELMS_ASSIGN_OR_RETURN(options.pool, elms::ThreadPool::create(arguments.threads));
  if (!options.vocabulary.empty()) {
    ELMS_ASSIGN_OR_RETURN(options.shape, read_new_shape(arguments.shape, options.vocabulary));
  }
  const auto report = train_watched(options, [&] { return offline::train_model(options); });
  if (!report.has_value()) return report.error();
  if (!arguments.plot.empty()) ELMS_RETURN_IF_ERROR(write_loss_plot(*report, arguments.plot));
  print_report(arguments, *report);
  return {};
}

/// Options that contradict each other, as a usage error.
void check(const TrainArguments& arguments) {
  const offline::TrainingOptions& options = arguments.options;
  // Not required() of the parser: `elms train refiner` has neither here.
  if (options.data.empty()) throw CLI::RequiredError("--data");
  if (options.output.empty()) throw CLI::RequiredError("--output");
  if (options.init_model.empty() == options.vocabulary.empty()) {
    throw CLI::ValidationError("--init",
                               "give a model to train further, or --vocab and --shape for a new one");
  }
  if (options.vocabulary.empty() != arguments.shape.empty()) {
    throw CLI::ValidationError("--shape", "goes with --vocab");
  }
  check_course(options);
}

void add_model_options(CLI::App& command, TrainArguments& arguments) {
  offline::TrainingOptions& options = arguments.options;
  command
      .add_option("--data", options.data,
                  "Texts and .jsonl files with their weights; after a path also :loss=all, :loss=answers, "
                  ":split=file")
      ->option_text("FILE:WEIGHT,...");
  command.add_option("--init", options.init_model, "Model to train further")->option_text("MODEL");
  command
      .add_option("--vocab", options.vocabulary,
                  "Vocabulary of a new model: a GGUF file, as elms vocab writes")
      ->option_text("FILE");
  command.add_option("--shape", arguments.shape, "Shape of a new model (see the example)")
      ->option_text("JSON");
  command.add_option("-o,--output", options.output, "GGUF file to write at the end")->option_text("FILE");
  add_type(command, arguments.type)->option_text("TYPE [f16]");
  command.add_option("--name", options.name, "Name of the model in its file")->option_text("TEXT");
}

void add_run_options(CLI::App& command, TrainArguments& arguments) {
  offline::TrainingOptions& options = arguments.options;
  add_course_options(command, options);
  command.add_option("--accumulate", options.accumulate, "Batches of a step")
      ->check(CLI::Range(1, 65536))
      ->option_text("N [1]");
  add_balance(command, "--balance", arguments.balance);
  command.add_flag("--recompute", options.recompute_activations, "Use less memory and more time");
  command.add_option("--clip", options.clip_norm, "Greatest norm of a gradient; 0: any")
      ->check(CLI::Range(0.0, 1e9))
      ->option_text("X [1.0]");
}

void add_watch_options(CLI::App& command, TrainArguments& arguments) {
  offline::TrainingOptions& options = arguments.options;
  command
      .add_option("--valid-fraction", options.valid_fraction,
                  "Share of each file's rows that only measure the loss")
      ->check(CLI::Range(0.0, 0.9))
      ->option_text("X [0.005]");
  command.add_option("--valid-rows", options.valid_rows, "Rows to measure at most, of each file")
      ->option_text("N [64]");
  add_checkpoint_options(command, options);
  command.add_option("--plot", arguments.plot, "Draw the losses")->option_text("FILE.svg");
  add_threads(command, arguments.threads);
  add_json(command, arguments.json);
}

}  // namespace

void add_train(CLI::App& app, Action& action) {
  auto arguments = std::make_shared<TrainArguments>();
  CLI::App& command =
      *app.add_subcommand("train", "Train a model on texts and examples, from nothing or further");
  add_model_options(command, *arguments);
  add_run_options(command, *arguments);
  add_watch_options(command, *arguments);
  command.footer(
      "Examples:\n"
      "  elms train --data book.txt --vocab vocab.gguf --steps 2000 -o book.gguf \\\n"
      "    --shape "
      "'{\"d_model\":256,\"n_layers\":8,\"n_heads\":8,\"n_kv_heads\":4,\"d_ff\":704,\"context_length\":512}'"
      "\n"
      "  elms train --data wiki.txt:2,tasks.jsonl:5 --init book.gguf --minutes 60 --lr 3e-4 -o tuned.gguf\n"
      "With --steps, a run that was stopped and resumed gives the same file as one without a break.");
  command.require_subcommand(0, 1);
  add_train_refiner(command, action);
  command.callback([arguments, &command, &action] {
    if (!command.get_subcommands().empty()) return;
    check(*arguments);
    action = [arguments] { return train(*arguments); };
  });
}

}  // namespace elms_cli
