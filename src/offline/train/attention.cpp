// Causal grouped-query attention. A task owns one KV head of one sequence, so that gradients of K and V,
// which all query heads of the group add to, are sums in one order on one thread.
#include <algorithm>
#include <cmath>

#include "offline/train/gemm.hpp"
#include "offline/train/ops.hpp"
#include "offline/train/rows.hpp"

namespace elms::inline v0::offline::train {
namespace {

/// Queries [begin, begin + n) of one head; they see keys [0, begin + n).
struct QueryBlock {
  std::size_t begin = 0, n = 0;
  [[nodiscard]] std::size_t n_keys() const noexcept { return begin + n; }
};

/// p [n, n_keys] = causal softmax(q k^T / sqrt(head_dim)).
template <typename T>
void probabilities(QueryBlock block, MatrixView<const T> q, MatrixView<const T> k, MatrixView<T> p) {
  gemm_serial<T>(GemmForm::kNT, q, k, p, false);
  const T scale = T{1} / std::sqrt(static_cast<T>(q.cols));
  for (std::size_t r = 0; r < block.n; ++r) {
    T* row = p.data + r * p.stride;
    const std::size_t visible = block.begin + r + 1;
    const T shift = largest(row, visible);
    double total = 0;
    for_row_chunks(visible, [&](std::size_t begin, std::size_t n) {
      total += static_cast<double>(exp_sum(row + begin, n, shift, scale, row + begin));
    });
    const T factor = static_cast<T>(1.0 / total);
    for (std::size_t i = 0; i < visible; ++i) row[i] *= factor;
    std::fill(row + visible, row + block.n_keys(), T{0});
  }
}

/// Calls fn(kv_head offset in k, query head offset in q, block, scratch) for the blocks of every query head.
template <typename T, typename Begin, typename Fn>
void for_query_blocks(ThreadPool& pool, const AttentionShape& s, T* scratch, Begin&& begin_task, Fn&& fn) {
  const std::size_t group = s.q_heads / s.kv_heads, block_elems = AttentionShape::kBlockRows * s.length;
  pool.parallel_for(s.n_sequences * s.kv_heads, [&](std::size_t task) {
    const std::size_t sequence = task / s.kv_heads, kv_head = task % s.kv_heads;
    const std::size_t kv = (sequence * s.length * s.kv_heads + kv_head) * s.head_dim;
    begin_task(kv);
    for (std::size_t g = 0; g < group; ++g) {
      const std::size_t q = (sequence * s.length * s.q_heads + kv_head * group + g) * s.head_dim;
      for (std::size_t begin = 0; begin < s.length; begin += AttentionShape::kBlockRows) {
        const QueryBlock block{begin, std::min(AttentionShape::kBlockRows, s.length - begin)};
        fn(kv, q + begin * s.q_heads * s.head_dim, block, scratch + task * 2 * block_elems);
      }
    }
  });
}

}  // namespace

template <typename T>
void attention_forward(ThreadPool& pool, const AttentionShape& s, const T* q, const T* k, const T* v, T* y,
                       T* scratch) {
  const std::size_t q_stride = s.q_heads * s.head_dim, kv_stride = s.kv_heads * s.head_dim;
  for_query_blocks(
      pool, s, scratch, [](std::size_t) {},
      [&](std::size_t kv, std::size_t at, QueryBlock block, T* p) {
        const std::size_t n_keys = block.n_keys();
        probabilities<T>(block, {q + at, block.n, s.head_dim, q_stride},
                         {k + kv, n_keys, s.head_dim, kv_stride}, {p, block.n, n_keys, s.length});
        gemm_serial<T>(GemmForm::kNN, {p, block.n, n_keys, s.length}, {v + kv, n_keys, s.head_dim, kv_stride},
                       {y + at, block.n, s.head_dim, q_stride}, false);
      });
}

template <typename T>
void attention_backward(ThreadPool& pool, const AttentionShape& s, const T* q, const T* k, const T* v,
                        const T* dy, T* dq, T* dk, T* dv, T* scratch) {
  const std::size_t q_stride = s.q_heads * s.head_dim, kv_stride = s.kv_heads * s.head_dim;
  const T scale = T{1} / std::sqrt(static_cast<T>(s.head_dim));
  const auto clear = [&](std::size_t kv) {
    for (std::size_t t = 0; t < s.length; ++t) {
      std::fill_n(dk + kv + t * kv_stride, s.head_dim, T{0});
      std::fill_n(dv + kv + t * kv_stride, s.head_dim, T{0});
    }
  };
  for_query_blocks(pool, s, scratch, clear, [&](std::size_t kv, std::size_t at, QueryBlock block, T* p) {
    const std::size_t n_keys = block.n_keys();
    T* dp = p + AttentionShape::kBlockRows * s.length;
    const MatrixView<const T> q_block{q + at, block.n, s.head_dim, q_stride},
        keys{k + kv, n_keys, s.head_dim, kv_stride}, values{v + kv, n_keys, s.head_dim, kv_stride},
        dout{dy + at, block.n, s.head_dim, q_stride}, p_in{p, block.n, n_keys, s.length},
        ds_in{dp, block.n, n_keys, s.length};
    probabilities<T>(block, q_block, keys, {p, block.n, n_keys, s.length});
    gemm_serial<T>(GemmForm::kTN, p_in, dout, {dv + kv, n_keys, s.head_dim, kv_stride}, true);
    gemm_serial<T>(GemmForm::kNT, dout, values, {dp, block.n, n_keys, s.length}, false);
    for (std::size_t r = 0; r < block.n; ++r) {
      // Softmax: ds = p * (dp - sum(p * dp)); masked entries have p = 0.
      const T* probability = p + r * s.length;
      T* gradient = dp + r * s.length;
      const T pull = dot(probability, gradient, n_keys);
      for (std::size_t i = 0; i < n_keys; ++i) gradient[i] = probability[i] * (gradient[i] - pull) * scale;
    }
    gemm_serial<T>(GemmForm::kNN, ds_in, keys, {dq + at, block.n, s.head_dim, q_stride}, false);
    gemm_serial<T>(GemmForm::kTN, ds_in, q_block, {dk + kv, n_keys, s.head_dim, kv_stride}, true);
  });
}

#define ELMS_TRAIN_ATTENTION(T)                                                                              \
  template void attention_forward(ThreadPool&, const AttentionShape&, const T*, const T*, const T*, T*, T*); \
  template void attention_backward(ThreadPool&, const AttentionShape&, const T*, const T*, const T*,         \
                                   const T*, T*, T*, T*, T*);
ELMS_TRAIN_ATTENTION(float)
ELMS_TRAIN_ATTENTION(double)
#undef ELMS_TRAIN_ATTENTION

}  // namespace elms::inline v0::offline::train
