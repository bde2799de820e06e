// Random models: which tensors they have, how large their values are, and how they are drawn and written.
#include "elms/offline/synth.hpp"

#include <algorithm>
#include <cmath>

#include "elms/detail/adapter.hpp"
#include "elms/detail/buffer.hpp"
#include "elms/detail/elastic_metadata.hpp"
#include "elms/detail/error.hpp"
#include "elms/thread_pool.hpp"
#include "offline/progress_meter.hpp"
#include "offline/random.hpp"
#include "offline/recovery/adapter_file.hpp"
#include "offline/synth_model.hpp"
#include "offline/train/model_file.hpp"
#include "offline/vocab/spm_metadata.hpp"

namespace elms::inline v0::offline {
namespace {

using detail::Buffer;

void flip_signs(std::uint64_t seed, std::size_t n, float* values) {
  for (std::size_t i = 0; i < n; ++i) {
    if (mixed(~seed + i) % 2 == 1) values[i] = -values[i];
  }
}

/// Draws, encodes and writes one tensor, a chunk of rows at a time.
class TensorStreamer {
 public:
  TensorStreamer(detail::GgufWriter& writer, ThreadPool& pool, ProgressMeter& progress,
                 std::uint64_t total_bytes)
      : writer_(writer), pool_(pool), progress_(progress), total_bytes_(total_bytes) {}

  Status write(const SynthTensor& tensor, std::uint64_t seed) {
    constexpr std::size_t kChunkBytes = std::size_t{4} << 20;
    const auto cols = static_cast<std::size_t>(tensor.cols);
    const std::size_t row_size = detail::row_bytes(tensor.type, cols);
    const std::uint64_t chunk_rows = std::clamp<std::uint64_t>(kChunkBytes / row_size, 1, tensor.rows);
    const std::size_t n_tasks = std::min<std::size_t>(chunk_rows, 4 * pool_.n_threads());
    ELMS_RETURN_IF_ERROR(grow(encoded_, chunk_rows * row_size));
    ELMS_RETURN_IF_ERROR(grow(values_, n_tasks * cols));
    for (std::uint64_t first = 0; first < tensor.rows; first += chunk_rows) {
      const std::uint64_t n = std::min(chunk_rows, tensor.rows - first);
      pool_.parallel_for(n_tasks, [&](std::size_t task) {
        float* values = values_.data() + task * cols;
        for (std::uint64_t i = task; i < n; i += n_tasks) {
          const std::uint64_t row = first + i;
          const float scale = static_cast<std::int64_t>(row) == tensor.zero_row ? 0.0f : 1.0f;
          draw_row(mixed(seed + row), cols, scale * tensor.mean, scale * tensor.deviation, values);
          if (tensor.random_signs) flip_signs(seed, cols, values);
          detail::encode_row(tensor.type, values, cols, encoded_.data() + i * row_size);
        }
      });
      ELMS_RETURN_IF_ERROR(writer_.write({encoded_.data(), static_cast<std::size_t>(n) * row_size}));
      written_bytes_ += n * row_size;
      ELMS_RETURN_IF_ERROR(
          progress_.report(static_cast<double>(written_bytes_) / static_cast<double>(total_bytes_)));
    }
    return {};
  }

 private:
  template <typename T>
  static Status grow(Buffer<T>& buffer, std::size_t n) {
    if (buffer.size() >= n) return {};
    ELMS_ASSIGN_OR_RETURN(buffer, Buffer<T>::uninitialized(n));
    return {};
  }

