#include "offline/unit_order.hpp"

#include <algorithm>
#include <numeric>

namespace elms::inline v0::offline {

namespace {

std::vector<float> pick(const std::vector<float>& values, const std::vector<std::int32_t>& order) {
  std::vector<float> picked;
  picked.reserve(order.size());
  for (std::int32_t i : order) picked.push_back(values[static_cast<std::size_t>(i)]);
  return picked;
}

}  // namespace

UnitOrder order_units(const ModelConfig& config, const Importance& importance, bool order_heads) {
  UnitOrder order;
  for (std::size_t layer = 0; layer < config.layers.size(); ++layer) {
    const LayerShape& shape = config.layers[layer];
    const auto by_score = [](const std::vector<float>& scores) {
      return [&scores](std::int32_t a, std::int32_t b) {
        return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
      };
    };
    std::vector<std::int32_t> heads(static_cast<std::size_t>(shape.q_heads)),
        units(static_cast<std::size_t>(shape.ff));
    std::iota(heads.begin(), heads.end(), 0);
    std::iota(units.begin(), units.end(), 0);
    if (order_heads) {
      // With plain multi-head attention there is one "group" of all heads: each moves with its own K and V.
      const std::int32_t group =
          shape.q_heads == shape.kv_heads ? shape.q_heads : shape.q_heads / shape.kv_heads;
      for (auto first = heads.begin(); first != heads.end(); first += group) {
        std::stable_sort(first, first + group, by_score(importance.heads[layer]));
      }
    }
    std::stable_sort(units.begin(), units.end(), by_score(importance.ffn_units[layer]));
    order.heads.push_back(std::move(heads));
    order.ffn_units.push_back(std::move(units));
  }
  return order;
}

Importance reordered(const Importance& importance, const UnitOrder& order) {
  Importance out;
  out.method = importance.method;
  for (std::size_t layer = 0; layer < order.heads.size(); ++layer) {
    out.heads.push_back(pick(importance.heads[layer], order.heads[layer]));
    out.ffn_units.push_back(pick(importance.ffn_units[layer], order.ffn_units[layer]));
  }
  return out;
}

}  // namespace elms::inline v0::offline
