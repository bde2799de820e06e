// Adapters of levels, against the same weights merged.
#include "elms/detail/adapter.hpp"

#include <algorithm>
#include <cmath>

#include "elms/offline/elasticize.hpp"
#include "elms/session.hpp"
#include "reference_decoder.hpp"
#include "test_model.hpp"

using namespace elms_test;
using elms::detail::concat;
using elms::detail::GgufFile;
using elms::detail::GgufTensor;

namespace {

constexpr const char* kMatrices[] = {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"};

using Matrix = std::vector<std::vector<double>>;

Matrix decoded(const GgufFile& file, const std::string& name) {
  const GgufTensor* tensor = file.find_tensor(name);
  REQUIRE(tensor != nullptr);
  Matrix rows;
  std::vector<float> row(tensor->cols());
  for (std::uint64_t r = 0; r < tensor->rows(); ++r) {
    elms::detail::decode_row(tensor->type, tensor->data.data() + r * elms::detail::row_bytes(tensor->type, row.size()),
                             row.size(), row.data());
    rows.emplace_back(row.begin(), row.end());
  }
  return rows;
}

/// alpha / r * B A of a matrix of a layer: [n, k] of the level.
Matrix update_of(const GgufFile& adapter, std::size_t layer, const std::string& matrix) {
  const std::string name = concat("blk.", layer, ".", matrix, ".weight.lora_");
  const Matrix a = decoded(adapter, name + "a"), b = decoded(adapter, name + "b");
  const double factor = *adapter.real("adapter.lora.alpha") / static_cast<double>(a.size());
  Matrix update(b.size(), std::vector<double>(a[0].size(), 0.0));
  for (std::size_t i = 0; i < b.size(); ++i) {
    for (std::size_t r = 0; r < a.size(); ++r) {
      for (std::size_t j = 0; j < a[r].size(); ++j) update[i][j] += factor * b[i][r] * a[r][j];
    }
  }
  return update;
}

std::string adapter_file(const std::string& model, std::size_t level) {
  return concat(model.substr(0, model.size() - 5), ".level", level, ".lora.gguf");
}

/// Largest difference over the largest magnitude.
template <typename A, typename B>
double relative_error(const A& actual, const B& expected) {
  REQUIRE(actual.size() == expected.size());
  double worst = 0, largest = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(actual[i]) - static_cast<double>(expected[i])));
    largest = std::max(largest, std::abs(static_cast<double>(expected[i])));
  }
  return worst / largest;
}

/// Norm of the difference over the norm of what was expected. Sums in another order round some halves of the KV cache the
/// other way, which single logits show.
double relative_distance(const std::vector<float>& actual, const std::vector<float>& expected) {
  REQUIRE(actual.size() == expected.size());
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    difference += std::pow(static_cast<double>(actual[i]) - static_cast<double>(expected[i]), 2.0);
    size += std::pow(static_cast<double>(expected[i]), 2.0);
  }
  return std::sqrt(difference / size);
}

/// Logits after each of a few tokens, in batches of `batch`.
std::vector<float> logits_of(std::shared_ptr<const elms::ElasticModel> model, int level, std::int32_t batch) {
  elms::SessionOptions options;
  options.context_tokens = 32;
  options.batch_tokens = batch;
  auto session = elms::Session::create(std::move(model), options);
  REQUIRE_OK(session);
  REQUIRE_OK(session->set_level(level));
  std::vector<float> all;
  elms::PrefillOptions report;
  report.on_logits = [&](std::int32_t, std::int32_t, std::span<const float> logits) {
    all.insert(all.end(), logits.begin(), logits.end());
    return elms::Flow::kContinue;
  };
  REQUIRE_OK(session->prefill(std::vector<elms::TokenId>{1, 17, 33, 5, 80, 9, 200}, report));
  return all;
}

/// The level as a plain model with its updates added to the weights, and the bias of the attention's output.
std::string write_merged(const std::string& model, std::size_t level) {
  const std::string plain = scratch_path("plain_level.gguf"), merged = scratch_path("merged_level.gguf");
  REQUIRE_OK(elms::offline::extract(model, static_cast<int>(level), plain, {}, make_pool(1)));
  const auto source = GgufFile::open(plain);
  const auto adapter = GgufFile::open(adapter_file(model, level));
  REQUIRE_OK(source);
  REQUIRE_OK(adapter);
  elms::detail::GgufWriter writer;
  for (const auto& value : source->values()) writer.set(value);
  for (const GgufTensor& t : source->tensors()) REQUIRE_OK(writer.add_tensor(t.name, t.type, std::span(t.dims).first(t.n_dims)));
  REQUIRE_OK(writer.begin(merged));
  for (const GgufTensor& t : source->tensors()) {
    std::vector<float> values(t.rows() * t.cols());
    elms::detail::decode_row(t.type, t.data.data(), values.size(), values.data());
    const std::string name(t.name);
    for (const char* matrix : kMatrices) {
      const std::string suffix = concat(".", matrix, ".weight");
      if (!name.ends_with(suffix)) continue;
      const Matrix update = update_of(*adapter, static_cast<std::size_t>(name[4] - '0'), matrix);
      for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] = static_cast<float>(values[i] + update[i / t.cols()][i % t.cols()]);
      }
    }
    REQUIRE_OK(writer.write({reinterpret_cast<const std::uint8_t*>(values.data()), values.size() * sizeof(float)}));
  }
  REQUIRE_OK(writer.finish());
  return merged;
}

