#include "elms/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "allocations.hpp"
#include "special_floats.hpp"
#include "support.hpp"

using elms_test::kInf;
using elms_test::kNan;

using namespace elms;

namespace {

Sampler make(SamplerOptions options, std::int32_t n_vocab) {
  Result<Sampler> sampler = Sampler::create(std::move(options), n_vocab);
  INFO(sampler.error().message());
  REQUIRE(sampler.has_value());
  return *std::move(sampler);
}

/// No filter at all.
SamplerOptions plain(float temperature) {
  SamplerOptions options;
  options.temperature = temperature;
  options.top_k = 0;
  options.top_p = 1.0f;
  options.min_p = 0.0f;
  return options;
}

std::vector<float> random_logits(std::mt19937& rng, std::size_t n, float spread) {
  std::normal_distribution<float> normal(0.0f, spread);
  std::vector<float> logits(n);
  for (float& logit : logits) logit = normal(rng);
  return logits;
}

/// The distribution that the documented chain describes, the slow way and in double: probability of every
/// token.
std::vector<double> reference_distribution(std::vector<double> logits, const SamplerOptions& options,
                                           const std::vector<TokenId>& accepted) {
  for (const LogitBias& bias : options.logit_bias) logits[static_cast<std::size_t>(bias.token)] += bias.bias;
  const std::size_t window = std::min(accepted.size(), static_cast<std::size_t>(options.repetition_window));
  std::vector<TokenId> recent(accepted.end() - static_cast<long>(window), accepted.end());
  std::sort(recent.begin(), recent.end());
  recent.erase(std::unique(recent.begin(), recent.end()), recent.end());
  for (const TokenId token : recent) {
    double& logit = logits[static_cast<std::size_t>(token)];
    logit = logit > 0 ? logit / options.repetition_penalty : logit * options.repetition_penalty;
  }
  std::vector<std::size_t> order(logits.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return logits[a] > logits[b]; });
  if (options.top_k > 0) order.resize(std::min(order.size(), static_cast<std::size_t>(options.top_k)));
  const double best = logits[order[0]];
  const auto mass = [&](std::size_t i) { return std::exp(logits[i] - best); };
  if (options.top_p < 1.0f) {
    double total = 0.0;
    for (const std::size_t i : order) total += mass(i);
    double covered = 0.0;
    std::size_t kept = 0;
    do covered += mass(order[kept++]) / total;
    while (kept < order.size() && covered < static_cast<double>(options.top_p));
    order.resize(kept);
  }
  while (mass(order.back()) < static_cast<double>(options.min_p)) order.pop_back();
  std::vector<double> probability(logits.size(), 0.0);
  double total = 0.0;
  for (const std::size_t i : order)
    total += probability[i] = std::exp((logits[i] - best) / options.temperature);
  for (double& p : probability) p /= total;
  return probability;
}

/// Chi-square of drawn tokens against expected probabilities, rare tokens pooled; `limit` is its 99.9% point
/// by the Wilson-Hilferty approximation.
struct ChiSquare {
  double value = 0.0;
  double limit = 0.0;
  bool impossible_drawn = false;
};

ChiSquare chi_square(const std::vector<int>& counts, const std::vector<double>& probability, int n_draws) {
  ChiSquare out;
  double rare_expected = 0.0;
  double rare_count = 0.0;
  int cells = 0;
  const auto add = [&](double count, double expected) {
    out.value += (count - expected) * (count - expected) / expected;
    ++cells;
  };
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const double expected = probability[i] * n_draws;
    if (expected == 0.0 && counts[i] != 0) out.impossible_drawn = true;
    if (expected >= 10.0) {
      add(counts[i], expected);
    } else {
      rare_expected += expected;
      rare_count += counts[i];
    }
  }
  if (rare_expected >= 10.0) add(rare_count, rare_expected);
  const double k = std::max(1, cells - 1);
  const double root = 1.0 - 2.0 / (9.0 * k) + 3.09 * std::sqrt(2.0 / (9.0 * k));
  out.limit = k * root * root * root;
  return out;
}
}  // namespace

