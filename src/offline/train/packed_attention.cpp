// Attention without a mask over sequences of different lengths. A task owns one head of one sequence, so that
// gradients of K and V are sums in one order on one thread.
#include <algorithm>
#include <cmath>

#include "offline/train/encoder_ops.hpp"
#include "offline/train/gemm.hpp"
#include "offline/train/rows.hpp"

namespace elms::inline v0::offline::train {
namespace {

/// p = softmax(q k^T / sqrt(head_dim)).
template <typename T>
void full_probabilities(MatrixView<const T> q, MatrixView<const T> k, MatrixView<T> p) {
  gemm_serial<T>(GemmForm::kNT, q, k, p, false);
  const T scale = T{1} / std::sqrt(static_cast<T>(q.cols));
  for (std::size_t r = 0; r < p.rows; ++r) {
    T* row = p.data + r * p.stride;
    const T shift = largest(row, p.cols);
    double total = 0.0;
    for_row_chunks(p.cols, [&](std::size_t begin, std::size_t n) {
      total += static_cast<double>(exp_sum(row + begin, n, shift, scale, row + begin));
    });
    const T factor = static_cast<T>(1.0 / total);
    for (std::size_t i = 0; i < p.cols; ++i) row[i] *= factor;
  }
}

/// One head of one sequence: its rows of q, k and v begin at `at`.
struct Head {
  std::size_t at, length;
};

/// Calls begin_head(head), then block(head, first query, queries, scratch of 2 * kBlockRows * length) for
/// every block of its queries.
template <typename T, typename Begin, typename Fn>
void for_head_blocks(ThreadPool& pool, const PackedAttentionShape& s, T* scratch, Begin&& begin_head,
                     Fn&& block) {
  constexpr std::size_t kRows = PackedAttentionShape::kBlockRows;
  pool.parallel_for(s.sequences.size() * s.n_heads, [&](std::size_t task) {
    const SequenceSpan sequence = s.sequences[task / s.n_heads];
    const std::size_t h = task % s.n_heads, d = s.n_heads * s.head_dim;
    const Head head{sequence.begin * d + h * s.head_dim, sequence.length};
    T* const own = scratch + (sequence.begin * s.n_heads + h * sequence.length) * 2 * kRows;
    begin_head(head);
    for (std::size_t first = 0; first < head.length; first += kRows)
      block(head, first, std::min(kRows, head.length - first), own);
  });
}

}  // namespace

template <typename T>
void packed_attention_forward(ThreadPool& pool, const PackedAttentionShape& s, const T* q, const T* k,
                              const T* v, T* y, T* scratch) {
  const std::size_t d = s.n_heads * s.head_dim;
  for_head_blocks(
      pool, s, scratch, [](Head) {},
      [&](Head head, std::size_t first, std::size_t n, T* p) {
        const std::size_t at = head.at + first * d;
        full_probabilities<T>({q + at, n, s.head_dim, d}, {k + head.at, head.length, s.head_dim, d},
                              {p, n, head.length, head.length});
        gemm_serial<T>(GemmForm::kNN, {p, n, head.length, head.length},
                       {v + head.at, head.length, s.head_dim, d}, {y + at, n, s.head_dim, d}, false);
      });
}

template <typename T>
void packed_attention_backward(ThreadPool& pool, const PackedAttentionShape& s, const T* q, const T* k,
                               const T* v, const T* dy, T* dq, T* dk, T* dv, T* scratch) {
  const std::size_t d = s.n_heads * s.head_dim;
  const T scale = T{1} / std::sqrt(static_cast<T>(s.head_dim));
  const auto clear = [&](Head head) {
    for (std::size_t t = 0; t < head.length; ++t) {
      std::fill_n(dk + head.at + t * d, s.head_dim, T{0});
      std::fill_n(dv + head.at + t * d, s.head_dim, T{0});
    }
  };
  for_head_blocks(pool, s, scratch, clear, [&](Head head, std::size_t first, std::size_t n, T* p) {
    const std::size_t at = head.at + first * d, length = head.length;
    T* const dp = p + PackedAttentionShape::kBlockRows * length;
    const MatrixView<const T> queries{q + at, n, s.head_dim, d}, keys{k + head.at, length, s.head_dim, d},
        values{v + head.at, length, s.head_dim, d}, dout{dy + at, n, s.head_dim, d},
        p_in{p, n, length, length}, ds_in{dp, n, length, length};
    full_probabilities<T>(queries, keys, {p, n, length, length});
    gemm_serial<T>(GemmForm::kTN, p_in, dout, {dv + head.at, length, s.head_dim, d}, true);
    gemm_serial<T>(GemmForm::kNT, dout, values, {dp, n, length, length}, false);
    for (std::size_t r = 0; r < n; ++r) {
      // Softmax: ds = p * (dp - sum(p * dp)).
      const T* probability = p + r * length;
      T* gradient = dp + r * length;
      const T pull = dot(probability, gradient, length);
      for (std::size_t i = 0; i < length; ++i) gradient[i] = probability[i] * (gradient[i] - pull) * scale;
    }
    gemm_serial<T>(GemmForm::kNN, ds_in, keys, {dq + at, n, s.head_dim, d}, false);
    gemm_serial<T>(GemmForm::kTN, ds_in, queries, {dk + head.at, length, s.head_dim, d}, true);
  });
}

#define ELMS_TRAIN_PACKED_ATTENTION(T)                                                                  \
  template void packed_attention_forward(ThreadPool&, const PackedAttentionShape&, const T*, const T*,  \
                                         const T*, T*, T*);                                             \
  template void packed_attention_backward(ThreadPool&, const PackedAttentionShape&, const T*, const T*, \
                                          const T*, const T*, T*, T*, T*, T*);
ELMS_TRAIN_PACKED_ATTENTION(float)
ELMS_TRAIN_PACKED_ATTENTION(double)
#undef ELMS_TRAIN_PACKED_ATTENTION

}  // namespace elms::inline v0::offline::train
