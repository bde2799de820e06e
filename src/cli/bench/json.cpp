#include <algorithm>

#include "cli/arguments.hpp"
#include "cli/bench/report.hpp"

namespace elms_cli {
namespace {

/// Adds a limit's keys: `name` on all threads, `name`_1_thread, and both spreads.
void add_limit(Json& json, Json& spread, const std::string& name, const Limit& limit) {
  json[name] = limit.all.median();
  json[name + "_1_thread"] = limit.one.median();
  spread[name] = limit.all.spread();
  spread[name + "_1_thread"] = limit.one.spread();
}

Json limits_json(const LimitsMeter& limits) {
  Json json, spread;
  const ArithmeticLimit& best = limits.best();
  add_limit(json, spread, "read_gb_s", limits.read());
  add_limit(json, spread, "int8_gops", best.int8);
  add_limit(json, spread, "f32_gflops", best.f32);
  json["isa"] = best.loops->isa;
  if (const ArithmeticLimit* maddubs = limits.maddubs(); maddubs != nullptr) {
    add_limit(json, spread, "int8_maddubs_gops", maddubs->int8);
    add_limit(json, spread, "f32_avx2_gflops", maddubs->f32);
  }
  json["samples"] = limits.read().all.values.size();
  json["spread"] = std::move(spread);
  return json;
}

Json prefill_json(const PhaseFigures& figures) {
  Json json = {{"tokens", figures.tokens},
               {"tok_s", figures.tok_s},
               {"gops", figures.rate},
               {"share", figures.share},
               {"best_share", figures.best_share}};
  if (figures.maddubs_share > 0.0) json["maddubs_share"] = figures.maddubs_share;
  json["time_ratio"] = figures.time_ratio;
  json["excess"] = figures.excess;
  json["spread"] = figures.spread;
  return json;
}

Json level_json(const BenchReport& report, const LevelTimes& times) {
  const std::vector<std::int32_t>& prompts = report.options.prefill_tokens;
  const std::size_t longest =
      static_cast<std::size_t>(std::max_element(prompts.begin(), prompts.end()) - prompts.begin());
  const PhaseFigures prefill = prefill_figures(report, times, longest),
                     decode = decode_figures(report, times);
  Json each = Json::array();
  for (std::size_t i = 0; i < prompts.size(); ++i)
    each.push_back(prefill_json(prefill_figures(report, times, i)));
  Json json = {{"width", times.width},
               {"level", times.level},
               {"cost_share", report.level(times).cost_share},
               {"prefill_tokens", prefill.tokens},
               {"prefill_tok_s", prefill.tok_s},
               {"prefill_gops", prefill.rate},
               {"prefill_share", prefill.share},
               {"prefill_best_share", prefill.best_share}};
  if (prefill.maddubs_share > 0.0) json["prefill_maddubs_share"] = prefill.maddubs_share;
  json["prefill_excess"] = prefill.excess;
  json["decode_tokens"] = decode.tokens;
  json["decode_tok_s"] = decode.tok_s;
  json["decode_gb_s"] = decode.rate;
  json["decode_share"] = decode.share;
  json["decode_best_share"] = decode.best_share;
  json["decode_time_ratio"] = decode.time_ratio;
  json["decode_excess"] = decode.excess;
  if (const auto added = adapter_added(times); added.has_value()) json["decode_adapter_added"] = *added;
  json["spread"] = {{"prefill", prefill.spread}, {"decode", decode.spread}};
  json["prefill"] = std::move(each);
  return json;
}

Json profile_json(const OpProfile& profile) {
  Json ops;
  for (std::size_t i = 0; i < elms::kOpCount; ++i) {
    Json& op = ops[elms::op_name(static_cast<elms::Op>(i))];
    op = {{"ms", profile.op_ms[i]}, {"share", profile.op_ms[i] / profile.ms}};
    if (profile.op_rate[i] > 0.0) op[profile.tokens > 1 ? "gops" : "gb_s"] = profile.op_rate[i];
  }
  ops["other"] = {{"ms", profile.other_ms}, {"share", profile.other_ms / profile.ms}};
  return {
      {"tokens", profile.tokens}, {"context", profile.context}, {"ms", profile.ms}, {"ops", std::move(ops)}};
}

}  // namespace

void print_bench_json(const BenchReport& report) {
  const elms::ElasticModel& model = *report.model;
  Json results = Json::array();
  for (const LevelTimes& times : report.levels) results.push_back(level_json(report, times));
  print_json({{"model", report.options.model},
              {"threads", model.pool()->n_threads()},
              {"isa", model.isa()},
              {"kv", name_of(report.options.kv)},
              {"limits", limits_json(report.limits)},
              {"open_ms", report.open_ms},
              {"cpus", report.cpus},
              {"first_token_ms", report.first_token_ms},
              {"peak_rss_bytes", report.peak_rss},
              {"prefill_peak_rss_bytes", report.prefill_peak_rss},
              {"file_bytes", model.file_bytes()},
              {"packed_bytes", model.packed_bytes()},
              {"kv_bytes", report.kv_bytes},
              {"peak_rss_ratio", report.peak_rss_ratio()},
              {"switch_ns", report.switch_ns},
              {"repeats", report.options.repeats},
              {"prefill_limit", report.computes_in_bytes() ? "int8" : "f32"},
              {"results", std::move(results)},
              {"profile",
               {{"prefill", profile_json(report.profiles.prefill)},
                {"decode", profile_json(report.profiles.decode)}}}});
}

}  // namespace elms_cli
