// What a phase of a request has to do, in units that do not depend on the device: the terms of the latency
// model.
//
// Times are sums of coefficient times term. Terms are computed from a level's slices, so that levels, lengths
// and contexts that were never timed have them too; there is no table of levels.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "elms/detail/matmul.hpp"
#include "elms/elastic_model.hpp"

namespace elms::inline v0::detail {

/// Tasks that fewer threads share: the part of a section's work that the busiest thread has, and whether
/// others help.
struct Sharing {
  double critical = 1.0;
  bool shared = false;
};

/// `n_units` equal units of `macs` multiply-adds together, in as many tasks as run_products() makes of them.
[[nodiscard]] inline Sharing share_units(std::int32_t n_units, double macs, std::size_t n_threads) noexcept {
  constexpr double kTasksPerThread = 8.0;  // as in worthwhile_tasks()
  if (n_units <= 1 || n_threads <= 1) return {};
  const double threads = static_cast<double>(n_threads);
  const auto wanted = static_cast<std::int32_t>(
      std::clamp(macs / static_cast<double>(kMinMacsPerTask), 1.0, kTasksPerThread * threads));
  const std::int32_t per_task = (n_units + wanted - 1) / wanted;
  const std::int32_t n_tasks = (n_units + per_task - 1) / per_task;
  if (n_tasks <= 1) return {};
  const double rounds = std::ceil(n_tasks / threads);
  return {std::min(1.0, rounds * per_task / n_units), true};
}

/// KV heads of one row of attention; each is one item of a task.
[[nodiscard]] inline Sharing share_heads(std::int32_t n_heads, double macs, std::size_t n_threads) noexcept {
  if (n_heads <= 1 || n_threads <= 1) return {};
  const double threads = static_cast<double>(n_threads);
  const auto n_tasks =
      static_cast<std::int32_t>(std::clamp(macs / static_cast<double>(kMinMacsPerTask), 1.0,
                                           std::min(static_cast<double>(n_heads), 4.0 * threads)));
  if (n_tasks <= 1) return {};
  const double rounds = std::ceil(n_tasks / threads) * std::ceil(static_cast<double>(n_heads) / n_tasks);
  return {std::min(1.0, rounds / n_heads), true};
}

/// Parallel sections of equal size: products that share their input, or attention of layers of equal heads.
struct Section {
  std::int32_t n_units = 0;  ///< that tasks do not divide
  double macs = 0.0;         ///< of one section, a token (and cached position, for attention)
  double mbytes = 0.0;  ///< weights of one section; keys and values of a position in millions, for attention
  double count = 0.0;   ///< of such sections

