// Small vocabulary types that every part of elms shares.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

namespace elms::inline v0 {

/// Index of a token in a model's vocabulary.
using TokenId = std::int32_t;
inline constexpr TokenId kNoToken = -1;

/// What a callback tells its caller.
enum class Flow : std::uint8_t { kContinue, kStop };

/// Set from any thread to stop work that was given this token. Checked at every layer of every batch.
/// The owner keeps it alive while work runs; reset() makes it usable again.
class CancelToken {
 public:
  void cancel() noexcept { cancelled_.store(true, std::memory_order_relaxed); }
  void reset() noexcept { cancelled_.store(false, std::memory_order_relaxed); }
  [[nodiscard]] bool cancelled() const noexcept { return cancelled_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> cancelled_{false};
};

/// How a session keeps keys and values.
enum class KvType : std::uint8_t {
  kF16,  ///< two bytes a value
  kQ8,   ///< int8 with one f16 scale for every 32 values of a head: a little over one byte a value
};

/// Storage type of a tensor; values are those of the GGUF file format.
enum class DType : std::uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kBF16 = 30,
};

}  // namespace elms::inline v0
