#include "elms/offline/task_eval.hpp"

#include <algorithm>
#include <cmath>

#include "elms/session.hpp"
#include "elms/tokenizer.hpp"
#include "test_model.hpp"

using namespace elms_test;
namespace offline = elms::offline;
using offline::TaskItem;

namespace {

/// Prompts and choices of random small letters; some choices begin alike, some hold each other.
std::vector<TaskItem> random_items(std::size_t n, std::uint32_t salt) {
  auto rng = make_rng(salt);
  const auto word = [&](std::size_t letters) {
    std::string text;
    while (text.size() < letters) text += static_cast<char>('a' + static_cast<int>(rng() % 6));
    return text;
  };
  std::vector<TaskItem> items(n);
  for (TaskItem& item : items) {
    item.prompt = word(4 + rng() % 8) + " " + word(5) + ":";
    const std::string stem = " " + word(3);
    item.choices = {stem + "_" + word(2), " " + word(4), stem, stem + "_" + word(2) + word(1), " z"};
    item.answer = rng() % item.choices.size();
    item.seen = rng() % 2 == 0;
  }
  return items;
}

/// Sum of the log probabilities of the choice's tokens: the whole sequence anew, one forward pass per token.
double plain_likelihood(const std::shared_ptr<const elms::ElasticModel>& model, int level, const offline::TaskTokens& tokens,
                        std::size_t choice) {
  auto session = elms::Session::create(model);
  REQUIRE_OK(session);
  REQUIRE_OK(session->set_level(level));
  for (const elms::TokenId token : tokens.prompt) REQUIRE_OK(session->prefill(std::span(&token, 1)));
  double sum = 0.0;
  for (const elms::TokenId token : tokens.choices[choice]) {
    double total = 0.0;
    for (const float logit : session->logits()) total += std::exp(static_cast<double>(logit));
    sum += static_cast<double>(session->logits()[static_cast<std::size_t>(token)]) - std::log(total);
    REQUIRE_OK(session->prefill(std::span(&token, 1)));
  }
  return sum;
}

/// Index of the largest; ties do not happen with random weights.
std::size_t best_of(const std::vector<double>& values) {
  return static_cast<std::size_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

}  // namespace

TEST_CASE("task_eval: the same choices win as one by one", "[offline]") {
  const auto model = open_model(write_model(small_shape(), elms::DType::kF32, "task.gguf"));
  const auto tokenizer = model->tokenizer();
  REQUIRE_OK(tokenizer);
  const int last = static_cast<int>(model->levels().size()) - 1;
  auto items = random_items(24, 41);
  const std::vector<int> levels = {0, last};
  const auto results = offline::evaluate_task(model, items, levels);
  REQUIRE_OK(results);
  REQUIRE(results->size() == 2);
  for (std::size_t l = 0; l < levels.size(); ++l) {
    std::int64_t right = 0, right_per_byte = 0, seen = 0, seen_right = 0;
    for (const TaskItem& item : items) {
      const offline::TaskTokens tokens = offline::tokenize_task(**tokenizer, item);
      std::vector<double> sums, per_byte;
      for (std::size_t c = 0; c < item.choices.size(); ++c) {
        sums.push_back(plain_likelihood(model, levels[l], tokens, c));
        per_byte.push_back(sums.back() / static_cast<double>(item.choices[c].size()));
      }
      right += best_of(sums) == item.answer;
      right_per_byte += best_of(per_byte) == item.answer;
      seen += *item.seen;
      seen_right += *item.seen && best_of(sums) == item.answer;
    }
    const offline::TaskEvalResult& result = (*results)[l];
    CHECK(result.level == levels[l]);
    CHECK(result.total.n == 24);
    CHECK(result.total.right == right);
    CHECK(result.normalised.right == right_per_byte);
    CHECK(result.seen.n == seen);
    CHECK(result.seen.right == seen_right);
    CHECK(result.unseen.n == 24 - seen);
    CHECK(result.unseen.right == right - seen_right);
    CHECK(result.chance == Approx(0.2));
    CHECK(result.skipped == 0);
  }
}

TEST_CASE("task_eval: whatever choice is called right wins exactly where it is the likeliest", "[offline]") {
  // Over all answers of one item exactly one is right: a scorer that mixes up choices or prefixes cannot keep to that.
  const auto model = open_model(write_model(small_shape(), elms::DType::kF32, "task_one.gguf"));
  const auto tokenizer = model->tokenizer();
  REQUIRE_OK(tokenizer);
  const std::vector<int> levels = {0};
  for (TaskItem item : random_items(10, 42)) {
    const offline::TaskTokens tokens = offline::tokenize_task(**tokenizer, item);
    std::vector<double> sums;
    for (std::size_t c = 0; c < item.choices.size(); ++c) sums.push_back(plain_likelihood(model, 0, tokens, c));
    for (item.answer = 0; item.answer < item.choices.size(); ++item.answer) {
      const auto result = offline::evaluate_task(model, std::span(&item, 1), levels);
      REQUIRE_OK(result);
      CHECK(result->front().total.right == (item.answer == best_of(sums) ? 1 : 0));
    }
  }
}

TEST_CASE("task_eval: threads do not change it, and an even sample is taken", "[offline][threads]") {
  const std::string path = write_model(small_shape(), elms::DType::kQ8_0, "task_threads.gguf");
  const auto items = random_items(30, 43);
  const std::vector<int> levels = {0};
  const auto one = offline::evaluate_task(open_model(path, 1), items, levels);
  const auto three = offline::evaluate_task(open_model(path, 3), items, levels);
  REQUIRE_OK(one);
  REQUIRE_OK(three);
  CHECK(one->front().total.right == three->front().total.right);
  CHECK(one->front().normalised.right == three->front().normalised.right);
  offline::TaskEvalOptions options;
  options.max_items = 10;
  const auto sample = offline::evaluate_task(open_model(path, 1), items, levels, options);
  std::vector<TaskItem> by_hand;
  for (std::size_t i = 0; i < 30; i += 3) by_hand.push_back(items[i]);
  const auto expected = offline::evaluate_task(open_model(path, 1), by_hand, levels);
  REQUIRE_OK(sample);
  REQUIRE_OK(expected);
  CHECK(sample->front().total.n == 10);
  CHECK(sample->front().total.right == expected->front().total.right);
}

TEST_CASE("task_eval: items that do not fit are counted and left out", "[offline]") {
  const auto model = open_model(write_model(small_shape(), elms::DType::kF32, "task_long.gguf"));  // a context of 128
  auto items = random_items(6, 44);
  for (int i = 0; i < 400; ++i) items[2].prompt += "q#";
  const std::vector<int> levels = {0};
  const auto result = offline::evaluate_task(model, items, levels);
  REQUIRE_OK(result);
  CHECK(result->front().skipped == 1);
  CHECK(result->front().total.n == 5);
  CHECK(result->front().chance == Approx(0.2));
  const auto none = offline::evaluate_task(model, std::span(items).subspan(2, 1), levels);
  CHECK(none.error().code() == elms::StatusCode::kOutOfContext);
}

TEST_CASE("task_eval: what makes no sense is refused", "[offline]") {
  const auto model = open_model(write_model(small_shape(), elms::DType::kF32, "task_refused.gguf"));
  const auto items = random_items(2, 45);
  const auto code = [&](std::vector<TaskItem> some, std::vector<int> levels, const offline::TaskEvalOptions& options = {}) {
    return offline::evaluate_task(model, some, levels, options).error().code();
  };
  constexpr auto kInvalid = elms::StatusCode::kInvalidArgument;
  CHECK(code(items, {0}) == elms::StatusCode::kOk);
  CHECK(code({}, {0}) == kInvalid);
  CHECK(code(items, {-1}) == kInvalid);
  CHECK(code(items, {99}) == kInvalid);
  CHECK(offline::evaluate_task(nullptr, items, std::vector<int>{0}).error().code() == kInvalid);
  auto broken = items;
  broken[1].answer = 5;
  CHECK(code(broken, {0}) == kInvalid);
  broken = items;
  broken[1].choices.resize(1);
  CHECK(code(broken, {0}) == kInvalid);
  broken = items;
  broken[0].choices[1].clear();
  CHECK(code(broken, {0}) == kInvalid);
  broken = items;
  broken[0].prompt.clear();
  CHECK(code(broken, {0}) == kInvalid);
  offline::TaskEvalOptions options;
  options.max_items = -1;
  CHECK(code(items, {0}, options) == kInvalid);
  options = {};
  options.progress = [](const offline::Progress&) { return elms::Flow::kStop; };
  CHECK(code(items, {0}, options) == elms::StatusCode::kCancelled);
}

TEST_CASE("task_eval: prompt and choice are the tokens of their text together", "[offline]") {
  ELMS_REQUIRE_SHARED(path, "models/stories260K.gguf");
  const auto model = open_model(path);
  const auto tokenizer = model->tokenizer();
  REQUIRE_OK(tokenizer);
  TaskItem item;
  item.prompt = "Once upon a";
  item.choices = {" time", "time", " time, there was a girl"};
  const offline::TaskTokens tokens = offline::tokenize_task(**tokenizer, item);
  CHECK(tokens.prompt == (*tokenizer)->encode(item.prompt));
  CHECK(tokens.prompt.front() == (*tokenizer)->bos());
  for (std::size_t c = 0; c < item.choices.size(); ++c) {
    std::string text;
    for (const elms::TokenId token : tokens.choices[c]) text += (*tokenizer)->token_bytes(token);
    CHECK(text == item.choices[c]);
  }
}

TEST_CASE("task_eval: a trained model prefers how its stories go on", "[offline]") {
  ELMS_REQUIRE_SHARED(path, "models/stories260K.gguf");
  const auto model = open_model(path);
  std::vector<TaskItem> items(2);
  items[0].prompt = "Once upon a time, there was a little";
  items[0].choices = {" qzx", " girl", " eleven of"};
  items[0].answer = 1;
  items[1].prompt = "Lily and Tom went to the";
  items[1].choices = {" park", " wzzk"};
  const auto result = offline::evaluate_task(model, items, std::vector<int>{0});
  REQUIRE_OK(result);
  CHECK(result->front().total.accuracy() == 1.0);
  CHECK(result->front().chance == Approx((1.0 / 3.0 + 0.5) / 2.0));
}
