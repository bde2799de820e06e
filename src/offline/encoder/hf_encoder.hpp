// A Hugging Face directory of an encoder: its sizes and its tensors under their own names.
#pragma once

#include <string>
#include <vector>

#include "elms/detail/encoder.hpp"
#include "elms/detail/model_source.hpp"
#include "elms/status.hpp"
#include "io/hf_shards.hpp"
#include "offline/encoder/encoder_tensors.hpp"

namespace elms::inline v0::offline {

/// Immutable; views stay valid for the life of it.
class HfEncoder {
 public:
  /// kNotFound, kIoError, kMalformedFile, kUnsupported; messages name file and key or tensor.
  [[nodiscard]] static Result<HfEncoder> open(const std::string& directory);

  [[nodiscard]] const detail::EncoderConfig& config() const noexcept { return config_; }
  /// A tensor that config promises; a missing one, another shape or a type that elms does not read is an
  /// error.
  [[nodiscard]] Result<detail::SourceTensor> tensor(const EncoderTensor& wanted) const;

  /// The difference of the two labels' rows, weight [d_model] and bias, where the model classifies tokens;
  /// empty otherwise.
  struct KeepLabel {
    std::vector<float> weight;
    float bias = 0.0f;
  };
  [[nodiscard]] Result<KeepLabel> keep_label() const;

 private:
  [[nodiscard]] const detail::StoredTensor* find(const std::string& name) const noexcept;
  [[nodiscard]] Status check_names() const;

  std::string directory_;
  detail::EncoderConfig config_;
  bool classifies_tokens_ = false;
  std::vector<detail::SafetensorsFile> shards_;
};

}  // namespace elms::inline v0::offline
