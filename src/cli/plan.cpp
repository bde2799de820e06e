// elms plan: which width and keep ratio a request would be served with, and why.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "cli/arguments.hpp"
#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "cli/profile_choice.hpp"
#include "elms/slo_planner.hpp"

namespace elms_cli {
namespace {

struct PlanArguments {
  std::string model, profile;
  std::int32_t prompt_tokens = 0, protected_tokens = 0;
  elms::PlanRequest request;
  double ttft_share = 0.0, tpot_share = 0.0;
  std::size_t threads = 0;
  elms::KvType kv = elms::KvType::kF16;
  bool no_refiner = false;
  bool json = false;
};

std::string words_of_ms(double ms) {
  if (!std::isfinite(ms)) return "-";
  return fixed(ms, ms < 10.0 ? 3 : ms < 100.0 ? 1 : 0);
}

Json number_or_null(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

Json strategy_json(const elms::Strategy& strategy) {
  return {{"width", strategy.width},
          {"level", strategy.level},
          {"keep_ratio", strategy.keep_ratio},
          {"reuse_cache", strategy.reuse_cache},
          {"predicted_ttft_ms", strategy.ttft_ms},
          {"ttft_margin_ms", strategy.ttft_margin_ms},
          {"predicted_tpot_ms", strategy.tpot_ms},
          {"tpot_margin_ms", strategy.tpot_margin_ms},
          {"expected_quality", strategy.expected_quality},
          {"prefill_tokens", strategy.n_prefill_tokens},
          {"reused_tokens", strategy.n_reused_tokens},
          {"verdict", elms::to_string(strategy.verdict)}};
}

Json plan_json(const elms::Plan& plan, const std::string& note, std::size_t n_alternatives) {
  Json json = strategy_json(plan);
  json["feasible"] = plan.feasible;
  json["accepted"] = plan.accepted;
  json["ttft_target_ms"] = number_or_null(plan.slo.ttft_ms);
  json["tpot_target_ms"] = number_or_null(plan.slo.tpot_ms);
  json["reason"] = plan.reason;
  json["predictions"] = note;
  Json others = Json::array();
  for (std::size_t i = 0; i < std::min(n_alternatives, plan.alternatives.size()); ++i)
    others.push_back(strategy_json(plan.alternatives[i]));
  json["alternatives"] = std::move(others);
  return json;
}

std::vector<std::string> strategy_row(const elms::Strategy& strategy) {
  return {fixed(strategy.width, 2),
          fixed(strategy.keep_ratio, 2),
          strategy.n_reused_tokens > 0 ? std::to_string(strategy.n_reused_tokens) : "-",
          std::to_string(strategy.n_prefill_tokens),
          words_of_ms(strategy.ttft_ms) + " + " + words_of_ms(strategy.ttft_margin_ms),
          words_of_ms(strategy.tpot_ms) + " + " + words_of_ms(strategy.tpot_margin_ms),
          fixed(strategy.expected_quality, 3),
          elms::to_string(strategy.verdict)};
}

void print_plan(const elms::Plan& plan, const std::string& note) {
  std::printf("%s\n\npredictions: %s\n\n", plan.reason.c_str(), note.c_str());
  Table table(
      {"width", "keep", "cached", "computed", "TTFT ms + margin", "TPOT ms + margin", "quality", "verdict"});
  table.add(strategy_row(plan));
  for (const elms::Strategy& strategy : plan.alternatives) table.add(strategy_row(strategy));
  table.print();
}

elms::Status run_plan(const PlanArguments& arguments) {
  ELMS_ASSIGN_OR_RETURN(const auto model, open_model(arguments.model, arguments.threads, true));
  elms::PlannerOptions options;
  options.kv_type = arguments.kv;
  ELMS_ASSIGN_OR_RETURN(options.profile, find_profile(*model, arguments.profile));
  ELMS_ASSIGN_OR_RETURN(const auto planner, elms::SLOPlanner::create(model, std::move(options)));
  elms::PlanRequest request = arguments.request;
  request.n_protected_tokens = std::min(arguments.protected_tokens, arguments.prompt_tokens);
  request.n_compressible_tokens = arguments.prompt_tokens - request.n_protected_tokens;
  request.may_refine = !arguments.no_refiner;
  request.n_alternatives = std::size_t{1} << 20;
  if (arguments.ttft_share > 0.0 || arguments.tpot_share > 0.0) {
    const auto share = [](double given) { return given > 0.0 ? given : 1.0; };
    request.shares = elms::SloShares{share(arguments.ttft_share), share(arguments.tpot_share)};
  }
  const elms::Plan plan = planner->plan(request);
  if (arguments.json) {
    print_json(plan_json(plan, planner->profile_note(), 8));
  } else {
    print_plan(plan, planner->profile_note());
  }
  return {};
}

void add_request(CLI::App& command, PlanArguments& arguments) {
  elms::PlanRequest& request = arguments.request;
  command.add_option("--prompt-tokens", arguments.prompt_tokens, "Tokens of the whole prompt")
      ->required()
      ->check(CLI::Range(1, 1 << 24))
      ->option_text("N");
  command.add_option("--protected", arguments.protected_tokens, "Those of them that are never cut")
      ->check(CLI::Range(0, 1 << 24))
      ->option_text("N [0]");
  command.add_option("--cached", request.n_cached_tokens, "Prompt tokens that the cache holds, a prefix")
      ->check(CLI::Range(0, 1 << 24))
      ->option_text("N [0]");
  command
      .add_option("--cached-compressible", request.n_cached_compressible_tokens,
                  "Those of the cached ones that may be cut")
      ->check(CLI::Range(0, 1 << 24))
      ->option_text("N [0]");
  command.add_option("--new-tokens", request.n_output_tokens, "Tokens of the answer")
      ->check(CLI::Range(1, 1 << 24))
      ->option_text("N [64]");
  CLI::Option* ttft =
      command.add_option("--ttft", request.slo.ttft_ms, "Target: milliseconds to the first token")
          ->check(CLI::PositiveNumber)
          ->option_text("MS");
  CLI::Option* tpot =
      command.add_option("--tpot", request.slo.tpot_ms, "Target: milliseconds a token after it")
          ->check(CLI::PositiveNumber)
          ->option_text("MS");
  command.add_option("--ttft-share", arguments.ttft_share, "Instead: as a share of the full model's time")
      ->check(width_validator())
      ->option_text("SHARE")
      ->excludes(ttft)
      ->excludes(tpot);
  command.add_option("--tpot-share", arguments.tpot_share, "Likewise")
      ->check(width_validator())
      ->option_text("SHARE")
      ->excludes(ttft)
      ->excludes(tpot);
  command.add_option("--confidence", request.confidence, "Wanted chance that a time with its margin is kept")
      ->check(CLI::Range(0.5, 0.9999))
      ->option_text("P [0.99]");
  static const std::map<std::string, elms::InfeasiblePolicy> kPolicies = {
      {"reject", elms::InfeasiblePolicy::kReject}, {"best_effort", elms::InfeasiblePolicy::kBestEffort}};
  command.add_option("--policy", request.policy, "Where nothing fits: reject, or best_effort")
      ->transform(CLI::CheckedTransformer(kPolicies, CLI::ignore_case).description(""))
      ->option_text("reject|best_effort [reject]");
}

}  // namespace

void add_plan(CLI::App& app, Action& action) {
  auto arguments = std::make_shared<PlanArguments>();
  CLI::App& command = *app.add_subcommand(
      "plan", "Show with which width and keep ratio a request meets its targets, and why");
  add_model(command, arguments->model);
  command
      .add_option("--profile", arguments->profile,
                  "What elms calibrate wrote (default: what --save put beside the model; else a few tokens "
                  "are timed)")
      ->option_text("FILE.json");
  add_request(command, *arguments);
  command.add_flag("--no-refiner", arguments->no_refiner, "Only the whole prompt");
  add_kv(command, arguments->kv);
  add_threads(command, arguments->threads);
  add_json(command, arguments->json);
  command.footer(
      "Example:\n"
      "  elms plan assistant.elastic.gguf --prompt-tokens 400 --protected 60 --new-tokens 32 --ttft 300 "
      "--tpot 40");
  bind(command, arguments, run_plan, action);
}

}  // namespace elms_cli
