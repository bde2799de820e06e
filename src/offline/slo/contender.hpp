// Who takes part in an SLO evaluation: a way to choose how a request is served.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "elms/service.hpp"
#include "offline/slo/answer_table.hpp"
#include "offline/slo/replay_clock.hpp"
#include "offline/slo/trace.hpp"

namespace elms::inline v0::offline {

/// Where a request goes, and what is laid down instead of being planned there.
struct Route {
  ElasticService* service = nullptr;
  std::optional<int> level;
  std::optional<double> keep_ratio;
};

class Contender {
 public:
  explicit Contender(std::string name) : name_(std::move(name)) {}
  virtual ~Contender() = default;
  Contender(const Contender&) = delete;
  Contender& operator=(const Contender&) = delete;

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// Any thread. `index`: of the request in the trace.
  [[nodiscard]] virtual Route route(const TraceRequest& request, std::size_t index) = 0;
  /// Width of an answer's level, as a share of the full model's cost.
  [[nodiscard]] virtual double width_of(const Answer& answer, const Route& route) const;
  [[nodiscard]] virtual std::uint64_t memory_bytes() const = 0;

 private:
  std::string name_;
};

/// What all contenders of an evaluation are made from.
struct ContenderParts {
  const SloEvalOptions& options;
  const DeviceProfile& profile;
  std::shared_ptr<const ReplayClock> clock;
  const AnswerTable* answers = nullptr;  ///< for the oracle
  std::string removal_text;              ///< that the order of dropped layers is found on
};

/// The contenders of a strategy: one, or of kStatic one for each level below full.
[[nodiscard]] Result<std::vector<std::unique_ptr<Contender>>> make_contenders(SloStrategy strategy,
                                                                              const ContenderParts& parts);

}  // namespace elms::inline v0::offline
