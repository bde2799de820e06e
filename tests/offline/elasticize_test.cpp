// Reordering changes nothing at full width; an extracted level computes what the elastic model computes at that level.
#include "elms/offline/elasticize.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "elms/session.hpp"
#include "test_model.hpp"

using namespace elms_test;
namespace offline = elms::offline;

namespace {

struct Family {
  const char* architecture;
  std::int32_t n_kv_heads;
  bool tied_head, qkv_bias;
};
const Family kFamilies[] = {
    {"llama", 2, false, false}, {"llama", 4, true, true}, {"qwen2", 2, false, true}, {"qwen3", 2, true, false}};

std::string write_family(const Family& family, elms::DType type) {
  auto shape = small_shape(family.architecture);
  shape.n_kv_heads = family.n_kv_heads;
  shape.tied_head = family.tied_head;
  shape.qkv_bias = family.qkv_bias;
  return write_model(shape, type, std::string("original_") + family.architecture + ".gguf");
}

/// A synthetic model comes with levels of its own; elasticize() starts from plain checkpoints.
std::string without_levels(const std::string& path) {
  auto source = elms::detail::ModelSource::open(path);
  REQUIRE_OK(source);
  elms::detail::GgufWriter writer;
  REQUIRE_OK((*source)->copy_metadata(writer));
  for (const auto& tensor : (*source)->gguf()->tensors()) {
    REQUIRE_OK(writer.add_tensor(tensor.name, tensor.type, std::span(tensor.dims, tensor.n_dims)));
  }
  const std::string plain = path + ".plain.gguf";
  REQUIRE_OK(writer.begin(plain));
  for (const auto& tensor : (*source)->gguf()->tensors()) REQUIRE_OK(writer.write(tensor.data));
  REQUIRE_OK(writer.finish());
  return plain;
}

std::vector<float> logits_of(const std::string& path, int level, const std::vector<elms::TokenId>& tokens) {
  auto session = elms::Session::create(open_model(path));
  REQUIRE_OK(session);
  if (level >= 0) REQUIRE_OK(session->set_level(level));
  REQUIRE_OK(session->prefill(tokens));
  return {session->logits().begin(), session->logits().end()};
}

double relative_difference(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double worst = 0, largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    worst = std::max(worst, static_cast<double>(std::abs(a[i] - b[i])));
    largest = std::max(largest, static_cast<double>(std::abs(a[i])));
  }
  return worst / largest;
}

const std::vector<elms::TokenId> kTokens = {1, 40, 22, 7, 300, 301, 19, 5};

std::string make_text() {
  std::string text;
  auto rng = make_rng(9);
  for (int i = 0; i < 4000; ++i) text += static_cast<char>('a' + rng() % 26);
  return text;
}

offline::ElasticizeOptions small_options(offline::ImportanceMethod method, offline::Allocation allocation) {
  offline::ElasticizeOptions options;
  options.importance = {method};
  options.allocation = allocation;
  options.pool = make_pool(1);
  options.calibration.max_tokens = 256;
  options.calibration.window_tokens = 64;
  return options;
}

