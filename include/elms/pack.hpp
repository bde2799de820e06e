// The pack cache: a model's weights in the layout of this machine's kernels, in a file that is mapped and used in place.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "elms/detail/cpu.hpp"
#include "elms/detail/model_weights.hpp"
#include "elms/detail/pack_cache.hpp"
#include "elms/status.hpp"
#include "elms/thread_pool.hpp"
#include "elms/types.hpp"

namespace elms::inline v0 {

/// Where ElasticModel::open looks for the cache of a model: "MODEL.<isa>.elmspack" beside it.
[[nodiscard]] inline std::string pack_cache_path(const std::string& model_path, const char* isa) {
  return detail::concat(model_path, ".", isa, ".elmspack");
}

struct PackOptions {
  std::shared_ptr<ThreadPool> pool{};  ///< null: one of its own, one thread for each fast core
  /// Called after every matrix with the share that is done, 0 .. 1; kStop ends the work with kCancelled, and no file is
  /// left behind. May be empty.
  std::function<Flow(double fraction)> on_progress{};
};

struct PackReport {
  std::string path;               ///< of the cache
  std::string isa;                ///< of the kernels that it is for
  std::uint64_t file_bytes = 0;   ///< of the cache
};

namespace detail {

/// Describes what it is asked for to a PackWriter; brings vectors only.
class PackPlanner final : public WeightProvider {
 public:
  PackPlanner(WeightProvider& source, const elms_kernel_table& kernels, const PackLayouts& layouts, PackWriter& writer)
      : source_(source), kernels_(kernels), layouts_(layouts), writer_(writer) {}

  Result<PackedMatrix> matrix(const SourceTensor& tensor, const GroupOrder& rows, const GroupOrder& columns) override {
    PackedMatrix matrix = describe_matrix(tensor, kernels_);
    writer_.add_section(tensor.name, layouts_.of(matrix, rows, columns), matrix.packed_bytes());
    return matrix;
  }
  Result<Vector> vector(const SourceTensor& tensor, const GroupOrder& order) override {
    ELMS_ASSIGN_OR_RETURN(Vector values, source_.vector(tensor, order));
    writer_.add_vector(tensor.name, PackLayouts::of_vector(tensor, order), values);
    return values;
  }

 private:
  WeightProvider& source_;
  const elms_kernel_table& kernels_;
  const PackLayouts& layouts_;
  PackWriter& writer_;
};

/// Packs what it is asked for, writes it and lets it go, so that memory holds one matrix at a time.
class PackStreamer final : public WeightProvider {
 public:
  PackStreamer(WeightProvider& source, PackWriter& writer, const PackOptions& options)
      : source_(source), writer_(writer), options_(options) {}

  Result<PackedMatrix> matrix(const SourceTensor& tensor, const GroupOrder& rows, const GroupOrder& columns) override {
    ELMS_ASSIGN_OR_RETURN(PackedMatrix matrix, source_.matrix(tensor, rows, columns));
    ELMS_RETURN_IF_ERROR(writer_.write_section({matrix.panels.data(), matrix.panels.size_bytes()}));
    written_ += matrix.panels.size_bytes();
    matrix.panels = {};
    const double fraction = static_cast<double>(written_) / static_cast<double>(writer_.file_bytes());
    if (options_.on_progress && options_.on_progress(fraction) == Flow::kStop) {
      return Status(StatusCode::kCancelled, "packing was cancelled");
    }
    return matrix;
  }
  Result<Vector> vector(const SourceTensor&, const GroupOrder&) override { return Vector(); }

 private:
  WeightProvider& source_;
  PackWriter& writer_;
  const PackOptions& options_;
  std::uint64_t written_ = 0;
};

[[nodiscard]] inline Result<PackReport> pack_now(const std::string& model_path, const std::string& output,
                                                 const PackOptions& options) {
  ELMS_ASSIGN_OR_RETURN(const elms_kernel_table* kernels, select_kernels());
  ELMS_ASSIGN_OR_RETURN(const auto source, ModelSource::open(model_path));
  if (source->gguf() == nullptr) {
    return unsupported(model_path, ": only GGUF files have a pack cache (elms elasticize makes one)");
  }
  std::shared_ptr<ThreadPool> pool = options.pool;
  if (pool == nullptr) {
    ELMS_ASSIGN_OR_RETURN(pool, ThreadPool::create());
  }
  ELMS_ASSIGN_OR_RETURN(const PackLayouts layouts, PackLayouts::create(*kernels));
  PackReport report{output.empty() ? pack_cache_path(model_path, kernels->isa) : output, kernels->isa, 0};
  PackWriter writer;
  SourceWeights weights(*source, *kernels, *pool);
  PackPlanner planner(weights, *kernels, layouts, writer);
  ELMS_RETURN_IF_ERROR(to_status(WeightLoader(*source, planner).load()));
  ELMS_RETURN_IF_ERROR(writer.begin(report.path, pack_origin(*source->gguf(), *kernels)));
  PackStreamer streamer(weights, writer, options);
  ELMS_RETURN_IF_ERROR(to_status(WeightLoader(*source, streamer).load()));
  ELMS_RETURN_IF_ERROR(writer.finish());
  report.file_bytes = writer.file_bytes();
  return report;
}

}  // namespace detail

/// Packs a GGUF model for the kernels of this machine into a cache, `output` or, where that is empty, pack_cache_path().
/// ElasticModel::open then maps the cache instead of packing: it reads no weights before they are used, and processes
/// share them. The file appears when it is complete. kNotFound, kIoError, kMalformedFile, kUnsupported (a Hugging Face
/// directory), kCancelled, kOutOfMemory.
[[nodiscard]] inline Result<PackReport> pack_model(const std::string& model_path, const std::string& output = {},
                                                   const PackOptions& options = {}) {
  return detail::or_out_of_memory([&] { return detail::pack_now(model_path, output, options); });
}

}  // namespace elms::inline v0
