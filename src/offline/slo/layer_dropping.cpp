#include "offline/slo/layer_dropping.hpp"

#include <algorithm>
#include <deque>
#include <memory>

#include "elms/detail/elastic_metadata.hpp"
#include "elms/detail/error.hpp"
#include "elms/detail/model_source.hpp"
#include "offline/compare/layer_removal.hpp"
#include "offline/levels/windows.hpp"
#include "offline/tensor_names.hpp"
#include "offline/tensor_rewriter.hpp"

namespace elms::inline v0::offline {
namespace {

constexpr std::size_t kOrderTokens = 2048, kOrderWindow = 256;

/// Metadata of the whole model, with the new number of layers and without elms.* keys.
void copy_values(const detail::ModelSource& source, std::size_t n_layers, detail::GgufWriter& writer) {
  for (const detail::GgufValue& value : source.gguf()->values()) {
    if (!value.key.starts_with("elms.")) writer.set(value);
  }
  writer.set(source.config().architecture + ".block_count", static_cast<std::uint32_t>(n_layers));
}

}  // namespace

Status write_kept_layers(const std::string& input, std::span<const std::int32_t> kept,
                         const std::string& output, ThreadPool& pool) {
  ELMS_ASSIGN_OR_RETURN(const std::unique_ptr<const detail::ModelSource> source,
                        detail::ModelSource::open(input));
  if (source->gguf() == nullptr) return detail::unsupported(input, ": layers are dropped of GGUF files only");
  const auto& layers = source->config().layers;
  if (!std::all_of(layers.begin(), layers.end(), [&](const LayerShape& l) { return l == layers.front(); })) {
    return detail::unsupported(input, ": layers differ in shape, so none is dropped");
  }
  detail::GgufWriter writer;
  copy_values(*source, kept.size(), writer);
  std::deque<std::string> names;  // that the tensors below point to
  std::deque<detail::SourceTensor> renamed;
  std::vector<TensorPlan> plans;
  for (const detail::SourceTensor& tensor : source->tensors()) {
    TensorPlan plan;
    plan.tensor = &tensor;
    plan.type = output_type(tensor, std::nullopt);
    const LayerTensorName name = parse_layer_tensor(tensor.name);
    if (name.in_layer) {
      const auto place = std::find(kept.begin(), kept.end(), static_cast<std::int32_t>(name.layer));
      if (place == kept.end()) continue;
      names.push_back(detail::concat("blk.", place - kept.begin(), ".", name.suffix));
      renamed.push_back(tensor);
      renamed.back().name = names.back();
      plan.tensor = &renamed.back();
    }
    plans.push_back(plan);
  }
  return write_tensors(*source, writer, output, plans, pool, {});
}

Result<std::vector<std::int32_t>> layer_removal_order(const std::string& input, std::string_view text,
                                                      ThreadPool& pool) {
  ELMS_ASSIGN_OR_RETURN(const std::unique_ptr<const detail::ModelSource> source,
                        detail::ModelSource::open(input));
  ELMS_ASSIGN_OR_RETURN(const MemoryModel model, load_memory_model(*source));
  ELMS_ASSIGN_OR_RETURN(const std::shared_ptr<const Tokenizer> tokenizer, source->open_tokenizer());
  const std::vector<TokenId> tokens = first_tokens(*tokenizer, text, kOrderTokens);
  return removal_order_by_loss(pool, model, cut_windows(tokens, tokenizer->bos(), kOrderWindow));
}

}  // namespace elms::inline v0::offline
