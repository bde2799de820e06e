// Recovery from file to files.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "elms/detail/adapter.hpp"
#include "elms/detail/error.hpp"
#include "elms/detail/level_table.hpp"
#include "elms/detail/model_source.hpp"
#include "elms/offline/recovery.hpp"
#include "offline/progress_meter.hpp"
#include "offline/recovery/adapter_file.hpp"
#include "offline/recovery/methods.hpp"
#include "offline/recovery/recovery_data.hpp"
#include "offline/tensor_rewriter.hpp"
#include "offline/train/model_file.hpp"

namespace elms::inline v0::offline {
namespace {

using detail::ModelSource;
using detail::elastic_keys::kLevelAdapters;

/// Files that are removed again unless everything went well.
class NewFiles {
 public:
  NewFiles() = default;
  NewFiles(const NewFiles&) = delete;
  NewFiles& operator=(const NewFiles&) = delete;
  ~NewFiles() {
    for (const std::string& path : paths_) std::remove(path.c_str());
  }
  void add(std::string path) { paths_.push_back(std::move(path)); }
  void keep() noexcept { paths_.clear(); }

 private:
  std::vector<std::string> paths_;
};

/// The levels to be recovered, ascending; for nested training all of them.
Result<std::vector<LevelModel>> choose_levels(const RecoveryOptions& options, const ModelConfig& config,
                                              const std::vector<Level>& levels) {
  const int last = static_cast<int>(levels.size()) - 1;
  std::vector<int> chosen = options.levels;
  std::sort(chosen.begin(), chosen.end());
  chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
  if (chosen.empty()) {
    for (int level = 0; level < last; ++level) chosen.push_back(level);
  }
  if (chosen.empty()) return detail::invalid_argument("recover: the full model is the only level");
  if (chosen.front() < 0 || chosen.back() >= last) {
    return detail::invalid_argument("recover: level ", chosen.front() < 0 ? chosen.front() : chosen.back(),
                                    ": the levels below the full one are 0 to ", last - 1);
  }
  if (options.method == RecoveryMethod::kNested) chosen.push_back(last);
  std::vector<LevelModel> models;
  for (const int level : chosen)
    models.emplace_back(level, config, levels[static_cast<std::size_t>(level)].layers);
  return models;
}

/// The model again, with names of adapters and, where not null, other parameters.
Status write_model(const ModelSource& source, const std::vector<std::string>& adapters,
                   const train::ParameterLayout& layout, const detail::Buffer<float>* params,
                   const std::string& output, const ProgressCallback& progress) {
  const detail::GgufFile& file = *source.gguf();
  detail::GgufWriter writer;
  for (const detail::GgufValue& value : file.values()) writer.set(value);
  writer.erase(kLevelAdapters);
  const std::vector<std::string_view> names(adapters.begin(), adapters.end());
  if (!names.empty()) writer.set(kLevelAdapters, std::span<const std::string_view>(names));
  const auto type_of = [&](const detail::GgufTensor& tensor) {
    const bool is_new = params != nullptr && layout.find(tensor.name) != nullptr;
    return is_new ? output_type(*source.find(tensor.name), std::nullopt) : tensor.type;
  };
  for (const detail::GgufTensor& tensor : file.tensors()) {
    ELMS_RETURN_IF_ERROR(
        writer.add_tensor(tensor.name, type_of(tensor), std::span(tensor.dims, tensor.n_dims)));
  }
  ELMS_RETURN_IF_ERROR(writer.begin(output));
  ProgressMeter meter(progress, "write");
  std::size_t n_written = 0;
  for (const detail::GgufTensor& tensor : file.tensors()) {
    const train::ParameterTensor* changed = params == nullptr ? nullptr : layout.find(tensor.name);
    if (changed == nullptr) {
      ELMS_RETURN_IF_ERROR(writer.write(tensor.data));
    } else {
      std::vector<std::uint8_t> row(detail::row_bytes(type_of(tensor), changed->cols));
      for (std::size_t r = 0; r < changed->rows; ++r) {
        detail::encode_row(type_of(tensor), params->data() + changed->offset + r * changed->cols,
                           changed->cols, row.data());
        ELMS_RETURN_IF_ERROR(writer.write(row));
      }
    }
    ELMS_RETURN_IF_ERROR(
        meter.report(static_cast<double>(++n_written) / static_cast<double>(file.tensors().size())));
  }
  return writer.finish();
}

/// One recovery at work: what was read, and what is written.
class Recovery {
 public:
  Recovery(const ModelSource& source, const std::vector<Level>& levels,
           const detail::ElasticMetadata& elastic, const std::string& output, const RecoveryTask& task)
      : source_(source), levels_(levels), elastic_(elastic), output_(output), task_(task) {}

  Result<RecoveryReport> run() {
    const RecoveryOptions& options = task_.options;
    ELMS_ASSIGN_OR_RETURN(Distiller distiller,
                          Distiller::create(task_.layout.config(), {options.batch_rows, options.length},
                                            task_.pool, options.balance));
    ELMS_ASSIGN_OR_RETURN(const Distances before, measure_distances(task_, distiller, task_.params, nullptr));
    RecoveryReport report;
    Distances after;
    if (options.method == RecoveryMethod::kNested) {
      ELMS_ASSIGN_OR_RETURN(const RecoveredWeights recovered, recover_nested(task_, distiller));
      ELMS_ASSIGN_OR_RETURN(after, measure_distances(task_, distiller, recovered.params, nullptr));
      report.n_steps = recovered.n_steps;
      ELMS_RETURN_IF_ERROR(
          write_model(source_, {}, task_.layout, &recovered.params, output_, options.progress));
    } else {
      ELMS_ASSIGN_OR_RETURN(const RecoveredUpdates recovered, options.method == RecoveryMethod::kBias
                                                                  ? recover_biases(task_)
                                                                  : recover_lora(task_, distiller));
      ELMS_ASSIGN_OR_RETURN(after, measure_distances(task_, distiller, task_.params, &recovered.updates));
      report.n_steps = recovered.n_steps;
      ELMS_RETURN_IF_ERROR(write_updates(recovered.updates, report));
    }
    fill(before, after, report);
    return report;
  }

