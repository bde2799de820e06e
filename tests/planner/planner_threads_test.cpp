// One planner, many threads. Run under TSan by `cmake/bootstrap.sh test tsan`.
#include <atomic>
#include <thread>
#include <vector>

#include "synthetic_profile.hpp"

using namespace elms_test;

TEST_CASE("plans and observations from several threads", "[planner][threads]") {
  const auto model = planner_model();
  for (const bool calibrated :
       {true, false}) {  // without a profile the first call of any thread times some tokens
    elms::PlannerOptions options;
    if (calibrated) options.profile = synthetic_profile(*model);
    auto planner = elms::SLOPlanner::create(model, options);
    REQUIRE_OK(planner);
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 200; ++i) {
          elms::PlanRequest request;
          request.n_protected_tokens = 20 + t;
          request.n_compressible_tokens = 10 * (i % 30);
          request.slo = {1e6, 1e6};
          if (!(*planner)->plan(request).feasible) ++wrong;
          elms::Observation seen;
          seen.level = t;
          seen.n_prefill_tokens = 50;
          seen.prefill_ms = (*planner)->predict_ttft(t, 50).ms;
          (*planner)->observe(seen);
          if (i % 50 == 0) (*planner)->forget();
          if (!((*planner)->drift(elms::Phase::kPrefill) > 0.0)) ++wrong;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == 0);
  }
}
