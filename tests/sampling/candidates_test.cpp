#include "elms/detail/candidates.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "special_floats.hpp"
#include "support.hpp"

using elms_test::kInf;
using elms_test::kNan;

using namespace elms;
using detail::Candidate;

namespace {

std::vector<Candidate> sorted_candidates(const std::vector<float>& logits) {
  std::vector<Candidate> all;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] > -kInf) all.push_back({logits[i], static_cast<TokenId>(i)});
  }
  std::sort(all.begin(), all.end(), detail::ranks_before);
  return all;
}

std::vector<Candidate> select(const std::vector<float>& logits, std::size_t k) {
  std::vector<Candidate> out(detail::select_capacity(std::min(k, logits.size()), logits.size()));
  out.resize(detail::select_best(logits, k, out));
  return out;
}

std::vector<TokenId> ids(const std::vector<Candidate>& candidates) {
  std::vector<TokenId> out;
  for (const Candidate& candidate : candidates) out.push_back(candidate.id);
  return out;
}

/// Logits of the given size; `steps` > 0 rounds them to few values, so that there are many ties.
std::vector<float> random_logits(std::mt19937& rng, std::size_t n, int steps) {
  std::normal_distribution<float> normal(0.0f, 3.0f);
  std::vector<float> logits(n);
  for (float& logit : logits) logit = steps > 0 ? std::round(normal(rng) * steps) / steps : normal(rng);
  return logits;
}
}  // namespace

TEST_CASE("weights follow the exponential function", "[sampling][candidates]") {
  CHECK(detail::weight_exp2_minus(0.0) == detail::kFullWeight);
  CHECK(detail::weight_exp2_minus(1.0) == detail::kFullWeight / 2);
  CHECK(detail::weight_exp2_minus(40.0) == 1);
  CHECK(detail::weight_exp2_minus(41.0) == 0);
  CHECK(detail::weight_exp2_minus(1e300) == 0);
  CHECK(detail::weight_exp2_minus(std::numeric_limits<double>::infinity()) == 0);
  CHECK(detail::weight_exp2_minus(std::numeric_limits<double>::quiet_NaN()) == 0);
  std::uint64_t previous = detail::kFullWeight;
  for (int i = 0; i <= 40000; ++i) {
    const double x = i / 1000.0 + 0.00037;
    const std::uint64_t weight = detail::weight_exp2_minus(x);
    const double exact = std::exp2(40.0 - x);
    REQUIRE(std::abs(static_cast<double>(weight) - exact) <= 1.0 + exact * 4e-9);
    REQUIRE(weight <= previous);
    previous = weight;
  }
}

TEST_CASE("the largest logit is found at every place and length", "[sampling][candidates]") {
  for (std::size_t n = 0; n < 70; ++n) {
    std::vector<float> logits(n, -1.0f);
    CHECK(detail::argmax(logits) == (n == 0 ? kNoToken : 0));
    for (std::size_t i = 0; i < n; ++i) {
      logits[i] = 2.0f;
      if (i > 0) logits[i - 1] = kNan;
      REQUIRE(detail::max_logit(logits.data(), n) == 2.0f);
      REQUIRE(detail::argmax(logits) == static_cast<TokenId>(i));
      logits[i] = -1.0f;
    }
  }
}

TEST_CASE("argmax prefers the lowest id and never leaves the vocabulary", "[sampling][candidates]") {
  CHECK(detail::argmax(std::vector<float>{1, 5, 5, 5}) == 1);
  CHECK(detail::argmax(std::vector<float>{-0.0f, 0.0f}) == 0);
  CHECK(detail::argmax(std::vector<float>{kNan, -kInf, -1e38f, kNan}) == 2);
  CHECK(detail::argmax(std::vector<float>{kNan, kInf, 3, kInf}) == 1);
  CHECK(detail::argmax(std::vector<float>{kNan, -kInf, kNan}) == kNoToken);
}

