// The shape of a decoder model, as its file describes it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace elms::inline v0 {

/// What one layer computes with: the whole layer, or the slice of it that a level uses.
struct LayerShape {
  std::int32_t q_heads = 0;   ///< query heads; a multiple of kv_heads
  std::int32_t kv_heads = 0;  ///< key/value heads
  std::int32_t ff = 0;        ///< FFN units (intermediate neurons)

  friend bool operator==(const LayerShape&, const LayerShape&) = default;
};

enum class RopeStyle : std::uint8_t {
  kInterleaved,  ///< pairs (2i, 2i + 1): llama and mistral as GGUF stores them
  kHalves,       ///< pairs (i, i + n_rot / 2): qwen2, qwen3
};

/// Rotary position embedding: pair i of n_rot / 2 turns by position * theta^(-2i / n_rot) / (linear_factor * divisors[i]).
struct RopeConfig {
  RopeStyle style = RopeStyle::kInterleaved;
  std::int32_t n_rot = 0;        ///< rotated values of a head, <= head_dim
  float theta = 10000.0f;        ///< base of the frequencies
  float linear_factor = 1.0f;    ///< > 1 stretches the context ("linear" scaling)
  std::vector<float> divisors;   ///< [n_rot / 2], llama3 scaling (GGUF: rope_freqs.weight); empty means all ones
};

/// Families differ only in what these fields say. Sizes are checked at open: all positive, heads divisible.
struct ModelConfig {
  std::string architecture;  ///< as in GGUF: "llama", "qwen2", "qwen3", "deci"
  std::string name;          ///< general.name, may be empty
  std::int32_t d_model = 0;
  std::int32_t n_layers = 0;
  std::int32_t n_vocab = 0;
  std::int32_t head_dim = 0;
  std::int32_t context_length = 0;  ///< positions the model was trained for
  std::vector<LayerShape> layers;   ///< [n_layers], full width
  float rms_epsilon = 1e-5f;
  RopeConfig rope;
  bool tied_head = false;  ///< the output head is the embedding table
  bool qkv_bias = false;   ///< qwen2
  bool output_bias = false;  ///< the attention output has a bias too (blk.N.attn_output.bias)
  bool qk_norm = false;    ///< qwen3: RMSNorm of every query and key head
};

}  // namespace elms::inline v0
