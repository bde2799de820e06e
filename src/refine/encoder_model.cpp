#include <new>
#include <utility>

#include "elms/detail/cpu.hpp"
#include "elms/detail/encoder.hpp"
#include "elms/detail/error.hpp"
#include "refine/encoder_heads.hpp"
#include "refine/encoder_parts.hpp"

namespace elms::inline v0::detail {
namespace {

/// kInt8 where the file's own matrices are.
EncoderPrecision stored_precision(const EncoderFile& file) noexcept {
  const GgufTensor* first = file.gguf().find_tensor("blk.0.ffn_up.weight");
  return first != nullptr && is_quantised(first->type) ? EncoderPrecision::kInt8 : EncoderPrecision::kF32;
}

Status load_tokenizer(EncoderParts& model) {
  const EncoderConfig& config = model.file.config();
  const std::string& name = model.file.gguf().name();
  Result<std::shared_ptr<const Tokenizer>> tokenizer = Tokenizer::from_gguf(model.file.gguf());
  if (tokenizer.error().code() == StatusCode::kNotFound) return malformed(tokenizer.error().message());
  if (!tokenizer.has_value()) return tokenizer.error();
  model.tokenizer = std::move(*tokenizer);
  if (model.tokenizer->n_vocab() > config.n_vocab) {
    return malformed(name, ": the vocabulary has ", model.tokenizer->n_vocab(),
                     " tokens, token_embd.weight only ", config.n_vocab, " rows");
  }
  if (model.tokenizer->bos() == kNoToken || model.tokenizer->eos() == kNoToken) {
    return malformed(name, ": the vocabulary names no [CLS] or no [SEP]");
  }
  return {};
}

Status load_embeddings(EncoderParts& model) {
  const EncoderFile& file = model.file;
  const EncoderConfig& config = file.config();
  const std::int32_t d = config.d_model;
  const auto main = EncoderBranch::kMain;
  ELMS_ASSIGN_OR_RETURN(model.token_table,
                        file.tensor(main, "token_embd.weight", config.n_vocab, config.d_embedding));
  const auto n_positions = static_cast<std::int32_t>(file.gguf().find_tensor("position_embd.weight")->rows());
  ELMS_ASSIGN_OR_RETURN(model.position_table, file.tensor(main, "position_embd.weight", n_positions, d));
  ELMS_ASSIGN_OR_RETURN(const SourceTensor types,
                        file.tensor(main, "token_types.weight", config.n_token_types, d));
  ELMS_ASSIGN_OR_RETURN(model.token_type, Buffer<float>::uninitialized(static_cast<std::size_t>(d)));
  types.decode_row(0, model.token_type.data());
  ELMS_ASSIGN_OR_RETURN(model.embedding_norm, load_encoder_norm(file, main, "token_embd_norm", d));
  if (config.d_embedding == d && !config.trigram) return {};
  const std::int32_t n_in = config.trigram ? 3 * config.d_embedding : config.d_embedding;
  ELMS_ASSIGN_OR_RETURN(model.widen, load_linear(file, main, "token_embd_widen", d, n_in,
                                                 LinearActivation::kNone, model.settings));
  return {};
}

Status load_parts(EncoderParts& model) {
  const EncoderConfig& config = model.file.config();
  ELMS_RETURN_IF_ERROR(load_tokenizer(model));
  ELMS_RETURN_IF_ERROR(load_embeddings(model));
  for (std::int32_t i = 0; i < config.n_layers; ++i) {
    ELMS_ASSIGN_OR_RETURN(EncoderLayer layer,
                          load_encoder_layer(model.file, EncoderBranch::kMain, i, model.settings));
    model.layers.push_back(std::move(layer));
  }
  for (std::int32_t i = 0; i < config.n_decision_layers; ++i) {
    ELMS_ASSIGN_OR_RETURN(EncoderLayer layer,
                          load_encoder_layer(model.file, EncoderBranch::kDecision, i, model.settings));
    model.decision_layers.push_back(std::move(layer));
  }
  ELMS_ASSIGN_OR_RETURN(model.score, read_score_head(model.file.gguf(), config));
  ELMS_ASSIGN_OR_RETURN(model.decision, read_decision_head(model.file.gguf(), config));
  return {};
}

}  // namespace

Result<std::shared_ptr<const EncoderModel>> EncoderModel::open(const std::string& path,
                                                               const EncoderOpenOptions& options) {
  ELMS_ASSIGN_OR_RETURN(EncoderFile file, EncoderFile::open(path));
  std::unique_ptr<EncoderParts> parts(new (std::nothrow) EncoderParts(std::move(file)));
  if (parts == nullptr) return error(StatusCode::kOutOfMemory, path, ": out of memory");
  parts->pool = options.pool;
  if (parts->pool == nullptr) {
    ELMS_ASSIGN_OR_RETURN(parts->pool, ThreadPool::create());
  }
  parts->settings.precision = options.precision.value_or(stored_precision(parts->file));
  ELMS_ASSIGN_OR_RETURN(parts->settings.kernels, select_kernels());
  // XNNPACK brings its own kind of pool, and one pass computes on one pool.
  parts->compute_pool = parts->pool;
  if (parts->settings.precision == EncoderPrecision::kF32 && parts->pool->n_threads() > 1 &&
      parts->pool->native() == nullptr) {
    ELMS_ASSIGN_OR_RETURN(parts->compute_pool, ThreadPool::create_native(parts->pool->n_threads()));
  }
  parts->settings.pool = parts->compute_pool.get();
  ELMS_RETURN_IF_ERROR(load_parts(*parts));
  std::unique_ptr<const EncoderModel> model(new (std::nothrow) EncoderModel(std::move(parts)));
  if (model == nullptr) return error(StatusCode::kOutOfMemory, path, ": out of memory");
  return std::shared_ptr<const EncoderModel>(std::move(model));
}

EncoderModel::EncoderModel(std::unique_ptr<const EncoderParts> parts) noexcept : parts_(std::move(parts)) {}
EncoderModel::~EncoderModel() = default;

const EncoderConfig& EncoderModel::config() const noexcept {
  return parts_->file.config();
}
EncoderPrecision EncoderModel::precision() const noexcept {
  return parts_->settings.precision;
}
const Tokenizer& EncoderModel::tokenizer() const noexcept {
  return *parts_->tokenizer;
}
const std::shared_ptr<ThreadPool>& EncoderModel::pool() const noexcept {
  return parts_->pool;
}
bool EncoderModel::has_score_head() const noexcept {
  return !parts_->score.weight.empty();
}
bool EncoderModel::has_decision_head() const noexcept {
  return !parts_->decision.widths.empty();
}
std::span<const float> EncoderModel::widths() const noexcept {
  return parts_->decision.widths;
}
std::span<const float> EncoderModel::keep_ratios() const noexcept {
  return parts_->decision.keep_ratios;
}

std::size_t EncoderModel::weight_bytes() const noexcept {
  std::size_t n = 0;
  for_each_linear(*parts_, [&](const Linear& linear) { n += linear.weight_bytes(); });
  return n;
}

std::int64_t EncoderModel::macs(std::int32_t n_rows) const noexcept {
  std::int64_t weights = 0;
  const auto add = [&](const Linear& linear) { weights += std::int64_t{linear.n_out} * linear.n_in; };
  if (parts_->widen.n_out > 0) add(parts_->widen);
  for (const EncoderLayer& layer : parts_->layers) for_each_linear(layer, add);
  const std::int64_t attention = 2 * std::int64_t{n_rows} * config().d_inner * config().n_layers;
  return n_rows * (weights + attention);
}

}  // namespace elms::inline v0::detail
