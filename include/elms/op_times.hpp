// Where the time of a session goes, op by op.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>

namespace elms::inline v0 {

/// The steps of a forward pass, in the order in which they run.
enum class Op : std::uint8_t {
  kEmbedding,  ///< rows of the embedding table
  kNorm,       ///< RMSNorm before attention, FFN and output head
  kQuantise,   ///< activations to int8, before products with quantised weights
  kQkv,        ///< query, key and value projections
  kRopeStore,  ///< rotations, per-head norms, keys and values into the cache
  kAttention,  ///< over the KV cache
  kWo,         ///< attention's output projection, added to the residual stream
  kGateUp,     ///< gate and up projections
  kSwiglu,     ///< SwiGLU: its part of the parallel section that it shares with gate and up
  kDown,       ///< down projection, added to the residual stream
  kHead,       ///< logits
};
inline constexpr std::size_t kOpCount = 11;

/// "embedding", "norm", "quantise", ...
[[nodiscard]] constexpr const char* op_name(Op op) noexcept {
  constexpr const char* kNames[kOpCount] = {"embedding",  "norm",      "quantise", "qkv",
                                            "rope_store", "attention", "wo",       "gate_up",
                                            "swiglu",     "down",      "head"};
  return kNames[static_cast<std::size_t>(op)];
}

/// Filled by a session that was given it (Session::set_op_times). Wall time of the session's thread, barriers
/// included; what a session does outside the forward pass (sampling) is not in it, and a probe's time counts
/// to the op after it.
struct OpTimes {
  std::array<double, kOpCount> seconds{};  ///< [kOpCount], sums since construction

  [[nodiscard]] double operator[](Op op) const noexcept { return seconds[static_cast<std::size_t>(op)]; }
  [[nodiscard]] double total() const noexcept { return std::accumulate(seconds.begin(), seconds.end(), 0.0); }
};

}  // namespace elms::inline v0
