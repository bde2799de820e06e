#include "offline/levels/memory_model.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "elms/detail/error.hpp"
#include "offline/tensor_names.hpp"
#include "offline/train/model_file.hpp"
#include "offline/train/units.hpp"

namespace elms::inline v0::offline {

namespace {

Result<MemoryModel> gathered(const MemoryModel& model, const train::UnitSelection& selection,
                             std::span<const LayerShape> slices) {
  train::ParameterLayout layout(train::with_layers(model.config(), slices));
  ELMS_ASSIGN_OR_RETURN(auto params, detail::Buffer<float>::uninitialized_streamed(layout.size()));
  train::gather_units(model.layout, model.params, selection, layout, params);
  return MemoryModel{std::move(layout), std::move(params)};
}

/// The name that a tensor of the smaller model has in the larger one.
std::string name_before(const std::string& name, std::span<const std::int32_t> kept) {
  const LayerTensorName parsed = parse_layer_tensor(name);
  return parsed.in_layer ? detail::concat("blk.", kept[parsed.layer], ".", parsed.suffix) : name;
}

}  // namespace

Result<MemoryModel> load_memory_model(const detail::ModelSource& source) {
  train::ParameterLayout layout(source.config());
  ELMS_ASSIGN_OR_RETURN(auto params, train::load_parameters(source, layout));
  return MemoryModel{std::move(layout), std::move(params)};
}

Result<MemoryModel> with_order(const MemoryModel& model, const UnitOrder& order) {
  const std::vector<LayerShape>& layers = model.config().layers;
  return gathered(model, train::first_units(model.config(), layers, order), layers);
}

Result<MemoryModel> with_slices(const MemoryModel& model, std::span<const LayerShape> slices) {
  return gathered(model, train::first_units(model.config(), slices), slices);
}

Result<MemoryModel> with_layers_kept(const MemoryModel& model, std::span<const std::int32_t> kept) {
  ModelConfig config = model.config();
  config.n_layers = static_cast<std::int32_t>(kept.size());
  config.layers.clear();
  for (const std::int32_t layer : kept)
    config.layers.push_back(model.config().layers[static_cast<std::size_t>(layer)]);
  train::ParameterLayout layout(std::move(config));
  ELMS_ASSIGN_OR_RETURN(auto params, detail::Buffer<float>::uninitialized_streamed(layout.size()));
  for (const train::ParameterTensor& tensor : layout.tensors()) {
    const train::ParameterTensor* from = model.layout.find(name_before(tensor.name, kept));
    std::copy_n(model.params.data() + from->offset, tensor.size(), params.data() + tensor.offset);
  }
  return MemoryModel{std::move(layout), std::move(params)};
}

}  // namespace elms::inline v0::offline