TEST_CASE("sampler draws with the probabilities that its documentation gives", "[sampling][sampler]") {
  std::mt19937 rng = elms_test::make_rng(10);
  constexpr std::size_t kVocab = 300;
  constexpr int kDraws = 40000;
  struct Case {
    const char* name;
    SamplerOptions options;
  };
  std::vector<Case> cases = {
      {"plain", plain(1.0f)}, {"hot", plain(2.5f)}, {"cold", plain(0.3f)}, {"defaults", {}}};
  cases.push_back({"top_k", plain(1.0f)});
  cases.back().options.top_k = 12;
  cases.push_back({"top_p", plain(1.3f)});
  cases.back().options.top_p = 0.8f;
  cases.push_back({"min_p", plain(0.7f)});
  cases.back().options.min_p = 0.1f;
  cases.push_back({"penalty and bias", {}});
  cases.back().options.repetition_penalty = 1.7f;
  cases.back().options.repetition_window = 20;
  cases.back().options.logit_bias = {{3, 4.0f}, {5, -kInf}, {3, 1.0f}};

  for (Case& test : cases) {
    test.options.seed = rng();
    const std::vector<float> logits = random_logits(rng, kVocab, 2.5f);
    Sampler sampler = make(test.options, kVocab);
    std::vector<TokenId> accepted;
    for (int i = 0; i < 50; ++i) {
      accepted.push_back(static_cast<TokenId>(rng() % 30));
      sampler.accept(accepted.back());
    }
    const std::vector<double> expected =
        reference_distribution({logits.begin(), logits.end()}, test.options, accepted);
    std::vector<int> counts(kVocab, 0);
    for (int i = 0; i < kDraws; ++i) {
      const TokenId token = sampler.sample(logits);
      REQUIRE(token >= 0);
      REQUIRE(token < static_cast<TokenId>(kVocab));
      ++counts[static_cast<std::size_t>(token)];
    }
    const ChiSquare result = chi_square(counts, expected, kDraws);
    INFO(test.name << ": chi square " << result.value << ", limit " << result.limit);
    CHECK_FALSE(result.impossible_drawn);
    CHECK(result.value < result.limit);
  }
}

