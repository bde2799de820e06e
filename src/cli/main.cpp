#include <cstdio>
#include <exception>
#include <string>

#include "cli/commands.hpp"

namespace {

int exit_code(const elms::Status& status) {
  if (status.ok()) return 0;
  std::fprintf(stderr, "elms: %s\n", status.message().c_str());
  return status.code() == elms::StatusCode::kCancelled ? elms_cli::kExitCancelled : elms_cli::kExitFailure;
}

int run(int argc, char** argv) {
  CLI::App app("Makes language models elastic: one file, any width from a fifth to all of it, on a CPU.",
               "elms");
  app.require_subcommand(0, 1);  // none at all is answered below
  app.set_version_flag("--version", ELMS_VERSION);
  app.footer("`elms COMMAND --help` tells more and shows an example.");
  elms_cli::Action action;
  elms_cli::add_info(app, action);
  elms_cli::add_elasticize(app, action);
  elms_cli::add_recover(app, action);
  elms_cli::add_run(app, action);
  elms_cli::add_refine(app, action);
  elms_cli::add_decide(app, action);
  elms_cli::add_eval(app, action);
  elms_cli::add_extract(app, action);
  elms_cli::add_synth(app, action);
  elms_cli::add_train(app, action);
  elms_cli::add_vocab(app, action);
  elms_cli::add_bench(app, action);
  elms_cli::add_pack(app, action);
  elms_cli::add_convert(app, action);
  elms_cli::add_tasks(app, action);
  elms_cli::add_calibrate(app, action);
  elms_cli::add_plan(app, action);
  elms_cli::add_serve_repl(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& parse_error) {  // --help is one of these too, with code 0
    return app.exit(parse_error) == 0 ? 0 : elms_cli::kExitUsage;
  }
  if (!action) {
    std::fprintf(stderr, "%s", app.help().c_str());
    return elms_cli::kExitUsage;
  }
  return exit_code(action());
}

}  // namespace

int main(int argc, char** argv) {
  // The libraries return errors; what can still throw is the standard library without memory, and argument
  // parsing.
  try {
    return run(argc, argv);
  } catch (const std::exception& exception) {
    std::fprintf(stderr, "elms: %s\n", exception.what());
    return elms_cli::kExitFailure;
  }
}
