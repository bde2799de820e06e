/* Reference attention: one position at a time, its K and V rows converted once for all heads of the group.
 * Scratch: row[head_dim], then per head the weight, the running maximum and the running sum of exponentials. */
#ifndef ELMS_KERNELS_SCALAR_ATTENTION_H_
#define ELMS_KERNELS_SCALAR_ATTENTION_H_

#include "kernels/common.h"
#include "kernels/declarations.h"

namespace {

struct Running {
  float* maximum;  // [n_heads]
  float* sum;      // [n_heads]
};

/// The weight exp(score - maximum) of a new position. Where the score raises the maximum, what was summed so
/// far is scaled down to it.
float weigh_position(float score, int32_t head, int32_t head_dim, float* out, const Running& running) {
  if (score > running.maximum[head]) {
    const float scale = expf(running.maximum[head] - score);
    for (int32_t d = 0; d < head_dim; ++d) out[d] *= scale;
    running.sum[head] *= scale;
    running.maximum[head] = score;
  }
  const float weight = expf(score - running.maximum[head]);
  running.sum[head] += weight;
  return weight;
}

template <typename Convert>
void attend_position(const elms_attention_args* args, const float* q, float* out, int32_t position,
                     float* row, float* weights, const Running& running, Convert convert) {
  const size_t offset = static_cast<size_t>(position) * args->kv_stride_bytes;
  convert(static_cast<const uint8_t*>(args->k) + offset, args->head_dim, row);
  for (int32_t h = 0; h < args->n_heads; ++h) {
    float score = 0.0f;
    for (int32_t d = 0; d < args->head_dim; ++d) score += q[h * args->q_head_stride + d] * row[d];
    weights[h] =
        weigh_position(score * args->scale, h, args->head_dim, out + h * args->out_head_stride, running);
  }
  convert(static_cast<const uint8_t*>(args->v) + offset, args->head_dim, row);
  for (int32_t h = 0; h < args->n_heads; ++h) {
    float* head_out = out + h * args->out_head_stride;
    for (int32_t d = 0; d < args->head_dim; ++d) head_out[d] += weights[h] * row[d];
  }
}

/// convert(entry, head_dim, row): an entry of the cache to floats.
template <typename Convert>
void attention_scalar(const elms_attention_args* args, Convert convert) {
  float* row = args->scratch;
  float* weights = row + args->head_dim;
  const Running running = {weights + args->n_heads, weights + 2 * static_cast<size_t>(args->n_heads)};
  for (int32_t r = 0; r < args->n_rows; ++r) {
    const float* q = args->q + static_cast<size_t>(r) * args->q_row_stride;
    float* out = args->out + static_cast<size_t>(r) * args->out_row_stride;
    for (int32_t h = 0; h < args->n_heads; ++h) {
      running.maximum[h] = -INFINITY;
      running.sum[h] = 0.0f;
      memset(out + h * args->out_head_stride, 0, sizeof(float) * static_cast<size_t>(args->head_dim));
    }
    const int32_t own = args->first_position + r;
    for (int32_t p = 0; p <= own; ++p) {
      if (p != own && args->masked != nullptr && args->masked[p] != 0) continue;
      attend_position(args, q, out, p, row, weights, running, convert);
    }
    for (int32_t h = 0; h < args->n_heads; ++h) {
      float* head_out = out + h * args->out_head_stride;
      for (int32_t d = 0; d < args->head_dim; ++d) head_out[d] /= running.sum[h];
    }
  }
}

}  // namespace

#endif /* ELMS_KERNELS_SCALAR_ATTENTION_H_ */
