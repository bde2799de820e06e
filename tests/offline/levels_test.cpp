// Taylor importance against finite differences, levels that were searched, and recipes side by side.
#include <cmath>
#include <numeric>

#include "elms/detail/cost.hpp"
#include "elms/detail/ladder.hpp"
#include "elms/offline/compare.hpp"
#include "offline/levels/divergence.hpp"
#include "offline/levels/level_search.hpp"
#include "offline/levels/memory_model.hpp"
#include "offline/levels/order_choice.hpp"
#include "offline/levels/windows.hpp"
#include "offline/taylor.hpp"
#include "offline/train/decoder.hpp"
#include "test_model.hpp"

using namespace elms_test;
namespace offline = elms::offline;
namespace train = elms::offline::train;

namespace {

std::vector<elms::TokenId> random_tokens(std::size_t n, std::uint32_t salt) {
  auto rng = make_rng(salt);
  std::vector<elms::TokenId> tokens;
  for (std::size_t i = 0; i < n; ++i) tokens.push_back(static_cast<elms::TokenId>(3 + rng() % 300));
  return tokens;
}

offline::MemoryModel memory_model(const std::string& name) {
  auto source = elms::detail::ModelSource::open(write_model(small_shape(), elms::DType::kF32, name));
  REQUIRE_OK(source);
  auto model = offline::load_memory_model(**source);
  REQUIRE_OK(model);
  return std::move(*model);
}

/// One window in double: its summed loss and the gradient of that.
struct DoubleRun {
  DoubleRun(const offline::MemoryModel& model, const offline::TokenWindows& text)
      : layout(model.layout),
        windows(text),
        params(model.params.data(), model.params.data() + model.params.size()),
        gradients(params.size(), 0.0),
        decoder(*train::TrainDecoder<double>::create(model.config(), {1, text.length})) {}

  double loss() {
    decoder.forward(*pool, layout, params.data(), windows.tokens);
    return static_cast<double>(windows.n_predicted()) *
           train::cross_entropy<double>(*pool, windows.targets, static_cast<std::size_t>(layout.config().n_vocab),
                                        decoder.logits().data(), decoder.logits().data(), decoder.row_loss());
  }
  /// The loss's derivative by a gate on what columns [begin, begin + n) of a matrix read.
  double gate_derivative(const std::string& matrix, std::size_t begin, std::size_t n) {
    const train::ParameterTensor& tensor = *layout.find(matrix);
    const std::vector<double> kept = params;
    double losses[2];
    constexpr double kStep = 1e-4;
    for (int side = 0; side < 2; ++side) {
      params = kept;
      for (std::size_t r = 0; r < tensor.rows; ++r) {
        for (std::size_t c = begin; c < begin + n; ++c) params[tensor.offset + r * tensor.cols + c] *= 1 + (2 * side - 1) * kStep;
      }
      losses[side] = loss();
    }
    params = kept;
    return (losses[1] - losses[0]) / (2 * kStep);
  }

  const train::ParameterLayout& layout;
  const offline::TokenWindows& windows;
  std::vector<double> params, gradients;
  train::TrainDecoder<double> decoder;
  std::shared_ptr<elms::ThreadPool> pool = make_pool(1);
};

}  // namespace

TEST_CASE("importance: taylor is the square of the loss's derivative by a gate on the unit", "[offline]") {
  const offline::MemoryModel model = memory_model("taylor.gguf");
  const offline::TokenWindows windows = offline::cut_windows(random_tokens(12, 71), elms::kNoToken, 12);
  auto importance = offline::taylor_scores(*make_pool(2), model, windows, offline::ImportanceMethod::kTaylor);
  REQUIRE_OK(importance);
  DoubleRun run(model, windows);
  const double n = static_cast<double>(windows.n_predicted());
  for (const std::size_t layer : {0u, 2u}) {
    const std::string blk = "blk." + std::to_string(layer);
    for (const std::size_t unit : {0u, 5u, 191u}) {
      const double g = run.gate_derivative(blk + ".ffn_down.weight", unit, 1);
      CHECK(static_cast<double>(importance->ffn_units[layer][unit]) == Approx(g * g / n).epsilon(5e-3).margin(1e-9));
    }
    for (std::size_t head = 0; head < 4; ++head) {  // two groups of two
      const double g = run.gate_derivative(blk + ".attn_output.weight", head * 32, 32);
      CHECK(static_cast<double>(importance->heads[layer][head]) == Approx(g * g / n).epsilon(5e-3).margin(1e-9));
    }
  }
}

