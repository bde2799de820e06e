// elms refine and elms eval refiner, without a refiner: scores by place, by chance and by a model.
#include <algorithm>

#include "run_elms.hpp"

using elms_test::elms_json;
using elms_test::run_elms;

namespace {

std::string write_text(const std::string& name, const std::string& text) {
  const std::string path = elms_test::scratch_path(name);
  elms_test::write_bytes(path, {text.begin(), text.end()});
  return path;
}

const std::string kPrompt =
    "Some words that may go away because nobody needs them here at all\nand {\"json\": [1, 2]} stays\nwhat "
    "is left?\n";

}  // namespace

TEST_CASE("elms refine prints what is left, and its spans as JSON", "[cli][refine]") {
  const std::string file = write_text("prompt.txt", kPrompt);
  for (const std::string method : {"truncation", "random", "self-information"}) {
    CAPTURE(method);
    const std::vector<std::string> arguments = {
        "refine", "--target", elms_test::random_model(), "--score", method,
        "--keep", "0.7",      "--protect-last-line",     file};
    std::vector<std::string> as_json = arguments;
    as_json.push_back("--json");
    const auto json = elms_json(as_json);
    const std::string text = json["text"];
    std::string joined;
    for (const auto& span : json["kept_spans"]) {
      joined +=
          kPrompt.substr(span[0], static_cast<std::size_t>(span[1]) - static_cast<std::size_t>(span[0]));
    }
    CHECK(joined == text);
    CHECK(text.size() < kPrompt.size());
    CHECK(text.find("{\"json\": [1, 2]}") != std::string::npos);
    CHECK(text.find("\nwhat is left?\n") != std::string::npos);
    CHECK(json["tokens_after"] <= json["budget_tokens"]);
    CHECK(json["tokens_after"] < json["tokens_before"]);
    CHECK(run_elms(arguments).out == text);
  }
}

TEST_CASE("elms refine says what does not fit", "[cli][refine]") {
  const std::string file = write_text("prompt.txt", "[\"only\", \"json\"]");
  const auto finished = run_elms(
      {"refine", "--target", elms_test::random_model(), "--score", "truncation", "--tokens", "2", file});
  CHECK(finished.code == 1);
  CHECK(finished.out.empty());
  CHECK(finished.err.find("budget is 2") != std::string::npos);
  const auto without = run_elms({"refine", "--target", elms_test::random_model(), file});
  CHECK(without.code == 1);
  CHECK(without.err.find("--model") != std::string::npos);
}

TEST_CASE("elms eval refiner lists methods", "[cli][refine]") {
  const auto list = elms_json({"eval", "refiner", "--lm", elms_test::random_model(), "--sentences",
                               write_text("s.txt", "the old man sleeps here\none two three\n"),
                               "--compressions", write_text("c.txt", "old man sleeps\none\n")});
  REQUIRE(list.size() == 6);
  for (const auto& row : list) {
    for (const char* key : {"method", "keep_ratio", "precision", "recall", "f1", "n"})
      CHECK(row.contains(key));
    CHECK(row["n"] == 2);
  }
}

TEST_CASE("elms eval refiner-tasks cuts prompts and leaves the question", "[cli][refine]") {
  const std::string line =
      "{\"prompt\": \"Choose.\\nalarm: ring at a time\\nlamp: light the room\\nRequest: wake "
      "me\\nFunction:\", "
      "\"choices\": [\" alarm\", \" lamp\"], \"answer\": 0}\n";
  const std::string svg = elms_test::scratch_path("cut.svg");
  const auto list = elms_json({"eval", "refiner-tasks", "--lm", elms_test::random_model(), "--task",
                               write_text("t.jsonl", line + line), "--keep-ratios", "1,0.5", "--svg", svg});
  REQUIRE(list.size() == 6);
  for (const auto& row : list) {
    CHECK(row["n"] == 2);
    const double before = row["tokens_before"], after = row["tokens_after"];
    if (row["keep_ratio"] == 1.0) {
      CHECK(after == before);
    } else {
      CHECK(after < before);
    }
  }
  CHECK(elms_test::read_bytes(svg).size() > 1000);
}
