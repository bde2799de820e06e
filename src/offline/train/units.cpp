#include "offline/train/units.hpp"

#include <cstddef>
#include <numeric>
#include <utility>

#include "offline/tensor_names.hpp"

namespace elms::inline v0::offline::train {

namespace {

/// Which rows or columns of a tensor a selection keeps: whole groups of neighbours, or all.
struct KeptAxis {
  const std::vector<std::int32_t>* groups = nullptr;  ///< null: everything
  std::size_t group_size = 1;

  [[nodiscard]] std::size_t source(std::size_t i) const noexcept {
    if (groups == nullptr) return i;
    return static_cast<std::size_t>((*groups)[i / group_size]) * group_size + i % group_size;
  }
};

struct KeptPart {
  KeptAxis rows, cols;
};

KeptPart kept_part(const ParameterTensor& tensor, const ModelConfig& config, const UnitSelection& selection) {
  const LayerTensorName name = parse_layer_tensor(tensor.name);
  if (!name.in_layer) return {};
  const auto head_dim = static_cast<std::size_t>(config.head_dim);
  const KeptAxis q{&selection.q_heads[name.layer], head_dim}, kv{&selection.kv_heads[name.layer], head_dim},
      ff{&selection.ffn_units[name.layer], 1};
  switch (name.role) {
    case LayerRole::kQuery:
      return {q, {}};
    case LayerRole::kKeyValue:
      return {kv, {}};
    case LayerRole::kQueryBias:
      return {{}, q};
    case LayerRole::kKeyValueBias:
      return {{}, kv};
    case LayerRole::kAttentionOutput:
      return {{}, q};
    case LayerRole::kGateUp:
      return {ff, {}};
    case LayerRole::kDown:
      return {{}, ff};
    case LayerRole::kOther:
      return {};
  }
  return {};
}

/// fn(index in the part, index in the whole) for every parameter of the part.
template <typename Fn>
void for_each_kept(const ParameterLayout& whole, const UnitSelection& selection, const ParameterLayout& part,
                   Fn&& fn) {
  std::vector<std::size_t> columns;
  for (const ParameterTensor& tensor : part.tensors()) {
    const ParameterTensor* from = whole.find(tensor.name);
    if (from == nullptr) continue;  // recovery biases that only the part has
    const KeptPart kept = kept_part(tensor, whole.config(), selection);
    columns.clear();
    for (std::size_t c = 0; c < tensor.cols; ++c) columns.push_back(kept.cols.source(c));
    for (std::size_t r = 0; r < tensor.rows; ++r) {
      const std::size_t source_row = from->offset + kept.rows.source(r) * from->cols,
                        row = tensor.offset + r * tensor.cols;
      for (std::size_t c = 0; c < tensor.cols; ++c) fn(row + c, source_row + columns[c]);
    }
  }
}

std::vector<std::int32_t> counted(std::int32_t n) {
  std::vector<std::int32_t> indices(static_cast<std::size_t>(n));
  std::iota(indices.begin(), indices.end(), 0);
  return indices;
}

}  // namespace

UnitSelection first_units(const ModelConfig& config, std::span<const LayerShape> slices,
                          const UnitOrder& order) {
  UnitSelection selection;
  for (std::size_t layer = 0; layer < slices.size(); ++layer) {
    const LayerShape& full = config.layers[layer];
    const LayerShape& slice = slices[layer];
    const std::vector<std::int32_t>& heads = order.heads[layer];
    const std::vector<std::int32_t>& units = order.ffn_units[layer];
    std::vector<std::int32_t> q, kv = counted(slice.kv_heads);
    if (full.q_heads == full.kv_heads) {
      q.assign(heads.begin(), heads.begin() + slice.q_heads);
      kv = q;  // a head comes with its keys and values
    } else {
      const std::int32_t ranks = full.q_heads / full.kv_heads, kept = slice.q_heads / slice.kv_heads;
      for (std::int32_t h = 0; h < full.q_heads; ++h) {
        if (h % ranks < kept) q.push_back(heads[static_cast<std::size_t>(h)]);
      }
    }
    selection.q_heads.push_back(std::move(q));
    selection.kv_heads.push_back(std::move(kv));
    selection.ffn_units.emplace_back(units.begin(), units.begin() + slice.ff);
  }
  return selection;
}

UnitSelection first_units(const ModelConfig& config, std::span<const LayerShape> slices) {
  UnitOrder as_is;
  for (const LayerShape& layer : config.layers) {
    as_is.heads.push_back(counted(layer.q_heads));
    as_is.ffn_units.push_back(counted(layer.ff));
  }
  return first_units(config, slices, as_is);
}

ModelConfig with_layers(const ModelConfig& config, std::span<const LayerShape> slices) {
  ModelConfig smaller = config;
  smaller.layers.assign(slices.begin(), slices.end());
  return smaller;
}

void gather_units(const ParameterLayout& whole_layout, std::span<const float> whole,
                  const UnitSelection& selection, const ParameterLayout& part_layout, std::span<float> part) {
  for_each_kept(whole_layout, selection, part_layout,
                [&](std::size_t to, std::size_t from) { part[to] = whole[from]; });
}

void scatter_add_units(const ParameterLayout& part_layout, std::span<const float> part,
                       const UnitSelection& selection, const ParameterLayout& whole_layout,
                       std::span<float> whole) {
  for_each_kept(whole_layout, selection, part_layout,
                [&](std::size_t from, std::size_t to) { whole[to] += part[from]; });
}

}  // namespace elms::inline v0::offline::train
