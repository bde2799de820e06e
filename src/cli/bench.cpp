// elms bench: speed at every level, beside what the machine can do at best.
#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "cli/arguments.hpp"
#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "cli/machine.hpp"
#include "elms/session.hpp"

namespace elms_cli {
namespace {

using Clock = std::chrono::steady_clock;

struct BenchArguments {
  std::string model;
  std::vector<double> widths;
  std::int32_t prefill_tokens = 512, decode_tokens = 64, repeats = 5;
  std::size_t threads = 0;
  bool switch_only = false;
  bool json = false;
};

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// Times of repeated runs.
struct Samples {
  std::vector<double> seconds;

  [[nodiscard]] double median() const {
    std::vector<double> sorted = seconds;
    std::sort(sorted.begin(), sorted.end());
    const std::size_t n = sorted.size();
    return n % 2 == 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0;
  }
  /// Slowest minus fastest, over the median.
  [[nodiscard]] double spread() const {
    const auto [low, high] = std::minmax_element(seconds.begin(), seconds.end());
    return (*high - *low) / median();
  }
};

struct LevelTimes {
  double width = 1.0;
  int level = 0;
  Samples prefill, decode;
};

/// Runs a session the same way again and again.
class SessionTimer {
 public:
  SessionTimer(elms::Session& session, const BenchArguments& arguments) : session_(session), arguments_(arguments) {
    // Any tokens will do; these are spread over the vocabulary, so that rows of the embedding are not in the cache.
    const auto n_vocab = static_cast<std::uint64_t>(session.model().config().n_vocab);
    for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(arguments.prefill_tokens); ++i) {
      tokens_.push_back(static_cast<elms::TokenId>((i * 2654435761u + 7) % n_vocab));
    }
  }

  elms::Result<double> prefill() {
    session_.reset();
    const Clock::time_point start = Clock::now();
    ELMS_RETURN_IF_ERROR(session_.prefill(tokens_));
    return seconds_since(start);
  }

  /// From an almost empty context, as llama.cpp's benches do.
  elms::Result<double> decode() {
    session_.reset();
    ELMS_RETURN_IF_ERROR(session_.prefill(std::span(tokens_).first(1)));
    ELMS_RETURN_IF_ERROR(session_.decode().error());  // samples only: its forward pass is done
    const Clock::time_point start = Clock::now();
    for (std::int32_t i = 0; i < arguments_.decode_tokens; ++i) ELMS_RETURN_IF_ERROR(session_.decode().error());
    return seconds_since(start);
  }

 private:
  elms::Session& session_;
  const BenchArguments& arguments_;
  std::vector<elms::TokenId> tokens_;
};

/// Repeats go round all levels in turn, so that a slow moment of the machine does not fall on one of them.
elms::Result<std::vector<LevelTimes>> time_levels(elms::Session& session, const BenchArguments& arguments,
                                                  ProgressBar& bar) {
  const elms::ElasticModel& model = session.model();
  std::vector<LevelTimes> levels;
  for (const double width : arguments.widths) levels.push_back({width, model.level_for_width(width), {}, {}});
  if (arguments.widths.empty()) {
    for (std::size_t i = 0; i < model.levels().size(); ++i) {
      levels.push_back({model.levels()[i].cost_share, static_cast<int>(i), {}, {}});
    }
  }
  SessionTimer timer(session, arguments);
  ELMS_RETURN_IF_ERROR(timer.decode().error());  // to warm up
  double done = 0.0;
  const double total = static_cast<double>(arguments.repeats) * static_cast<double>(levels.size());
  for (std::int32_t run = 0; run < arguments.repeats; ++run) {
    for (LevelTimes& level : levels) {
      ELMS_RETURN_IF_ERROR(session.set_level(level.level));
      ELMS_ASSIGN_OR_RETURN(const double prefill, timer.prefill());
      ELMS_ASSIGN_OR_RETURN(const double decode, timer.decode());
      level.prefill.seconds.push_back(prefill);
      level.decode.seconds.push_back(decode);
      bar.update({"bench", ++done / total});
    }
  }
  return levels;
}

/// Median time of Session::set_width, the narrowest and the widest level in turn, reading the clock included.
double switch_nanoseconds(elms::Session& session) {
  constexpr int kSwitches = 20001;
  const double widths[] = {session.model().levels().front().cost_share, 1.0};
  std::vector<double> samples;
  samples.reserve(kSwitches);
  for (int i = 0; i < kSwitches; ++i) {
    const Clock::time_point start = Clock::now();
    session.set_width(widths[i % 2]);
    samples.push_back(seconds_since(start) * 1e9);
  }
  std::nth_element(samples.begin(), samples.begin() + kSwitches / 2, samples.end());
  return samples[kSwitches / 2];
}

/// Multiplications and additions with weights to prefill n tokens; attention itself is left out. Only the last token
/// needs the output head.
double prefill_operations(const elms::ModelConfig& config, const elms::Level& level, std::int32_t n_tokens) {
  double weights = 0.0;
  for (const elms::LayerShape& layer : level.layers) {
    weights += 2.0 * config.head_dim * (layer.q_heads + layer.kv_heads) + 3.0 * layer.ff;
  }
  return 2.0 * config.d_model * (weights * n_tokens + config.n_vocab);
}

struct Report {
  std::shared_ptr<const elms::ElasticModel> model;
  double open_ms = 0.0;
  double switch_ns = 0.0;
  std::uint64_t peak_rss = 0, kv_bytes = 0;
  MachineLimits limits;
  std::vector<LevelTimes> levels;
};

/// One line of the result, derived from the times.
struct Rates {
  double prefill_tok_s, prefill_gops, decode_tok_s, decode_gb_s;

