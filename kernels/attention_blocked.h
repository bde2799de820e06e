/* Attention by blocks of positions with an online softmax: the algorithm, for any vector ISA.
 *
 * The query heads of all rows are one list of queries, taken kQueries at a time. For each block of kPositions
 * keys, K is converted once and transposed to [head_dim][kPositions], so that scores are a small matrix
 * product with positions in lanes; V is converted once to [kPositions][padded head_dim], so that the output
 * is another one. Only the scores of one block exist at a time. Positions that are masked for every row are
 * left out of the blocks.
 *
 * Ops gives, for one ISA (see avx2/attention_ops.h and neon/attention_ops.h):
 *   kWidth                                             columns that multiply() computes together
 *   widen_f16(f16, n, f32), widen_q8(int8, scale, n, f32)   values to f32
 *   transpose(rows, stride, n_columns, out)            [kPositions][n_columns] to [n_columns][kPositions]
 *   multiply(a, a_stride, b, b_stride, c, c_stride, rows, columns, depth, accumulate)
 *                                                      c (+)= a * b; columns is a multiple of kWidth
 *   maximum(x, n), at least -FLT_MAX; exp_and_sum(x, n, maximum); scale(x, n, factor)
 *                                                      on rows; n is a multiple of kWidth
 *
 * Entries says how the cache keeps a row of head_dim values: F16Entries, Q8Entries or F32Entries.
 */
#ifndef ELMS_KERNELS_ATTENTION_BLOCKED_H_
#define ELMS_KERNELS_ATTENTION_BLOCKED_H_

#include <float.h>

#include "kernels/common.h"

