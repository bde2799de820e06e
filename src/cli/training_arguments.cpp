#include "cli/training_arguments.hpp"

#include <cstdio>

namespace elms_cli {

namespace offline = elms::offline;

namespace {

/// "N [16]".
template <typename T>
std::string with_default(const char* name, T value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", static_cast<double>(value));
  return std::string(name) + " [" + text + "]";
}

Json source_losses_json(const offline::TrainingReport& report) {
  Json sources = Json::array();
  for (const offline::SourceLoss& source : report.valid_by_source) {
    sources.push_back({{"path", source.path}, {"loss", source.loss}, {"tokens", source.n_tokens}});
  }
  return sources;
}

}  // namespace

void add_course_options(CLI::App& command, offline::TrainingOptions& options) {
  command.add_option("--steps", options.n_steps, "Steps of the whole training")->option_text("N");
  command.add_option("--minutes", options.minutes, "Or how long it may take, resumed runs together")
      ->check(CLI::Range(0.0, 1e7))
      ->option_text("M");
  command.add_option("--batch-rows", options.batch_rows, "Rows of a batch")
      ->check(CLI::Range(1, 65536))
      ->option_text(with_default("N", options.batch_rows));
  command.add_option("--length", options.length, "Tokens of a row")
      ->check(CLI::Range(2, 1 << 20))
      ->option_text(with_default("N", options.length));
  command.add_option("--lr", options.learning_rate, "Learning rate at its peak")
      ->check(CLI::Range(0.0, 10.0))
      ->option_text(with_default("X", options.learning_rate));
  command.add_option("--min-lr-share", options.min_rate_share, "Share of it that is left at the end")
      ->check(CLI::Range(0.0, 1.0))
      ->option_text(with_default("X", options.min_rate_share));
  command.add_option("--warmup", options.warmup_steps, "Steps in which it rises")
      ->option_text(with_default("N", options.warmup_steps));
  command.add_option("--weight-decay", options.weight_decay, "AdamW's, of matrices")
      ->check(CLI::Range(0.0, 10.0))
      ->option_text(with_default("X", options.weight_decay));
  command.add_option("--seed", options.seed, "Of new weights and of the order of rows")
      ->option_text(with_default("N", options.seed));
}

void add_checkpoint_options(CLI::App& command, offline::TrainingOptions& options) {
  command.add_option("--valid-every", options.valid_every, "Steps between measurements; 0: only at the end")
      ->option_text(with_default("N", options.valid_every));
  command
      .add_option("--checkpoint", options.checkpoint,
                  "File to go on from; also written at the end and on Ctrl-C")
      ->option_text("FILE");
  command.add_option("--checkpoint-every", options.checkpoint_every, "Steps between checkpoints")
      ->option_text("N");
  command.add_flag("--resume", options.resume, "Go on from the checkpoint");
}

void check_course(const offline::TrainingOptions& options) {
  if (options.n_steps == 0 && options.minutes == 0.0) {
    throw CLI::ValidationError("--steps", "give --steps, --minutes or both");
  }
  if (options.checkpoint.empty() && (options.resume || options.checkpoint_every > 0)) {
    throw CLI::ValidationError("--checkpoint", "--resume and --checkpoint-every need it");
  }
}

Json training_json(const offline::TrainingReport& report, const std::string& output) {
  return {{"output", output},
          {"bytes_written", report.bytes_written},
          {"parameters", report.n_parameters},
          {"steps", report.n_steps},
          {"tokens", report.n_tokens},
          {"data_tokens", report.data_tokens},
          {"seconds", report.seconds},
          {"tokens_per_second", report.tokens_per_second},
          {"train_loss", final_loss(report)},
          {"valid_loss", report.valid.empty() ? Json() : Json(report.valid.back().loss)},
          {"valid_by_source", source_losses_json(report)},
          {"train", points_json(thinned(report.train, 500))},
          {"valid", points_json(report.valid)}};
}

void print_training(const offline::TrainingReport& report, const std::string& output) {
  const double times = report.data_tokens == 0
                           ? 0.0
                           : static_cast<double>(report.n_tokens) / static_cast<double>(report.data_tokens);
  std::printf(
      "%s: %s parameters, %s, after %llu steps (%s tokens, %.2f times the data) in %s, %.0f tokens/s\n",
      output.c_str(), readable_count(report.n_parameters).c_str(),
      readable_bytes(report.bytes_written).c_str(), static_cast<unsigned long long>(report.n_steps),
      readable_count(report.n_tokens).c_str(), times, readable_seconds(report.seconds).c_str(),
      report.tokens_per_second);
  std::printf("training loss %.4f", final_loss(report));
  if (!report.valid.empty()) std::printf(", validation loss %.4f", report.valid.back().loss);
  std::printf("\n");
  for (const offline::SourceLoss& source : report.valid_by_source) {
    std::printf("  %s: %.4f over %zu tokens\n", source.path.c_str(), source.loss, source.n_tokens);
  }
}

}  // namespace elms_cli
