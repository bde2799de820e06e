// Keys and values of one session, in f16 or int8 (KvType).
//
// KV policy when the width changes. Entries are kept as they were computed: a later token at another width attends to
// them as they are. With grouped-query attention every KV head exists at every width, so nothing is ever missing. With
// plain multi-head attention a head that was cut has no entry; when it comes back it attends only to the positions that
// have one (its own position always does), as if the others were masked.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "elms/detail/buffer.hpp"
#include "elms/detail/kernels.h"
#include "elms/model_config.hpp"
#include "elms/types.hpp"

namespace elms::inline v0::detail {

class KvCache {
 public:
  KvCache() = default;

  [[nodiscard]] static Result<KvCache> create(const ModelConfig& config, std::int32_t context_tokens, KvType type) {
    KvCache cache;
    cache.type_ = type;
    cache.context_ = static_cast<std::size_t>(context_tokens);
    cache.entry_bytes_ = type == KvType::kF16 ? static_cast<std::size_t>(config.head_dim) * sizeof(std::uint16_t)
                                              : elms_kv_q8_bytes(config.head_dim);
    std::size_t n = 0;
    bool heads_may_be_absent = false;
    for (const LayerShape& layer : config.layers) {
      cache.layer_offset_.push_back(n);
      n += static_cast<std::size_t>(layer.kv_heads) * cache.context_ * cache.entry_bytes_;
      heads_may_be_absent |= layer.q_heads == layer.kv_heads;
    }
    ELMS_ASSIGN_OR_RETURN(cache.keys_, Buffer<std::uint8_t>::uninitialized(n));
    ELMS_ASSIGN_OR_RETURN(cache.values_, Buffer<std::uint8_t>::uninitialized(n));
    if (heads_may_be_absent) {
      ELMS_ASSIGN_OR_RETURN(cache.heads_at_, Buffer<std::uint16_t>::uninitialized(config.layers.size() * cache.context_));
    }
    cache.fewest_heads_.assign(config.layers.size(), kAllHeads);
    return cache;
  }

  [[nodiscard]] KvType type() const noexcept { return type_; }
  /// Entry of a head at a position: head_dim values in entry_bytes(); positions of a head follow each other.
  [[nodiscard]] std::uint8_t* key(std::size_t layer, std::size_t head, std::size_t position) noexcept {
    return keys_.data() + offset(layer, head, position);
  }
  [[nodiscard]] std::uint8_t* value(std::size_t layer, std::size_t head, std::size_t position) noexcept {
    return values_.data() + offset(layer, head, position);
  }
  [[nodiscard]] std::size_t entry_bytes() const noexcept { return entry_bytes_; }
  [[nodiscard]] std::size_t size_bytes() const noexcept { return keys_.size_bytes() + values_.size_bytes(); }

  /// Notes that positions [begin, end) of a layer hold the first n_heads heads.
  void mark(std::size_t layer, std::size_t begin, std::size_t end, std::int32_t n_heads) noexcept {
    if (heads_at_.empty()) return;
    std::uint16_t* heads = heads_at_.data() + layer * context_;
    std::fill(heads + begin, heads + end, static_cast<std::uint16_t>(n_heads));
    fewest_heads_[layer] = std::min(fewest_heads_[layer], n_heads);
  }

  /// Forgets positions from n on.
  void truncate(std::size_t n) noexcept {
    if (heads_at_.empty()) return;
    for (std::size_t layer = 0; layer < fewest_heads_.size(); ++layer) {
      const std::uint16_t* heads = heads_at_.data() + layer * context_;
      fewest_heads_[layer] = n == 0 ? kAllHeads : *std::min_element(heads, heads + n);
    }
  }

  /// Whether some position lacks one of the first n_heads heads.
  [[nodiscard]] bool incomplete(std::size_t layer, std::int32_t n_heads) const noexcept {
    return !heads_at_.empty() && fewest_heads_[layer] < n_heads;
  }

  /// masked[p] = 1 where position p has no entry of this head, for p in [0, n).
  void write_mask(std::size_t layer, std::int32_t head, std::size_t n, std::uint8_t* masked) const noexcept {
    const std::uint16_t* heads = heads_at_.data() + layer * context_;
    for (std::size_t p = 0; p < n; ++p) masked[p] = heads[p] <= head ? 1 : 0;
  }

 private:
  static constexpr std::int32_t kAllHeads = std::numeric_limits<std::int32_t>::max();

  [[nodiscard]] std::size_t offset(std::size_t layer, std::size_t head, std::size_t position) const noexcept {
    return layer_offset_[layer] + (head * context_ + position) * entry_bytes_;
  }

  KvType type_ = KvType::kF16;
  std::size_t context_ = 0;
  std::size_t entry_bytes_ = 0;
  std::vector<std::size_t> layer_offset_;
  Buffer<std::uint8_t> keys_;    ///< per layer [kv_heads, context] entries
  Buffer<std::uint8_t> values_;  ///< likewise
  Buffer<std::uint16_t> heads_at_;          ///< [n_layers, context]; empty where heads are never absent
  std::vector<std::int32_t> fewest_heads_;  ///< [n_layers], over all positions held
};

}  // namespace elms::inline v0::detail