/// The same adapter without one of its keys or tensors, or with something else changed.
template <typename Change>
void rewrite(const std::string& path, Change&& change) {
  const auto bytes = read_bytes(path);
  const auto source = GgufFile::parse(bytes, path);
  REQUIRE_OK(source);
  elms::detail::GgufWriter writer;
  for (const auto& value : source->values()) writer.set(value);
  change(writer);
  for (const GgufTensor& t : source->tensors()) REQUIRE_OK(writer.add_tensor(t.name, t.type, std::span(t.dims).first(t.n_dims)));
  REQUIRE_OK(writer.begin(path));
  for (const GgufTensor& t : source->tensors()) REQUIRE_OK(writer.write(t.data));
  REQUIRE_OK(writer.finish());
}

void drop_biases(const std::string& path) {
  rewrite(path, [](elms::detail::GgufWriter& writer) {
    writer.erase("elms.adapter.bias.attn_output");
    writer.erase("elms.adapter.bias.ffn_down");
  });
}

elms::offline::SynthShape adapted_shape(const char* architecture, std::int32_t n_kv_heads, std::int32_t rank) {
  auto shape = small_shape(architecture);
  shape.n_kv_heads = n_kv_heads;
  shape.lora_rank = rank;
  return shape;
}

}  // namespace

TEST_CASE("adapter: a level with one equals the level with the weights merged", "[model][adapter]") {
  for (const char* architecture : {"llama", "qwen2"}) {
    for (const std::int32_t n_kv_heads : {1, 2, 4}) {
      const std::int32_t rank = n_kv_heads == 2 ? 8 : 5;
      const std::string path = write_model(adapted_shape(architecture, n_kv_heads, rank), elms::DType::kF32, "adapted.gguf");
      const auto n_levels = open_model(path)->levels().size();
      REQUIRE(n_levels >= 3);
      for (std::size_t level = 0; level < n_levels; ++level) {
        CAPTURE(architecture, n_kv_heads, level);
        drop_biases(adapter_file(path, level));
        const auto merged = logits_of(open_model(write_merged(path, level)), 0, 32);
        const auto model = open_model(path);
        for (const std::int32_t batch : {1, 3, 32}) {
          CHECK(relative_distance(logits_of(model, static_cast<int>(level), batch), merged) < 1e-4);
        }
        elms::OpenOptions bare;
        bare.pool = make_pool(1);
        bare.use_adapters = false;
        const auto without = elms::ElasticModel::open(path, bare);
        REQUIRE_OK(without);
        CHECK(relative_distance(logits_of(*without, static_cast<int>(level), 32), merged) > 1e-2);  // it matters
      }
    }
  }
}

TEST_CASE("adapter: updates and biases agree with a plain double implementation at every level", "[model][adapter]") {
  for (const char* architecture : {"llama", "qwen2"}) {
    for (const std::int32_t n_kv_heads : {2, 4}) {
      // In a quantised model activations and A are int8, which the reference is not.
      const bool quantised = architecture == std::string("llama");
      const elms::DType type = quantised ? elms::DType::kQ8_0 : elms::DType::kF32;
      const double tolerance = quantised ? 4e-2 : 2e-3;  // the KV cache holds halves
      const std::string path = write_model(adapted_shape(architecture, n_kv_heads, 8), type, "biased.gguf");
      const auto model = open_model(path);
      const elms::ModelConfig& config = model->config();
      const auto hd = static_cast<std::size_t>(config.head_dim), d = static_cast<std::size_t>(config.d_model);
      for (std::size_t level = 0; level < model->levels().size(); ++level) {
        CAPTURE(architecture, n_kv_heads, level);
        const auto& slices = model->levels()[level].layers;
        const auto adapter = GgufFile::open(adapter_file(path, level));
        REQUIRE_OK(adapter);
        ReferenceDecoder reference(model->source());
        for (std::size_t l = 0; l < slices.size(); ++l) {
          const auto group = static_cast<std::size_t>(config.layers[l].q_heads / config.layers[l].kv_heads);
          const auto kept = static_cast<std::size_t>(slices[l].q_heads / slices[l].kv_heads);
          // Unit i of the level's heads, group by group, is this one of the whole model's.
          const auto head_unit = [&](std::size_t i) {
            const std::size_t head = i / hd;
            return (head / kept * group + head % kept) * hd + i % hd;
          };
          for (const std::string matrix : kMatrices) {
            const Matrix update = update_of(*adapter, l, matrix);
            Matrix& w = reference.editable(concat("blk.", l, ".", matrix, ".weight"));
            for (std::size_t i = 0; i < update.size(); ++i) {
              for (std::size_t j = 0; j < update[i].size(); ++j) {
                w[matrix == "attn_q" ? head_unit(i) : i][matrix == "attn_output" ? head_unit(j) : j] += update[i][j];
              }
            }
          }
          for (const std::string block : {"attn_output", "ffn_down"}) {
            const auto biases = adapter->reals("elms.adapter.bias." + block);
            REQUIRE_OK(biases);
            Matrix& bias = reference.editable(concat("blk.", l, ".", block, ".bias"));
            if (bias.empty()) bias.assign(1, std::vector<double>(d, 0.0));
            for (std::size_t i = 0; i < d; ++i) bias[0][i] += (*biases)[l * d + i];
          }
        }
        auto session = elms::Session::create(model);
        REQUIRE_OK(session);
        REQUIRE_OK(session->set_level(static_cast<int>(level)));
        for (const elms::TokenId token : {1, 17, 33, 5, 80}) {
          REQUIRE_OK(session->prefill(std::vector<elms::TokenId>{token}));
          CHECK(relative_error(session->logits(), reference.eval(token, slices)) < tolerance);
        }
      }
    }
  }
}

