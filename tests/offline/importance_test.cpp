#include "elms/offline/importance.hpp"

#include <cmath>

#include "elms/session.hpp"
#include "test_model.hpp"

using namespace elms_test;
namespace offline = elms::offline;

namespace {

std::vector<std::vector<float>> rows_of(const elms::detail::ModelSource& source, const std::string& name) {
  const elms::detail::SourceTensor* tensor = source.find(name);
  REQUIRE(tensor != nullptr);
  std::vector<std::vector<float>> rows(tensor->rows, std::vector<float>(tensor->cols));
  for (std::uint64_t r = 0; r < tensor->rows; ++r) tensor->decode_row(r, rows[r].data());
  return rows;
}

}  // namespace

TEST_CASE("importance: magnitude is the squared norm of a unit's weights", "[offline]") {
  for (std::int32_t n_kv_heads : {2, 4}) {
    auto shape = small_shape();
    shape.n_kv_heads = n_kv_heads;
    const auto model = open_model(write_model(shape, elms::DType::kF32, "magnitude.gguf"));
    const auto& source = model->source();
    auto importance = offline::magnitude_importance(source);
    REQUIRE_OK(importance);
    const auto gate = rows_of(source, "blk.1.ffn_gate.weight"), up = rows_of(source, "blk.1.ffn_up.weight"),
               down = rows_of(source, "blk.1.ffn_down.weight"), q = rows_of(source, "blk.1.attn_q.weight"),
               k = rows_of(source, "blk.1.attn_k.weight"), v = rows_of(source, "blk.1.attn_v.weight"),
               o = rows_of(source, "blk.1.attn_output.weight");
    double unit = 0, head = 0;
    for (std::size_t c = 0; c < 64; ++c) {
      unit += gate[77][c] * gate[77][c] + up[77][c] * up[77][c] + down[c][77] * down[c][77];
      for (std::size_t r = 96; r < 128; ++r) {  // head 3
        head += q[r][c] * q[r][c] + o[c][r] * o[c][r];
        if (n_kv_heads == 4) head += k[r][c] * k[r][c] + v[r][c] * v[r][c];
      }
    }
    CHECK(importance->ffn_units[1][77] == Approx(unit).epsilon(1e-4));
    CHECK(importance->heads[1][3] == Approx(head).epsilon(1e-4));
  }
}

TEST_CASE("importance: flap is the variance of a unit's activation times the norm of what reads it", "[offline]") {
  const auto model = open_model(write_model(small_shape(), elms::DType::kF32, "flap.gguf"));
  std::vector<elms::TokenId> tokens;
  auto rng = make_rng(11);
  for (int i = 0; i < 128; ++i) tokens.push_back(static_cast<elms::TokenId>(rng() % 320));
  offline::CalibrationOptions options;
  options.window_tokens = 64;
  auto importance = offline::flap_importance(model, tokens, options);
  REQUIRE_OK(importance);

  // The same from activations seen one window at a time, with a two-pass variance.
  std::vector<std::vector<float>> ffn, attention;
  elms::SessionOptions session_options;
  session_options.batch_tokens = 64;
  session_options.probe = [&](elms::ProbePoint point, std::int32_t layer, std::span<const float> values, std::int32_t n, std::int32_t columns) {
    if (layer != 2 || point == elms::ProbePoint::kLayerInput) return;
    auto& rows = point == elms::ProbePoint::kFfnActivation ? ffn : attention;
    for (std::int32_t t = 0; t < n; ++t) {
      const auto* begin = values.data() + static_cast<std::ptrdiff_t>(t) * columns;
      rows.emplace_back(begin, begin + columns);
    }
  };
  auto session = elms::Session::create(model, session_options);
  REQUIRE_OK(session);
  for (std::size_t begin : {std::size_t{0}, std::size_t{64}}) {
    session->reset();
    REQUIRE_OK(session->prefill(std::span(tokens).subspan(begin, 64)));
  }
  REQUIRE(ffn.size() == 128);
  const auto variance = [](const std::vector<std::vector<float>>& rows, std::size_t column) {
    double mean = 0, squares = 0;
    for (const auto& row : rows) mean += row[column] / static_cast<double>(rows.size());
    for (const auto& row : rows) squares += (row[column] - mean) * (row[column] - mean);
    return squares / static_cast<double>(rows.size() - 1);
  };
  const auto down = rows_of(model->source(), "blk.2.ffn_down.weight"), wo = rows_of(model->source(), "blk.2.attn_output.weight");
  const auto column_norm = [](const std::vector<std::vector<float>>& rows, std::size_t column) {
    double sum = 0;
    for (const auto& row : rows) sum += row[column] * row[column];
    return sum;
  };
  CHECK(importance->ffn_units[2][50] == Approx(variance(ffn, 50) * column_norm(down, 50)).epsilon(1e-3));
  // File head 1 is rank 1 of group 0; the probe delivers rank by rank: [g0r0, g1r0, g0r1, g1r1].
  double head = 0;
  for (std::size_t i = 0; i < 32; ++i) head += variance(attention, 2 * 32 + i) * column_norm(wo, 1 * 32 + i);
  CHECK(importance->heads[2][1] == Approx(head).epsilon(1e-3));

  auto again = offline::flap_importance(model, tokens, options);
  REQUIRE_OK(again);
  CHECK(again->ffn_units == importance->ffn_units);
  CHECK(again->heads == importance->heads);
}

TEST_CASE("importance: standardised scores have mean 0 and variance 1 in every layer", "[offline]") {
  offline::Importance importance;
  importance.heads = {{1, 2, 3, 4}, {5, 5, 5, 5}};
  importance.ffn_units = {{100, 0, 50}, {1e-9f, 3e-9f, 2e-9f}};
  const auto out = offline::standardised(importance);
  for (const auto* layers : {&out.heads, &out.ffn_units}) {
    for (const auto& layer : *layers) {
      double sum = 0, squares = 0;
      for (float score : layer) {
        sum += score;
        squares += score * score;
      }
      CHECK(sum == Approx(0).margin(1e-5));
      if (layer != std::vector<float>(4, 0.0f)) CHECK(squares / static_cast<double>(layer.size()) == Approx(1).epsilon(1e-4));
    }
  }
  CHECK(out.heads[1] == std::vector<float>(4, 0.0f));  // all alike: no preference
}
