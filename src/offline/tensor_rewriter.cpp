#include "offline/tensor_rewriter.hpp"

#include <algorithm>

#include "elms/detail/buffer.hpp"
#include "elms/detail/error.hpp"

namespace elms::inline v0::offline {

using detail::Buffer;

namespace {

constexpr std::size_t kChunkBytes = std::size_t{16} << 20;

std::uint64_t output_rows(const TensorPlan& plan) {
  return plan.tensor->rows == 1 ? 1 : plan.rows.count(plan.tensor->rows);
}

Status declare(detail::GgufWriter& writer, const TensorPlan& plan) {
  const std::uint64_t dims[2] = {plan.columns.count(plan.tensor->cols), output_rows(plan)};
  return writer.add_tensor(plan.tensor->name, plan.type, std::span(dims, plan.tensor->rows == 1 ? 1 : 2));
}

/// values [k] += row `row` of b a.
void add_update(const MatrixUpdate& update, std::int32_t row, std::size_t k, float* values) {
  const float* b = update.b.data() + static_cast<std::size_t>(row) * update.rank;
  for (std::size_t r = 0; r < update.rank; ++r) {
    const float* a = update.a.data() + r * k;
    for (std::size_t c = 0; c < k; ++c) values[c] += b[r] * a[c];
  }
}

/// Converts rows in chunks, in parallel, and streams them out.
class TensorStream {
 public:
  TensorStream(const detail::ModelSource& source, detail::GgufWriter& writer, ThreadPool& pool)
      : source_(source), writer_(writer), pool_(pool) {}

  Status write(const TensorPlan& plan) {
    // What is updated on the way goes through floats.
    const detail::RowConverter converter(*plan.tensor, plan.update == nullptr ? plan.type : DType::kF32,
                                         plan.columns);
    const std::size_t n_cols = static_cast<std::size_t>(plan.columns.count(plan.tensor->cols));
    const std::size_t row_size = detail::row_bytes(plan.type, n_cols);
    const std::size_t n_scratch = converter.scratch_floats() + (plan.update == nullptr ? 0 : n_cols);
    const std::uint64_t n_rows = output_rows(plan);
    const std::size_t chunk_rows =
        std::clamp<std::size_t>(kChunkBytes / (row_size + 1), 1, static_cast<std::size_t>(n_rows));
    const std::size_t n_tasks = std::min(chunk_rows, 4 * pool_.n_threads());
    ELMS_ASSIGN_OR_RETURN(auto chunk, Buffer<std::uint8_t>::uninitialized(chunk_rows * row_size));
    ELMS_ASSIGN_OR_RETURN(auto scratch, Buffer<float>::uninitialized(n_tasks * n_scratch));

    for (std::uint64_t begin = 0; begin < n_rows; begin += chunk_rows) {
      const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(chunk_rows, n_rows - begin));
      pool_.parallel_for(n_tasks, [&](std::size_t task) {
        for (std::size_t i = task; i < n; i += n_tasks) {
          convert(plan, converter, static_cast<std::int32_t>(begin + i), scratch.data() + task * n_scratch,
                  chunk.data() + i * row_size);
        }
      });
      ELMS_RETURN_IF_ERROR(writer_.write({chunk.data(), n * row_size}));
    }
    if (plan.in_source) source_.release(plan.tensor->data);
    return {};
  }

 private:
  /// Row `row` of the new tensor.
  static void convert(const TensorPlan& plan, const detail::RowConverter& converter, std::int32_t row,
                      float* scratch, std::uint8_t* out) {
    const auto source_row =
        static_cast<std::uint64_t>(plan.tensor->rows == 1 ? 0 : plan.rows.source_index(row));
    if (plan.update == nullptr) {
      converter.convert(source_row, scratch, out);
      return;
    }
    const std::size_t n_cols = static_cast<std::size_t>(plan.columns.count(plan.tensor->cols));
    float* values = scratch + converter.scratch_floats();
    converter.convert(source_row, scratch, reinterpret_cast<std::uint8_t*>(values));  // a row of floats
    add_update(*plan.update, plan.update_rows.source_index(row), n_cols, values);
    detail::encode_row(plan.type, values, n_cols, out);
  }

  const detail::ModelSource& source_;
  detail::GgufWriter& writer_;
  ThreadPool& pool_;
};

}  // namespace

DType output_type(const detail::SourceTensor& tensor, std::optional<DType> wanted) noexcept {
  if (tensor.rows == 1) return DType::kF32;
  if (!wanted.has_value()) return detail::dtype_info(tensor.type).can_encode ? tensor.type : DType::kQ8_0;
  return tensor.cols % detail::dtype_info(*wanted).block_elems == 0 ? *wanted : DType::kF16;
}

Status write_tensors(const detail::ModelSource& source, detail::GgufWriter& writer, const std::string& path,
                     const std::vector<TensorPlan>& plans, ThreadPool& pool,
                     const ProgressCallback& progress) {
  std::uint64_t total = 0, done = 0;
  for (const TensorPlan& plan : plans) {
    ELMS_RETURN_IF_ERROR(declare(writer, plan));
    total += plan.tensor->data.size();
  }
  ELMS_RETURN_IF_ERROR(writer.begin(path));
  TensorStream stream(source, writer, pool);
  for (const TensorPlan& plan : plans) {
    ELMS_RETURN_IF_ERROR(stream.write(plan));
    done += plan.tensor->data.size();
    if (progress &&
        progress({"write", static_cast<double>(done) / static_cast<double>(total)}) == Flow::kStop) {
      return Status(StatusCode::kCancelled, "write: stopped");
    }
  }
  return writer.finish();
}

}  // namespace elms::inline v0::offline