bool is_permutation_of_all(std::vector<std::int32_t> order) {
  std::sort(order.begin(), order.end());
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (order[i] != static_cast<std::int32_t>(i)) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("elasticize: full width computes what the original computes", "[offline]") {
  for (const Family& family : kFamilies) {
    const std::string original = without_levels(write_family(family, elms::DType::kF32));
    for (auto method : {offline::ImportanceMethod::kFlap, offline::ImportanceMethod::kMagnitude}) {
      CAPTURE(family.architecture, family.n_kv_heads, static_cast<int>(method));
      const std::string elastic = scratch_path("elastic.gguf");
      auto report = offline::elasticize(original, elastic, make_text(), small_options(method, offline::Allocation::kUniform));
      REQUIRE_OK(report);
      CHECK(report->levels.size() >= 3);
      CHECK(relative_difference(logits_of(original, -1, kTokens), logits_of(elastic, -1, kTokens)) < 1e-4);
    }
  }
}

TEST_CASE("elasticize: every extracted level computes what the elastic model computes there", "[offline]") {
  for (const Family& family : kFamilies) {
    for (auto type : {elms::DType::kF32, elms::DType::kQ8_0}) {
      for (auto allocation : {offline::Allocation::kUniform, offline::Allocation::kGlobal}) {
        const std::string original = without_levels(write_family(family, elms::DType::kF32));
        auto options = small_options(offline::ImportanceMethod::kFlap, allocation);
        options.type = type;
        options.cost_targets = {0.3, 0.5, 0.8};
        const std::string elastic = scratch_path("leveled.gguf");
        auto report = offline::elasticize(original, elastic, make_text(), options);
        REQUIRE_OK(report);
        for (std::size_t level = 0; level < report->levels.size(); ++level) {
          const auto& layers = report->levels[level].layers;
          const bool uniform = std::all_of(layers.begin(), layers.end(), [&](const auto& l) { return l == layers[0]; });
          CAPTURE(family.architecture, static_cast<int>(type), static_cast<int>(allocation), level, uniform);
          const std::string plain = scratch_path("extracted.gguf");
          const elms::Status status = offline::extract(elastic, static_cast<int>(level), plain, {}, options.pool);
          if (!uniform && std::string(family.architecture) == "qwen3") {
            CHECK(status.code() == elms::StatusCode::kUnsupported);
            continue;
          }
          REQUIRE_OK(status);
          const auto extracted = open_model(plain);
          CHECK(extracted->levels().size() == 1);
          CHECK(extracted->config().architecture == (uniform ? family.architecture : "deci"));
          CHECK(relative_difference(logits_of(elastic, static_cast<int>(level), kTokens), logits_of(plain, -1, kTokens)) < 1e-4);
        }
      }
    }
  }
}

TEST_CASE("elasticize: order and importance are kept in the file", "[offline]") {
  const std::string original = without_levels(write_family(kFamilies[0], elms::DType::kF32));
  const std::string elastic = scratch_path("metadata.gguf");
  auto report = offline::elasticize(original, elastic, make_text(),
                                    small_options(offline::ImportanceMethod::kFlap, offline::Allocation::kUniform));
  REQUIRE_OK(report);
  const auto model = open_model(elastic);
  REQUIRE(model->is_elastic());
  const auto& metadata = *model->elastic_metadata();
  CHECK(metadata.importance_method == "flap");
  const auto& layers = model->config().layers;
  std::size_t head = 0, unit = 0;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const auto n_heads = static_cast<std::size_t>(layers[l].q_heads), n_units = static_cast<std::size_t>(layers[l].ff);
    const std::vector<std::int32_t> heads(metadata.head_order.begin() + static_cast<std::ptrdiff_t>(head),
                                          metadata.head_order.begin() + static_cast<std::ptrdiff_t>(head + n_heads));
    const std::vector<std::int32_t> units(metadata.ffn_order.begin() + static_cast<std::ptrdiff_t>(unit),
                                          metadata.ffn_order.begin() + static_cast<std::ptrdiff_t>(unit + n_units));
    CHECK(is_permutation_of_all(heads));
    CHECK(is_permutation_of_all(units));
    const std::size_t group = n_heads / static_cast<std::size_t>(layers[l].kv_heads);
    for (std::size_t i = 0; i < n_heads; ++i) {
      CHECK(static_cast<std::size_t>(heads[i]) / group == i / group);  // stays with its KV head
      CHECK(metadata.head_importance[head + i] == report->importance.heads[l][static_cast<std::size_t>(heads[i])]);
    }
    for (std::size_t i = 0; i < n_units; ++i) {
      CHECK(metadata.ffn_importance[unit + i] == report->importance.ffn_units[l][static_cast<std::size_t>(units[i])]);
      if (i > 0) CHECK(metadata.ffn_importance[unit + i - 1] >= metadata.ffn_importance[unit + i]);
    }
    head += n_heads;
    unit += n_units;
  }
}

