// elms run: continues a prompt.
#include <algorithm>
#include <string>
#include <vector>

#include "cli/arguments.hpp"
#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "elms/generate.hpp"
#include "elms/sampler.hpp"
#include "elms/session.hpp"

namespace elms_cli {
namespace {

elms::SamplerOptions greedy() {
  elms::SamplerOptions options;
  options.temperature = 0.0f;
  return options;
}

struct RunOptions {
  std::string model, prompt, prompt_file;
  WidthChoice choice;
  std::int32_t max_tokens = 128;
  std::int32_t context = 0;
  elms::KvType kv = elms::KvType::kF16;
  std::size_t threads = 0;
  std::size_t top_logprobs = 0;
  std::vector<std::string> stop;
  elms::SamplerOptions sampler = greedy();
  bool json = false;
};

/// The session as generate_from() sees it, which notes the best candidates of every step on the way.
class RecordingSource {
 public:
  RecordingSource(elms::Session& session, std::size_t n_best) : session_(session), n_best_(n_best) {}

  elms::Status prefill(std::span<const elms::TokenId> tokens) { return session_.prefill(tokens); }

  elms::Result<elms::TokenId> decode() {
    elms::Result<elms::TokenId> token = session_.decode();
    if (n_best_ > 0 && token.has_value())
      steps_.push_back(elms::top_probabilities(session_.logits(), n_best_));
    return token;
  }

  [[nodiscard]] Json json() const {
    Json steps = Json::array();
    for (const auto& step : steps_) {
      Json candidates = Json::array();
      for (const auto& [token, probability] : step) candidates.push_back({{"id", token}, {"p", probability}});
      steps.push_back(std::move(candidates));
    }
    return steps;
  }

