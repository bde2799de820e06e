// Encoders for the prompt refiner: from Hugging Face's form, or with random weights for benches and tests.
#pragma once

#include <cstdint>
#include <string>

#include "elms/detail/encoder.hpp"
#include "elms/status.hpp"
#include "elms/types.hpp"

namespace elms::inline v0::offline {

/// Converts a Hugging Face directory (config.json, model.safetensors or its shards, and tokenizer.json or
/// vocab.txt) of the BERT or MobileBERT family to a GGUF file that detail::EncoderModel opens, and llama.cpp
/// too where it is BERT. Tensor names may have the prefix `bert.` or `mobilebert.`; heads for other tasks and
/// poolers are left out, but the two labels of a model for token classification become the score head, where
/// label 1 is "keep", as LLMLingua-2 has it.
///
/// `type`: of matrices, F32, F16 or Q8_0; norms, biases and positions stay F32, and so do rows that are no
/// whole blocks. kNotFound, kIoError, kMalformedFile, kUnsupported name file and key or tensor; nothing is
/// left of a failed run.
[[nodiscard]] Status convert_encoder(const std::string& input, const std::string& output, DType type);

/// Which heads a random encoder gets.
struct SynthHeads {
  bool score = false;
  bool decision = false;       ///< with config.n_decision_layers layers and a grid of 4 x 3 strategies
  std::int32_t n_hidden = 16;  ///< of the decision head
};

/// Writes an encoder with random weights of `type` and a small vocabulary. Deterministic.
[[nodiscard]] Status synthesize_encoder(const detail::EncoderConfig& config, const SynthHeads& heads,
                                        DType type, std::uint64_t seed, const std::string& output);

}  // namespace elms::inline v0::offline
