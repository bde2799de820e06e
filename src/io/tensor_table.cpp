#include "io/tensor_table.hpp"

#include <algorithm>

#include "elms/detail/error.hpp"
#include "io/tensor_names.hpp"

namespace elms::inline v0::detail {
namespace {

std::string shape_text(std::span<const std::uint64_t> shape) {
  std::string text = "[";
  for (const std::uint64_t size : shape) text += concat(text.size() > 1 ? ", " : "", size);
  return text + "]";
}

// Dimensions of size one on the slow side say nothing: [1, n] is the vector [n].
std::span<const std::uint64_t> without_leading_ones(std::span<const std::uint64_t> shape) {
  while (shape.size() > 1 && shape.front() == 1) shape = shape.subspan(1);
  return shape;
}

Status check_shape(const std::string& file, const StoredTensor& stored, const ExpectedTensor& expected) {
  const std::span<const std::uint64_t> found = without_leading_ones(stored.shape);
  const std::uint64_t wanted[] = {expected.rows, expected.cols};
  const std::span<const std::uint64_t> want = without_leading_ones(wanted);
  if (std::equal(found.begin(), found.end(), want.begin(), want.end())) return {};
  return malformed(file, ": tensor ", stored.name, ": expected shape ", shape_text(want), ", found ",
                   shape_text(stored.shape));
}

std::string name_in(TensorNaming naming, const ExpectedTensor& tensor) {
  return naming == TensorNaming::kGguf ? gguf_tensor_name(*tensor.spec, tensor.layer)
                                       : hf_tensor_name(*tensor.spec, tensor.layer);
}

}  // namespace

Result<TensorTable> TensorTable::bind(const std::string& file, const ModelConfig& config,
                                      std::span<const StoredTensor> stored, TensorNaming naming,
                                      bool unrotate) {
  const std::vector<ExpectedTensor> expected = expected_tensors(config);
  std::unordered_map<std::string, const StoredTensor*> by_stored_name;
  by_stored_name.reserve(expected.size());
  for (const ExpectedTensor& want : expected) by_stored_name.emplace(name_in(naming, want), nullptr);
  for (const StoredTensor& tensor : stored) {
    const auto slot = by_stored_name.find(std::string(tensor.name));
    if (slot == by_stored_name.end()) {
      return unsupported(file, ": tensor ", tensor.name, " is not part of a model of architecture ",
                         config.architecture, " as elms runs it");
    }
    slot->second = &tensor;
  }

  TensorTable table;
  table.names_.reserve(expected.size());  // the views in tensors_ and by_name_ point into it
  table.tensors_.reserve(expected.size());
  table.by_name_.reserve(expected.size());
  for (const ExpectedTensor& want : expected) {
    const std::string stored_name = name_in(naming, want);
    const StoredTensor* tensor = by_stored_name[stored_name];
    if (tensor == nullptr) return malformed(file, ": tensor ", stored_name, " is missing");
    ELMS_RETURN_IF_ERROR(check_shape(file, *tensor, want));
    if (!tensor->type.has_value()) {
      return unsupported(file, ": tensor ", stored_name, ": elms does not read type ", tensor->type_name);
    }
    const bool turn = unrotate && want.spec->rotated;
    table.names_.push_back(gguf_tensor_name(*want.spec, want.layer));
    table.by_name_.emplace(table.names_.back(), table.tensors_.size());
    table.tensors_.push_back({table.names_.back(), *tensor->type, want.rows, want.cols, tensor->data,
                              turn ? static_cast<std::uint32_t>(config.head_dim) : 0});
  }
  return table;
}

const SourceTensor* TensorTable::find(std::string_view name) const noexcept {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &tensors_[found->second];
}

}  // namespace elms::inline v0::detail
