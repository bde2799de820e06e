#include "offline/train/initial_model.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "elms/detail/error.hpp"
#include "elms/detail/model_source.hpp"
#include "offline/random.hpp"
#include "offline/synth_model.hpp"
#include "offline/tensor_names.hpp"
#include "offline/train/model_file.hpp"

namespace elms::inline v0::offline::train {
namespace {

using detail::invalid_argument;

Result<InitialModel> open_model(const TrainingOptions& options) {
  ELMS_ASSIGN_OR_RETURN(const auto source, detail::ModelSource::open(options.init_model));
  InitialModel model;
  model.config = source->config();
  ELMS_ASSIGN_OR_RETURN(model.tokenizer, source->open_tokenizer());
  ELMS_ASSIGN_OR_RETURN(model.params, load_parameters(*source, ParameterLayout(model.config)));
  ELMS_RETURN_IF_ERROR(source->copy_metadata(model.metadata));
  model.metadata.set("general.file_type", gguf_file_type(options.type));
  if (!options.name.empty()) model.metadata.set("general.name", options.name);
  return model;
}

Result<InitialModel> new_model(const TrainingOptions& options) {
  ELMS_ASSIGN_OR_RETURN(const detail::GgufFile vocabulary, detail::GgufFile::open(options.vocabulary));
  InitialModel model;
  ELMS_ASSIGN_OR_RETURN(model.tokenizer, Tokenizer::from_gguf(vocabulary));
  SynthShape shape = options.shape;
  const std::int32_t n_vocab = model.tokenizer->n_vocab();
  if (shape.n_vocab != 0 && shape.n_vocab != n_vocab) {
    return invalid_argument("shape: n_vocab is ", shape.n_vocab, "; the vocabulary ", options.vocabulary,
                            " has ", n_vocab, " tokens");
  }
  shape.n_vocab = n_vocab;
  ELMS_RETURN_IF_ERROR(check_shape(shape));
  model.config = synth_config(shape);
  const ParameterLayout layout(model.config);
  ELMS_ASSIGN_OR_RETURN(model.params, detail::Buffer<float>::zeroed(layout.size()));
  draw_parameters(layout, options.seed, model.params);
  write_config(model.metadata, model.config, options.name.empty() ? "elms" : options.name, options.type);
  for (const detail::GgufValue& value : vocabulary.values()) {
    if (value.key.starts_with("tokenizer.")) model.metadata.set(value);
  }
  return model;
}

}  // namespace

Result<InitialModel> open_initial_model(const TrainingOptions& options) {
  if (options.init_model.empty() == options.vocabulary.empty()) {
    return invalid_argument("training: give a model to begin with, or a vocabulary and a shape, not both");
  }
  return options.vocabulary.empty() ? open_model(options) : new_model(options);
}

void draw_parameters(const ParameterLayout& layout, std::uint64_t seed, std::span<float> params) {
  constexpr float kDeviation = 0.02f;
  const float residual = kDeviation / std::sqrt(2.0f * static_cast<float>(layout.config().n_layers));
  for (std::size_t i = 0; i < layout.tensors().size(); ++i) {
    const ParameterTensor& tensor = layout.tensors()[i];
    float* out = params.data() + tensor.offset;
    if (tensor.rows == 1) {
      std::fill_n(out, tensor.cols, tensor.name.ends_with("norm.weight") ? 1.0f : 0.0f);
      continue;
    }
    const bool is_residual =
        tensor.name.ends_with("attn_output.weight") || tensor.name.ends_with("ffn_down.weight");
    const std::uint64_t tensor_seed = mixed(mixed(seed) + i);
    for (std::size_t r = 0; r < tensor.rows; ++r) {
      draw_row(mixed(tensor_seed + r), tensor.cols, 0.0f, is_residual ? residual : kDeviation,
               out + r * tensor.cols);
    }
  }
}

}  // namespace elms::inline v0::offline::train