TEST_CASE("adapter: quantised models, several threads and the pack cache give the same", "[model][adapter]") {
  for (const elms::DType type : {elms::DType::kQ8_0, elms::DType::kQ4_0, elms::DType::kF16}) {
    auto shape = adapted_shape("llama", 2, 8);
    shape.d_ff = 1024;
    shape.d_model = 256;
    const std::string path = write_model(shape, type, "threads.gguf");
    const auto one = open_model(path), two = open_model(path, 2);
    elms::PackOptions pack;
    pack.pool = make_pool(1);
    REQUIRE_OK(elms::pack_model(path, {}, pack));
    const auto packed = open_model(path);
    REQUIRE_FALSE(packed->pack_cache().empty());
    for (int level = 0; level < static_cast<int>(one->levels().size()); ++level) {
      CAPTURE(static_cast<int>(type), level);
      const auto expected = logits_of(one, level, 32);
      CHECK(logits_of(two, level, 32) == expected);
      CHECK(logits_of(packed, level, 32) == expected);
      CHECK(relative_error(logits_of(one, level, 1), expected) < 2e-2);
    }
  }
}

TEST_CASE("adapter: its bytes are part of the level's cost", "[model][adapter]") {
  const std::string path = write_model(adapted_shape("llama", 2, 8), elms::DType::kF32, "cost.gguf");
  elms::OpenOptions bare;
  bare.pool = make_pool(1);
  bare.use_adapters = false;
  const auto with = open_model(path);
  const auto without = elms::ElasticModel::open(path, bare);
  REQUIRE_OK(without);
  for (std::size_t i = 0; i < with->levels().size(); ++i) {
    const std::uint64_t added = with->levels()[i].bytes_per_token - (*without)->levels()[i].bytes_per_token;
    REQUIRE(with->adapter(static_cast<int>(i)) != nullptr);
    CHECK(added == with->adapter(static_cast<int>(i))->bytes);
    CHECK(added > 0);
    CHECK(with->level_for_width(with->levels()[i].cost_share) == static_cast<int>(i));
  }
  CHECK(with->levels().back().cost_share == 1.0);
  CHECK(with->adapter(-1) == nullptr);
  CHECK((*without)->adapter(0) == nullptr);
}

TEST_CASE("adapter: what does not fit is an error that names the file", "[model][adapter]") {
  const std::string path = write_model(adapted_shape("llama", 2, 4), elms::DType::kF32, "refused.gguf");
  const std::string adapter = adapter_file(path, 1);
  const auto refused = [&](elms::StatusCode code, const std::string& why) {
    elms::OpenOptions options;
    options.pool = make_pool(1);
    const auto model = elms::ElasticModel::open(path, options);
    CHECK(model.error().code() == code);
    INFO(model.error().message());
    CHECK(model.error().message().find("refused.level1.lora.gguf") != std::string::npos);
    CHECK(model.error().message().find(why) != std::string::npos);
  };
  SECTION("no file") {
    std::remove(adapter.c_str());
    refused(elms::StatusCode::kNotFound, "");
  }
  SECTION("the adapter of another level") {
    write_bytes(adapter, read_bytes(adapter_file(path, 0)));
    refused(elms::StatusCode::kMalformedFile, "blk.0.");
  }
  SECTION("a whole model") {
    write_bytes(adapter, read_bytes(path));
    refused(elms::StatusCode::kUnsupported, "general.type");
  }
  SECTION("another architecture") {
    rewrite(adapter, [](elms::detail::GgufWriter& writer) { writer.set("general.architecture", "qwen2"); });
    refused(elms::StatusCode::kUnsupported, "general.architecture");
  }
  SECTION("a bias of another length") {
    const std::vector<float> bias(7, 0.0f);
    rewrite(adapter, [&](elms::detail::GgufWriter& writer) {
      writer.set("elms.adapter.bias.ffn_down", std::span<const float>(bias));
    });
    refused(elms::StatusCode::kMalformedFile, "elms.adapter.bias.ffn_down");
  }
}