  Rates(const Report& report, const LevelTimes& times, const BenchArguments& arguments) {
    const elms::Level& level = report.model->levels()[static_cast<std::size_t>(times.level)];
    prefill_tok_s = arguments.prefill_tokens / times.prefill.median();
    prefill_gops = prefill_operations(report.model->config(), level, arguments.prefill_tokens) / times.prefill.median() / 1e9;
    decode_tok_s = arguments.decode_tokens / times.decode.median();
    decode_gb_s = static_cast<double>(level.bytes_per_token) * decode_tok_s / 1e9;
  }
};

void print_report_json(const Report& report, const BenchArguments& arguments) {
  Json results = Json::array();
  for (const LevelTimes& times : report.levels) {
    const Rates rates(report, times, arguments);
    results.push_back({{"width", times.width},
                       {"level", times.level},
                       {"cost_share", report.model->levels()[static_cast<std::size_t>(times.level)].cost_share},
                       {"prefill_tokens", arguments.prefill_tokens},
                       {"prefill_tok_s", rates.prefill_tok_s},
                       {"prefill_gops", rates.prefill_gops},
                       {"decode_tokens", arguments.decode_tokens},
                       {"decode_tok_s", rates.decode_tok_s},
                       {"decode_gb_s", rates.decode_gb_s},
                       {"spread", {{"prefill", times.prefill.spread()}, {"decode", times.decode.spread()}}}});
  }
  print_json({{"model", arguments.model},
              {"threads", report.model->pool()->n_threads()},
              {"isa", report.model->isa()},
              {"limits",
               {{"read_gb_s", report.limits.read_gb_s},
                {"int8_gops", report.limits.int8_gops},
                {"f32_gflops", report.limits.f32_gflops},
                {"isa", report.limits.isa}}},
              {"open_ms", report.open_ms},
              {"peak_rss_bytes", report.peak_rss},
              {"packed_bytes", report.model->packed_bytes()},
              {"kv_bytes", report.kv_bytes},
              {"switch_ns", report.switch_ns},
              {"repeats", arguments.repeats},
              {"results", std::move(results)}});
}

void print_report(const Report& report, const BenchArguments& arguments) {
  const MachineLimits& limits = report.limits;
  std::printf("%s: %s kernels, %zu threads, opened in %.0f ms\n", arguments.model.c_str(), report.model->isa(),
              report.model->pool()->n_threads(), report.open_ms);
  std::printf("memory: %s at most, of which packed weights %s, KV cache %s\n", readable_bytes(report.peak_rss).c_str(),
              readable_bytes(report.model->packed_bytes()).c_str(), readable_bytes(report.kv_bytes).c_str());
  std::printf("machine limits (%s): read %.1f GB/s, int8 %.0f GOPS, f32 %.0f GFLOPS\n", limits.isa, limits.read_gb_s,
              limits.int8_gops, limits.f32_gflops);
  std::printf("switching the width: %.0f ns\n\n", report.switch_ns);
  Table table({"level", "cost", "prefill tok/s", "GOPS", "spread", "decode tok/s", "GB/s", "of limit", "spread"});
  const auto percent = [](double share) { return fixed(100.0 * share, 0) + "%"; };
  for (const LevelTimes& times : report.levels) {
    const Rates rates(report, times, arguments);
    table.add({std::to_string(times.level),
               fixed(report.model->levels()[static_cast<std::size_t>(times.level)].cost_share, 3),
               fixed(rates.prefill_tok_s, 1), fixed(rates.prefill_gops, 1), percent(times.prefill.spread()),
               fixed(rates.decode_tok_s, 1), fixed(rates.decode_gb_s, 2), percent(rates.decode_gb_s / limits.read_gb_s),
               percent(times.decode.spread())});
  }
  table.print();
}

elms::Status bench(const BenchArguments& arguments) {
  Report report;
  const Clock::time_point start = Clock::now();
  ELMS_ASSIGN_OR_RETURN(report.model, open_model(arguments.model, arguments.threads, /*uniform_levels_if_none=*/true));
  report.open_ms = seconds_since(start) * 1e3;
  elms::SessionOptions options;
  options.context_tokens = std::max(arguments.prefill_tokens, arguments.decode_tokens + 1);
  ELMS_ASSIGN_OR_RETURN(elms::Session session, elms::Session::create(report.model, options));
  report.kv_bytes = session.kv_bytes();
  report.switch_ns = switch_nanoseconds(session);
  if (arguments.switch_only) {
    if (arguments.json) {
      print_json({{"model", arguments.model}, {"levels", report.model->levels().size()}, {"switch_ns", report.switch_ns}});
    } else {
      std::printf("switching the width: %.0f ns (median)\n", report.switch_ns);
    }
    return {};
  }
  {
    const InterruptGuard interrupt;
    ProgressBar bar;
    session.set_cancel(&interrupt.token());
    ELMS_ASSIGN_OR_RETURN(report.levels, time_levels(session, arguments, bar));
    session.set_cancel(nullptr);
  }
  report.peak_rss = peak_rss_bytes();  // before measuring the machine, which takes memory of its own
  ELMS_ASSIGN_OR_RETURN(report.limits, measure_limits(*report.model->pool()));
  if (arguments.json) {
    print_report_json(report, arguments);
  } else {
    print_report(report, arguments);
  }
  return {};
}

}  // namespace

