#include "offline/slo/layer_ladder.hpp"

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <utility>
#include <vector>

#include "elms/calibrate.hpp"
#include "elms/detail/error.hpp"
#include "offline/slo/layer_dropping.hpp"

namespace elms::inline v0::offline {
namespace {

namespace fs = std::filesystem;

/// Dense models of falling depth.
class LayerLadder : public Contender {
 public:
  explicit LayerLadder(std::string name) : Contender(std::move(name)) {}

  Status add(const ContenderParts& parts, const std::string& path) {
    Rung rung;
    OpenOptions open;
    open.pool = parts.options.model->pool();
    open.use_pack_cache = false;
    ServiceOptions service;
    ELMS_ASSIGN_OR_RETURN(service.model, ElasticModel::open(path, open));
    rung.width = static_cast<double>(service.model->packed_bytes()) /
                 static_cast<double>(parts.options.model->packed_bytes());
    PlannerOptions planner;
    elms::CalibrationOptions calibration;
    calibration.seconds = std::min(2.0, parts.options.calibration_seconds);
    calibration.clock_ms = function_of(parts.clock);
    if (parts.clock->is_cpu_time()) calibration.pause_ms = 0.0;
    ELMS_ASSIGN_OR_RETURN(Calibration calibrated, calibrate(service.model, calibration));
    planner.profile = std::move(calibrated.profile);
    ELMS_ASSIGN_OR_RETURN(service.planner, SLOPlanner::create(service.model, std::move(planner)));
    service.narrow_while_decoding = false;
    service.max_queued = 1 << 20;
    service.now_ms = function_of(parts.clock);
    ELMS_ASSIGN_OR_RETURN(rung.service, ElasticService::create(std::move(service)));
    rungs_.push_back(std::move(rung));
    return {};
  }

  Route route(const TraceRequest& request, std::size_t) override {
    PlanRequest asked = request.plan;
    asked.shares.reset();  // the targets are shares of the whole model's latency
    asked.may_refine = false;
    for (const Rung& rung : rungs_) {
      if (rung.service->planner()->plan(asked).feasible) return {rung.service.get(), 0, 1.0};
    }
    return {rungs_.back().service.get(), 0, 1.0};
  }
  [[nodiscard]] double width_of(const Answer&, const Route& route) const override {
    for (const Rung& rung : rungs_) {
      if (rung.service.get() == route.service) return rung.width;
    }
    return 0.0;
  }
  [[nodiscard]] std::uint64_t memory_bytes() const override {
    std::uint64_t bytes = 0;
    for (const Rung& rung : rungs_)
      bytes += rung.service->model().packed_bytes() + rung.service->status().kv_bytes;
    return bytes;
  }

 private:
  struct Rung {
    double width = 1.0;
    std::shared_ptr<ElasticService> service;
  };
  std::vector<Rung> rungs_;  ///< the deepest first
};

/// A file that goes away.
struct ScratchFile {
  std::string path;
  ~ScratchFile() {
    std::error_code ignored;
    fs::remove(path, ignored);
  }
};

}  // namespace

Result<std::unique_ptr<Contender>> make_layer_ladder(std::string name, const ContenderParts& parts) {
  const ElasticModel& model = *parts.options.model;
  ELMS_ASSIGN_OR_RETURN(const std::vector<std::int32_t> order,
                        layer_removal_order(model.path(), parts.removal_text, *model.pool()));
  auto ladder = std::make_unique<LayerLadder>(std::move(name));
  std::error_code failed;
  const fs::path folder = parts.options.scratch_dir.empty() ? fs::temp_directory_path(failed)
                                                            : fs::path(parts.options.scratch_dir);
  std::vector<std::int32_t> kept(model.config().layers.size());
  std::iota(kept.begin(), kept.end(), 0);
  for (std::size_t n_gone = 0; n_gone <= order.size(); ++n_gone) {
    if (n_gone > 0) kept.erase(std::find(kept.begin(), kept.end(), order[n_gone - 1]));
    const ScratchFile file{
        (folder / detail::concat("elms_layers_", kept.size(), "_of_", order.size() + 1, "_",
                                 reinterpret_cast<std::uintptr_t>(ladder.get()), ".gguf"))
            .string()};
    ELMS_RETURN_IF_ERROR(write_kept_layers(model.path(), kept, file.path, *model.pool()));
    ELMS_RETURN_IF_ERROR(ladder->add(parts, file.path));
  }
  return std::unique_ptr<Contender>(std::move(ladder));
}

}  // namespace elms::inline v0::offline
