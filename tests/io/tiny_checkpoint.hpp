// A small random model, written as a GGUF file and as a Hugging Face directory. Names and orders are spelt
// out here from the formats' documents, not taken from the library, so that the two can disagree.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "elms/detail/gguf.hpp"
#include "elms/detail/model_source.hpp"
#include "elms/status.hpp"
#include "hf_writer.hpp"

namespace elms_test {

struct TinyShape {
  std::string model_type = "llama";  ///< as config.json says it
  std::uint32_t layers = 2, d = 16, heads = 4, kv_heads = 2, head_dim = 4, ff = 24, vocab = 20;
  bool tied = false;
  bool attention_bias = false;  ///< llama and qwen3: q, k, v and o

  std::string architecture() const { return model_type == "mistral" ? "llama" : model_type; }
  bool interleaved() const { return architecture() == "llama"; }
  bool qkv_bias() const { return attention_bias || model_type == "qwen2"; }
};

/// One tensor under both names.
struct TinyTensor {
  std::string gguf, hf;
  std::uint64_t rows = 1, cols = 0;
  bool vector = false;
  bool rotated = false;       ///< q or k
  std::vector<float> values;  ///< [rows, cols] in GGUF order
};

/// Values are small multiples of 1/64, which every type holds exactly.
std::vector<TinyTensor> tiny_tensors(const TinyShape& shape, std::mt19937& rng);

/// The values in the order that Hugging Face keeps them in.
std::vector<float> hf_order(const TinyTensor& tensor, const TinyShape& shape);

/// config.json; `changes` replaces or adds members (values are JSON text), nullopt removes one.
using JsonChanges = std::map<std::string, std::optional<std::string>>;
std::string hf_config(const TinyShape& shape, const JsonChanges& changes = {});

/// Writes a fresh directory with config.json and the weights, in one file or more; returns its path.
std::string write_hf(const std::string& name, const TinyShape& shape, const std::vector<TinyTensor>& tensors,
                     const std::string& dtype = "F32", int n_shards = 1, const JsonChanges& changes = {});

/// Replaces a text file of such a directory.
void write_text(const std::string& path, const std::string& text);
std::vector<HfTensor> hf_tensors(const TinyShape& shape, const std::vector<TinyTensor>& tensors,
                                 const std::string& dtype = "F32");

/// Writes a GGUF file; `change` may alter metadata before it is written. Returns its path.
std::string write_gguf(const std::string& name, const TinyShape& shape,
                       const std::vector<TinyTensor>& tensors,
                       const std::function<void(elms::detail::GgufWriter&)>& change = {});

/// The values of a tensor in GGUF order.
std::vector<float> all_values(const elms::detail::SourceTensor& tensor);

/// As an elastic file is made: metadata and tensors of any source into a new GGUF, everything F32. Returns
/// its path.
std::string copy_to_gguf(const elms::detail::ModelSource& source, const std::string& name);

}  // namespace elms_test
