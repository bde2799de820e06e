// elms bench: speed at every level, beside what the machine can do at best.
#include <filesystem>

#include "cli/arguments.hpp"
#include "cli/bench/report.hpp"
#include "cli/commands.hpp"

namespace elms_cli {
namespace {

constexpr std::size_t kMostPrompts = 4;  // each is a line of the plot

/// Found out before minutes of measuring rather than after them.
elms::Status check_plot(const std::string& path) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::error_code ignored;
  if (path.empty() || folder.empty() || std::filesystem::is_directory(folder, ignored)) return {};
  return elms::detail::error(elms::StatusCode::kNotFound, path, ": there is no folder ", folder.string());
}

void print_switch(const BenchOptions& options, std::size_t n_levels, double nanoseconds) {
  if (options.json) {
    print_json({{"model", options.model}, {"levels", n_levels}, {"switch_ns", nanoseconds}});
  } else {
    std::printf("switching the width: %.0f ns (median)\n", nanoseconds);
  }
}

elms::Status measure(elms::Session& session, BenchReport& report) {
  const InterruptGuard interrupt;
  ProgressBar bar;
  session.set_cancel(&interrupt.token());
  ELMS_ASSIGN_OR_RETURN(report.levels, time_levels(session, report.options, report.limits, bar));
  ELMS_ASSIGN_OR_RETURN(report.profiles, profile_ops(session, report.options, bar));
  session.set_cancel(nullptr);
  return {};
}

elms::Status bench(const BenchOptions& options) {
  ELMS_RETURN_IF_ERROR(check_plot(options.plot));
  ELMS_ASSIGN_OR_RETURN(Opened opened, open_to_first_token(options));
  const double switch_ns = switch_nanoseconds(opened.session);
  if (options.switch_only) {
    print_switch(options, opened.model->levels().size(), switch_ns);
    return {};
  }
  // The longest prompt at full width warms up, and takes all the memory that a session needs; measuring the
  // machine takes memory of its own.
  opened.session.reset();
  opened.session.set_width(1.0);
  ELMS_RETURN_IF_ERROR(opened.session.prefill(bench_tokens(*opened.model, options.longest_prompt())));
  const std::uint64_t prefill_peak_rss = peak_rss_bytes();
  ELMS_ASSIGN_OR_RETURN(LimitsMeter limits, LimitsMeter::create(*opened.model->pool()));
  BenchReport report{.options = options, .model = opened.model, .limits = std::move(limits)};
  report.open_ms = opened.open_ms;
  report.first_token_ms = opened.first_token_ms;
  report.cpus = opened.cpus;
  report.switch_ns = switch_ns;
  report.peak_rss = opened.peak_rss;
  report.prefill_peak_rss = prefill_peak_rss;
  report.kv_bytes = opened.session.kv_bytes();
  ELMS_RETURN_IF_ERROR(measure(opened.session, report));
  options.json ? print_bench_json(report) : print_bench_tables(report);
  return options.plot.empty() ? elms::Status() : write_bench_plot(report);
}

}  // namespace

void add_bench(CLI::App& app, Action& action) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App& command =
      *app.add_subcommand("bench", "Measure speed at every level, beside the machine's own limits");
  add_model(command, options->model);
  add_kv(command, options->kv);
  add_threads(command, options->threads);
  const CLI::Range tokens(1, 1 << 20);
  command.add_option("-p,--prefill", options->prefill_tokens, "Tokens of the prompt; up to four lengths")
      ->delimiter(',')
      ->check(tokens)
      ->allow_extra_args(false)
      ->option_text("N,N,... [512]");
  command.add_option("-n,--decode", options->decode_tokens, "Tokens to generate")
      ->check(tokens)
      ->option_text("N [64]");
  command.add_option("--context", options->context, "Tokens in the cache when a decode step is profiled")
      ->check(tokens)
      ->option_text("N [longest prompt]");
  command.add_option("--repeat", options->repeats, "Runs of each, of which the median is shown")
      ->check(CLI::Range(1, 1000))
      ->option_text("N [5]");
  add_widths(command, "--widths", options->widths, "Widths to measure at (default: every level)");
  command.add_option("--plot", options->plot, "Write an SVG of the time against the width")
      ->option_text("FILE");
  command.add_flag("--pin", options->pin, "Bind each thread to a core of its own, fastest first");
  command.add_flag("--switch", options->switch_only, "Measure only how long changing the width takes");
  add_json(command, options->json);
  command.footer(
      "A model without levels gets uniform ones.\n"
      "Example:\n  elms bench assistant.elastic.gguf -t 2 -p 128,512 --context 2048 --plot time.svg");
  bind(command, options, bench, action);
  command.parse_complete_callback([options] {
    if (options->prefill_tokens.size() > kMostPrompts) {
      throw CLI::ValidationError("--prefill", "at most " + std::to_string(kMostPrompts) + " lengths");
    }
  });
}

}  // namespace elms_cli
