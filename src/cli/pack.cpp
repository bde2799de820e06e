// elms pack: the pack cache of a model, so that it opens without packing.
#include "elms/pack.hpp"

#include <chrono>
#include <string>

#include "cli/arguments.hpp"
#include "cli/commands.hpp"
#include "cli/console.hpp"

namespace elms_cli {
namespace {

struct PackArguments {
  std::string model, output;
  std::size_t threads = 0;
  bool json = false;
};

elms::Result<elms::PackReport> pack_with_progress(const PackArguments& arguments) {
  const InterruptGuard interrupt;
  ProgressBar bar;
  elms::PackOptions options;
  ELMS_ASSIGN_OR_RETURN(options.pool, elms::ThreadPool::create(arguments.threads));
  options.on_progress = [show = bar.callback(interrupt)](double fraction) {
    return show({"pack", fraction});
  };
  return elms::pack_model(arguments.model, arguments.output, options);
}

elms::Status pack(const PackArguments& arguments) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  ELMS_ASSIGN_OR_RETURN(const elms::PackReport report, pack_with_progress(arguments));
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  if (arguments.json) {
    print_json({{"model", arguments.model},
                {"output", report.path},
                {"isa", report.isa},
                {"bytes", report.file_bytes},
                {"seconds", seconds}});
    return {};
  }
  std::printf("%s: packed for %s, %s\n", report.path.c_str(), report.isa.c_str(),
              readable_bytes(report.file_bytes).c_str());
  return {};
}

}  // namespace

void add_pack(CLI::App& app, Action& action) {
  auto arguments = std::make_shared<PackArguments>();
  CLI::App& command = *app.add_subcommand("pack", "Write a model's pack cache, for this machine's kernels");
  add_model(command, arguments->model);
  command
      .add_option("-o,--output", arguments->output,
                  "File to write (default: MODEL.<isa>.elmspack, where it is found)")
      ->option_text("FILE");
  add_threads(command, arguments->threads);
  add_json(command, arguments->json);
  command.footer(
      "Example:\n"
      "  elms pack assistant.elastic.gguf\n"
      "The model then opens without packing: the cache is mapped, checked, and used in place. One that no "
      "longer fits the\n"
      "model or the kernels is ignored; run the command again to renew it.");
  bind(command, arguments, pack, action);
}

}  // namespace elms_cli