TEST_CASE("importance: taylor-weights adds |w dL/dw| of a query head's own weights only", "[offline]") {
  const offline::MemoryModel model = memory_model("taylor_weights.gguf");
  const offline::TokenWindows windows = offline::cut_windows(random_tokens(12, 72), elms::kNoToken, 12);
  auto importance = offline::taylor_scores(*make_pool(1), model, windows, offline::ImportanceMethod::kTaylorWeights);
  REQUIRE_OK(importance);
  DoubleRun run(model, windows);
  run.loss();  // logits now hold the gradient of the mean
  run.decoder.backward(*run.pool, run.layout, run.params.data(), windows.tokens, run.gradients.data());
  const auto sum = [&](const std::string& name, bool rows, std::size_t begin, std::size_t n) {
    const train::ParameterTensor& tensor = *run.layout.find(name);
    double total = 0;
    for (std::size_t r = 0; r < tensor.rows; ++r) {
      for (std::size_t c = 0; c < tensor.cols; ++c) {
        const std::size_t unit = rows ? r : c, at = tensor.offset + r * tensor.cols + c;
        if (unit >= begin && unit < begin + n) total += std::abs(run.params[at] * run.gradients[at]);
      }
    }
    return total;
  };
  for (std::size_t head = 0; head < 4; ++head) {
    CHECK(static_cast<double>(importance->heads[1][head]) ==
          Approx(sum("blk.1.attn_q.weight", true, head * 32, 32) + sum("blk.1.attn_output.weight", false, head * 32, 32))
              .epsilon(1e-3));
  }
  CHECK(static_cast<double>(importance->ffn_units[1][9]) ==
        Approx(sum("blk.1.ffn_gate.weight", true, 9, 1) + sum("blk.1.ffn_up.weight", true, 9, 1) +
               sum("blk.1.ffn_down.weight", false, 9, 1))
            .epsilon(1e-3));
}

TEST_CASE("levels: searched ones are nested, legal, within their cost, and no worse than uniform ones", "[offline]") {
  const offline::MemoryModel model = memory_model("search.gguf");
  const elms::ModelConfig& config = model.config();
  const offline::TokenWindows windows = offline::cut_windows(random_tokens(32, 73), elms::kNoToken, 16);
  auto importance = offline::taylor_scores(*make_pool(2), model, windows, offline::ImportanceMethod::kTaylor);
  REQUIRE_OK(importance);
  const elms::detail::SliceRules rules = elms::detail::slice_rules(config, false);
  const offline::UnitOrder order = offline::order_units(config, *importance, rules.cut_heads);
  auto ordered = offline::with_order(model, order);
  REQUIRE_OK(ordered);
  const elms::detail::LayerTypes types{elms::DType::kF32, elms::DType::kF32, elms::DType::kF32, elms::DType::kF32,
                                       elms::DType::kF32, elms::DType::kF32, elms::DType::kF32};
  const elms::detail::CostModel cost(config, {config.layers.size(), types}, elms::DType::kF32, elms::DType::kF32);
  const std::vector<double> targets = {0.6, 0.75, 0.9, 1.0};
  const auto search = [&](std::size_t n_threads) {
    const auto pool = make_pool(n_threads);
    auto meter = offline::DivergenceMeter::create(*pool, *ordered, windows);
    REQUIRE_OK(meter);
    offline::LevelSearchOptions options;
    options.measurements_per_level = 4;
    auto levels = offline::searched_levels(cost, config, targets, rules, offline::reordered(*importance, order), *meter, options);
    REQUIRE_OK(levels);
    return std::move(*levels);
  };
  const std::vector<elms::Level> levels = search(1), again = search(3);
  REQUIRE(levels.size() == again.size());
  REQUIRE(levels.size() == targets.size());
  for (std::size_t i = 0; i < levels.size(); ++i) {
    CHECK(levels[i].layers == again[i].layers);
    for (std::size_t layer = 0; layer < config.layers.size(); ++layer) {
      CHECK(elms::detail::check_slice(config.layers[layer], levels[i].layers[layer], rules).ok());
      if (i == 0) continue;
      CHECK(levels[i - 1].layers[layer].ff <= levels[i].layers[layer].ff);
      CHECK(levels[i - 1].layers[layer].q_heads <= levels[i].layers[layer].q_heads);
    }
    if (i > 0) CHECK(levels[i - 1].cost_share < levels[i].cost_share);
  }
  CHECK(levels.back().layers == config.layers);

  const elms::Level& cut = levels[levels.size() - 2];  // the widest that is cut: nothing but its cost bounds it
  REQUIRE(cut.cost_share <= 0.9);
  const auto pool = make_pool(1);
  auto meter = offline::DivergenceMeter::create(*pool, *ordered, windows);
  REQUIRE_OK(meter);
  const std::vector<elms::Level> uniform = elms::detail::uniform_levels(cost, config, targets, rules);
  CHECK(meter->measure(cut.layers) <= meter->measure(uniform[uniform.size() - 2].layers) + 1e-6);
  CHECK(std::abs(meter->measure(config.layers)) < 1e-9);
}

