// elms serve-repl: a chat in the terminal, with what each answer was planned to take and took.
#include <cmath>
#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#if defined(_WIN32)
#include <io.h>
#else
#include <unistd.h>
#endif

#include "cli/arguments.hpp"
#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "cli/profile_choice.hpp"
#include "elms/service.hpp"

namespace elms_cli {
namespace {

struct ReplOptions {
  std::string model, refiner, profile, system;
  elms::Slo slo;
  elms::ServiceOptions service;
  std::int32_t max_tokens = 256;
  float temperature = 0.0f;
  std::uint64_t seed = 0;
  std::size_t threads = 0;
};

constexpr const char* kReplHelp =
    "/slo TTFT TPOT   targets in milliseconds from now on; - for none\n"
    "/file PATH       a text to answer from, for the next question; a refiner may shorten it\n"
    "/reset           forget the conversation\n"
    "/help            this\n"
    "/quit            end, as the end of input does\n"
    "Ctrl-C stops an answer.\n";

bool stdin_is_terminal() {
#if defined(_WIN32)
  return _isatty(_fileno(stdin)) != 0;
#else
  return isatty(STDIN_FILENO) != 0;
#endif
}

std::string of_target(double measured_ms, double predicted_ms, double target_ms) {
  std::string text = fixed(measured_ms, 1) + " ms (predicted " + fixed(predicted_ms, 1);
  if (std::isfinite(target_ms)) text += ", target " + fixed(target_ms, 1);
  return text + ")";
}

std::string words_of(const elms::Answer& answer) {
  const elms::Plan& plan = answer.plan;
  std::string line = "[width " + fixed(plan.width, 2) + ", keep " + fixed(plan.keep_ratio, 2) +
                     (plan.feasible ? "" : ", infeasible") + " | TTFT " +
                     of_target(answer.times.ttft_ms, plan.ttft_ms, plan.slo.ttft_ms) + " | TPOT " +
                     of_target(answer.times.tpot_ms, plan.tpot_ms, plan.slo.tpot_ms) + " | prompt " +
                     std::to_string(answer.n_prompt_tokens) + ", reused " +
                     std::to_string(answer.n_reused_tokens) + ", answer " +
                     std::to_string(answer.tokens.size()) + " tokens";
  if (!answer.level_changes.empty())
    line += ", " + std::to_string(answer.level_changes.size()) + " changes of level";
  return line + " | " + elms::to_string(answer.finish) + "]";
}

/// What was said, as the model is to see it. Without a chat template the prompt is the text itself, line
/// after line.
class Conversation {
 public:
  Conversation(std::string system, bool has_template)
      : system_(std::move(system)), has_template_(has_template) {
    reset();
  }

  void reset() {
    messages_.clear();
    pending_.clear();
    if (!system_.empty()) messages_.push_back(elms::ChatMessage::system(system_));
  }
  void add_file(std::string text) { pending_.push_back(elms::Segment::compress(std::move(text) + "\n")); }
  void ask(std::string line) {
    elms::ChatMessage message{"user", std::move(pending_)};
    pending_.clear();
    message.content.push_back(elms::Segment::protect(std::move(line), elms::SegmentRole::kQuestion));
    messages_.push_back(std::move(message));
  }
  /// An answer without text leaves no turn: the question goes too.
  void answered(const std::string& text) {
    if (text.empty()) {
      messages_.pop_back();
    } else {
      messages_.push_back(elms::ChatMessage::assistant(text));
    }
  }
  void fill(elms::ServiceRequest& request) const {
    if (has_template_) {
      request.messages = messages_;
      return;
    }
    for (const elms::ChatMessage& message : messages_) {
      request.prompt.insert(request.prompt.end(), message.content.begin(), message.content.end());
      if (&message != &messages_.back()) request.prompt.push_back(elms::Segment::protect("\n"));
    }
  }

 private:
  std::string system_;
  bool has_template_;
  std::vector<elms::ChatMessage> messages_;
  std::vector<elms::Segment> pending_;
};

class Repl {
 public:
  Repl(const ReplOptions& options, elms::ElasticService& service, bool has_template)
      : options_(options), service_(service), conversation_(options.system, has_template) {}

  elms::Status run() {
    const bool interactive = stdin_is_terminal();
    std::string line;
    while (true) {
      if (interactive) std::fprintf(stderr, "> ");
      if (!std::getline(std::cin, line)) break;
      if (line.ends_with('\r')) line.pop_back();
      if (line.empty()) continue;
      if (line == "/quit") break;
      if (line.front() == '/') {
        obey(line);
      } else {
        answer(line);
      }
    }
    return {};
  }

 private:
  void obey(const std::string& line) {
    std::istringstream words(line);
    std::string command, first, second;
    words >> command >> first >> second;
    if (command == "/reset") {
      conversation_.reset();
    } else if (command == "/slo" && set_target(first, slo_.ttft_ms) && set_target(second, slo_.tpot_ms)) {
      std::fprintf(stderr, "[targets: TTFT %s ms, TPOT %s ms]\n", first.c_str(), second.c_str());
    } else if (command == "/file" && !first.empty()) {
      auto text = read_text(line.substr(line.find(first)));
      if (text.has_value()) {
        conversation_.add_file(std::move(*text));
      } else {
        std::fprintf(stderr, "elms: %s\n", text.error().message().c_str());
      }
    } else {
      std::fputs(kReplHelp, stderr);
    }
  }

