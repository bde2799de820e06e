// A service over a tiny random model, a clock that tests turn, and the same answer computed by hand.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "elms/service.hpp"
#include "test_model.hpp"

namespace elms_test {

/// Milliseconds that only pass when a test says so.
class TestClock {
 public:
  void advance(double ms) { now_us_.fetch_add(static_cast<long long>(ms * 1000.0)); }
  [[nodiscard]] std::function<double()> reader() const {
    return [this] { return static_cast<double>(now_us_.load()) / 1000.0; };
  }

 private:
  std::atomic<long long> now_us_{1'000'000};
};

inline const std::string& service_model_path() {
  static const std::string path = write_model(small_shape(), elms::DType::kQ8_0, "service.gguf");
  return path;
}

inline std::shared_ptr<const elms::ElasticModel> service_model() {
  elms::OpenOptions options;
  options.pool = make_pool(1);
  options.uniform_levels_if_none = true;
  auto model = elms::ElasticModel::open(service_model_path(), options);
  REQUIRE_OK(model);
  REQUIRE((*model)->levels().size() >= 3);
  return *model;
}

/// Nothing is measured: plans depend on what was observed only.
inline elms::ServiceOptions service_options() {
  elms::ServiceOptions options;
  options.model = service_model();
  elms::PlannerOptions planner;
  planner.probe = false;
  auto made = elms::SLOPlanner::create(options.model, planner);
  REQUIRE_OK(made);
  options.planner = *made;
  options.reuse = elms::CacheReuse::kSameLevel;
  return options;
}

inline std::shared_ptr<elms::ElasticService> make_service(elms::ServiceOptions options = service_options()) {
  auto service = elms::ElasticService::create(std::move(options));
  REQUIRE_OK(service);
  return *service;
}

inline elms::ServiceRequest request_of(const std::string& text, std::int32_t max_tokens = 12) {
  elms::ServiceRequest request;
  request.prompt = {elms::Segment::protect(text)};
  request.max_tokens = max_tokens;
  return request;
}

/// The answer's tokens on a session of their own, at a level, with changes of it where an answer had some.
inline std::vector<elms::TokenId> tokens_alone(const elms::ElasticService& service, const std::string& prompt,
                                               int level, std::size_t n,
                                               const std::vector<elms::LevelChange>& changes = {}) {
  auto tokenizer = service.model().tokenizer();
  auto session = elms::Session::create(
      std::shared_ptr<const elms::ElasticModel>(std::shared_ptr<void>(), &service.model()));
  std::vector<elms::TokenId> tokens;
  if (!tokenizer.has_value() || !session.has_value() || !session->set_level(level).ok()) return tokens;
  if (!session->prefill((*tokenizer)->encode(prompt)).ok()) return tokens;
  std::size_t next_change = 0;
  while (tokens.size() < n) {
    if (next_change < changes.size() &&
        changes[next_change].token == static_cast<std::int32_t>(tokens.size())) {
      if (!session->set_level(changes[next_change++].level).ok()) return {};
    }
    auto token = session->decode();
    if (!token.has_value()) return {};
    tokens.push_back(*token);
    if ((*tokenizer)->is_end_of_generation(*token)) break;
  }
  return tokens;
}

}  // namespace elms_test
