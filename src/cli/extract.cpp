// elms extract: one level of an elastic model as an ordinary model.
#include <string>

#include "cli/arguments.hpp"
#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "elms/detail/level_table.hpp"
#include "elms/offline/elasticize.hpp"

namespace elms_cli {
namespace {

using elms::detail::ModelSource;

struct ExtractArguments {
  std::string input, output;
  WidthChoice choice;
  std::size_t threads = 0;
  bool merge = false;
  bool json = false;
};

struct Chosen {
  int level = 0;
  double cost_share = 1.0;
};

elms::Result<Chosen> choose(const ExtractArguments& arguments) {
  ELMS_ASSIGN_OR_RETURN(const std::unique_ptr<const ModelSource> source, ModelSource::open(arguments.input));
  ELMS_ASSIGN_OR_RETURN(const elms::detail::LevelTable table, elms::detail::load_levels(*source, false));
  ELMS_ASSIGN_OR_RETURN(const int level, resolve(arguments.choice, table.levels));
  return Chosen{level, table.levels[static_cast<std::size_t>(level)].cost_share};
}

elms::Status extract(const ExtractArguments& arguments) {
  ELMS_ASSIGN_OR_RETURN(const Chosen chosen, choose(arguments));
  {
    ELMS_ASSIGN_OR_RETURN(const auto pool, elms::ThreadPool::create(arguments.threads));
    const InterruptGuard interrupt;
    ProgressBar bar;
    ELMS_RETURN_IF_ERROR(elms::offline::extract(
        arguments.input, chosen.level, arguments.output, bar.callback(interrupt), pool,
        arguments.merge ? elms::offline::AdapterUse::kMerge : elms::offline::AdapterUse::kIgnore));
  }
  ELMS_ASSIGN_OR_RETURN(const std::unique_ptr<const ModelSource> written,
                        ModelSource::open(arguments.output));
  if (arguments.json) {
    print_json({{"input", arguments.input},
                {"output", arguments.output},
                {"level", chosen.level},
                {"cost_share", chosen.cost_share},
                {"architecture", written->config().architecture},
                {"bytes", written->file_bytes()}});
    return {};
  }
  std::printf("%s: level %d (cost %.3f) as a plain %s model, %s\n", arguments.output.c_str(), chosen.level,
              chosen.cost_share, written->config().architecture.c_str(),
              readable_bytes(written->file_bytes()).c_str());
  return {};
}

}  // namespace

void add_extract(CLI::App& app, Action& action) {
  auto arguments = std::make_shared<ExtractArguments>();
  CLI::App& command = *app.add_subcommand("extract", "Write one level of an elastic model as a plain GGUF");
  add_model(command, arguments->input);
  command.add_option("-o,--output", arguments->output, "GGUF file to write")->required()->option_text("FILE");
  add_width_choice(command, arguments->choice);
  command.add_flag("--merge", arguments->merge,
                   "Make the level's adapter (see elms recover) part of the weights");
  add_threads(command, arguments->threads);
  add_json(command, arguments->json);
  command.footer("Example:\n  elms extract assistant.elastic.gguf --width 0.5 -o assistant-half.gguf");
  bind(command, arguments, extract, action);
}

}  // namespace elms_cli