 private:
  Status write_updates(const std::vector<LevelUpdate>& updates, RecoveryReport& report) const {
    NewFiles files;
    std::vector<std::string> names(levels_.size());
    ELMS_RETURN_IF_ERROR(keep_adapters(names, files));
    const DType type = source_.find("blk.0.attn_q.weight")->type == DType::kF32 ? DType::kF32 : DType::kF16;
    for (std::size_t i = 0; i < updates.size(); ++i) {
      const auto level = static_cast<std::size_t>(task_.levels[i].level);
      names[level] = adapter_name(output_, level);
      const std::string path = detail::adapter_path(output_, names[level]);
      ELMS_ASSIGN_OR_RETURN(const std::uint64_t bytes, write_adapter(task_.layout.config(), updates[i].layout,
                                                                     updates[i].values, type, path));
      files.add(path);
      report.adapter_bytes += bytes;
    }
    ELMS_RETURN_IF_ERROR(write_model(source_, names, task_.layout, nullptr, output_, task_.options.progress));
    files.keep();
    return {};
  }

  /// Levels that are not recovered keep the adapters that they have, as files beside the new model.
  Status keep_adapters(std::vector<std::string>& names, NewFiles& files) const {
    for (std::size_t level = 0; level < elastic_.adapters.size(); ++level) {
      const bool replaced =
          std::any_of(task_.levels.begin(), task_.levels.end(),
                      [&](const LevelModel& model) { return model.level == static_cast<int>(level); });
      if (elastic_.adapters[level].empty() || replaced) continue;
      names[level] = adapter_name(output_, level);
      const std::string from = detail::adapter_path(source_.path(), elastic_.adapters[level]);
      const std::string to = detail::adapter_path(output_, names[level]);
      std::error_code failure;
      if (std::filesystem::equivalent(from, to, failure)) continue;
      std::filesystem::copy_file(from, to, std::filesystem::copy_options::overwrite_existing, failure);
      if (failure)
        return detail::error(StatusCode::kIoError, from, ": cannot be copied to ", to, ": ",
                             failure.message());
      files.add(to);
    }
    return {};
  }

  void fill(const Distances& before, const Distances& after, RecoveryReport& report) const {
    for (std::size_t i = 0; i < task_.levels.size(); ++i) {
      const auto level = static_cast<std::size_t>(task_.levels[i].level);
      const bool has_adapter = task_.options.method != RecoveryMethod::kNested;
      report.levels.push_back({task_.levels[i].level, levels_[level].cost_share, before.levels[i].kl,
                               after.levels[i].kl, before.levels[i].cross_entropy,
                               after.levels[i].cross_entropy,
                               has_adapter ? adapter_name(output_, level) : std::string()});
    }
    report.n_tokens = report.n_steps * task_.options.batch_rows * task_.options.length;
    report.valid_tokens = after.n_tokens;
  }

  const ModelSource& source_;
  const std::vector<Level>& levels_;
  const detail::ElasticMetadata& elastic_;
  const std::string& output_;
  const RecoveryTask& task_;
};

}  // namespace

const char* to_string(RecoveryMethod method) noexcept {
  switch (method) {
    case RecoveryMethod::kBias:
      return "bias";
    case RecoveryMethod::kLora:
      return "lora";
    case RecoveryMethod::kNested:
      return "nested";
  }
  return "lora";
}

std::optional<RecoveryMethod> parse_recovery_method(std::string_view name) noexcept {
  for (const RecoveryMethod method :
       {RecoveryMethod::kBias, RecoveryMethod::kLora, RecoveryMethod::kNested}) {
    if (name == to_string(method)) return method;
  }
  return std::nullopt;
}

Result<RecoveryReport> recover(const std::string& input, const std::string& output,
                               const RecoveryOptions& options) {
  ELMS_RETURN_IF_ERROR(check_recovery_options(options));
  std::shared_ptr<ThreadPool> pool = options.pool;
  if (pool == nullptr) {
    ELMS_ASSIGN_OR_RETURN(pool, ThreadPool::create());
  }
  ELMS_ASSIGN_OR_RETURN(const std::unique_ptr<const ModelSource> source, ModelSource::open(input));
  ELMS_ASSIGN_OR_RETURN(const detail::LevelTable table, detail::load_levels(*source, false));
  if (!table.elastic.has_value())
    return detail::invalid_argument(input, ": has no elms.* levels (see `elms elasticize`)");
  ELMS_ASSIGN_OR_RETURN(const std::vector<LevelModel> levels,
                        choose_levels(options, source->config(), table.levels));

  ELMS_ASSIGN_OR_RETURN(const std::shared_ptr<const Tokenizer> tokenizer, source->open_tokenizer());
  ELMS_ASSIGN_OR_RETURN(const train::Dataset dataset, open_recovery_data(options, *tokenizer, pool));
  const train::ParameterLayout layout(source->config());
  ELMS_ASSIGN_OR_RETURN(const auto params, train::load_parameters(*source, layout));
  const RecoveryTask task{options, layout, params, levels, dataset, pool};
  ELMS_ASSIGN_OR_RETURN(RecoveryReport report,
                        Recovery(*source, table.levels, *table.elastic, output, task).run());
  if (!options.checkpoint.empty()) std::remove(options.checkpoint.c_str());
  return report;
}

}  // namespace elms::inline v0::offline