TEST_CASE("levels: a divergence does not depend on what was measured before it", "[offline]") {
  const offline::MemoryModel model = memory_model("divergence.gguf");
  const offline::TokenWindows windows = offline::cut_windows(random_tokens(32, 74), elms::kNoToken, 16);
  const auto pool = make_pool(2);
  std::vector<std::vector<elms::LayerShape>> slices(1, model.config().layers);
  for (std::size_t layer = model.config().layers.size(); layer-- > 0;) {  // one layer narrow, another one each time
    slices.push_back(model.config().layers);
    slices.back()[layer].ff /= 2;
  }
  slices.push_back(slices[1]);
  slices.push_back(slices[1]);
  auto meter = offline::DivergenceMeter::create(*pool, model, windows);
  REQUIRE_OK(meter);
  std::vector<double> measured;
  for (const auto& some : slices) {
    auto fresh = offline::DivergenceMeter::create(*pool, model, windows);
    REQUIRE_OK(fresh);
    measured.push_back(meter->measure(some));
    CHECK(measured.back() == fresh->measure(some));
  }
  CHECK(std::abs(measured.front()) < 1e-9);
  CHECK(measured[1] > 1e-6);
  CHECK(measured[1] != measured[2]);
}

TEST_CASE("levels: of two orders the one whose simple cuts stay nearer is searched, whichever comes first", "[offline]") {
  const offline::MemoryModel model = memory_model("two_orders.gguf");
  const elms::ModelConfig& config = model.config();
  const offline::TokenWindows windows = offline::cut_windows(random_tokens(32, 75), elms::kNoToken, 16);
  const auto pool = make_pool(2);
  auto good = offline::taylor_scores(*pool, model, windows, offline::ImportanceMethod::kTaylor);
  REQUIRE_OK(good);
  offline::Importance bad = *good;  // what harms most to lose goes first
  for (auto* scores : {&bad.heads, &bad.ffn_units}) {
    for (auto& layer : *scores) {
      for (float& score : layer) score = 1.0f / (score + 1e-12f);
    }
  }
  const elms::detail::SliceRules rules = elms::detail::slice_rules(config, false);
  const elms::detail::LayerTypes types{elms::DType::kF32, elms::DType::kF32, elms::DType::kF32, elms::DType::kF32,
                                       elms::DType::kF32, elms::DType::kF32, elms::DType::kF32};
  const elms::detail::CostModel cost(config, {config.layers.size(), types}, elms::DType::kF32, elms::DType::kF32);
  const std::vector<double> targets = {0.7, 0.9, 1.0};
  const elms::offline::ProgressCallback progress;
  const offline::LevelInputs inputs{model, cost, rules, targets, windows, *pool, progress};
  for (const bool good_first : {true, false}) {
    auto found = offline::best_order(inputs, good_first ? std::vector{*good, bad} : std::vector{bad, *good});
    REQUIRE_OK(found);
    CHECK(found->importance.ffn_units == good->ffn_units);
    CHECK(found->order.ffn_units == offline::order_units(config, *good, rules.cut_heads).ffn_units);
    CHECK(found->levels.size() == targets.size());
  }
}