 private:
  elms::Session& session_;
  std::size_t n_best_;
  std::vector<std::vector<elms::TokenProbability>> steps_;
};

elms::Result<std::string> prompt_text(const RunOptions& options) {
  if (options.prompt_file.empty()) return options.prompt;
  return read_text(options.prompt_file);
}

/// Room for the prompt and the answer, as far as the model was trained for.
elms::Result<std::int32_t> context_tokens(const RunOptions& options, const elms::ModelConfig& config,
                                          std::size_t n_prompt) {
  const std::size_t trained = static_cast<std::size_t>(config.context_length);
  const std::size_t limit = options.context > 0 ? static_cast<std::size_t>(options.context) : trained;
  if (n_prompt > limit) {
    return elms::detail::error(elms::StatusCode::kOutOfContext, "the prompt has ", n_prompt,
                               " tokens, the context ", limit);
  }
  const std::size_t wanted = n_prompt + static_cast<std::size_t>(options.max_tokens);
  return static_cast<std::int32_t>(options.context > 0 ? limit
                                                       : std::max<std::size_t>(1, std::min(wanted, limit)));
}

struct Outcome {
  elms::Generated generated;
  std::vector<elms::TokenId> prompt;
  int level = 0;
  double cost_share = 1.0;
  std::uint64_t bytes_per_token = 0;
  std::size_t kv_bytes = 0;
  Json top;
};

elms::Result<Outcome> generate(const RunOptions& options, std::shared_ptr<const elms::ElasticModel> model) {
  Outcome outcome;
  ELMS_ASSIGN_OR_RETURN(const std::shared_ptr<const elms::Tokenizer> tokenizer, model->tokenizer());
  ELMS_ASSIGN_OR_RETURN(outcome.level, resolve(options.choice, model->levels()));
  const elms::Level& level = model->levels()[static_cast<std::size_t>(outcome.level)];
  outcome.cost_share = level.cost_share;
  outcome.bytes_per_token = level.bytes_per_token;
  ELMS_ASSIGN_OR_RETURN(const std::string text, prompt_text(options));
  outcome.prompt = tokenizer->encode(text);
  if (outcome.prompt.empty())
    return elms::detail::invalid_argument("the prompt is empty, and this model starts with no token");

  elms::SessionOptions session_options;
  ELMS_ASSIGN_OR_RETURN(session_options.context_tokens,
                        context_tokens(options, model->config(), outcome.prompt.size()));
  session_options.kv_type = options.kv;
  ELMS_ASSIGN_OR_RETURN(elms::Session session, elms::Session::create(model, session_options));
  ELMS_RETURN_IF_ERROR(session.set_level(outcome.level));
  ELMS_ASSIGN_OR_RETURN(elms::Sampler sampler,
                        elms::Sampler::create(options.sampler, model->config().n_vocab));
  outcome.kv_bytes = session.kv_bytes();
  session.set_sampler(std::move(sampler));

  const InterruptGuard interrupt;
  elms::GenerateOptions generate_options;
  generate_options.max_tokens = options.max_tokens;
  generate_options.stop = options.stop;
  generate_options.cancel = &interrupt.token();
  if (!options.json) {
    generate_options.on_text = [](std::string_view piece) {
      std::fwrite(piece.data(), 1, piece.size(), stdout);
      std::fflush(stdout);
      return elms::Flow::kContinue;
    };
  }
  session.set_cancel(&interrupt.token());
  RecordingSource source(session, options.top_logprobs);
  ELMS_ASSIGN_OR_RETURN(outcome.generated,
                        elms::detail::generate_from(source, *tokenizer, outcome.prompt, generate_options));
  outcome.top = source.json();
  return outcome;
}

void print_outcome(const RunOptions& options, const elms::ElasticModel& model, const Outcome& outcome) {
  const elms::Generated& generated = outcome.generated;
  Json json = {
      {"model", options.model},
      {"isa", model.isa()},
      {"threads", model.pool()->n_threads()},
      {"prompt_tokens", outcome.prompt.size()},
      {"prompt_token_ids", outcome.prompt},
      {"tokens", generated.tokens},
      {"text", generated.text},
      {"finish_reason", elms::to_string(generated.finish)},
      {"width_requested", options.choice.width.has_value() ? Json(*options.choice.width) : Json(nullptr)},
      {"width_used", outcome.cost_share},
      {"level", outcome.level},
      {"cost_share", outcome.cost_share},
      {"bytes_per_token", outcome.bytes_per_token},
      {"kv", name_of(options.kv)},
      {"kv_bytes", outcome.kv_bytes},
      {"ttft_ms", generated.ttft_ms},
      {"tpot_ms", generated.tpot_ms}};
  if (options.top_logprobs > 0) json["top"] = outcome.top;
  print_json(json);
}

void print_summary(const RunOptions& options, const Outcome& outcome) {
  const elms::Generated& generated = outcome.generated;
  std::printf("\n");
  std::fflush(stdout);
  std::fprintf(stderr,
               "[%zu + %zu tokens, %s | level %d, cost %.3f | %s | first token %.1f ms, then %.2f ms each]\n",
               outcome.prompt.size(), generated.tokens.size(),
               options.sampler.temperature == 0.0f ? "greedy" : "sampled", outcome.level, outcome.cost_share,
               elms::to_string(generated.finish), generated.ttft_ms, generated.tpot_ms);
}

elms::Status run(const RunOptions& options) {
  ELMS_ASSIGN_OR_RETURN(const auto model, open_model(options.model, options.threads));
  ELMS_ASSIGN_OR_RETURN(const Outcome outcome, generate(options, model));
  if (options.json) {
    print_outcome(options, *model, outcome);
  } else {
    print_summary(options, outcome);
  }
  if (outcome.generated.finish != elms::FinishReason::kCancelled) return {};
  return elms::Status(elms::StatusCode::kCancelled, "interrupted");
}

void add_sampling(CLI::App& command, RunOptions& options) {
  elms::SamplerOptions& sampler = options.sampler;
  const auto option = [&](const char* name, auto& value, const char* description, const char* hint) {
    return command.add_option(name, value, description)->option_text(hint)->group("Sampling");
  };
  option("--temp,--temperature", sampler.temperature,
         "0 is greedy: always the best token; higher is more varied", "T [0]")
      ->check(CLI::Range(0.0f, 100.0f));
  option("--top-k", sampler.top_k, "Draw from the K best tokens only; 0: from all", "K [40]")
      ->check(CLI::NonNegativeNumber);
  option("--top-p", sampler.top_p, "Draw from the fewest tokens that have this probability together",
         "P [0.95]")
      ->check(CLI::Range(0.0f, 1.0f));
  option("--min-p", sampler.min_p, "Drop tokens less likely than this share of the best", "P [0.05]")
      ->check(CLI::Range(0.0f, 1.0f));
  option("--repeat-penalty", sampler.repetition_penalty, "Above 1 makes recent tokens less likely", "F [1]")
      ->check(CLI::PositiveNumber);
  option("--seed", sampler.seed, "The same seed draws the same tokens", "N [0]");
  option("--stop", options.stop, "End before this text; may be given several times", "TEXT")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

}  // namespace

void add_run(CLI::App& app, Action& action) {
  auto options = std::make_shared<RunOptions>();
  CLI::App& command = *app.add_subcommand("run", "Continue a prompt, greedily unless a temperature is given");
  add_model(command, options->model);
  CLI::Option* prompt =
      command.add_option("-p,--prompt", options->prompt, "Text to continue")->option_text("TEXT");
  CLI::Option* file =
      command.add_option("--prompt-file", options->prompt_file, "The same from a file; - is standard input")
          ->option_text("FILE");
  prompt->excludes(file);
  add_width_choice(command, options->choice);
  command.add_option("-n,--max-tokens", options->max_tokens, "Tokens to generate at most")
      ->check(CLI::NonNegativeNumber)
      ->option_text("N [128]");
  command
      .add_option("--ctx", options->context,
                  "Tokens that fit into the KV cache (default: what prompt and -n need)")
      ->check(CLI::Range(1, 1 << 30))
      ->option_text("N");
  add_kv(command, options->kv);
  command
      .add_option("--top-logprobs", options->top_logprobs,
                  "With --json: probabilities of the N best candidates at every generated token")
      ->option_text("N");
  add_sampling(command, *options);
  add_threads(command, options->threads);
  add_json(command, options->json);
  command.footer("Example:\n  elms run assistant.elastic.gguf --prompt 'Once upon a time' --width 0.5 -n 64");
  command.callback([options, prompt, file, &action] {
    if (prompt->count() + file->count() == 0) throw CLI::RequiredError("--prompt or --prompt-file");
    action = [options] { return run(*options); };
  });
}

}  // namespace elms_cli
