// Files that are not what they should be: always a Status, which names the file.
#include "task_files.hpp"

using namespace elms_test;
using Catch::Contains;
namespace offline = elms::offline;
using offline::TaskSource;

namespace {

constexpr auto kMalformed = elms::StatusCode::kMalformedFile;

elms::Status outcome(TaskSource source, const std::string& name, const std::string& text) {
  return offline::make_tasks(task_options(source, write_text_file("hostile/" + name, text))).error();
}

void check_malformed(TaskSource source, const std::string& name, const std::string& text) {
  INFO(offline::to_string(source) << ": " << text.substr(0, 200));
  const elms::Status status = outcome(source, name, text);
  CHECK(status.code() == kMalformed);
  CHECK_THAT(status.message(), Contains(name));
}

elms::Status read_line(const std::string& text) { return offline::read_tasks(write_text_file("hostile/t.jsonl", text)).error(); }

}  // namespace

TEST_CASE("tasks: JSON that is broken, deep or of another shape is refused", "[offline][tasks]") {
  const std::string deep(100000, '[');
  for (const TaskSource source : {TaskSource::kSnips, TaskSource::kClinc150}) {
    for (const std::string& text : {std::string(), std::string("{"), std::string("7"), std::string("null"), std::string("[]"),
                                    std::string("{}"), std::string("{\"a\": 1}"), std::string("{\"a\": [1, 2]}"),
                                    std::string("{\"a\": []}"), std::string("{\"a\": {\"b\": 3}}"), deep}) {
      check_malformed(source, "bad.json", text);
    }
  }
  check_malformed(TaskSource::kClinc150, "bad.json", R"({"train": [["a", "weather"], ["b", 3]]})");
  check_malformed(TaskSource::kClinc150, "bad.json", R"({"train": [["a", "weather"], ["b"]]})");
  check_malformed(TaskSource::kSnips, "bad.json", R"({"GetWeather": [{"data": [{"text": 3}]}]})");
  for (const char* text : {"{", "3", "[]", "[3]", R"([{"service_name": "A_1"}])", R"([{"service_name": "A_1", "intents": []}])"}) {
    check_malformed(TaskSource::kSgd, "schema.json", text);
  }
}

TEST_CASE("tasks: dialogues with holes in them are read as far as they go", "[offline][tasks]") {
  write_text_file("hostile/sgd/schema.json", sgd_schema());
  const char* text = R"([{"turns": [3, null, {"speaker": "USER"}, {"speaker": "USER", "utterance": 4, "frames": [1, {}]},
    {"speaker": "USER", "utterance": "x", "frames": [{"service": "None_1", "state": {"active_intent": "CheckBalance"}}]},
    {"speaker": "USER", "utterance": "my money?", "frames": [{"service": "Banks_2", "actions": {"a": 3},
      "state": {"active_intent": "CheckBalance", "slot_values": {"account_type": 3}}}]}]}, 7, {"turns": {}}])";
  auto options = task_options(TaskSource::kSgd, write_text_file("hostile/sgd/dialogues.json", text));
  options.functions = {3, 3};
  const auto set = offline::make_tasks(options);
  REQUIRE_OK(set);
  CHECK(set->items.size() == 1);
}

TEST_CASE("tasks: tables that are broken are refused, and the row is named", "[offline][tasks]") {
  for (const TaskSource source : {TaskSource::kBanking77, TaskSource::kHwu64, TaskSource::kLlamaTouch}) {
    check_malformed(source, "bad.tsv", "");
    check_malformed(source, "bad.tsv", "\n\n\n");
    check_malformed(source, "bad.tsv", "only one column\nand no other\n");
  }
  const elms::Status open = outcome(TaskSource::kBanking77, "open.csv", "text,category\nfine,card_arrival\n\"never ends,card_arrival\n");
  CHECK(open.code() == kMalformed);
  CHECK_THAT(open.message(), Contains("open.csv:3"));
  CHECK_THAT(outcome(TaskSource::kBanking77, "label.csv", "text,category\na,card_arrival\nb,\n").message(), Contains("row 2"));
  CHECK(outcome(TaskSource::kBanking77, "columns.csv", "category,other\ncard_arrival,b\n").code() == kMalformed);
}

