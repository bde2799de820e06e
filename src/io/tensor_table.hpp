// From the tensors that a container stores to the tensors that its model needs: names, shapes, nothing left
// over.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "elms/detail/model_source.hpp"
#include "elms/model_config.hpp"
#include "elms/status.hpp"

namespace elms::inline v0::detail {

/// A tensor under the name and in the shape that its container gives it.
struct StoredTensor {
  std::string_view name;
  std::string_view type_name;        ///< as the container spells it, for messages
  std::optional<DType> type;         ///< nothing for a type that elms does not read
  std::vector<std::uint64_t> shape;  ///< slowest dimension first
  std::span<const std::uint8_t> data;
};

enum class TensorNaming : std::uint8_t { kGguf, kHuggingFace };

/// The tensors of an opened checkpoint under their GGUF names. Movable; views stay valid.
class TensorTable {
 public:
  /// Finds every tensor that `config` needs among `stored`. kMalformedFile for a missing one or a wrong
  /// shape, kUnsupported for a type that elms does not read and for a tensor that the model would not use.
  /// `unrotate`: rows of q and k lie in halves order and the model wants them interleaved (see SourceTensor).
  [[nodiscard]] static Result<TensorTable> bind(const std::string& file, const ModelConfig& config,
                                                std::span<const StoredTensor> stored, TensorNaming naming,
                                                bool unrotate);

  [[nodiscard]] std::span<const SourceTensor> tensors() const noexcept { return tensors_; }
  [[nodiscard]] const SourceTensor* find(std::string_view name) const noexcept;

 private:
  std::vector<std::string> names_;  ///< [tensors_], GGUF names
  std::vector<SourceTensor> tensors_;
  std::unordered_map<std::string_view, std::size_t> by_name_;
};

}  // namespace elms::inline v0::detail
