// elms train: a model trained from nothing, or further.
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "cli/arguments.hpp"
#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "cli/training_report.hpp"
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
    Json sources = Json::array();
    for (const offline::SourceLoss& source : report.valid_by_source) {
      sources.push_back({{"path", source.path}, {"loss", source.loss}, {"tokens", source.n_tokens}});
    }
    print_json({{"output", arguments.options.output},
                {"bytes_written", report.bytes_written},
                {"parameters", report.n_parameters},
                {"steps", report.n_steps},
                {"tokens", report.n_tokens},
                {"data_tokens", report.data_tokens},
                {"seconds", report.seconds},
                {"tokens_per_second", report.tokens_per_second},
                {"train_loss", final_loss(report)},
                {"valid_loss", report.valid.empty() ? Json() : Json(report.valid.back().loss)},
                {"valid_by_source", sources},
                {"train", points_json(thinned(report.train, 500))},
                {"valid", points_json(report.valid)}});
    return;
  }
  std::printf(
      "%s: %s parameters, %s, after %llu steps (%s tokens, %.2f times the data) in %s, %.0f tokens/s\n",
      arguments.options.output.c_str(), readable_count(report.n_parameters).c_str(),
      readable_bytes(report.bytes_written).c_str(), static_cast<unsigned long long>(report.n_steps),
      readable_count(report.n_tokens).c_str(),
      static_cast<double>(report.n_tokens) / static_cast<double>(report.data_tokens),
      readable_seconds(report.seconds).c_str(), report.tokens_per_second);
  std::printf("training loss %.4f", final_loss(report));
  if (!report.valid.empty()) std::printf(", validation loss %.4f", report.valid.back().loss);
  std::printf("\n");
  for (const offline::SourceLoss& source : report.valid_by_source) {
    std::printf("  %s: %.4f over %zu tokens\n", source.path.c_str(), source.loss, source.n_tokens);
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
  auto report = [&] {
    const InterruptGuard interrupt;
    std::optional<ProgressBar> bar(std::in_place);
    TrainingLine line;
    options.progress = bar->callback(interrupt);
    options.on_step = [&](const offline::TrainingProgress& progress) {
      bar.reset();  // of reading, which is over
      line.update(progress);
      return interrupt.token().cancelled() ? elms::Flow::kStop : elms::Flow::kContinue;
    };
    return offline::train_model(options);
  }();
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
  if (options.n_steps == 0 && options.minutes == 0.0) {
    throw CLI::ValidationError("--steps", "give --steps, --minutes or both");
  }
  if (options.checkpoint.empty() && (options.resume || options.checkpoint_every > 0)) {
    throw CLI::ValidationError("--checkpoint", "--resume and --checkpoint-every need it");
  }
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
  command.add_option("--steps", options.n_steps, "Steps of the whole training")->option_text("N");
  command.add_option("--minutes", options.minutes, "Or how long it may take, resumed runs together")
      ->check(CLI::Range(0.0, 1e7))
      ->option_text("M");
  command.add_option("--batch-rows", options.batch_rows, "Rows of a batch")
      ->check(CLI::Range(1, 65536))
      ->option_text("N [16]");
  command.add_option("--length", options.length, "Tokens of a row")
      ->check(CLI::Range(2, 1 << 20))
      ->option_text("N [512]");
  command.add_option("--accumulate", options.accumulate, "Batches of a step")
      ->check(CLI::Range(1, 65536))
      ->option_text("N [1]");
  add_balance(command, "--balance", arguments.balance);
  command.add_flag("--recompute", options.recompute_activations, "Use less memory and more time");
  command.add_option("--lr", options.learning_rate, "Learning rate at its peak")
      ->check(CLI::Range(0.0, 10.0))
      ->option_text("X [3e-3]");
  command.add_option("--min-lr-share", options.min_rate_share, "Share of it that is left at the end")
      ->check(CLI::Range(0.0, 1.0))
      ->option_text("X [0.1]");
  command.add_option("--warmup", options.warmup_steps, "Steps in which it rises")->option_text("N [100]");
  command.add_option("--weight-decay", options.weight_decay, "AdamW's, of matrices")
      ->check(CLI::Range(0.0, 10.0))
      ->option_text("X [0.1]");
  command.add_option("--clip", options.clip_norm, "Greatest norm of a gradient; 0: any")
      ->check(CLI::Range(0.0, 1e9))
      ->option_text("X [1.0]");
  command.add_option("--seed", options.seed, "Of new weights and of the order of rows")->option_text("N [1]");
}

void add_watch_options(CLI::App& command, TrainArguments& arguments) {
  offline::TrainingOptions& options = arguments.options;
  command
      .add_option("--valid-fraction", options.valid_fraction,
                  "Share of each file's rows that only measure the loss")
      ->check(CLI::Range(0.0, 0.9))
      ->option_text("X [0.005]");
  command.add_option("--valid-every", options.valid_every, "Steps between measurements; 0: only at the end")
      ->option_text("N [500]");
  command.add_option("--valid-rows", options.valid_rows, "Rows to measure at most, of each file")
      ->option_text("N [64]");
  command
      .add_option("--checkpoint", options.checkpoint,
                  "File to go on from; also written at the end and on Ctrl-C")
      ->option_text("FILE");
  command.add_option("--checkpoint-every", options.checkpoint_every, "Steps between checkpoints")
      ->option_text("N");
  command.add_flag("--resume", options.resume, "Go on from the checkpoint");
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