TEST_CASE("compare: every recipe at equal cost, the full model first", "[offline]") {
  elms::offline::SynthShape shape = small_shape();
  shape.d_ff = 96;
  const std::string path = write_model(shape, elms::DType::kF32, "compare.gguf");
  std::string text;
  for (int i = 0; i < 60; ++i) text += "word" + std::to_string(i * 37 % 61) + (i % 7 == 6 ? ".\n" : " ");
  offline::CompareOptions options;
  options.cost_targets = {0.7};
  options.calibration.max_tokens = 64;
  options.calibration.window_tokens = 32;
  options.search_tokens = 32;
  options.max_tokens = 64;
  options.window_tokens = 32;
  options.kl_tokens = 32;
  options.prompts = 1;
  const offline::TaskItem item{"tiny", "Request: a\nFunction:", {" yes", " no"}, 0, "", std::nullopt, {}};
  auto results = offline::compare_recipes(path, text, text, {{"tiny", {item}}}, options);
  REQUIRE_OK(results);
  REQUIRE(results->size() >= 1 + 5);  // layer dropping may have no model at this cost
  CHECK(results->front().recipe == "full");
  CHECK(std::abs(results->front().quality.divergence) < 1e-9);
  for (const offline::CompareResult& result : *results) {
    INFO(result.recipe);
    CHECK(result.quality.perplexity > 1.0);
    CHECK(std::isfinite(result.quality.perplexity));
    CHECK(result.quality.accuracy.count("tiny") == 1);
    if (result.recipe == "full") continue;
    CHECK(result.cost_share <= 0.7);
    CHECK(result.quality.divergence > 0.0);
  }

  for (const offline::Recipe recipe : offline::all_recipes()) CHECK(offline::parse_recipe(to_string(recipe)) == recipe);
  CHECK_FALSE(offline::parse_recipe("none").has_value());

  const std::size_t n_plain = results->size();
  offline::RecoveryOptions& recovery = options.recovery.emplace();
  recovery.data = scratch_path("compare_text.txt");
  write_bytes(recovery.data, {text.begin(), text.end()});
  recovery.n_steps = 12;
  recovery.warmup_steps = 1;
  recovery.batch_rows = 2;
  recovery.length = 32;
  recovery.rank = 4;
  results = offline::compare_recipes(path, text, text, {}, options);
  REQUIRE_OK(results);
  CHECK(results->size() == 2 * n_plain - 1);  // the full model has nothing to recover
  for (const offline::CompareResult& recovered : *results) {
    if (recovered.recovery == "none") continue;
    INFO(recovered.recipe);
    const auto before = std::find_if(results->begin(), results->end(), [&](const offline::CompareResult& result) {
      return result.recipe == recovered.recipe && result.recovery == "none";
    });
    REQUIRE(before != results->end());
    CHECK(recovered.cost_share == before->cost_share);
    CHECK(recovered.quality.divergence < before->quality.divergence);
  }
  recovery.method = offline::RecoveryMethod::kNested;
  CHECK(offline::compare_recipes(path, text, text, {}, options).error().code() == elms::StatusCode::kInvalidArgument);
  options.recovery.reset();
  CHECK(offline::compare_recipes(path, "", text, {}, options).error().code() == elms::StatusCode::kInvalidArgument);
  options.progress = [](const offline::Progress&) { return elms::Flow::kStop; };
  CHECK(offline::compare_recipes(path, text, text, {}, options).error().code() == elms::StatusCode::kCancelled);
}
