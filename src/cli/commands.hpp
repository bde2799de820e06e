// The command line tool `elms`: one file or folder for each subcommand; what several need is in the files
// beside them.
//
// stdout carries results only (text, a table, or JSON with --json); everything else goes to stderr. Exit
// codes: 0, 1 when the work failed, 2 for a command line that cannot work, 130 when Ctrl-C stopped it.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <utility>

#include "elms/status.hpp"

namespace elms_cli {

inline constexpr int kExitFailure = 1, kExitUsage = 2, kExitCancelled = 130;

/// What the chosen subcommand does, set while the command line is parsed and called afterwards.
using Action = std::function<elms::Status()>;

void add_info(CLI::App& app, Action& action);
void add_elasticize(CLI::App& app, Action& action);
void add_convert(CLI::App& app, Action& action);
void add_pack(CLI::App& app, Action& action);
void add_recover(CLI::App& app, Action& action);
void add_refine(CLI::App& app, Action& action);
void add_decide(CLI::App& app, Action& action);
void add_run(CLI::App& app, Action& action);
void add_eval(CLI::App& app, Action& action);
void add_extract(CLI::App& app, Action& action);
void add_synth(CLI::App& app, Action& action);
void add_train(CLI::App& app, Action& action);
void add_train_refiner(CLI::App& train, Action& action);
void add_vocab(CLI::App& app, Action& action);
void add_bench(CLI::App& app, Action& action);
void add_tasks(CLI::App& app, Action& action);
void add_calibrate(CLI::App& app, Action& action);
void add_plan(CLI::App& app, Action& action);
void add_serve_repl(CLI::App& app, Action& action);
/// Below `elms eval`.
void add_eval_compare(CLI::App& eval, Action& action);
void add_eval_narrowing(CLI::App& eval, Action& action);
void add_eval_quality(CLI::App& eval, Action& action);
void add_eval_refiner_labels(CLI::App& eval, Action& action);
void add_eval_refiner(CLI::App& eval, Action& action);
void add_eval_refiner_tasks(CLI::App& eval, Action& action);
void add_eval_slo(CLI::App& eval, Action& action);
void add_eval_task(CLI::App& eval, Action& action);

/// Makes `run` with the options as parsed the action when `command` is the one that was chosen.
template <typename Options>
void bind(CLI::App& command, std::shared_ptr<Options> options, elms::Status (*run)(const Options&),
          Action& action) {
  command.callback(
      [options = std::move(options), run, &action] { action = [options, run] { return run(*options); }; });
}

}  // namespace elms_cli