  [[nodiscard]] bool same(const Section& other) const noexcept {
    return n_units == other.n_units && macs == other.macs && mbytes == other.mbytes;
  }
};

/// Adds a section to those of its size.
inline void add_section(std::vector<Section>& sections, const Section& section) {
  for (Section& known : sections) {
    if (known.same(section)) {
      known.count += section.count;
      return;
    }
  }
  sections.push_back(section);
}

/// Work of one level that its terms are made of. Millions of units, so that coefficients are milliseconds of
/// a size that JSON shows well.
struct LevelWork {
  std::vector<Section> products;   ///< four a layer, those of equal size together
  std::vector<Section> attention;  ///< one a layer, likewise
  double layer_mbytes = 0.0;       ///< weights of all layers, read once for every batch, adapters included
  double layer_mmacs = 0.0;        ///< multiply-adds of all layers' products, a token
  double row_mvalues = 0.0;        ///< values that norms, quantisation, rotations and SwiGLU touch, a token
  double query_mmacs = 0.0;        ///< multiply-adds of attention, a token and cached position
  double kv_mvalues =
      0.0;  ///< keys and values read, a cached position (the query heads of a group share them)
  double critical_mbytes =
      0.0;  ///< weights that the busiest thread reads for one token: small sections are not shared
  double shared_sections = 0.0;  ///< product sections of one token that several threads work on
  std::size_t n_threads = 1;
};

/// One layer at one slice, added to `work`.
inline void add_layer_work(const LayerWeights& weights, const LayerShape& slice, const ModelConfig& config,
                           LevelWork& work) {
  const std::int32_t d = config.d_model, q = slice.q_heads * config.head_dim,
                     kv = slice.kv_heads * config.head_dim;
  struct Part {
    const PackedMatrix* matrix;
    std::int32_t n, k;
  };
  const auto add_products = [&](std::initializer_list<Part> parts) {
    Section section;
    section.count = 1.0;
    for (const Part& part : parts) {
      const Product product{part.matrix, part.n, part.k};
      const elms_gemm_kernel& kernel = *part.matrix->kernel;
      section.n_units += unit_count(product);
      section.macs += static_cast<double>(mac_count(product, 1));
      section.mbytes += static_cast<double>(part.n) / kernel.nr *
                        (static_cast<double>(part.k) / kernel.block_k) *
                        static_cast<double>(kernel.block_bytes) / 1e6;
    }
    work.layer_mbytes += section.mbytes;
    work.layer_mmacs += section.macs / 1e6;
    add_section(work.products, section);
  };
  add_products({{&weights.wq, q, d}, {&weights.wk, kv, d}, {&weights.wv, kv, d}});
  add_products({{&weights.wo, d, q}});
  add_products({{&weights.gate, slice.ff, d}, {&weights.up, slice.ff, d}});
  add_products({{&weights.down, d, slice.ff}});
  work.row_mvalues += (6.0 * d + 2.0 * q + 2.0 * kv + 3.0 * slice.ff) / 1e6;
  work.query_mmacs += 2.0 * q / 1e6;
  work.kv_mvalues += 2.0 * kv / 1e6;
  add_section(work.attention, {slice.kv_heads, 2.0 * q, 2.0 * kv / 1e6, 1.0});
}

[[nodiscard]] inline LevelWork level_work(const ElasticModel& model, std::size_t level,
                                          std::size_t n_threads) {
  LevelWork work;
  work.n_threads = std::max<std::size_t>(1, n_threads);
  const std::vector<LayerShape>& layers = model.levels()[level].layers;
  for (std::size_t i = 0; i < layers.size(); ++i)
    add_layer_work(model.weights().layers[i], layers[i], model.config(), work);
  for (const Section& section : work.products) {
    const Sharing sharing = share_units(section.n_units, section.macs, work.n_threads);
    work.critical_mbytes += section.count * section.mbytes * sharing.critical;
    work.shared_sections += sharing.shared ? section.count : 0.0;
  }
  if (const LevelAdapter* adapter = model.adapter(static_cast<int>(level)); adapter != nullptr) {
    const double mbytes = static_cast<double>(adapter->bytes) / 1e6;
    work.layer_mbytes += mbytes;
    work.critical_mbytes += mbytes / static_cast<double>(work.n_threads);
    work.layer_mmacs +=
        mbytes / 4.0;  // its matrices are mostly f32; close enough for a few percent of the work
  }
  return work;
}

/// Names of the terms, for JSON and people. The first of each phase is what it costs at any size: the output
/// head, sampling, barriers.
inline constexpr std::array<const char*, 2> kRefineTerms = {"call", "word"};
inline constexpr std::array<const char*, 2> kCutTerms = {"call", "word"};
inline constexpr std::array<const char*, 8> kPrefillTerms = {
    "call",           "batch_mbyte",         "mmac",           "token_mvalue",
    "shared_section", "self_attention_mmac", "attention_mmac", "cache_mvalue"};
inline constexpr std::array<const char*, 5> kDecodeTerms = {"call", "mbyte", "shared_section",
                                                            "attention_mmac", "cache_mvalue"};

using RefineTerms = std::array<double, kRefineTerms.size()>;
using PrefillTerms = std::array<double, kPrefillTerms.size()>;
using DecodeTerms = std::array<double, kDecodeTerms.size()>;

/// Of the refiner's pass, and of cutting, which reads every word once.
[[nodiscard]] inline RefineTerms refine_terms(std::int32_t n_words) noexcept {
  return {n_words > 0 ? 1.0 : 0.0, static_cast<double>(std::max(0, n_words))};
}

/// n_tokens > 0 on top of n_cached, in batches. Token i attends to n_cached + i + 1 positions; those of its
/// own prompt are a term of their own, with which goes what falls out of caches as a batch grows. Rows in
/// blocks read keys and values together.
[[nodiscard]] inline PrefillTerms prefill_terms(const LevelWork& work, std::int32_t n_tokens,
                                                std::int32_t n_cached, std::int32_t batch_tokens) noexcept {
  constexpr double kAttentionRows = 16.0;  // that share a pass over keys and values (Decoder::attend)
  const double n = n_tokens, c = n_cached;
  const double n_batches = std::ceil(n / std::max(1, batch_tokens));
  double shared = 0.0;  // a batch of a few tokens and a narrow level has sections that are not worth sharing
  for (const Section& section : work.products) {
    const bool large = n >= 64.0 || share_units(section.n_units, n * section.macs, work.n_threads).shared;
    shared += large ? section.count * n_batches : 0.0;
  }
  const double blocks = std::max(1.0, n / kAttentionRows);
  return {1.0,
          n_batches * work.layer_mbytes,
          n * work.layer_mmacs,
          n * work.row_mvalues,
          shared,
          n * (n + 1.0) / 2.0 * work.query_mmacs,
          n * c * work.query_mmacs,
          blocks * (c + n / 2.0) * work.kv_mvalues};
}

/// A token with n_context before it. Attention over a short context runs on one thread, as Decoder::attend
/// decides.
[[nodiscard]] inline DecodeTerms decode_terms(const LevelWork& work, double n_context) noexcept {
  DecodeTerms terms = {1.0, work.critical_mbytes, work.shared_sections, 0.0, 0.0};
  const double positions = n_context + 1.0;
  for (const Section& section : work.attention) {
    const Sharing sharing = share_heads(section.n_units, positions * section.macs, work.n_threads);
    terms[2] += sharing.shared ? section.count : 0.0;
    terms[3] += section.count * positions * section.macs / 1e6 * sharing.critical;
    terms[4] += section.count * positions * section.mbytes * sharing.critical;
  }
  return terms;
}

}  // namespace elms::inline v0::detail