namespace {

constexpr int32_t kPositions = 32;
constexpr int32_t kQueries = 48;

inline int32_t round_up(int32_t n, int32_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

/// Where things lie in the caller's scratch.
struct AttentionScratch {
  int32_t padded_dim;
  float* keys;     // [padded_dim][kPositions]
  float* values;   // [kPositions][padded_dim]; K before it is transposed
  float* scores;   // [kQueries][kPositions]
  float* queries;  // [kQueries][padded_dim], times the scale of scores
  float* out;      // [kQueries][padded_dim]
  float* maximum;  // [kQueries]
  float* sum;      // [kQueries]
};

inline size_t attention_scratch_size(int32_t head_dim, int32_t width) {
  const size_t dim = static_cast<size_t>(round_up(head_dim, width));
  return 2 * dim * kPositions + kQueries * (kPositions + 2 * dim + 2);
}

inline AttentionScratch divide_scratch(float* scratch, int32_t head_dim, int32_t width) {
  AttentionScratch s;
  s.padded_dim = round_up(head_dim, width);
  const size_t dim = static_cast<size_t>(s.padded_dim);
  s.keys = scratch;
  s.values = s.keys + dim * kPositions;
  s.scores = s.values + dim * kPositions;
  s.queries = s.scores + static_cast<size_t>(kQueries) * kPositions;
  s.out = s.queries + kQueries * dim;
  s.maximum = s.out + kQueries * dim;
  s.sum = s.maximum + kQueries;
  return s;
}

/// The positions of one block, in order.
struct PositionBlock {
  int32_t count;
  int32_t index[kPositions];
};

/// The next up to kPositions positions from `*next` to below `end` that some row attends to. A row's own
/// position is never masked for it, so positions from first_position on are all kept.
inline PositionBlock next_positions(const elms_attention_args* args, int32_t* next, int32_t end) {
  PositionBlock block;
  block.count = 0;
  int32_t p = *next;
  for (; p < end && block.count < kPositions; ++p) {
    if (p < args->first_position && args->masked != nullptr && args->masked[p] != 0) continue;
    block.index[block.count++] = p;
  }
  *next = p;
  return block;
}

struct F16Entries {
  template <typename Ops>
  static void widen(const uint8_t* entry, int32_t n, float* out) {
    Ops::widen_f16(reinterpret_cast<const uint16_t*>(entry), n, out);
  }
};

/// See elms_kv_q8_bytes.
struct Q8Entries {
  template <typename Ops>
  static void widen(const uint8_t* entry, int32_t n, float* out) {
    for (int32_t d = 0; d < n; d += ELMS_QUANT_BLOCK) {
      const int32_t count = elms_min_i32(ELMS_QUANT_BLOCK, n - d);
      Ops::widen_q8(reinterpret_cast<const int8_t*>(entry + 2), elms_f32_of_f16(elms_load_u16(entry)), count,
                    out + d);
      entry += 2 + count;
    }
  }
};

struct F32Entries {
  template <typename Ops>
  static void widen(const uint8_t* entry, int32_t n, float* out) {
    memcpy(out, entry, sizeof(float) * static_cast<size_t>(n));
  }
};

/// Entries of a block to f32 rows padded with zeros; rows past the block are zeros. Meanwhile those of the next
/// block are asked for: blocks of K and V take turns, and each is a new page, before which hardware prefetch stops.
template <typename Ops, typename Entries>
void widen_rows(const elms_attention_args* args, const void* source, const PositionBlock& block,
                int32_t padded_dim, float* rows) {
  const uint8_t* entries = static_cast<const uint8_t*>(source);
  for (int32_t i = 0; i < kPositions; ++i) {
    float* row = rows + static_cast<size_t>(i) * padded_dim;
    const int32_t n = i < block.count ? args->head_dim : 0;
    if (n > 0) {
      const uint8_t* entry = entries + static_cast<size_t>(block.index[i]) * args->kv_stride_bytes;
      const uint8_t* next = entry + kPositions * args->kv_stride_bytes;
      for (size_t byte = 0; byte < args->kv_stride_bytes; byte += 64) ELMS_PREFETCH(next + byte);
      Entries::template widen<Ops>(entry, n, row);
    }
    for (int32_t d = n; d < padded_dim; ++d) row[d] = 0.0f;
  }
}

/// Scores that a query must not see become -infinity.
inline void hide_scores(const elms_attention_args* args, const PositionBlock& block, int32_t own,
                        float* scores) {
  for (int32_t i = 0; i < kPositions; ++i) {
    const bool seen =
        i < block.count &&
        (block.index[i] == own ||
         (block.index[i] < own && (args->masked == nullptr || args->masked[block.index[i]] == 0)));
    if (!seen) scores[i] = -INFINITY;
  }
}

/// Folds one block of scores of one query into its running softmax; the scores become weights.
template <typename Ops>
void update_softmax(const AttentionScratch& s, int32_t query) {
  float* scores = s.scores + static_cast<size_t>(query) * kPositions;
  // Starting from a finite value, a block in which this query sees nothing gives weights exp(-infinity) = 0.
  const float block_maximum = Ops::maximum(scores, kPositions);
  if (block_maximum > s.maximum[query]) {
    const float factor = expf(s.maximum[query] - block_maximum);
    s.maximum[query] = block_maximum;
    s.sum[query] *= factor;
    Ops::scale(s.out + static_cast<size_t>(query) * s.padded_dim, s.padded_dim, factor);
  }
  s.sum[query] += Ops::exp_and_sum(scores, kPositions, s.maximum[query]);
}

template <typename Ops, typename Entries>
void attend_block(const elms_attention_args* args, const AttentionScratch& s, const PositionBlock& block,
                  int32_t first_query, int32_t n_queries) {
  const int32_t dim = s.padded_dim;
  widen_rows<Ops, Entries>(args, args->k, block, dim, s.values);
  Ops::transpose(s.values, dim, dim, s.keys);
  Ops::multiply(s.queries, dim, s.keys, kPositions, s.scores, kPositions, n_queries, kPositions,
                args->head_dim, false);
  // Only blocks that reach the rows' own positions, or that are not full, hold anything to hide.
  const bool hides = block.count < kPositions || block.index[block.count - 1] >= args->first_position;
  for (int32_t i = 0; i < n_queries; ++i) {
    const int32_t own = args->first_position + (first_query + i) / args->n_heads;
    if (hides) hide_scores(args, block, own, s.scores + static_cast<size_t>(i) * kPositions);
    update_softmax<Ops>(s, i);
  }
  widen_rows<Ops, Entries>(args, args->v, block, dim, s.values);
  Ops::multiply(s.scores, kPositions, s.values, dim, s.out, dim, n_queries, dim, block.count, true);
}

inline void load_queries(const elms_attention_args* args, const AttentionScratch& s, int32_t first_query,
                         int32_t n_queries) {
  for (int32_t i = 0; i < n_queries; ++i) {
    const int32_t query = first_query + i;
    const float* q = args->q + static_cast<size_t>(query / args->n_heads) * args->q_row_stride +
                     static_cast<size_t>(query % args->n_heads) * args->q_head_stride;
    for (int32_t d = 0; d < args->head_dim; ++d)
      s.queries[static_cast<size_t>(i) * s.padded_dim + d] = q[d] * args->scale;
    memset(s.out + static_cast<size_t>(i) * s.padded_dim, 0,
           sizeof(float) * static_cast<size_t>(s.padded_dim));
    s.maximum[i] = -FLT_MAX;
    s.sum[i] = 0.0f;
  }
}

inline void store_outputs(const elms_attention_args* args, const AttentionScratch& s, int32_t first_query,
                          int32_t n_queries) {
  for (int32_t i = 0; i < n_queries; ++i) {
    const int32_t query = first_query + i;
    float* out = args->out + static_cast<size_t>(query / args->n_heads) * args->out_row_stride +
                 static_cast<size_t>(query % args->n_heads) * args->out_head_stride;
    const float inverse = 1.0f / s.sum[i];
    for (int32_t d = 0; d < args->head_dim; ++d)
      out[d] = s.out[static_cast<size_t>(i) * s.padded_dim + d] * inverse;
  }
}

template <typename Ops, typename Entries>
void attention_blocked(const elms_attention_args* args) {
  const AttentionScratch s = divide_scratch(args->scratch, args->head_dim, Ops::kWidth);
  const int32_t n_all = args->n_rows * args->n_heads;
  for (int32_t first = 0; first < n_all; first += kQueries) {
    const int32_t n_queries = elms_min_i32(kQueries, n_all - first);
    load_queries(args, s, first, n_queries);
    const int32_t end = args->first_position + (first + n_queries - 1) / args->n_heads + 1;
    for (int32_t next = 0; next < end;) {
      const PositionBlock block = next_positions(args, &next, end);
      if (block.count > 0) attend_block<Ops, Entries>(args, s, block, first, n_queries);
    }
    store_outputs(args, s, first, n_queries);
  }
}

}  // namespace

#endif /* ELMS_KERNELS_ATTENTION_BLOCKED_H_ */
