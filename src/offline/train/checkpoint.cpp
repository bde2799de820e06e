#include "offline/train/checkpoint.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "elms/detail/error.hpp"
#include "elms/detail/gguf.hpp"

namespace elms::inline v0::offline::train {
namespace {

using detail::concat;
using detail::GgufFile;
using detail::malformed;

constexpr std::string_view kFormat = "elms training run 1";
constexpr double kMicros = 1e6;

std::span<const std::uint8_t> bytes_of(std::span<const float> values) {
  return {reinterpret_cast<const std::uint8_t*>(values.data()), values.size_bytes()};
}

void set_state(detail::GgufWriter& writer, const Recipe& recipe, const RunState& state) {
  writer.set("general.architecture", "elms-training-run");
  writer.set("elms.train.format", kFormat);
  const std::vector<std::string_view> lines(recipe.begin(), recipe.end());
  writer.set("elms.train.recipe", std::span<const std::string_view>(lines));
  writer.set("elms.train.step", state.step);
  writer.set("elms.train.elapsed_us", static_cast<std::uint64_t>(state.elapsed_seconds * kMicros));
  writer.set("elms.train.losses", std::span<const float>(state.train_losses));
  std::vector<std::uint32_t> steps;
  std::vector<float> losses;
  for (const LossPoint& point : state.valid) {
    steps.push_back(static_cast<std::uint32_t>(point.step));
    losses.push_back(static_cast<float>(point.loss));
  }
  writer.set("elms.train.valid_steps", std::span<const std::uint32_t>(steps));
  writer.set("elms.train.valid_losses", std::span<const float>(losses));
}

Status check_recipe(const GgufFile& file, const Recipe& recipe) {
  ELMS_ASSIGN_OR_RETURN(const std::vector<std::string_view> stored, file.strings("elms.train.recipe"));
  for (std::size_t i = 0; i < std::max(recipe.size(), stored.size()); ++i) {
    const std::string_view now = i < recipe.size() ? std::string_view(recipe[i]) : "nothing";
    const std::string_view then = i < stored.size() ? stored[i] : "nothing";
    if (now == then) continue;
    return detail::invalid_argument(file.name(), ": a run with ", then, " cannot go on with ", now);
  }
  return {};
}

Result<RunState> read_state(const GgufFile& file) {
  RunState state;
  ELMS_ASSIGN_OR_RETURN(const std::int64_t step, file.integer("elms.train.step"));
  ELMS_ASSIGN_OR_RETURN(const std::int64_t elapsed, file.integer("elms.train.elapsed_us"));
  ELMS_ASSIGN_OR_RETURN(state.train_losses, file.reals("elms.train.losses"));
  ELMS_ASSIGN_OR_RETURN(const std::vector<std::int64_t> steps, file.integers("elms.train.valid_steps"));
  ELMS_ASSIGN_OR_RETURN(const std::vector<float> losses, file.reals("elms.train.valid_losses"));
  if (step < 0 || static_cast<std::uint64_t>(step) != state.train_losses.size()) {
    return malformed(file.name(), ": elms.train.step: ", step, " steps with ", state.train_losses.size(),
                     " losses");
  }
  if (elapsed < 0) return malformed(file.name(), ": elms.train.elapsed_us: ", elapsed, " is negative");
  if (steps.size() != losses.size()) {
    return malformed(file.name(), ": elms.train.valid_steps: ", steps.size(), " steps with ", losses.size(),
                     " losses");
  }
  state.step = static_cast<std::uint64_t>(step);
  state.elapsed_seconds = static_cast<double>(elapsed) / kMicros;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (steps[i] < 0 || steps[i] > step) {
      return malformed(file.name(), ": elms.train.valid_steps: step ", steps[i], " of ", step);
    }
    state.valid.push_back({static_cast<std::uint64_t>(steps[i]), static_cast<double>(losses[i])});
  }
  return state;
}

Status read_tensor(const GgufFile& file, const RunTensor& tensor) {
  const detail::GgufTensor* stored = file.find_tensor(tensor.name);
  if (stored == nullptr)
    return detail::invalid_argument(file.name(), ": a run of another model: it has no ", tensor.name);
  if (stored->type != DType::kF32 || stored->cols() != tensor.cols || stored->rows() != tensor.rows) {
    return detail::invalid_argument(file.name(), ": a run of another model: ", tensor.name,
                                    ": expected F32 [", tensor.rows, ", ", tensor.cols, "], found ",
                                    detail::dtype_info(stored->type).name, " [", stored->rows(), ", ",
                                    stored->cols(), "]");
  }
  std::memcpy(tensor.values.data(), stored->data.data(), tensor.values.size_bytes());
  if (std::all_of(tensor.values.begin(), tensor.values.end(),
                  [](float value) { return std::isfinite(value); }))
    return {};
  return malformed(file.name(), ": ", tensor.name, ": a value is not finite");
}

}  // namespace

void add_tensors(std::string_view prefix, std::span<const ParameterTensor> parameters, std::span<float> values,
                 std::vector<RunTensor>& tensors) {
  std::size_t begin = 0;
  for (const ParameterTensor& tensor : parameters) {
    tensors.push_back(
        {concat(prefix, tensor.name), tensor.rows, tensor.cols, values.subspan(begin, tensor.size())});
    begin += tensor.size();
  }
}

Status check_checkpoint_options(const std::string& path, std::uint64_t every, bool resume) {
  if (path.empty()) {
    if (resume || every > 0) return detail::invalid_argument("no checkpoint file given");
    return {};
  }
  std::error_code failure;
  if (!resume && std::filesystem::exists(path, failure))
    return detail::invalid_argument(path, ": is there: resume from it, or remove it to begin anew");
  return {};
}

Status write_checkpoint(const std::string& path, const Recipe& recipe, const RunState& state,
                        std::span<const RunTensor> tensors) {
  detail::GgufWriter writer;
  set_state(writer, recipe, state);
  for (const RunTensor& tensor : tensors) {
    const std::uint64_t dims[2] = {tensor.cols, tensor.rows};
    ELMS_RETURN_IF_ERROR(writer.add_tensor(tensor.name, DType::kF32, dims));
  }
  ELMS_RETURN_IF_ERROR(writer.begin(path));
  for (const RunTensor& tensor : tensors) ELMS_RETURN_IF_ERROR(writer.write(bytes_of(tensor.values)));
  return writer.finish();
}

Result<RunState> read_checkpoint(const std::string& path, const Recipe& recipe,
                                 std::span<const RunTensor> tensors) {
  ELMS_ASSIGN_OR_RETURN(const GgufFile file, GgufFile::open(path));
  const Result<std::string_view> format = file.string("elms.train.format");
  if (!format.has_value() || *format != kFormat)
    return malformed(path, ": this is no checkpoint of a training run");
  ELMS_RETURN_IF_ERROR(check_recipe(file, recipe));
  ELMS_ASSIGN_OR_RETURN(RunState state, read_state(file));
  for (const RunTensor& tensor : tensors) ELMS_RETURN_IF_ERROR(read_tensor(file, tensor));
  return state;
}

}  // namespace elms::inline v0::offline::train
