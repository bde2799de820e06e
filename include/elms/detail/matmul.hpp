// Products of one batch of activations with several weight matrices, sliced to the current width, on all threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <thread>

#include "elms/detail/adapter.hpp"
#include "elms/detail/op_clock.hpp"
#include "elms/detail/packed_matrix.hpp"
#include "elms/thread_pool.hpp"

namespace elms::inline v0::detail {

/// dst[m, n] (+)= x[m, k] * weights[0..n, 0..k]^T + bias, + B (A x) where there is a low-rank update.
struct Product {
  const PackedMatrix* weights = nullptr;
  std::int32_t n = 0;
  std::int32_t k = 0;
  const float* bias = nullptr;  ///< [n], or null
  float* dst = nullptr;
  std::size_t dst_stride = 0;  ///< elements
  bool accumulate = false;
  const LowRank* update = nullptr;  ///< B; A x comes with the left-hand side
};

/// A batch of activations as kernels take it: plain rows, or quantised into a buffer of the session.
struct Lhs {
  const void* data = nullptr;
  std::size_t stride_bytes = 0;
  std::int32_t m = 0;
  class Projection* projection = nullptr;  ///< A x of the products' updates; null without any
};

/// A x of all updates of one input, computed inside the parallel section of the products that need it: whoever comes first
/// takes a panel of A, and nobody waits for a panel that no thread is at. One section, no barrier of its own.
class Projection {
 public:
  /// `lhs` is x [m, k] in the form that A's kernel takes; out [m, rank]. `group` may be null or of rank 0: no updates.
  Projection(const AdapterGroup* group, const Lhs& lhs, std::int32_t k, float* out) noexcept
      : group_(group), lhs_(lhs), k_(k), n_panels_(group == nullptr || group->rank == 0 ? 0 : group->a.n_panels()), out_(out) {}
  Projection(const Projection&) = delete;
  Projection& operator=(const Projection&) = delete;

  [[nodiscard]] std::int32_t rank() const noexcept { return group_->rank; }

  /// Computes one panel, if one is left.
  bool take_panel() noexcept {
    if (taken_.load(std::memory_order_relaxed) >= n_panels_) return false;
    const std::int32_t panel = taken_.fetch_add(1, std::memory_order_relaxed);
    if (panel >= n_panels_) return false;
    compute(panel);
    done_.fetch_add(1, std::memory_order_release);
    return true;
  }

  /// All of A x, [m, rank].
  const float* finish() noexcept {
    constexpr int kSpins = 1 << 14;  // longer than a panel takes; then its thread is not running
    while (take_panel()) {
    }
    for (int spins = 0; done_.load(std::memory_order_acquire) < n_panels_; ++spins) {
      if (spins > kSpins) std::this_thread::yield();
    }
    return out_;
  }

 private:
  void compute(std::int32_t panel) const noexcept {
    const PackedMatrix& a = group_->a;
    elms_gemm_args args{};
    args.lhs = lhs_.data;
    args.lhs_stride_bytes = lhs_.stride_bytes;
    args.panels = a.panels.data() + static_cast<std::size_t>(panel) * a.panel_stride_bytes;
    args.panel_stride_bytes = a.panel_stride_bytes;
    args.m = lhs_.m;
    args.n = std::min(a.kernel->nr, group_->rank - panel * a.kernel->nr);
    args.k = k_;
    args.dst = out_ + panel * a.kernel->nr;
    args.dst_stride = static_cast<std::size_t>(group_->rank);
    a.kernel->gemm(&args);
  }