  detail::GgufWriter& writer_;
  ThreadPool& pool_;
  ProgressMeter& progress_;
  std::uint64_t total_bytes_;
  std::uint64_t written_bytes_ = 0;
  Buffer<float> values_;
  Buffer<std::uint8_t> encoded_;
};

using Slices = std::vector<LayerShape>;

/// Writes the levels, and which files their adapters are in. Returns the slices of every level.
std::vector<Slices> write_levels(detail::GgufWriter& writer, const ModelConfig& config, DType type,
                                 const std::string& output, bool has_adapters) {
  const detail::LayerTypes types{type, type, type, type, type, type, type};
  const detail::CostModel cost(config, {config.layers.size(), types}, type, type);
  const bool quantised = detail::dtype_info(type).block_elems > 1;
  const detail::SliceRules rules = detail::slice_rules(config, quantised);
  const std::vector<double> targets = detail::default_cost_targets();
  detail::ElasticMetadata metadata;
  for (Level& level : detail::uniform_levels(cost, config, targets, rules)) {
    if (has_adapters) metadata.adapters.push_back(adapter_name(output, metadata.levels.size()));
    metadata.cost_shares.push_back(static_cast<float>(level.cost_share));
    metadata.levels.push_back(std::move(level.layers));
  }
  detail::write_elastic_metadata(writer, metadata, rules);
  return metadata.levels;
}

Status declare(detail::GgufWriter& writer, const std::vector<SynthTensor>& tensors) {
  for (const SynthTensor& tensor : tensors) {
    const std::uint64_t dims[] = {tensor.cols, tensor.rows};
    const std::size_t n_dims = tensor.rows == 1 ? 1 : 2;
    ELMS_RETURN_IF_ERROR(writer.add_tensor(tensor.name, tensor.type, std::span(dims).first(n_dims)));
  }
  return {};
}

/// Updates that change a matrix's outputs, of about the size of its inputs, by a few percent.
std::vector<SynthTensor> adapter_tensors(const ModelConfig& config, const Slices& slices, std::int32_t rank,
                                         DType type) {
  std::vector<SynthTensor> tensors;
  for (std::size_t i = 0; i < slices.size(); ++i) {
    const auto add = [&](std::string_view name, std::int32_t k, std::int32_t n) {
      const std::string full = detail::concat("blk.", i, ".", name, ".weight.lora_");
      const auto r = static_cast<std::uint64_t>(rank);
      tensors.push_back({full + "a", type, static_cast<std::uint64_t>(k), r, 0.0f,
                         1.0f / std::sqrt(static_cast<float>(k))});
      tensors.push_back({full + "b", type, r, static_cast<std::uint64_t>(n), 0.0f,
                         0.05f / std::sqrt(static_cast<float>(rank))});
    };
    const std::int32_t d = config.d_model, q = slices[i].q_heads * config.head_dim,
                       kv = slices[i].kv_heads * config.head_dim;
    add("attn_q", d, q);
    add("attn_k", d, kv);
    add("attn_v", d, kv);
    add("attn_output", q, d);
    add("ffn_gate", d, slices[i].ff);
    add("ffn_up", d, slices[i].ff);
    add("ffn_down", slices[i].ff, d);
  }
  return tensors;
}

/// The adapter of one level, with an alpha of twice the rank.
Status write_adapter(const ModelConfig& config, const Slices& slices, std::int32_t rank, DType type,
                     std::uint64_t seed, const std::string& path, ThreadPool& pool, ProgressMeter& meter) {
  const std::vector<SynthTensor> tensors =
      adapter_tensors(config, slices, rank, type == DType::kF32 ? type : DType::kF16);
  detail::GgufWriter writer;
  writer.set("general.architecture", config.architecture);
  writer.set("general.type", "adapter");
  writer.set("adapter.type", "lora");
  writer.set("adapter.lora.alpha", 2.0f * static_cast<float>(rank));
  std::vector<float> bias(slices.size() * static_cast<std::size_t>(config.d_model));
  for (const char* key : {"elms.adapter.bias.attn_output", "elms.adapter.bias.ffn_down"}) {
    draw_row(mixed(++seed), bias.size(), 0.0f, 0.02f, bias.data());
    writer.set(key, std::span<const float>(bias));
  }
  ELMS_RETURN_IF_ERROR(declare(writer, tensors));
  std::uint64_t total = 0;
  for (const SynthTensor& tensor : tensors)
    total += tensor.rows * detail::row_bytes(tensor.type, tensor.cols);
  TensorStreamer streamer(writer, pool, meter, total);
  ELMS_RETURN_IF_ERROR(writer.begin(path));
  for (const SynthTensor& tensor : tensors) ELMS_RETURN_IF_ERROR(streamer.write(tensor, mixed(++seed)));
  return writer.finish();
}

}  // namespace

// A matrix with values of deviation g / sqrt(inputs) turns inputs of size 1 into outputs of size g.
//
// How large what is added up in the residual stream is decides how much rounding grows on its way through the
// layers. The blocks together add as much as the embedding brings, about as in trained models: next tokens
// then depend on the context, and two correct implementations agree on their probabilities to about 1e-3 with
// weights of f16. A tied head would find the embedding of the last token in that stream and repeat the token
// for ever; random signs in the output norm hide it.
//
// Logits of size s over n tokens behave like a random energy model, whose best candidate takes a finite share
// of the probability from s = sqrt(2 ln n) on.
std::vector<SynthTensor> synth_tensors(const ModelConfig& config, DType type) {
  constexpr float kBias = 0.3f, kNormSpread = 0.1f;
  constexpr float kMeanAttended = 0.6f;  // attention averages values of size 1 down to about this
  constexpr float kMeanSwiglu = 0.6f;    // root mean square of silu(a) * b of normal a and b
  const auto gain = [](float g, std::uint64_t inputs) { return g / std::sqrt(static_cast<float>(inputs)); };
  const LayerShape& layer = config.layers[0];
  const auto d = static_cast<std::uint64_t>(config.d_model), ff = static_cast<std::uint64_t>(layer.ff);
  const auto head_dim = static_cast<std::uint64_t>(config.head_dim);
  const auto vocab = static_cast<std::uint64_t>(config.n_vocab);
  const std::uint64_t q = head_dim * static_cast<std::uint64_t>(layer.q_heads);
  const std::uint64_t kv = head_dim * static_cast<std::uint64_t>(layer.kv_heads);
  const float logit_size = std::sqrt(2.0f * std::log(static_cast<float>(config.n_vocab)));
  const float embedding_size = config.tied_head ? gain(logit_size, d) : 1.0f;
  const float block_size = embedding_size / std::sqrt(2.0f * static_cast<float>(config.n_layers));

  std::vector<SynthTensor> tensors;
  const auto matrix = [&](std::string name, std::uint64_t cols, std::uint64_t rows, float deviation,
                          std::int64_t zero_row = -1) {
    tensors.push_back({std::move(name), type, cols, rows, 0.0f, deviation, zero_row});
  };
  const auto vector = [&](std::string name, std::uint64_t n, float mean, float deviation) {
    tensors.push_back({std::move(name), DType::kF32, n, 1, mean, deviation});
  };
  const auto norm = [&](std::string name, std::uint64_t n) { vector(std::move(name), n, 1.0f, kNormSpread); };

  // The end token's logit is 0 and so never the best: generation runs to the length that was asked for.
  matrix("token_embd.weight", d, vocab, embedding_size, config.tied_head ? kSpmEos : -1);
  for (std::int32_t i = 0; i < config.n_layers; ++i) {
    const std::string blk = detail::concat("blk.", i, ".");
    norm(blk + "attn_norm.weight", d);
    matrix(blk + "attn_q.weight", d, q, gain(1.0f, d));
    matrix(blk + "attn_k.weight", d, kv, gain(1.0f, d));
    matrix(blk + "attn_v.weight", d, kv, gain(1.0f, d));
    if (config.qkv_bias) {
      vector(blk + "attn_q.bias", q, 0.0f, kBias);
      vector(blk + "attn_k.bias", kv, 0.0f, kBias);
      vector(blk + "attn_v.bias", kv, 0.0f,
             kBias / 3.0f);  // the same for all positions: more would drown their values
    }
    if (config.qk_norm) {
      norm(blk + "attn_q_norm.weight", head_dim);
      norm(blk + "attn_k_norm.weight", head_dim);
    }
    matrix(blk + "attn_output.weight", q, d, gain(block_size / kMeanAttended, q));
    norm(blk + "ffn_norm.weight", d);
    matrix(blk + "ffn_gate.weight", d, ff, gain(1.0f, d));
    matrix(blk + "ffn_up.weight", d, ff, gain(1.0f, d));
    matrix(blk + "ffn_down.weight", ff, d, gain(block_size / kMeanSwiglu, ff));
  }
  norm("output_norm.weight", d);
  tensors.back().random_signs = config.tied_head;
  if (!config.tied_head) matrix("output.weight", d, vocab, gain(logit_size, d), kSpmEos);
  return tensors;
}

Status synthesize(const SynthShape& shape, DType type, std::uint64_t seed, const std::string& output,
                  const ProgressCallback& progress, std::shared_ptr<ThreadPool> pool) {
  ELMS_RETURN_IF_ERROR(check_shape(shape));
  if (!detail::dtype_info(type).can_encode) {
    return detail::invalid_argument("synth: weights of type ", detail::dtype_info(type).name,
                                    " cannot be written; f32, f16, bf16, q8_0 and q4_0 can");
  }
  const ModelConfig config = synth_config(shape);
  const std::vector<SynthTensor> tensors = synth_tensors(config, type);
  detail::GgufWriter writer;
  train::write_config(writer, config, "random weights", type);
  write_synth_vocabulary(writer, config.n_vocab);
  const std::vector<Slices> levels = write_levels(writer, config, type, output, shape.lora_rank > 0);
  ELMS_RETURN_IF_ERROR(declare(writer, tensors));

  if (pool == nullptr) {
    ELMS_ASSIGN_OR_RETURN(pool, ThreadPool::create());
  }
  std::uint64_t total = 0;
  for (const SynthTensor& tensor : tensors)
    total += tensor.rows * detail::row_bytes(tensor.type, tensor.cols);
  ProgressMeter meter(progress, "write");
  TensorStreamer streamer(writer, *pool, meter, total);
  ELMS_RETURN_IF_ERROR(writer.begin(output));
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    ELMS_RETURN_IF_ERROR(streamer.write(tensors[i], mixed(mixed(seed) + i)));
  }
  ELMS_RETURN_IF_ERROR(writer.finish());
  for (std::size_t level = 0; shape.lora_rank > 0 && level < levels.size(); ++level) {
    const std::string path = detail::adapter_path(output, adapter_name(output, level));
    ELMS_RETURN_IF_ERROR(write_adapter(config, levels[level], shape.lora_rank, type, mixed(seed + level + 1),
                                       path, *pool, meter));
  }
  return {};
}

}  // namespace elms::inline v0::offline
