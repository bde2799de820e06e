// An assistant on a phone picks the function that a request asks for, at four levels of hurry:
//   mobile_agent MODEL.gguf REFINER.gguf [SECONDS [REQUEST]]   seconds to calibrate, 3 if not said
#include <cstdio>
#include <cstdlib>
#include <elms/elms.hpp>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

/// Names, which stay, and what is said about them, which may lose words where time is short.
constexpr std::pair<std::string_view, std::string_view> kFunctions[] = {
    {"get_weather", "tell the forecast for a place"},
    {"alarm", "set a clock to ring at a time"},
    {"play_music", "start a song or an album"},
    {"directions", "show the way to a place"},
    {"book_restaurant", "reserve a table for some people"},
    {"make_call", "ring someone on the phone"},
    {"balance", "tell how much money is in the account"},
    {"iot_hue_lightup", "switch the lamps on"},
};
constexpr const char* kRequests[] = {"will it rain in oslo this weekend", "play the new album by radiohead",
                                     "get us a table for four at an italian place tonight"};
constexpr std::pair<const char*, elms::SloShares> kTargets[] = {
    {"relaxed", {1.0, 1.0}}, {"brisk", {0.7, 0.75}}, {"tight", {0.5, 0.6}}, {"urgent", {0.35, 0.4}}};

int report(const elms::Status& status) {
  std::fprintf(stderr, "mobile_agent: %s: %s\n", elms::to_string(status.code()), status.message().c_str());
  return 1;
}

std::vector<elms::Segment> prompt_for(const std::string& request) {
  std::vector<elms::Segment> prompt = {
      elms::Segment::protect("Choose the function that fits the request.\n", elms::SegmentRole::kSystem)};
  for (const auto& [name, description] : kFunctions) {
    prompt.push_back(elms::Segment::protect(std::string(name) + ":"));
    prompt.push_back(elms::Segment::compress(" " + std::string(description) + "\n"));
  }
  prompt.push_back(
      elms::Segment::protect("Request: " + request + "\nFunction:", elms::SegmentRole::kQuestion));
  return prompt;
}

/// The listed function that the answer names: a model may say anything, and a narrow one goes on after the
/// name.
std::string function_of(std::string answer) {
  answer.erase(0, answer.find_first_not_of(' '));
  for (const auto& function : kFunctions) {
    if (answer.starts_with(function.first))
      return std::string(function.first) + (answer == function.first ? "" : "  (said: " + answer + ")");
  }
  return "none  (said: " + answer + ")";
}

/// How fast model and refiner are here. An app keeps it in a file: DeviceProfile::save() and load().
elms::Result<elms::DeviceProfile> calibrate(const std::shared_ptr<const elms::ElasticModel>& model,
                                            const std::shared_ptr<const elms::PromptRefiner>& refiner,
                                            double seconds) {
  elms::CalibrationOptions options;
  options.seconds = seconds;
  options.max_tokens = 256;
  options.refine = elms::refiner_timing(refiner);
  auto calibration = elms::calibrate(model, options);
  if (!calibration.has_value()) return calibration.error();
  return calibration->profile;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: mobile_agent MODEL.gguf REFINER.gguf [SECONDS [REQUEST]]\n");
    return 2;
  }
  auto model = elms::ElasticModel::open(argv[1]);
  if (!model.has_value()) return report(model.error());
  auto refiner = elms::PromptRefiner::open(argv[2], {.pool = (*model)->pool()});
  if (!refiner.has_value()) return report(refiner.error());
  auto profile = calibrate(*model, *refiner, argc > 3 ? std::atof(argv[3]) : 3.0);
  if (!profile.has_value()) return report(profile.error());
  // How far a prompt may be cut says the table in the model, which was measured (elms eval quality).
  auto planner = elms::SLOPlanner::create(*model, {.profile = *profile});
  if (!planner.has_value()) return report(planner.error());
  // Every row is to show a whole prompt's time: nothing comes from the cache.
  auto service = elms::ElasticService::create(
      {.model = *model, .refiner = *refiner, .planner = *planner, .reuse = elms::CacheReuse::kOff});
  if (!service.has_value()) return report(service.error());

  std::printf("%-8s %15s %6s %5s   %-22s %-22s %s\n", "", "targets, ms", "width", "keep",
              "TTFT ms plan -> took", "TPOT ms plan -> took", "function");
  std::vector<std::string> requests(std::begin(kRequests), std::end(kRequests));
  if (argc > 4) requests = {argv[4]};
  if (auto warm_up = (*service)->generate({.prompt = prompt_for(requests[0])}); !warm_up.has_value())
    return report(warm_up.error());
  for (const std::string& request_text : requests) {
    std::printf("\"%s\"\n", request_text.c_str());
    for (const auto& [name, shares] : kTargets) {
      elms::ServiceRequest request;
      request.prompt = prompt_for(request_text);
      request.shares = shares;
      request.confidence = 0.9;
      request.max_tokens = 12;
      request.expected_tokens = 6;
      request.stop = {"\n"};
      const auto answer = (*service)->generate(request);
      if (!answer.has_value()) return report(answer.error());
      const elms::Plan& plan = answer->plan;
      std::printf("%-8s %7.2f %7.2f %6.2f %5.2f   %8.2f -> %-8.2f %c  %8.2f -> %-8.2f %c  %s%s\n", name,
                  plan.slo.ttft_ms, plan.slo.tpot_ms, plan.width, plan.keep_ratio, plan.ttft_ms,
                  answer->times.ttft_ms, answer->times.ttft_ms <= plan.slo.ttft_ms ? ' ' : '!', plan.tpot_ms,
                  answer->times.tpot_ms, answer->times.tpot_ms <= plan.slo.tpot_ms ? ' ' : '!',
                  function_of(answer->text).c_str(), plan.feasible ? "" : "  (infeasible)");
    }
  }
  return 0;
}
