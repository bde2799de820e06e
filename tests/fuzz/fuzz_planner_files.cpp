// Any bytes as a device profile, and behind an 'L' or a 'T' as JSON lines to train on or as tasks.
#include <cmath>

#include "elms/offline/tasks.hpp"
#include "elms/slo_planner.hpp"
#include "offline/jsonl.hpp"
#include "tests/fuzz/fuzz_targets.hpp"
#include "tests/fuzz/scratch_file.hpp"

using namespace elms;  // NOLINT

namespace {

using elms_test::FuzzBytes;
using elms_test::require;

elms_test::ScratchFolder& folder() {
  static elms_test::ScratchFolder folder;
  return folder;
}

std::shared_ptr<const ElasticModel> small_model() {
  static const std::shared_ptr<const ElasticModel> model = [] {
    OpenOptions options;
    options.pool = *ThreadPool::create(1);
    options.use_adapters = false;
    return *ElasticModel::open(
        folder().write("model.gguf", elms_test::read_corpus_file("model_file/llama.gguf")), options);
  }();
  return model;
}

void check_plans(DeviceProfile profile) {
  static const ProfileKey key = profile_key(*small_model());
  profile.key = key;
  PlannerOptions options;
  options.profile = std::move(profile);
  options.probe = false;
  const auto planner = SLOPlanner::create(small_model(), options);
  if (!planner.has_value()) return;
  PlanRequest request;
  request.n_protected_tokens = 4;
  request.n_compressible_tokens = 40;
  request.context_tokens = 64;
  request.n_output_tokens = 8;
  request.slo = {.ttft_ms = 5.0, .tpot_ms = 1.0};
  const Plan plan = (*planner)->plan(request);
  require(!std::isnan(plan.ttft_ms) && !std::isnan(plan.tpot_ms), "predictions are numbers");
  require(plan.keep_ratio > 0.0 && plan.keep_ratio <= 1.0, "a keep ratio is a share");
  require(plan.level >= 0 && plan.level < static_cast<int>(small_model()->levels().size()),
          "a level is one of the model");
}

void check_profile(std::string_view json) {
  auto profile = DeviceProfile::parse(json, "fuzz.json");
  if (!profile.has_value()) {
    require(profile.error().message().find("fuzz.json") != std::string::npos, "every error names the file");
    return;
  }
  const std::string written = profile->to_json();
  const auto again = DeviceProfile::parse(written, "again");
  require(again.has_value() && again->to_json() == written, "what is written is read again");
  check_plans(std::move(*profile));
}

void check_lines(std::string_view text) {
  text = offline::without_byte_order_mark(text);
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto example = offline::parse_example(offline::take_line(text), "fuzz.jsonl", number);
    if (!example.has_value()) {
      require(example.error().message().find("fuzz.jsonl") != std::string::npos,
              "every error names the file");
      continue;
    }
    std::size_t last = 0;
    for (const auto& [begin, end] : example->solved) {
      require(begin >= last && begin <= end && end <= example->prompt.size(),
              "solved ranges are in order in the prompt");
      last = end;
    }
  }
}

void check_tasks(FuzzBytes bytes) {
  const auto tasks = offline::read_tasks(folder().write("tasks.jsonl", bytes));
  if (!tasks.has_value()) {
    require(tasks.error().message().find("tasks.jsonl") != std::string::npos, "every error names the file");
    return;
  }
  for (const offline::TaskItem& item : *tasks) {
    require(item.choices.size() >= 2, "there is a choice");
    require(item.answer < item.choices.size(), "the answer is a choice");
  }
}

}  // namespace

void elms_test::fuzz_planner_files(FuzzBytes bytes) {
  if (bytes.empty()) return;
  if (bytes[0] == 'L') {
    check_lines(as_text(bytes.subspan(1)));
  } else if (bytes[0] == 'T') {
    check_tasks(bytes.subspan(1));
  } else {
    check_profile(as_text(bytes));
  }
}
