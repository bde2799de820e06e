// What a phase of a request has to do, in units that do not depend on the device: the terms of the latency model.
//
// Times are sums of coefficient times term. Terms are computed from a level's slices, so that levels, lengths and
// contexts that were never timed have them too; there is no table of levels.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "elms/detail/matmul.hpp"
#include "elms/elastic_model.hpp"

namespace elms::inline v0::detail {

/// Work of one level that its terms are made of. Millions of units, so that coefficients are milliseconds of a size
/// that JSON shows well.
struct LevelWork {
  double layer_mbytes = 0.0;     ///< weights of all layers, read once for every batch, adapters included
  double critical_mbytes = 0.0;  ///< of them, what the busiest thread reads for one token (sections may be too small to share)
  double shared_sections = 0.0;  ///< parallel sections of one token that more than one thread works on
  double layer_mmacs = 0.0;      ///< multiply-adds of all layers' products, a token
  double row_mvalues = 0.0;      ///< values that norms, quantisation, rotations and SwiGLU touch, a token
  double query_mmacs = 0.0;      ///< multiply-adds of attention, a token and cached position
  double kv_mvalues = 0.0;       ///< keys and values read, a cached position (shared by the query heads of a group)
};

/// Units of n panels' work on the busiest of n_threads when split as run_products does.
[[nodiscard]] inline double critical_share(std::int32_t n_units, std::int64_t macs, std::size_t n_threads, bool& shared) noexcept {
  constexpr std::size_t kTasksPerThread = 8;  // as worthwhile_tasks()
  shared = false;
  if (n_units <= 0) return 0.0;
  if (n_threads <= 1) return 1.0;
  const auto wanted = static_cast<std::int32_t>(
      std::clamp<std::size_t>(static_cast<std::size_t>(macs / kMinMacsPerTask), 1, kTasksPerThread * n_threads));
  const std::int32_t per_task = std::max(1, (n_units + wanted - 1) / wanted);
  const auto n_tasks = static_cast<std::size_t>((n_units + per_task - 1) / per_task);
  if (n_tasks <= 1) return 1.0;
  shared = true;
  const std::size_t rounds = (n_tasks + n_threads - 1) / n_threads;
  return std::min(1.0, static_cast<double>(rounds) * per_task / n_units);
}

/// One layer at one slice, added to `work`.
inline void add_layer_work(const LayerWeights& weights, const LayerShape& slice, const ModelConfig& config,
                           std::size_t n_threads, LevelWork& work) {
  const std::int32_t d = config.d_model, q = slice.q_heads * config.head_dim, kv = slice.kv_heads * config.head_dim;
  struct Part {
    const PackedMatrix* matrix;
    std::int32_t n, k;
  };
  const auto add_section = [&](std::initializer_list<Part> parts) {
    std::int64_t macs = 0;
    std::int32_t units = 0;
    double mbytes = 0.0;
    for (const Part& part : parts) {
      const Product product{part.matrix, part.n, part.k};
      const elms_gemm_kernel& kernel = *part.matrix->kernel;
      units += unit_count(product);
      macs += mac_count(product, 1);
      mbytes += static_cast<double>(part.n) / kernel.nr * (static_cast<double>(part.k) / kernel.block_k) *
                static_cast<double>(kernel.block_bytes) / 1e6;
    }
    bool shared = false;
    work.critical_mbytes += mbytes * critical_share(units, macs, n_threads, shared);
    work.shared_sections += shared ? 1.0 : 0.0;
    work.layer_mbytes += mbytes;
    work.layer_mmacs += static_cast<double>(macs) / 1e6;
  };
  add_section({{&weights.wq, q, d}, {&weights.wk, kv, d}, {&weights.wv, kv, d}});
  add_section({{&weights.wo, d, q}});
  add_section({{&weights.gate, slice.ff, d}, {&weights.up, slice.ff, d}});
  add_section({{&weights.down, d, slice.ff}});
  work.row_mvalues += (6.0 * d + 2.0 * q + 2.0 * kv + 3.0 * slice.ff) / 1e6;
  work.query_mmacs += 2.0 * q / 1e6;
  work.kv_mvalues += 2.0 * kv / 1e6;
}

[[nodiscard]] inline LevelWork level_work(const ElasticModel& model, std::size_t level, std::size_t n_threads) {
  LevelWork work;
  const std::vector<LayerShape>& layers = model.levels()[level].layers;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    add_layer_work(model.weights().layers[i], layers[i], model.config(), n_threads, work);
  }
  if (const LevelAdapter* adapter = model.adapter(static_cast<int>(level)); adapter != nullptr) {
    const double mbytes = static_cast<double>(adapter->bytes) / 1e6;
    work.layer_mbytes += mbytes;
    work.critical_mbytes += mbytes / static_cast<double>(std::max<std::size_t>(1, n_threads));
    work.layer_mmacs += mbytes / 4.0;  // its matrices are mostly f32; close enough for a few percent of the work
  }
  return work;
}

/// Names of the terms, for JSON and people. The first of each phase is what it costs at any size: the output head,
/// sampling, barriers.
inline constexpr std::array<const char*, 2> kRefineTerms = {"call", "word"};
inline constexpr std::array<const char*, 6> kPrefillTerms = {"call", "batch_mbyte", "mmac", "token_mvalue", "attention_mmac",
                                                             "cache_mvalue"};
inline constexpr std::array<const char*, 5> kDecodeTerms = {"call", "mbyte", "shared_section", "attention_mmac", "cache_mvalue"};

using RefineTerms = std::array<double, kRefineTerms.size()>;
using PrefillTerms = std::array<double, kPrefillTerms.size()>;
using DecodeTerms = std::array<double, kDecodeTerms.size()>;

[[nodiscard]] inline RefineTerms refine_terms(std::int32_t n_words) noexcept {
  return {n_words > 0 ? 1.0 : 0.0, static_cast<double>(std::max(0, n_words))};
}

/// n_tokens > 0 on top of n_cached, in batches. Token i attends to n_cached + i + 1 positions; rows in blocks read keys and
/// values together.
[[nodiscard]] inline PrefillTerms prefill_terms(const LevelWork& work, std::int32_t n_tokens, std::int32_t n_cached,
                                                std::int32_t batch_tokens) noexcept {
  constexpr double kAttentionRows = 16.0;  // that share a pass over keys and values (Decoder::attend)
  const double n = n_tokens, c = n_cached;
  const double n_batches = std::ceil(n / std::max(1, batch_tokens));
  const double positions = n * c + n * (n + 1.0) / 2.0;
  const double blocks = std::max(1.0, n / kAttentionRows);
  return {1.0,
          n_batches * work.layer_mbytes,
          n * work.layer_mmacs,
          n * work.row_mvalues,
          positions * work.query_mmacs,
          blocks * (c + n / 2.0) * work.kv_mvalues};
}

/// A token with n_context before it.
[[nodiscard]] inline DecodeTerms decode_terms(const LevelWork& work, double n_context) noexcept {
  return {1.0, work.critical_mbytes, work.shared_sections, n_context * work.query_mmacs, n_context * work.kv_mvalues};
}

}  // namespace elms::inline v0::detail