  const AdapterGroup* group_;
  Lhs lhs_;
  std::int32_t k_, n_panels_;
  float* out_;
  std::atomic<std::int32_t> taken_{0}, done_{0};
};

[[nodiscard]] inline std::size_t lhs_bytes(const elms_gemm_kernel& kernel, std::int32_t m, std::int32_t k) noexcept {
  return kernel.lhs_bytes == nullptr ? 0 : kernel.lhs_bytes(m, k);
}

/// x [m, k] (rows x_stride elements apart) in the form that `kernel` takes; `scratch` has lhs_bytes(kernel, m, k).
inline Lhs prepare_lhs(const elms_gemm_kernel& kernel, const float* x, std::size_t x_stride, std::int32_t m, std::int32_t k,
                       std::uint8_t* scratch, ThreadPool& pool) noexcept {
  if (kernel.prepare_lhs == nullptr) return {x, x_stride * sizeof(float), m};
  constexpr std::int32_t kRowsPerTask = 32;  // a multiple of every mr in use
  const std::int32_t step = (kRowsPerTask + kernel.mr - 1) / kernel.mr * kernel.mr;
  pool.parallel_for(static_cast<std::size_t>((m + step - 1) / step), [&](std::size_t task) {
    const std::int32_t begin = static_cast<std::int32_t>(task) * step;
    kernel.prepare_lhs(x, x_stride, m, k, begin, std::min(m, begin + step), scratch);
  });
  return {scratch, 0, m};
}

/// Outputs that no task divides: whole groups of panels of the weights, and panels of the update. Both are powers of two.
[[nodiscard]] inline std::int32_t unit_outputs(const Product& product) noexcept {
  const std::int32_t nr = product.weights->kernel->nr * product.weights->panel_group;
  return product.update == nullptr ? nr : std::max(nr, product.update->b.kernel->nr);
}

[[nodiscard]] inline std::int32_t unit_count(const Product& product) noexcept {
  return (product.n + unit_outputs(product) - 1) / unit_outputs(product);
}

/// dst[:, first .. first + n) += B (A x): the outputs were just written.
inline void add_update(const Product& product, const Lhs& lhs, std::int32_t first, std::int32_t n) noexcept {
  const LowRank& update = *product.update;
  elms_gemm_args args{};
  args.lhs = lhs.projection->finish() + update.offset;
  args.lhs_stride_bytes = static_cast<std::size_t>(lhs.projection->rank()) * sizeof(float);
  args.panels = update.b.panels.data() + static_cast<std::size_t>(first / update.b.kernel->nr) * update.b.panel_stride_bytes;
  args.panel_stride_bytes = update.b.panel_stride_bytes;
  args.m = lhs.m;
  args.n = n;
  args.k = update.rank;
  args.dst = product.dst + first;
  args.dst_stride = product.dst_stride;
  args.accumulate = true;
  update.b.kernel->gemm(&args);
}

/// Units [begin, end) of one product.
inline void run_units(const Product& product, const Lhs& lhs, std::int32_t begin, std::int32_t end) noexcept {
  const PackedMatrix& w = *product.weights;
  const std::int32_t unit = unit_outputs(product);
  const std::int32_t first = begin * unit;
  const std::int32_t n = std::min(product.n, end * unit) - first;
  if (n <= 0) return;
  if (product.update != nullptr) lhs.projection->take_panel();  // the other threads are at W meanwhile
  elms_gemm_args args{};
  args.lhs = lhs.data;
  args.lhs_stride_bytes = lhs.stride_bytes;
  args.panels = w.panels.data() + w.panel_offset(first / w.kernel->nr);
  args.panel_stride_bytes = w.panel_stride_bytes;
  args.panel_group = w.panel_group;
  args.m = lhs.m;
  args.n = n;
  args.k = product.k;
  args.bias = product.bias == nullptr ? nullptr : product.bias + first;
  args.dst = product.dst + first;
  args.dst_stride = product.dst_stride;
  args.accumulate = product.accumulate;
  w.kernel->gemm(&args);
  if (product.update != nullptr) add_update(product, lhs, first, n);
}

/// Multiply-adds below which waking another thread costs more than it saves.
inline constexpr std::int64_t kMinMacsPerTask = 64 * 1024;

/// How many tasks a section of `macs` multiply-adds is worth: several for each thread, so that a slow core does not hold
/// up the rest, but none that is too small. 1 runs on the calling thread.
[[nodiscard]] inline std::size_t worthwhile_tasks(std::int64_t macs, const ThreadPool& pool) noexcept {
  constexpr std::size_t kTasksPerThread = 8;
  if (pool.n_threads() == 1) return 1;
  return std::clamp<std::size_t>(static_cast<std::size_t>(macs / kMinMacsPerTask), 1, kTasksPerThread * pool.n_threads());
}

/// Units in tasks of equal count.
struct UnitSplit {
  std::int32_t units_per_task;
  std::size_t n_tasks;

