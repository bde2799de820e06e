// How much int8 changes scores.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "encoder_fixture.hpp"

namespace {

using namespace elms_test;

/// Whether each token is among the better half.
std::vector<bool> top_half(const std::vector<float>& scores) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  std::vector<bool> in(scores.size());
  for (std::size_t i = 0; i < order.size() / 2; ++i) in[order[i]] = true;
  return in;
}

}  // namespace

TEST_CASE("int8 keeps scores within 2% and 98% of the better half", "[refine][encoder]") {
  EncoderConfig config = bert_config(256, 4, 130);
  const std::string path = write_random_encoder(config);
  std::vector<float> f32, int8;
  for (std::uint32_t text = 0; text < 4; ++text) {
    const std::vector<TokenId> tokens = random_tokens(128, 300, 100 + text);
    for (std::vector<float>* scores : {&f32, &int8}) {
      const auto encoder =
          make_encoder(path, scores == &f32 ? EncoderPrecision::kF32 : EncoderPrecision::kInt8);
      std::vector<float> part(tokens.size());
      REQUIRE_OK(encoder->score(tokens, part));
      scores->insert(scores->end(), part.begin(), part.end());
    }
  }
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < f32.size(); ++i) {
    difference += std::pow(static_cast<double>(f32[i]) - static_cast<double>(int8[i]), 2);
    size += std::pow(static_cast<double>(f32[i]), 2);
  }
  const double relative = std::sqrt(difference / size);
  const std::vector<bool> a = top_half(f32), b = top_half(int8);
  int n_same = 0;
  for (std::size_t i = 0; i < a.size(); ++i) n_same += a[i] && b[i];
  const double share = n_same / (0.5 * static_cast<double>(a.size()));
  const auto [least, most] = std::minmax_element(f32.begin(), f32.end());
  INFO("relative difference " << relative << ", of the better half " << share << ", scores " << *least
                              << " to " << *most);
  CHECK(*most - *least > 0.3f);  // a test of scores that are all alike would show nothing
  CHECK(relative > 0);
  CHECK(relative < 0.02);
  CHECK(share >= 0.98);
}
