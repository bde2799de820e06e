// Models with random weights in the shape of real ones, for benchmarks and tests.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "elms/offline/progress.hpp"
#include "elms/status.hpp"
#include "elms/thread_pool.hpp"
#include "elms/types.hpp"

namespace elms::inline v0::offline {

/// Shape of a random model. Every field but the vocabulary's text is what a GGUF header says.
struct SynthShape {
  std::string architecture = "llama";  ///< llama, qwen2 or qwen3
  std::int32_t d_model = 0, n_layers = 0, n_heads = 0, n_kv_heads = 0, d_ff = 0, n_vocab = 0;
  std::int32_t head_dim = 0;  ///< 0: d_model / n_heads
  std::int32_t context_length = 2048;
  float rope_theta = 10000.0f;
  bool tied_head = false;
  bool qkv_bias = false;  ///< qwen2 always has them

  /// Above 0, every level has a random adapter of this rank on all projections, with biases (see
  /// detail/adapter.hpp), in a file beside the model: "NAME.level<L>.lora.gguf" for "NAME.gguf".
  std::int32_t lora_rank = 0;
};

/// tinyllama-1.1b, qwen2.5-0.5b, llama-3.2-1b, smollm2-135m; nothing for other names.
[[nodiscard]] std::optional<SynthShape> find_shape(std::string_view name);
[[nodiscard]] std::vector<std::string_view> shape_names();
/// From a JSON object with the fields of SynthShape by name; kInvalidArgument names what is wrong. `n_vocab`:
/// of objects that do not say it.
[[nodiscard]] Result<SynthShape> parse_shape(std::string_view json, std::int32_t n_vocab = 0);

/// Writes a GGUF with weights of `type` drawn from a seeded generator, scaled so that activations keep their
/// size from layer to layer and next-token distributions are peaked, a byte-level vocabulary filled up with
/// numbered words, and uniform levels. Deterministic: the same arguments give the same bytes, on any
/// number of threads. Null pool: one of its own.
[[nodiscard]] Status synthesize(const SynthShape& shape, DType type, std::uint64_t seed,
                                const std::string& output, const ProgressCallback& progress = {},
                                std::shared_ptr<ThreadPool> pool = nullptr);

}  // namespace elms::inline v0::offline
