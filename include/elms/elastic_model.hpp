// ElasticModel: one copy of the weights that runs at any of its levels.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "elms/detail/adapter.hpp"
#include "elms/detail/cpu.hpp"
#include "elms/detail/level_table.hpp"
#include "elms/detail/model_source.hpp"
#include "elms/detail/model_weights.hpp"
#include "elms/level.hpp"
#include "elms/log.hpp"
#include "elms/model_config.hpp"
#include "elms/pack.hpp"
#include "elms/status.hpp"
#include "elms/thread_pool.hpp"
#include "elms/tokenizer.hpp"

namespace elms::inline v0 {

struct OpenOptions {
  /// Threads that pack the weights and that sessions use unless they are given others. Null: a pool of the model's own,
  /// one thread for each fast core.
  std::shared_ptr<ThreadPool> pool{};

  /// Gives a checkpoint that was never elasticized a ladder of uniform levels in the order in which its units happen to
  /// lie. Speed and memory are then those of an elastic model, answers below full width are not: for benchmarks.
  bool uniform_levels_if_none = false;

  /// Loads the adapters that the file names for its levels (elms.levels.adapters), which recover some of what a narrow
  /// level lost. Without them levels are the bare slices.
  bool use_adapters = true;

  /// Maps the pack cache (see pack.hpp) instead of packing, where there is one and it is fresh. One that is stale or
  /// damaged is ignored with a warning in the log.
  bool use_pack_cache = true;
  std::string pack_cache{};  ///< its file; empty: pack_cache_path()

  LogSink log{};  ///< may be empty
};

/// Weights and levels. Immutable after open: share it between any number of sessions and threads.
/// Weights lie packed in memory, or in the mapped pack cache, once (see packed_bytes()); the embedding table stays in the
/// mapped file.
class ElasticModel {
 public:
  /// Opens a GGUF file or a Hugging Face directory (see detail::ModelSource). A file without `elms.*` levels is a model
  /// with the single level 1.0. Errors name file, tensor or key, expected and found; nothing is left behind.
  [[nodiscard]] static Result<std::shared_ptr<const ElasticModel>> open(const std::string& path,
                                                                        const OpenOptions& options = {});

  ElasticModel(const ElasticModel&) = delete;
  ElasticModel& operator=(const ElasticModel&) = delete;

  [[nodiscard]] const ModelConfig& config() const noexcept { return source_->config(); }

  /// Ascending by cost; the last is the full model.
  [[nodiscard]] std::span<const Level> levels() const noexcept { return levels_; }

  /// See elms::level_for_width.
  [[nodiscard]] int level_for_width(double width) const noexcept { return v0::level_for_width(levels_, width); }

  /// Whether the file was made by `elms elasticize` (its units are in order of importance).
  [[nodiscard]] bool is_elastic() const noexcept { return elastic_.has_value(); }

  /// The vocabulary, read on first use; kNotFound where the file has none. Thread-safe.
  [[nodiscard]] Result<std::shared_ptr<const Tokenizer>> tokenizer() const;

  [[nodiscard]] const std::string& path() const noexcept { return source_->path(); }
  [[nodiscard]] std::uint64_t file_bytes() const noexcept { return source_->file_bytes(); }
  [[nodiscard]] std::uint64_t packed_bytes() const noexcept { return weights_.packed_bytes; }  ///< weights in memory, mapped or not
  /// The pack cache that the weights are mapped from; empty where they were packed at open.
  [[nodiscard]] std::string_view pack_cache() const noexcept {
    return pack_file_.has_value() ? std::string_view(pack_file_->path()) : std::string_view();
  }
  [[nodiscard]] const char* isa() const noexcept { return kernels_->isa; }  ///< kernels in use, e.g. "avx2"
  [[nodiscard]] const std::shared_ptr<ThreadPool>& pool() const noexcept { return pool_; }

  // For elms itself.
  [[nodiscard]] const detail::ModelWeights& weights() const noexcept { return weights_; }
  /// Null where the level has none, and for level -1.
  [[nodiscard]] const detail::LevelAdapter* adapter(int level) const noexcept {
    const auto i = static_cast<std::size_t>(level);
    return level < 0 || i >= adapters_.size() || adapters_[i].layers.empty() ? nullptr : &adapters_[i];
  }
  [[nodiscard]] std::int32_t max_adapter_rank() const noexcept {
    std::int32_t rank = 0;
    for (const detail::LevelAdapter& adapter : adapters_) rank = std::max(rank, adapter.max_rank);
    return rank;
  }
  [[nodiscard]] const elms_kernel_table& kernels() const noexcept { return *kernels_; }
  [[nodiscard]] const detail::ModelSource& source() const noexcept { return *source_; }
  [[nodiscard]] const std::optional<detail::ElasticMetadata>& elastic_metadata() const noexcept { return elastic_; }

 private:
  ElasticModel() = default;
  static Result<std::shared_ptr<const ElasticModel>> open_now(const std::string& path, const OpenOptions& options);
  Result<std::shared_ptr<const Tokenizer>> open_tokenizer_once() const;
  Status init_levels(const OpenOptions& options);
  Status load_weights(const OpenOptions& options);
  Status load_adapters();
  Status map_weights(const std::string& cache_path);

  std::unique_ptr<const detail::ModelSource> source_;
  const elms_kernel_table* kernels_ = nullptr;
  std::shared_ptr<ThreadPool> pool_;
  std::optional<detail::PackFile> pack_file_;
  detail::ModelWeights weights_;
  std::optional<detail::ElasticMetadata> elastic_;
  std::vector<Level> levels_;
  std::vector<detail::LevelAdapter> adapters_;  ///< [n_levels], without layers where a level has none; or empty