  UnitSplit(std::int32_t n_units, std::int64_t macs, const ThreadPool& pool) noexcept {
    const auto wanted = static_cast<std::int32_t>(worthwhile_tasks(macs, pool));
    units_per_task = std::max(1, (n_units + wanted - 1) / wanted);
    n_tasks = static_cast<std::size_t>((n_units + units_per_task - 1) / units_per_task);
  }
};

[[nodiscard]] inline std::int64_t mac_count(const Product& product, std::int32_t m) noexcept {
  return std::int64_t{m} * product.n * product.k;
}

/// Products that share their left-hand side, in one parallel section. after(i, first, n) is called by the task that has just
/// written outputs [first, first + n) of product i, for all rows, while they are in its cache.
template <typename After>
void run_products(std::span<const Product> products, const Lhs& lhs, ThreadPool& pool, After&& after) noexcept {
  std::int32_t total = 0;
  std::int64_t macs = 0;
  for (const Product& product : products) {
    total += unit_count(product);
    macs += mac_count(product, lhs.m);
  }
  const UnitSplit split(total, macs, pool);
  pool.parallel_for(split.n_tasks, [&](std::size_t task) {
    std::int32_t begin = static_cast<std::int32_t>(task) * split.units_per_task;
    std::int32_t end = begin + split.units_per_task;
    for (std::size_t i = 0; i < products.size(); ++i) {
      const Product& product = products[i];
      const std::int32_t n_units = unit_count(product), unit = unit_outputs(product);
      const std::int32_t from = std::max(0, begin), to = std::min(n_units, end);
      if (from < to) {
        run_units(product, lhs, from, to);
        after(i, from * unit, std::min(product.n, to * unit) - from * unit);
      }
      begin -= n_units;
      end -= n_units;
      if (end <= 0) break;
    }
  });
}

inline void run_products(std::span<const Product> products, const Lhs& lhs, ThreadPool& pool) noexcept {
  run_products(products, lhs, pool, [](std::size_t, std::int32_t, std::int32_t) {});
}

/// Prepares the left-hand side and runs the products; those whose kernels take it in the same form share it.
/// All have the same k. `op` is what the products' time counts to. `adapter` has the A's of their
/// updates, if any; `projected` has room for [m, its rank].
inline void multiply(const float* x, std::size_t x_stride, std::int32_t m, std::span<const Product> products,
                     std::uint8_t* lhs_scratch, ThreadPool& pool, OpClock& clock, Op op,
                     const AdapterGroup* adapter = nullptr, float* projected = nullptr) noexcept {
  std::optional<Projection> projection;  // of the first left-hand side, whose form the loader gave the A's
  for (std::size_t begin = 0; begin < products.size();) {
    const elms_gemm_kernel& kernel = *products[begin].weights->kernel;
    std::size_t end = begin + 1;
    while (end < products.size() && products[end].weights->kernel->prepare_lhs == kernel.prepare_lhs &&
           products[end].weights->kernel->mr == kernel.mr) {
      ++end;
    }
    Lhs lhs = prepare_lhs(kernel, x, x_stride, m, products[begin].k, lhs_scratch, pool);
    if (!projection.has_value()) projection.emplace(adapter, lhs, products[0].k, projected);
    lhs.projection = &*projection;
    clock.lap(Op::kQuantise);
    run_products(products.subspan(begin, end - begin), lhs, pool);
    clock.lap(op);
    if (end < products.size()) projection->finish();  // before its left-hand side is overwritten
    begin = end;
  }
}

}  // namespace elms::inline v0::detail