TEST_CASE("sampler draws the same tokens on every platform", "[sampling][sampler]") {
  // Logits from integers, so that this list may be compared between machines; it was recorded once.
  std::vector<float> logits(1000);
  for (std::size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>((i * 7919) % 1009) / 128.0f;
  SamplerOptions options;
  options.seed = 42;
  Sampler sampler = make(options, 1000);
  std::vector<TokenId> drawn;
  for (int i = 0; i < 12; ++i) drawn.push_back(sampler.sample(logits));
  CHECK(drawn == std::vector<TokenId>{277, 864, 963, 541, 818, 996, 719, 264, 231, 930, 963, 587});

  options.top_k = 0;
  options.min_p = 0.0f;
  options.top_p = 0.9f;
  Sampler wide = make(options, 1000);
  drawn.clear();
  for (int i = 0; i < 12; ++i) drawn.push_back(wide.sample(logits));
  CHECK(drawn == std::vector<TokenId>{99, 40, 852, 173, 601, 364, 884, 185, 595, 245, 562, 318});
}

TEST_CASE("sampler repeats itself with its seed and after reset", "[sampling][sampler]") {
  std::mt19937 rng = elms_test::make_rng(11);
  SamplerOptions options = plain(1.5f);
  options.repetition_penalty = 1.3f;
  options.seed = 5;
  Sampler a = make(options, 500);
  Sampler b = make(options, 500);
  options.seed = 6;
  Sampler other = make(options, 500);
  std::vector<TokenId> from_a, from_b, from_other, again;
  std::vector<std::vector<float>> steps;
  for (int i = 0; i < 100; ++i) steps.push_back(random_logits(rng, 500, 2.0f));
  const auto run = [&](Sampler& sampler, std::vector<TokenId>& out) {
    for (const std::vector<float>& logits : steps) {
      out.push_back(sampler.sample(logits));
      sampler.accept(out.back());
    }
  };
  run(a, from_a);
  run(b, from_b);
  run(other, from_other);
  CHECK(from_a == from_b);
  CHECK(from_a != from_other);
  a.reset();
  run(a, again);
  CHECK(again == from_a);
}

TEST_CASE("sampler is greedy at temperature 0 whatever the filters say", "[sampling][sampler]") {
  std::mt19937 rng = elms_test::make_rng(12);
  SamplerOptions options;
  options.temperature = 0.0f;
  options.top_p = 0.0f;
  options.min_p = 1.0f;
  Sampler configured = make(options, 999);
  Sampler bare;
  for (int i = 0; i < 20; ++i) {
    std::vector<float> logits = random_logits(rng, 999, 1.0f);
    const auto best = std::max_element(logits.begin(), logits.end());
    REQUIRE(configured.sample(logits) == best - logits.begin());
    REQUIRE(bare.sample(logits) == best - logits.begin());
  }
  CHECK(bare.sample(std::vector<float>{0, 7, 7}) == 1);
}

TEST_CASE("sampler filters leave one token at their narrowest", "[sampling][sampler]") {
  const std::vector<float> logits = {0.5f, 1.0f, 1.0f, 0.9f};
  for (const int which : {0, 1, 2}) {
    SamplerOptions options = plain(100.0f);
    if (which == 0) options.top_k = 1;
    if (which == 1) options.top_p = 0.0f;
    if (which == 2) options.temperature = std::numeric_limits<float>::denorm_min();
    Sampler sampler = make(options, 4);
    std::map<TokenId, int> seen;
    for (int i = 0; i < 200; ++i) ++seen[sampler.sample(logits)];
    CHECK(seen.size() == (which == 2 ? 2u : 1u));  // equal logits stay equally likely at any temperature
    CHECK(seen.count(1) == 1);
  }
}

TEST_CASE("sampler penalises recent tokens once, within the window", "[sampling][sampler]") {
  SamplerOptions options;
  options.temperature = 0.0f;
  options.repetition_penalty = 2.0f;
  options.repetition_window = 2;
  Sampler sampler = make(options, 4);
  const std::vector<float> logits = {3.0f, 2.0f, -1.0f, -1.5f};
  CHECK(sampler.sample(logits) == 0);
  sampler.accept(0);
  sampler.accept(0);
  CHECK(sampler.sample(logits) == 1);  // 3 / 2 < 2; twice would be 3 / 4
  CHECK(sampler.sample(std::vector<float>{3.0f, 1.0f, -1.0f, -1.5f}) == 0);  // 3 / 2 > 1 > 3 / 4
  sampler.accept(1);
  sampler.accept(3);
  CHECK(sampler.sample(logits) == 0);  // 0 has left the window
  sampler.accept(2);                   // a negative logit falls too: -1 * 2 < -1.5
  sampler.accept(1);
  CHECK(sampler.sample(std::vector<float>{-kInf, -kInf, -1.0f, -1.5f}) == 3);
  sampler.accept(-1);
  sampler.accept(4);
  CHECK(sampler.sample(std::vector<float>{-kInf, -kInf, -1.0f, -1.5f}) == 3);  // ids outside changed nothing
  sampler.reset();
  CHECK(sampler.sample(logits) == 0);
}

TEST_CASE("sampler bans and forces tokens by bias", "[sampling][sampler]") {
  SamplerOptions options;
  options.logit_bias = {{2, kInf}};
  Sampler forced = make(options, 4);
  for (int i = 0; i < 50; ++i) REQUIRE(forced.sample(std::vector<float>{50, 60, -70, 80}) == 2);
  options.logit_bias = {{0, -kInf}, {1, -kInf}, {3, -kInf}};
  Sampler banned = make(options, 4);
  for (int i = 0; i < 50; ++i) REQUIRE(banned.sample(std::vector<float>{50, 60, -70, 80}) == 2);
}

TEST_CASE("sampler survives logits that are no numbers", "[sampling][sampler]") {
  for (const float temperature : {0.0f, 1.0f}) {
    for (const bool biased : {false, true}) {
      SamplerOptions options = plain(temperature);
      if (biased) options.logit_bias = {{0, 1.0f}};
      for (const int top_k : {0, 2}) {
        for (const float top_p : {1.0f, 0.9f}) {
          options.top_k = top_k;
          options.top_p = top_p;
          Sampler sampler = make(options, 6);
          CHECK(sampler.sample(std::vector<float>(6, kNan)) == kNoToken);
          CHECK(sampler.sample(std::vector<float>(6, -kInf)) == kNoToken);
          CHECK(sampler.sample(std::vector<float>{kNan, -kInf, kNan, kNan, -3e38f, kNan}) == 4);
          CHECK(sampler.sample(std::vector<float>{kNan, 1, 3e38f, kInf, 2, -kInf}) == 3);
          CHECK(sampler.sample(std::vector<float>{}) == kNoToken);
          CHECK(sampler.sample(std::vector<float>{1, 2}) < 2);                  // fewer than promised
          CHECK(sampler.sample(std::vector<float>{1, 1, 1, 1, 1, 1, 99}) < 6);  // more than promised
        }
      }
    }
  }
}

TEST_CASE("sampler takes no memory after create", "[sampling][sampler]") {
  std::mt19937 rng = elms_test::make_rng(14);
  const std::vector<float> logits = random_logits(rng, 3000, 2.0f);
  for (const int top_k : {0, 50}) {
    SamplerOptions options;
    options.top_k = top_k;
    options.repetition_penalty = 1.1f;
    options.repetition_window = 8;
    options.logit_bias = {{7, 1.0f}};
    Sampler sampler = make(options, 3000);
    const elms_test::AllocationCounter counter;
    for (int i = 0; i < 30; ++i) sampler.accept(sampler.sample(logits));
    sampler.reset();
    const long n_allocations = counter.count();
    CHECK(n_allocations == 0);
  }
  const elms_test::AllocationCounter counter;
  const Sampler sampler = *Sampler::create({}, 3000);
  CHECK(counter.count() > 0);  // the counter counts
}

TEST_CASE("sampler refuses options that can never work and names them", "[sampling][sampler]") {
  struct Case {
    std::string named;
    SamplerOptions options;
    std::int32_t n_vocab = 100;
  };
  std::vector<Case> cases;
  const auto add = [&](const std::string& named, auto change) {
    cases.push_back({named, {}});
    change(cases.back().options);
  };
  for (const float bad : {-1.0f, kInf, kNan}) {
    add("temperature", [&](SamplerOptions& options) { options.temperature = bad; });
    add("top_p", [&](SamplerOptions& options) { options.top_p = bad; });
    add("min_p", [&](SamplerOptions& options) { options.min_p = bad; });
    add("repetition_penalty", [&](SamplerOptions& options) { options.repetition_penalty = bad; });
  }
  add("repetition_penalty", [](SamplerOptions& options) { options.repetition_penalty = 0.0f; });
  add("top_p", [](SamplerOptions& options) { options.top_p = 1.001f; });
  add("top_k", [](SamplerOptions& options) { options.top_k = -1; });
  add("repetition_window", [](SamplerOptions& options) { options.repetition_window = -1; });
  add("logit_bias[1].token", [](SamplerOptions& options) { options.logit_bias = {{0, 1.0f}, {100, 1.0f}}; });
  add("logit_bias[0].token", [](SamplerOptions& options) { options.logit_bias = {{-1, 1.0f}}; });
  add("logit_bias[0].bias", [](SamplerOptions& options) { options.logit_bias = {{1, kNan}}; });
  cases.push_back({"n_vocab", {}, 0});
  for (const Case& test : cases) {
    const Result<Sampler> sampler = Sampler::create(test.options, test.n_vocab);
    REQUIRE_FALSE(sampler.has_value());
    CHECK(sampler.error().code() == StatusCode::kInvalidArgument);
    INFO(sampler.error().message());
    CHECK(sampler.error().message().find(test.named + " is") != std::string::npos);
  }
}

TEST_CASE("top_probabilities is a softmax, best first", "[sampling][sampler]") {
  std::mt19937 rng = elms_test::make_rng(13);
  const std::vector<float> logits = random_logits(rng, 400, 3.0f);
  double total = 0.0;
  for (const float logit : logits) total += std::exp(static_cast<double>(logit));
  const std::vector<TokenProbability> all = top_probabilities(logits, 400);
  REQUIRE(all.size() == 400);
  for (std::size_t i = 0; i < all.size(); ++i) {
    CHECK(all[i].probability ==
          Approx(std::exp(static_cast<double>(logits[static_cast<std::size_t>(all[i].token)])) / total));
    if (i > 0) REQUIRE(all[i].probability <= all[i - 1].probability);
  }
  const std::vector<TokenProbability> best = top_probabilities(logits, 10);
  REQUIRE(best.size() == 10);
  for (std::size_t i = 0; i < best.size(); ++i) CHECK(best[i].token == all[i].token);
  CHECK(top_probabilities(std::vector<float>{kNan, -kInf}, 3).empty());
  const std::vector<TokenProbability> infinite =
      top_probabilities(std::vector<float>{1, kInf, kNan, kInf}, 3);
  REQUIRE(infinite.size() == 3);
  CHECK(infinite[0].token == 1);
  CHECK(infinite[1].probability == Approx(0.5));
  CHECK(infinite[2].probability == Approx(0.0));
}