TEST_CASE("select_best finds what a full sort finds", "[sampling][candidates]") {
  std::mt19937 rng = elms_test::make_rng(1);
  for (const std::size_t n : {1u, 2u, 3u, 127u, 128u, 129u, 1000u, 5003u}) {
    for (const int steps : {0, 1, 4}) {
      const std::vector<float> logits = random_logits(rng, n, steps);
      const std::vector<TokenId> expected = ids(sorted_candidates(logits));
      for (const std::size_t k : {std::size_t{1}, std::size_t{2}, std::size_t{40}, n / 2, n - 1}) {
        if (k == 0 || k >= n) continue;
        INFO("n " << n << " k " << k << " steps " << steps);
        REQUIRE(ids(select(logits, k)) ==
                std::vector<TokenId>(expected.begin(), expected.begin() + static_cast<long>(k)));
      }
      std::vector<TokenId> all = ids(select(logits, n));
      REQUIRE(std::is_sorted(all.begin(), all.end()));
      REQUIRE(all.size() == n);
    }
  }
}

TEST_CASE("select_best takes rising, falling and constant logits", "[sampling][candidates]") {
  std::vector<float> rising(3000);
  std::iota(rising.begin(), rising.end(), 0.0f);
  CHECK(ids(select(rising, 3)) == std::vector<TokenId>{2999, 2998, 2997});
  std::reverse(rising.begin(), rising.end());
  CHECK(ids(select(rising, 3)) == std::vector<TokenId>{0, 1, 2});
  CHECK(ids(select(std::vector<float>(3000, 1.5f), 4)) == std::vector<TokenId>{0, 1, 2, 3});
}

TEST_CASE("select_best leaves out what cannot be chosen", "[sampling][candidates]") {
  CHECK(ids(select({kNan, -kInf, 1, kNan, 2}, 3)) == std::vector<TokenId>{4, 2});
  CHECK(ids(select({kNan, -kInf, 1, kNan, 2}, 5)) == std::vector<TokenId>{2, 4});
  CHECK(select({kNan, -kInf, kNan}, 2).empty());
  CHECK(select({}, 2).empty());
  CHECK(select({1, 2}, 0).empty());
  const std::vector<Candidate> infinite = select({0, kInf, 1, kInf}, 2);
  REQUIRE(ids(infinite) == std::vector<TokenId>{1, 3});
  CHECK(infinite[0].logit == std::numeric_limits<float>::max());
}

TEST_CASE("keep_top_p matches a full sort in double", "[sampling][candidates]") {
  std::mt19937 rng = elms_test::make_rng(2);
  for (const std::size_t n : {1u, 5u, 64u, 65u, 700u, 4000u}) {
    const std::vector<float> logits = random_logits(rng, n, 0);
    const std::vector<Candidate> expected = sorted_candidates(logits);
    double total = 0.0;
    for (const Candidate& candidate : expected) total += std::exp(static_cast<double>(candidate.logit));
    for (const float top_p : {0.0f, 0.1f, 0.5f, 0.9f, 0.95f, 0.999f}) {
      std::size_t count = 0;
      double covered = 0.0;
      while (count < n && (count == 0 || covered < static_cast<double>(top_p) * total)) {
        covered += std::exp(static_cast<double>(expected[count++].logit));
      }
      std::vector<Candidate> kept = select(logits, n);
      kept.resize(detail::keep_top_p(kept, top_p));
      INFO("n " << n << " top_p " << top_p);
      REQUIRE(ids(kept) == ids({expected.begin(), expected.begin() + static_cast<long>(count)}));
    }
  }
}

TEST_CASE("keep_min_p matches its definition", "[sampling][candidates]") {
  std::mt19937 rng = elms_test::make_rng(3);
  const std::vector<float> logits = random_logits(rng, 2000, 0);
  const double best = *std::max_element(logits.begin(), logits.end());
  for (const float min_p : {1e-6f, 0.01f, 0.05f, 0.5f, 1.0f}) {
    std::vector<TokenId> expected;
    for (std::size_t i = 0; i < logits.size(); ++i) {
      if (std::exp(logits[i] - best) >= static_cast<double>(min_p))
        expected.push_back(static_cast<TokenId>(i));
    }
    std::vector<Candidate> kept = select(logits, logits.size());
    kept.resize(detail::keep_min_p(kept, min_p));
    REQUIRE(ids(kept) == expected);
  }
}
