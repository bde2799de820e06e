// The optimiser: AdamW with decoupled weight decay (Loshchilov, Hutter 2019).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "elms/detail/buffer.hpp"
#include "elms/thread_pool.hpp"
#include "offline/train/parameters.hpp"

namespace elms::inline v0::offline::train {

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8;
  double weight_decay = 0.1;  ///< of matrices; norms and biases keep their size
};

/// The moments of every parameter. All work is in blocks whose borders and order do not depend on the number
/// of threads. Nothing allocates after create. Used by one thread at a time.
class AdamW {
 public:
  /// kOutOfMemory.
  [[nodiscard]] static Result<AdamW> create(const ParameterLayout& layout, const AdamWOptions& options) {
    return create(layout.tensors(), options);
  }
  /// For tensors that lie one after the other; offsets are counted from that of the first.
  [[nodiscard]] static Result<AdamW> create(std::span<const ParameterTensor> tensors,
                                            const AdamWOptions& options);
  /// For n parameters without a layout, all of which decay.
  [[nodiscard]] static Result<AdamW> create(std::size_t n, const AdamWOptions& options);

  /// From now on the parameters of a tensor that begins at `begin`, counted as above, move by this share of the
  /// rate.
  void slow_down(std::size_t begin, std::size_t n, double rate_share) noexcept;

  /// Euclidean norm of gradients [layout.size()].
  [[nodiscard]] double norm(ThreadPool& pool, std::span<const float> gradients) noexcept;

  /// Step `t`, from 1: params [layout.size()] move against gradient_scale * gradients, which become zeros.
  void step(ThreadPool& pool, std::uint64_t t, double rate, double gradient_scale, std::span<float> gradients,
            std::span<float> params) noexcept;

  // The moments [layout.size()], for checkpoints.
  [[nodiscard]] std::span<float> mean() noexcept { return mean_; }
  [[nodiscard]] std::span<float> variance() noexcept { return variance_; }

 private:
  /// A piece of one tensor.
  struct Block {
    std::size_t begin, end;
    bool decays;
    double rate_share = 1.0;
  };
  AdamW() = default;
  void add_blocks(std::size_t begin, std::size_t end, bool decays);
  Status take_moments(std::size_t n);

  AdamWOptions options_;
  std::vector<Block> blocks_;
  std::vector<double> block_sums_;  ///< [blocks_.size()]
  detail::Buffer<float> mean_, variance_;
};

}  // namespace elms::inline v0::offline::train