  mutable std::mutex tokenizer_mutex_;  ///< guards the two below
  mutable std::shared_ptr<const Tokenizer> tokenizer_;
  mutable Status tokenizer_error_;
};

inline Result<std::shared_ptr<const ElasticModel>> ElasticModel::open(const std::string& path, const OpenOptions& options) {
  return detail::or_out_of_memory([&] { return open_now(path, options); });
}

inline Result<std::shared_ptr<const Tokenizer>> ElasticModel::tokenizer() const {
  return detail::or_out_of_memory([&] { return open_tokenizer_once(); });
}

/// A failure is kept like a tokenizer, but for one of memory.
inline Result<std::shared_ptr<const Tokenizer>> ElasticModel::open_tokenizer_once() const {
  const std::lock_guard lock(tokenizer_mutex_);
  if (tokenizer_ == nullptr && tokenizer_error_.ok()) {
    Result<std::shared_ptr<const Tokenizer>> opened = source_->open_tokenizer();
    if (!opened.has_value() && opened.error().code() == StatusCode::kOutOfMemory) return opened;
    if (opened.has_value()) {
      tokenizer_ = *std::move(opened);
    } else {
      tokenizer_error_ = std::move(opened).error();
    }
  }
  if (tokenizer_ == nullptr) return tokenizer_error_;
  return tokenizer_;
}

inline Result<std::shared_ptr<const ElasticModel>> ElasticModel::open_now(const std::string& path,
                                                                          const OpenOptions& options) {
  std::unique_ptr<ElasticModel> model(new (std::nothrow) ElasticModel);
  if (model == nullptr) return Status(StatusCode::kOutOfMemory, "elastic model");
  ELMS_ASSIGN_OR_RETURN(model->kernels_, detail::select_kernels());
  ELMS_ASSIGN_OR_RETURN(model->source_, detail::ModelSource::open(path));
  model->pool_ = options.pool;
  if (model->pool_ == nullptr) {
    ELMS_ASSIGN_OR_RETURN(model->pool_, ThreadPool::create());
  }
  ELMS_RETURN_IF_ERROR(model->init_levels(options));
  ELMS_RETURN_IF_ERROR(model->load_weights(options));
  if (options.use_adapters) ELMS_RETURN_IF_ERROR(model->load_adapters());
  return std::shared_ptr<const ElasticModel>(std::move(model));
}

inline Status ElasticModel::load_weights(const OpenOptions& options) {
  if (options.use_pack_cache && source_->gguf() != nullptr) {
    const Status mapped =
        map_weights(options.pack_cache.empty() ? pack_cache_path(path(), isa()) : options.pack_cache);
    if (mapped.ok()) return {};
    pack_file_.reset();
    // Having no cache is usual, unless the caller named one.
    if (options.log && (mapped.code() != StatusCode::kNotFound || !options.pack_cache.empty())) {
      options.log(LogLevel::kWarning, detail::concat("pack cache ignored: ", mapped.message()));
    }
  }
  detail::SourceWeights weights(*source_, *kernels_, *pool_);
  ELMS_ASSIGN_OR_RETURN(weights_, detail::WeightLoader(*source_, weights).load());
  return {};
}

/// A level's cost includes its adapter, all of which a token reads; shares are of the full level with its own.
inline Status ElasticModel::load_adapters() {
  if (!elastic_.has_value() || elastic_->adapters.empty()) return {};
  adapters_.resize(levels_.size());
  for (std::size_t i = 0; i < levels_.size(); ++i) {
    if (elastic_->adapters[i].empty()) continue;
    ELMS_ASSIGN_OR_RETURN(const auto file, detail::GgufFile::open(detail::adapter_path(path(), elastic_->adapters[i])));
    detail::AdapterLoader loader(file, config(), weights_, levels_[i].layers, *kernels_);
    ELMS_ASSIGN_OR_RETURN(adapters_[i], loader.load(*pool_));
    levels_[i].bytes_per_token += adapters_[i].bytes;
  }
  const auto full_bytes = static_cast<double>(levels_.back().bytes_per_token);
  for (Level& level : levels_) level.cost_share = static_cast<double>(level.bytes_per_token) / full_bytes;
  return {};
}

inline Status ElasticModel::map_weights(const std::string& cache_path) {
  ELMS_ASSIGN_OR_RETURN(pack_file_, detail::PackFile::open(cache_path, detail::pack_origin(*source_->gguf(), *kernels_)));
  ELMS_ASSIGN_OR_RETURN(const detail::PackLayouts layouts, detail::PackLayouts::create(*kernels_));
  detail::CachedWeights weights(*pack_file_, *kernels_, layouts);
  ELMS_ASSIGN_OR_RETURN(weights_, detail::WeightLoader(*source_, weights).load());
  return {};
}

inline Status ElasticModel::init_levels(const OpenOptions& options) {
  ELMS_ASSIGN_OR_RETURN(detail::LevelTable table, detail::load_levels(*source_, options.uniform_levels_if_none));
  elastic_ = std::move(table.elastic);
  levels_ = std::move(table.levels);
  if (levels_.size() == 1 && !elastic_.has_value() && options.log) {
    options.log(LogLevel::kInfo, detail::concat(path(), ": no elms.* levels, only full width (see `elms elasticize`)"));
  }
  return {};
}

}  // namespace elms::inline v0
