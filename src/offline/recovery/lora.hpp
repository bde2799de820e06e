// Low-rank updates of a level's matrices, and biases of its blocks: where they lie, what they make of the
// level's parameters, and how a gradient comes back to them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "elms/thread_pool.hpp"
#include "offline/train/parameters.hpp"

namespace elms::inline v0::offline {

struct LoraShape {
  std::size_t rank = 8;
  double alpha = 16.0;
  std::vector<std::string> targets;  ///< "attn_q" and so on
  bool attention_bias = false, ffn_bias = false;
};

/// W [n, k] += alpha / rank * B [n, rank] A [rank, k].
struct LoraMatrix {
  std::string name;    ///< of the weight, as in GGUF
  std::size_t weight;  ///< offset in the level's parameters
  std::size_t n, k;
  std::size_t a, b;  ///< offsets in the update
};

/// A bias [size] that is added to one of the level's.
struct LoraBias {
  std::size_t layer;
  bool is_ffn;
  std::size_t bias;  ///< offset in the level's parameters
  std::size_t size;
  std::size_t delta;  ///< offset in the update
};

/// The parameters of an update of one level as one flat array. Immutable.
class LoraLayout {
 public:
  /// `level` has recovery biases.
  LoraLayout(const train::ParameterLayout& level, const LoraShape& shape);

  [[nodiscard]] std::size_t rank() const noexcept { return rank_; }
  [[nodiscard]] double alpha() const noexcept { return alpha_; }
  [[nodiscard]] double factor() const noexcept { return alpha_ / static_cast<double>(rank_); }
  [[nodiscard]] const std::vector<LoraMatrix>& matrices() const noexcept { return matrices_; }
  [[nodiscard]] const std::vector<LoraBias>& biases() const noexcept { return biases_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }  ///< elements of the array

 private:
  std::size_t rank_;
  double alpha_;
  std::vector<LoraMatrix> matrices_;
  std::vector<LoraBias> biases_;
  std::size_t size_ = 0;
};

/// A random, B and the biases zeros: the update begins as none (Hu et al. 2021).
void initialise_update(const LoraLayout& layout, std::uint64_t seed, std::span<float> update);

/// level = base with the update. Only what the update reaches is written: `level` began as a copy of `base`.
template <typename T>
void apply_update(ThreadPool& pool, const LoraLayout& layout, std::span<const T> base,
                  std::span<const T> update, std::span<T> level);

/// Adds to d_update what d_level, the gradient by the level's parameters, means for the update.
template <typename T>
void add_update_gradient(ThreadPool& pool, const LoraLayout& layout, std::span<const T> update,
                         std::span<const T> d_level, std::span<T> d_update);

}  // namespace elms::inline v0::offline