TEST_CASE("tasks: octopus without functions, or with an option that is none, is refused", "[offline][tasks]") {
  CHECK(outcome(TaskSource::kOctopus, "alone/dev/q.csv", "a,b,c,A\n").code() == elms::StatusCode::kNotFound);
  write_text_file("hostile/octopus/functions.txt", "no function\n");
  check_malformed(TaskSource::kOctopus, "octopus/functions.txt", "def ");
  write_text_file("hostile/octopus/functions.txt", "def a(x):\n  \"\"\"Does a\ndef b(\ndef c():\n  pass\n");
  for (const char* row : {"q,a,c,Z\n", "q,a,c,\n", "q,a,c,1\n", "q,a,c,AB\n", "q\n", "q,other,c,A\n"}) {
    check_malformed(TaskSource::kOctopus, "octopus/q.csv", row);
  }
  CHECK(outcome(TaskSource::kOctopus, "octopus/q.csv", "q,a,c,B\n").ok());
}

TEST_CASE("tasks: bytes that are no UTF-8 are taken for Latin-1", "[offline][tasks]") {
  const auto set = offline::make_tasks(
      task_options(TaskSource::kBanking77, write_text_file("hostile/latin.csv", "text,category\ncaf\xE9 \xC3\xA9,card_arrival\n")));
  REQUIRE_OK(set);
  CHECK_THAT(set->items.front().prompt, Contains("Request: caf\xC3\xA9 \xC3\xA9\n"));
}

TEST_CASE("tasks: paths and options that fit nothing", "[offline][tasks]") {
  const auto code = [](const offline::TaskOptions& options) { return offline::make_tasks(options).error().code(); };
  constexpr auto kInvalid = elms::StatusCode::kInvalidArgument;
  constexpr auto kNotFound = elms::StatusCode::kNotFound;
  const std::string path = write_text_file("hostile/c.json", clinc_json(3));
  auto options = task_options(TaskSource::kClinc150, path);
  CHECK(code(options) == elms::StatusCode::kOk);
  options.inputs = {};
  CHECK(code(options) == kInvalid);
  options.inputs = {path + ".not"};
  CHECK(code(options) == kNotFound);
  write_text_file("hostile/empty/readme.md", "nothing");
  options.inputs = {std::filesystem::path(path).parent_path().string() + "/empty"};
  CHECK(code(options) == kNotFound);
  options = task_options(TaskSource::kClinc150, path);
  for (const offline::CountRange range : {offline::CountRange{1, 1}, {5, 4}, {-3, 4}, {151, 151}}) {
    options.functions = range;
    CHECK(code(options) == kInvalid);
  }
  options = task_options(TaskSource::kClinc150, path);
  options.few_shot = {-1, 2};
  CHECK(code(options) == kInvalid);
  options.few_shot = {};
  options.max_items = -1;
  CHECK(code(options) == kInvalid);
  options.max_items = 0;
  options.arguments = true;
  CHECK(code(options) == kInvalid);
  options.arguments = false;
  options.progress = [](const offline::Progress&) { return elms::Flow::kStop; };
  CHECK(code(options) == elms::StatusCode::kCancelled);
}

TEST_CASE("tasks: lines of a task file that are none are refused, and the line is named", "[offline][tasks]") {
  const std::string good = R"({"prompt": "a", "choices": ["b", "c"], "answer": "c"})";
  REQUIRE_OK(read_line(good + "\r\n\n" + good));
  for (const char* line :
       {"{", "[]", "3", R"({"choices": ["b", "c"], "answer": 0})", R"({"prompt": "", "choices": ["b", "c"], "answer": 0})",
        R"({"prompt": "a", "choices": "bc", "answer": 0})", R"({"prompt": "a", "choices": ["b"], "answer": 0})",
        R"({"prompt": "a", "choices": ["b", ""], "answer": 0})", R"({"prompt": "a", "choices": ["b", 4], "answer": 0})",
        R"({"prompt": "a", "choices": ["b", "c"], "answer": 2})", R"({"prompt": "a", "choices": ["b", "c"], "answer": -1})",
        R"({"prompt": "a", "choices": ["b", "c"], "answer": 0.5})", R"({"prompt": "a", "choices": ["b", "c"], "answer": "d"})",
        R"({"prompt": "a", "choices": ["b", "c"]})"}) {
    INFO(line);
    const elms::Status status = read_line(good + "\n" + line + "\n");
    CHECK(status.code() == kMalformed);
    CHECK_THAT(status.message(), Contains("t.jsonl:2"));
  }
  CHECK(read_line("").code() == kMalformed);
  CHECK(offline::read_tasks(scratch_path("not_there.jsonl")).error().code() == elms::StatusCode::kNotFound);
}
