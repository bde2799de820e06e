// Refiner files: an encoder with its vocabulary as llama.cpp reads a BERT, and the heads as metadata.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "elms/detail/buffer.hpp"
#include "elms/detail/gguf.hpp"
#include "elms/tokenizer.hpp"
#include "offline/refiner/encoder_layout.hpp"

namespace elms::inline v0::offline::refiner {

/// A model being trained: where its parameters are, and the file that its vocabulary is in.
struct RefinerModel {
  EncoderLayout layout;
  detail::Buffer<float> params;  ///< [layout.size()]
  detail::GgufFile source;
  std::shared_ptr<const Tokenizer> tokenizer;
  bool has_score_head = false;
};

/// Reads a refiner file. kMalformedFile, kNotFound, kIoError.
[[nodiscard]] Result<RefinerModel> open_refiner(const std::string& path);

/// The same model with another decision branch: parameters that both have are taken over.
[[nodiscard]] Result<RefinerModel> with_shape(RefinerModel model, EncoderShape shape);

/// `temperature` is the decision head's. Matrices become `type`, where their rows are whole blocks.
Status write_refiner(const RefinerModel& model, float temperature, DType type, const std::string& name,
                     const std::string& path);

}  // namespace elms::inline v0::offline::refiner
