// elms recover: gives the levels of an elastic model back some of the quality that cutting cost them.
#include <chrono>
#include <cstdio>
#include <ctime>
#include <string>

#include "cli/arguments.hpp"
#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "cli/level_report.hpp"
#include "elms/offline/recovery.hpp"

namespace elms_cli {
namespace {

namespace offline = elms::offline;

struct RecoverArguments {
  std::string input, output;
  std::string method = "lora", bias_reference = "block", balance = "tokens";
  offline::RecoveryOptions options;
  bool no_ffn_bias = false, no_attention_bias = false;
  std::size_t threads = 0;
  bool json = false;
};

struct Spent {
  double seconds = 0.0, cpu_seconds = 0.0;
};

void print_report(const RecoverArguments& arguments, const offline::RecoveryReport& report,
                  const Spent& spent) {
  if (arguments.json) {
    Json json = {{"input", arguments.input},
                 {"output", arguments.output},
                 {"method", arguments.method},
                 {"seconds", spent.seconds},
                 {"cpu_seconds", spent.cpu_seconds}};
    json.update(recovery_json(report));
    print_json(json);
    return;
  }
  std::printf("%s: %zu levels recovered by %s", arguments.output.c_str(), report.levels.size(),
              arguments.method.c_str());
  if (report.n_steps > 0) {
    std::printf(" in %llu steps (%s tokens)", static_cast<unsigned long long>(report.n_steps),
                readable_count(report.n_tokens).c_str());
  }
  if (report.adapter_bytes > 0) std::printf(", adapters of %s", readable_bytes(report.adapter_bytes).c_str());
  std::printf(", %.1f s, %.1f CPU-seconds\n\n", spent.seconds, spent.cpu_seconds);
  print_recovery(report);
}

elms::Status recover(const RecoverArguments& arguments) {
  offline::RecoveryOptions options = arguments.options;
  options.method = offline::parse_recovery_method(arguments.method).value_or(options.method);
  options.bias_reference = arguments.bias_reference == "model" ? offline::BiasReference::kFullModel
                                                               : offline::BiasReference::kFullBlock;
  options.balance = loss_balance_named(arguments.balance);
  options.attention_bias = !arguments.no_attention_bias;
  options.ffn_bias = !arguments.no_ffn_bias;
  ELMS_ASSIGN_OR_RETURN(options.pool, elms::ThreadPool::create(arguments.threads));
  const auto start = std::chrono::steady_clock::now();
  const std::clock_t cpu_start = std::clock();
  auto report = [&] {
    const InterruptGuard interrupt;
    ProgressBar bar;
    options.progress = bar.callback(interrupt);
    return offline::recover(arguments.input, arguments.output, options);
  }();
  if (!report.has_value()) return report.error();
  const Spent spent{std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(),
                    static_cast<double>(std::clock() - cpu_start) / CLOCKS_PER_SEC};
  print_report(arguments, *report, spent);
  return {};
}

void check(const RecoverArguments& arguments) {
  if (arguments.method != "bias" && arguments.options.n_steps == 0 && arguments.options.minutes == 0.0) {
    throw CLI::ValidationError("--steps", "give --steps, --minutes or both");
  }
}

void add_method_options(CLI::App& command, RecoverArguments& arguments) {
  offline::RecoveryOptions& options = arguments.options;
  command
      .add_option("--method", arguments.method,
                  "bias: closed form; lora: low-rank updates of each level; nested: the weights of all "
                  "levels together")
      ->check(CLI::IsMember({"bias", "lora", "nested"}))
      ->option_text("METHOD [lora]");
  command.add_flag_callback(
      "--nested", [&arguments] { arguments.method = "nested"; }, "Short for --method nested");
  command
      .add_option("--levels", options.levels, "Levels to recover, by index (default: all but the full one)")
      ->delimiter(',')
      ->option_text("L,...");
  command.add_option("--rank", options.rank, "lora: rank of the updates")
      ->check(CLI::Range(1, 1024))
      ->option_text("R [8]");
  command.add_option("--alpha", options.alpha, "lora: updates count alpha / rank times")
      ->check(CLI::PositiveNumber)
      ->option_text("A [16]");
  command
      .add_option("--targets", options.targets,
                  "lora: matrices with updates, as attn_q,ffn_down (default: all seven)")
      ->delimiter(',')
      ->option_text("NAME,...");
  command.add_flag("--biases", options.train_biases, "lora: train biases of the blocks too");
  add_cross_entropy(command, "--ce", options.cross_entropy_weight);
  command.add_flag("--no-attention-bias", arguments.no_attention_bias, "No biases of attention's output");
  command.add_flag("--no-ffn-bias", arguments.no_ffn_bias, "No biases of the FFN");
  command
      .add_option(
          "--bias-reference", arguments.bias_reference,
          "bias: match the mean of the full block on the level's input (block), or of the full model (model)")
      ->check(CLI::IsMember({"block", "model"}))
      ->option_text("WHAT [block]");
  command.add_option("--bias-tokens", options.bias_tokens, "bias: tokens to take means over")
      ->check(CLI::Range(2, 1 << 30))
      ->option_text("N [8192]");
  command
      .add_option("--random-levels", options.random_levels,
                  "nested: levels of a step beside the full and the narrowest one")
      ->check(CLI::Range(0, 256))
      ->option_text("N [2]");
}

void add_run_options(CLI::App& command, RecoverArguments& arguments) {
  offline::RecoveryOptions& options = arguments.options;
  command.add_option("--steps", options.n_steps, "Batches to train on")->option_text("N");
  command.add_option("--minutes", options.minutes, "Time to train for")
      ->check(CLI::PositiveNumber)
      ->option_text("M");
  command
      .add_option("--lr", options.learning_rate,
                  "Peak of the learning rate (default: 2e-3 for lora, 3e-4 for nested)")
      ->check(CLI::PositiveNumber)
      ->option_text("RATE");
  CLI::Option* checkpoint = command
                                .add_option("--checkpoint", options.checkpoint,
                                            "File to go on from; also written on Ctrl-C, removed at the end")
                                ->option_text("FILE");
  command.add_option("--checkpoint-every", options.checkpoint_every, "Steps between checkpoints")
      ->needs(checkpoint)
      ->option_text("N");
  command.add_flag("--resume", options.resume, "Go on from the checkpoint")->needs(checkpoint);
  command.add_option("--length", options.length, "Tokens of a row")
      ->check(CLI::Range(2, 1 << 20))
      ->option_text("N [256]");
  command.add_option("--batch-rows", options.batch_rows, "Rows of a batch")
      ->check(CLI::Range(1, 1 << 16))
      ->option_text("N [8]");
  add_balance(command, "--balance", arguments.balance);
  command.add_option("--seed", options.seed, "Of the order of the data and the first updates")
      ->option_text("N [1]");
}

}  // namespace

void add_recover(CLI::App& app, Action& action) {
  auto arguments = std::make_shared<RecoverArguments>();
  CLI::App& command =
      *app.add_subcommand("recover", "Train the levels of an elastic model to be closer to the full one");
  add_model(command, arguments->input);
  command
      .add_option("-o,--output", arguments->output, "GGUF file to write; adapters of levels lie beside it")
      ->required()
      ->option_text("FILE");
  command.add_option("--data", arguments->options.data, "Texts and .jsonl files with their weights")
      ->required()
      ->option_text("FILE:WEIGHT,...");
  add_method_options(command, *arguments);
  add_run_options(command, *arguments);
  add_threads(command, arguments->threads);
  add_json(command, arguments->json);
  command.footer(
      "Example:\n  elms recover assistant.elastic.gguf -o assistant.recovered.gguf --data wiki.txt --minutes "
      "20");
  command.callback([arguments, &action] {
    check(*arguments);
    action = [arguments] { return recover(*arguments); };
  });
}

}  // namespace elms_cli