TEST_CASE("elasticize: types follow the request, and rows that are no whole blocks stay F16", "[offline]") {
  ELMS_REQUIRE_SHARED(original, "models/stories260K.gguf");
  for (auto type : {elms::DType::kF16, elms::DType::kQ8_0}) {
    auto options = small_options(offline::ImportanceMethod::kMagnitude, offline::Allocation::kUniform);
    options.type = type;
    const std::string elastic = scratch_path("typed.gguf");
    REQUIRE_OK(offline::elasticize(original, elastic, "", options));
    const auto source = elms::detail::ModelSource::open(elastic);
    REQUIRE_OK(source);
    CHECK((*source)->find("blk.0.attn_q.weight")->type == type);
    CHECK((*source)->find("blk.0.ffn_down.weight")->type == elms::DType::kF16);  // 172 columns
    CHECK((*source)->find("blk.0.attn_norm.weight")->type == elms::DType::kF32);
    CHECK(logits_of(elastic, 0, kTokens).size() == 512);
  }
}

TEST_CASE("elasticize: what cannot work is refused and leaves no file", "[offline]") {
  const std::string original = without_levels(write_family(kFamilies[0], elms::DType::kF32));
  const std::string output = scratch_path("refused.gguf");
  auto options = small_options(offline::ImportanceMethod::kFlap, offline::Allocation::kUniform);
  const auto code = [&](const std::string& input, std::string_view text) {
    const auto report = offline::elasticize(input, output, text, options);
    CHECK_FALSE(std::filesystem::exists(output));
    return report.error().code();
  };
  CHECK(code(scratch_path("absent.gguf"), "text") == elms::StatusCode::kNotFound);
  CHECK(code(original, "too short") == elms::StatusCode::kInvalidArgument);
  const std::string ordered = scratch_path("ordered_already.gguf");
  REQUIRE_OK(offline::elasticize(original, ordered, make_text(), options));
  CHECK(code(ordered, make_text()) == elms::StatusCode::kInvalidArgument);
  options.cost_targets = {0.5, 0.4};
  CHECK(code(original, make_text()) == elms::StatusCode::kInvalidArgument);
  options.cost_targets = {0.5, 1.5};
  CHECK(code(original, make_text()) == elms::StatusCode::kInvalidArgument);
  options.cost_targets = {};
  options.type = elms::DType::kQ4_K;
  CHECK(code(original, make_text()) == elms::StatusCode::kInvalidArgument);
  options.type.reset();
  for (const char* phase : {"calibrate", "write"}) {
    options.progress = [&](const offline::Progress& progress) {
      return progress.phase == phase ? elms::Flow::kStop : elms::Flow::kContinue;
    };
    CAPTURE(phase);
    CHECK(code(original, make_text()) == elms::StatusCode::kCancelled);
  }
}

TEST_CASE("elasticize: asked-for cost targets become levels that cost at most that", "[offline]") {
  const std::string original = without_levels(write_family(kFamilies[0], elms::DType::kF32));
  for (auto allocation : {offline::Allocation::kUniform, offline::Allocation::kGlobal}) {
    auto options = small_options(offline::ImportanceMethod::kMagnitude, allocation);
    options.cost_targets = {0.45, 0.5, 0.62, 0.8};
    auto report = offline::elasticize(original, scratch_path("targets.gguf"), "", options);
    REQUIRE_OK(report);
    REQUIRE(report->levels.size() == 5);  // the full model is always there
    for (std::size_t i = 0; i < options.cost_targets.size(); ++i) {
      CHECK(report->levels[i].cost_share <= options.cost_targets[i] + 1e-9);
      CHECK(report->levels[i].cost_share > options.cost_targets[i] - 0.12);
    }
  }
}

TEST_CASE("extract: a model without levels, and a level that is not there", "[offline]") {
  const std::string synthetic = write_family(kFamilies[0], elms::DType::kF32);
  const std::string output = scratch_path("no_extract.gguf");
  CHECK(offline::extract(without_levels(synthetic), 0, output).code() == elms::StatusCode::kInvalidArgument);
  CHECK(offline::extract(synthetic, 99, output).code() == elms::StatusCode::kInvalidArgument);
  CHECK_FALSE(std::filesystem::exists(output));
}
