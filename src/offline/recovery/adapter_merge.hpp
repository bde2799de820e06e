// What the adapter of a level adds to the level's tensors.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "elms/model_config.hpp"
#include "elms/status.hpp"
#include "offline/tensor_rewriter.hpp"

namespace elms::inline v0::offline {

struct AdapterMerge {
  std::map<std::string, MatrixUpdate> matrices;     ///< by the names of the weights
  std::vector<float> attention_biases, ffn_biases;  ///< [n_layers, d_model]; empty: none
};

/// Reads the adapter of a level with these slices. kNotFound, kIoError, kMalformedFile.
[[nodiscard]] Result<AdapterMerge> read_adapter_merge(const std::string& path, const ModelConfig& config,
                                                      std::span<const LayerShape> slices);

}  // namespace elms::inline v0::offline
