// The steps in which a layer's slice grows and shrinks.
#pragma once

#include <algorithm>
#include <cstdint>

#include "elms/detail/ladder.hpp"

namespace elms::inline v0::offline {

enum class UnitKind : std::uint8_t { kHeads, kFfnUnits };

/// One step more: a head (of every group, where queries are grouped) or ff_step FFN units. The layer's full
/// size at most.
inline void grow_slice(const LayerShape& full, UnitKind kind, const detail::SliceRules& rules,
                       LayerShape& slice) {
  if (kind == UnitKind::kFfnUnits) {
    slice.ff = std::min(full.ff, slice.ff + rules.ff_step);
  } else if (full.q_heads == full.kv_heads) {
    slice.q_heads = slice.kv_heads = std::min(full.q_heads, slice.q_heads + 1);
  } else {
    slice.q_heads = std::min(full.q_heads, slice.q_heads + full.kv_heads);
  }
}

/// One step less; the smallest legal slice at least.
inline void shrink_slice(const LayerShape& full, UnitKind kind, const detail::SliceRules& rules,
                         LayerShape& slice) {
  const LayerShape smallest = detail::uniform_slice(full, 0.0, rules);
  if (kind == UnitKind::kFfnUnits) {
    const std::int32_t whole = (slice.ff - 1) / rules.ff_step * rules.ff_step;  // a last step may be short
    slice.ff = std::max(smallest.ff, whole);
  } else if (full.q_heads == full.kv_heads) {
    slice.q_heads = slice.kv_heads = std::max(smallest.q_heads, slice.q_heads - 1);
  } else {
    slice.q_heads = std::max(smallest.q_heads, slice.q_heads - full.kv_heads);
  }
}

}  // namespace elms::inline v0::offline