  static bool set_target(const std::string& word, double& target_ms) {
    if (word == "-") {
      target_ms = std::numeric_limits<double>::infinity();
      return true;
    }
    char* end = nullptr;
    const double value = std::strtod(word.c_str(), &end);
    if (word.empty() || *end != '\0' || !(value > 0.0)) return false;
    target_ms = value;
    return true;
  }

  void answer(const std::string& line) {
    conversation_.ask(line);
    elms::ServiceRequest request;
    conversation_.fill(request);
    request.slo = slo_;
    request.max_tokens = options_.max_tokens;
    request.sampling.temperature = options_.temperature;
    request.sampling.seed = options_.seed;
    request.on_text = [](std::string_view piece) {
      std::fwrite(piece.data(), 1, piece.size(), stdout);
      std::fflush(stdout);
      return elms::Flow::kContinue;
    };
    const InterruptGuard interrupt;
    request.cancel = &interrupt.token();
    const auto answer = service_.generate(request);
    if (!answer.has_value()) {
      std::fprintf(stderr, "elms: %s\n", answer.error().message().c_str());
      conversation_.answered("");
      return;
    }
    std::printf("\n");
    std::fflush(stdout);
    if (!answer->status.ok()) std::fprintf(stderr, "elms: %s\n", answer->status.message().c_str());
    std::fprintf(stderr, "%s\n", words_of(*answer).c_str());
    conversation_.answered(answer->text);
  }

  const ReplOptions& options_;
  elms::ElasticService& service_;
  Conversation conversation_;
  elms::Slo slo_ = options_.slo;
};

elms::Status run_repl(const ReplOptions& options) {
  elms::ServiceOptions service_options = options.service;
  ELMS_ASSIGN_OR_RETURN(service_options.model, open_model(options.model, options.threads));
  elms::PlannerOptions planner;
  planner.kv_type = service_options.kv_type;
  ELMS_ASSIGN_OR_RETURN(planner.profile, find_profile(*service_options.model, options.profile));
  ELMS_ASSIGN_OR_RETURN(service_options.planner,
                        elms::SLOPlanner::create(service_options.model, std::move(planner)));
  if (!options.refiner.empty()) {
    elms::PromptRefinerOptions refiner;
    refiner.pool = service_options.model->pool();
    ELMS_ASSIGN_OR_RETURN(service_options.refiner, elms::PromptRefiner::open(options.refiner, refiner));
  }
  service_options.n_sessions = 1;
  ELMS_ASSIGN_OR_RETURN(const auto tokenizer, service_options.model->tokenizer());
  const auto chat = elms::ChatTemplate::create(*tokenizer);
  if (!chat.has_value())
    std::fprintf(stderr, "elms: %s; prompts are plain text\n", chat.error().message().c_str());
  ELMS_ASSIGN_OR_RETURN(const auto service, elms::ElasticService::create(std::move(service_options)));
  return Repl(options, *service, chat.has_value()).run();
}

}  // namespace

void add_serve_repl(CLI::App& app, Action& action) {
  auto options = std::make_shared<ReplOptions>();
  CLI::App& command =
      *app.add_subcommand("serve-repl", "Chat in the terminal, with each answer's times beside its targets");
  add_model(command, options->model);
  command.add_option("--refiner", options->refiner, "A refiner, which may shorten texts given with /file")
      ->option_text("FILE");
  command.add_option("--ttft", options->slo.ttft_ms, "Target: milliseconds to the first token")
      ->check(CLI::PositiveNumber)
      ->option_text("MS");
  command.add_option("--tpot", options->slo.tpot_ms, "Target: milliseconds a token after it")
      ->check(CLI::PositiveNumber)
      ->option_text("MS");
  command
      .add_option("--profile", options->profile,
                  "What `elms calibrate` saved (default: beside the model, if there)")
      ->option_text("FILE");
  command.add_option("--system", options->system, "The system message")->option_text("TEXT");
  command.add_option("-n,--max-tokens", options->max_tokens, "Tokens of an answer at most")
      ->check(CLI::PositiveNumber)
      ->option_text("N [256]");
  command
      .add_option("--ctx", options->service.context_tokens,
                  "Tokens that fit into the KV cache (default: as trained)")
      ->check(CLI::Range(1, 1 << 30))
      ->option_text("N");
  command.add_option("--temp,--temperature", options->temperature, "0 is greedy")
      ->check(CLI::Range(0.0f, 100.0f))
      ->option_text("T [0]");
  command.add_option("--seed", options->seed, "The same seed draws the same tokens")->option_text("N [0]");
  add_kv(command, options->service.kv_type);
  add_threads(command, options->threads);
  command.footer(
      "Commands in the chat: /slo /file /reset /help /quit\nExample:\n  elms serve-repl "
      "assistant.elastic.gguf --ttft 300 --tpot 40");
  bind(command, options, &run_repl, action);
}

}  // namespace elms_cli