void add_bench(CLI::App& app, Action& action) {
  auto arguments = std::make_shared<BenchArguments>();
  CLI::App& command = *app.add_subcommand("bench", "Measure speed at every level, beside the machine's own limits");
  add_model(command, arguments->model);
  add_threads(command, arguments->threads);
  command.add_option("-p,--prefill", arguments->prefill_tokens, "Tokens of the prompt")
      ->check(CLI::Range(1, 1 << 20))
      ->option_text("N [512]");
  command.add_option("-n,--decode", arguments->decode_tokens, "Tokens to generate")
      ->check(CLI::Range(1, 1 << 20))
      ->option_text("N [64]");
  command.add_option("--repeat", arguments->repeats, "Runs of each, of which the median is shown")
      ->check(CLI::Range(1, 1000))
      ->option_text("N [5]");
  add_widths(command, "--widths", arguments->widths, "Widths to measure at (default: every level)");
  command.add_flag("--switch", arguments->switch_only, "Measure only how long changing the width takes");
  add_json(command, arguments->json);
  command.footer(
      "A model without levels gets uniform ones.\n"
      "Example:\n  elms bench assistant.elastic.gguf -t 2 -p 128 --widths 0.3,0.5,1.0");
  bind(command, arguments, bench, action);
}

}  // namespace elms_cli
