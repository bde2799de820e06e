#include "elms/offline/tasks.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "task_files.hpp"

using namespace elms_test;
namespace offline = elms::offline;
using offline::TaskItem;
using offline::TaskSource;

namespace {

std::vector<TaskItem> items_of(const offline::TaskOptions& options) {
  auto set = offline::make_tasks(options);
  REQUIRE_OK(set);
  for (const TaskItem& item : set->items) {
    INFO(item.prompt);
    REQUIRE(item.answer < item.choices.size());
    CHECK(std::set<std::string>(item.choices.begin(), item.choices.end()).size() == item.choices.size());
  }
  return std::move(set->items);
}

/// The last "Request: " line.
std::string request_of(const TaskItem& item) {
  const std::size_t at = item.prompt.rfind("Request: ") + 9;
  return item.prompt.substr(at, item.prompt.find('\n', at) - at);
}

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

const TaskItem& item_for(const std::vector<TaskItem>& items, const std::string& request) {
  const auto found = std::find_if(items.begin(), items.end(), [&](const TaskItem& i) { return request_of(i) == request; });
  INFO(request);
  REQUIRE(found != items.end());
  return *found;
}

/// Choosing items list each choice on a line of its own, described.
void check_choosing_item(const TaskItem& item, std::size_t n_functions) {
  INFO(item.prompt);
  CHECK(item.choices.size() == n_functions);
  CHECK(item.choices[item.answer] == " " + item.function);
  CHECK(item.prompt.ends_with("\nFunction:"));
  for (const std::string& choice : item.choices) CHECK(count_of(item.prompt, "\n" + choice.substr(1) + ": ") == 1);
}

std::string clinc_file(int n = 40) { return write_text_file("tasks/clinc.json", clinc_json(n)); }

}  // namespace

TEST_CASE("tasks: snips lists its seven functions and one more, each described", "[offline][tasks]") {
  const auto options = task_options(TaskSource::kSnips, write_text_file("tasks/snips/validate.json", snips_json()));
  const auto items = items_of(options);
  REQUIRE(items.size() == 3);
  for (const TaskItem& item : items) {
    check_choosing_item(item, 8);
    for (const char* name : {"get_weather", "play_music", "rate_book", "search_creative_work", "book_restaurant",
                             "search_screening_event", "add_to_playlist"}) {
      CHECK(std::count(item.choices.begin(), item.choices.end(), std::string(" ") + name) == 1);
    }
    CHECK(item.task == "snips");
    CHECK(item.seen == true);
  }
  CHECK(item_for(items, "Will it rain in San Jose next Monday?").function == "get_weather");
  CHECK(item_for(items, "play the album Blue Train by John Coltrane").function == "play_music");
}

TEST_CASE("tasks: snips calls have the annotated arguments, and wrong ones beside them", "[offline][tasks]") {
  auto options = task_options(TaskSource::kSnips, write_text_file("tasks/snips/validate.json", snips_json()));
  options.arguments = true;
  const auto items = items_of(options);
  REQUIRE(items.size() == 3);
  const TaskItem& item = item_for(items, "Will it rain in San Jose next Monday?");
  CHECK(item.choices[item.answer] == " get_weather(city=\"San Jose\", time_range=\"next Monday\")");
  CHECK(item.choices.size() == 4);
  CHECK(item.prompt.ends_with("\nCall:"));
  CHECK(count_of(item.prompt, "\nget_weather(") == 1);
  for (const std::string& choice : item.choices) CHECK(choice.starts_with(" get_weather("));
}

TEST_CASE("tasks: clinc150 takes all parts or one, and leaves out what is out of scope", "[offline][tasks]") {
  std::string text = clinc_json(4);
  text.pop_back();
  const std::string path = write_text_file("tasks/two_parts.json", text + R"(, "test": [["is it hot in rome", "weather"]]})");
  auto options = task_options(TaskSource::kClinc150, path);
  const auto set = offline::make_tasks(options);
  REQUIRE_OK(set);
  CHECK(set->items.size() == 13);
  CHECK(set->functions == 150);
  CHECK(set->out_of_scope == 1);
  CHECK(set->held_out > 14);
  CHECK(set->held_out < 30);
  for (const TaskItem& item : set->items) check_choosing_item(item, 8);
  options.part = "test";
  CHECK(items_of(options).size() == 1);
  options.part = "validation";
  CHECK(offline::make_tasks(options).error().code() == elms::StatusCode::kNotFound);
}

TEST_CASE("tasks: banking77 reads quoted fields, with and without a header", "[offline][tasks]") {
  const std::string rows = "\"My card, the \"\"new\"\" one,\nis late\",card_arrival\r\nWhy was I asked?,reverted_card_payment?\n";
  for (const std::string& text : {"text,category\r\n" + rows, rows, "\xEF\xBB\xBFtext,category\n" + rows}) {
    const auto items = items_of(task_options(TaskSource::kBanking77, write_text_file("tasks/test.csv", text)));
    REQUIRE(items.size() == 2);
    CHECK(item_for(items, "My card, the \"new\" one, is late").function == "card_arrival");
    CHECK(item_for(items, "Why was I asked?").function == "reverted_card_payment");
    for (const TaskItem& item : items) check_choosing_item(item, 8);
  }
}

TEST_CASE("tasks: hwu64 joins scenario and intent, and keeps what the user typed", "[offline][tasks]") {
  const std::string path = write_text_file(
      "tasks/hwu/alarm.csv",
      "answerid;scenario;intent;answer_annotation;answer_from_anno;answer_from_user\n"
      "1;alarm;set;\"wake me at [time : six am] [date : next monday]\";\"wake me at six am next monday\";\"Wake me at 6am "
      "next Monday!\"\n"
      "2;iot;coffee;\"make me a coffee\";\"make me a coffee\";null\n");
  auto options = task_options(TaskSource::kHwu64, std::filesystem::path(path).parent_path().string());
  const auto items = items_of(options);
  REQUIRE(items.size() == 2);
  CHECK(item_for(items, "Wake me at 6am next Monday!").function == "alarm_set");
  CHECK(item_for(items, "make me a coffee").function == "iot_coffee");
  options.arguments = true;
  const auto calls = items_of(options);
  REQUIRE(calls.size() == 1);
  const TaskItem& call = item_for(calls, "wake me at six am next monday");
  CHECK(call.choices[call.answer] == " alarm_set(time=\"six am\", date=\"next monday\")");
}

TEST_CASE("tasks: sgd asks where an intent starts in the user's own words", "[offline][tasks]") {
  write_text_file("tasks/sgd/schema.json", sgd_schema());
  const std::string dialogues = write_text_file("tasks/sgd/dialogues_001.json", sgd_dialogues());
  auto options = task_options(TaskSource::kSgd, dialogues);
  options.functions = {4, 4};
  const auto items = items_of(options);
  REQUIRE(items.size() == 3);
  CHECK(item_for(items, "How much is in my savings account?").function == "check_balance");
  CHECK(item_for(items, "Find a plane to Rome").function == "search_flight");
  const TaskItem& transfer = item_for(items, "Send 50 dollars to Anna Lee");
  CHECK(transfer.function == "transfer_money");
  check_choosing_item(transfer, 4);
  // The dialogue's own services are listed; another bank, whose functions would be right too, is not.
  CHECK(std::count(transfer.choices.begin(), transfer.choices.end(), " check_balance") == 1);
  CHECK(std::count(transfer.choices.begin(), transfer.choices.end(), " send_funds") == 0);
  options.functions = {5, 5};
  CHECK(offline::make_tasks(options).error().code() == elms::StatusCode::kInvalidArgument);
  options.functions = {4, 4};
  options.arguments = true;
  const auto calls = items_of(options);
  const TaskItem& call = item_for(calls, "Send 50 dollars to Anna Lee");
  CHECK(call.choices[call.answer] == " transfer_money(amount=\"50 dollars\", recipient_name=\"Anna Lee\")");
  // A folder is the same as its files.
  options.arguments = false;
  options.inputs = {std::filesystem::path(dialogues).parent_path().string()};
  CHECK(items_of(options).size() == 3);
}

TEST_CASE("tasks: octopus lists all its functions, by their docstrings", "[offline][tasks]") {
  std::string functions;
  for (const char* name : {"take_a_photo(camera)", "set_volume(level, kind='ring')", "open_or_lock_door(status)"}) {
    functions += std::string("def ") + name + ":\n    \"\"\"\n    Does it: " + name + ". More words.\n\n    Parameters:\n    - x\n    \"\"\"\n\n";
  }
  write_text_file("tasks/octopus/functions.txt", functions);
  const std::string options_text = ",take a photo,irrelevant function,set volume,open or lock door,";
  const std::string path =
      write_text_file("tasks/octopus/dev/bench.csv", "\xEF\xBB\xBFSmile please" + options_text + "A\n\"Louder, now\"" + options_text +
                                                         "C\nWho was Plato?" + options_text + "B\n");
  auto options = task_options(TaskSource::kOctopus, path);
  const auto set = offline::make_tasks(options);
  REQUIRE_OK(set);
  REQUIRE(set->items.size() == 2);
  CHECK(set->out_of_scope == 1);
  for (const TaskItem& item : set->items) {
    check_choosing_item(item, 3);
    CHECK(item.seen == false);
    CHECK(count_of(item.prompt, "\ntake_a_photo: Does it: take_a_photo(camera)\n") == 1);
  }
  CHECK(item_for(set->items, "Louder, now").function == "set_volume");
  options.unseen = offline::UnseenFunctions::kExclude;
  CHECK(offline::make_tasks(options).error().code() == elms::StatusCode::kInvalidArgument);
}

TEST_CASE("tasks: llamatouch names one app however it is spelled", "[offline][tasks]") {
  const std::string path = write_text_file("tasks/touch.tsv",
                                           "Open chrome settings\tchrome\nFind a site\tGoogle Chrome\n"
                                           "\"Delete the list \"\"Test\"\".\"\tGoogle Tasks\nInstall it\tGoogle Play Store, Booking\n");
  const auto items = items_of(task_options(TaskSource::kLlamaTouch, path));
  REQUIRE(items.size() == 4);
  CHECK(item_for(items, "Open chrome settings").function == "google_chrome");
  CHECK(item_for(items, "Find a site").function == "google_chrome");
  CHECK(item_for(items, "Delete the list \"Test\".").function == "google_tasks");
  CHECK(item_for(items, "Install it").function == "google_play_store");
  for (const TaskItem& item : items) check_choosing_item(item, 8);
}

TEST_CASE("tasks: the seed decides everything, and each item by itself", "[offline][tasks]") {
  auto options = task_options(TaskSource::kClinc150, clinc_file());
  options.functions = {3, 12};
  options.few_shot = {0, 2};
  const auto first = items_of(options), again = items_of(options);
  REQUIRE(first.size() == 120);
  const auto same = [](const TaskItem& a, const TaskItem& b) { return a.prompt == b.prompt && a.choices == b.choices; };
  CHECK(std::equal(first.begin(), first.end(), again.begin(), again.end(), same));
  std::set<std::size_t> sizes, examples;
  std::set<std::string> headers, wordings;
  for (const TaskItem& item : first) {
    sizes.insert(item.choices.size());
    examples.insert(count_of(item.prompt, "Request: ") - 1);
    headers.insert(item.prompt.substr(0, item.prompt.find('\n')));
    const std::size_t at = item.prompt.find("\nweather: ");
    if (at != std::string::npos) wordings.insert(item.prompt.substr(at, item.prompt.find('\n', at + 1) - at));
  }
  CHECK(sizes == std::set<std::size_t>{3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  CHECK(examples == std::set<std::size_t>{0, 1, 2});
  CHECK(headers.size() > 4);
  CHECK(wordings.size() == 2);

  options.seed = 2;
  const auto other = items_of(options);
  CHECK_FALSE(std::equal(first.begin(), first.end(), other.begin(), other.end(), same));

  options.seed = 1;
  options.max_items = 30;
  const auto fewer = items_of(options);
  REQUIRE(fewer.size() == 30);
  std::map<std::string, int> by_function;
  for (const TaskItem& item : fewer) {
    ++by_function[item.function];
    CHECK(same(item, item_for(first, request_of(item))));
  }
  CHECK(by_function.size() == 3);
}

TEST_CASE("tasks: a line says where its examples are solved", "[offline][tasks]") {
  auto options = task_options(TaskSource::kClinc150, clinc_file());
  options.few_shot = {2, 2};
  for (const TaskItem& item : items_of(options)) {
    INFO(item.prompt);
    REQUIRE(item.solved.size() == 2);
    for (const auto& [begin, end] : item.solved) {
      const std::string answer = item.prompt.substr(begin, end - begin);
      CHECK(std::count(item.choices.begin(), item.choices.end(), answer) == 1);
      CHECK(item.prompt.substr(0, begin).ends_with("\nFunction:"));
      CHECK(item.prompt[end] == '\n');
    }
  }
}

TEST_CASE("tasks: names that say nothing, and requests as descriptions, leave the answer to be found", "[offline][tasks]") {
  const auto plain = items_of(task_options(TaskSource::kClinc150, clinc_file()));
  auto options = task_options(TaskSource::kClinc150, clinc_file());
  options.renamed = 1.0;
  for (const TaskItem& item : items_of(options)) {
    INFO(item.prompt);
    CHECK(item.choices[item.answer] != " " + item.function);
    for (const std::string& choice : item.choices) CHECK(count_of(item.prompt, "\n" + choice.substr(1) + ": ") == 1);
    CHECK(item.prompt.find("\n" + item.function + ":") == std::string::npos);
  }
  options.renamed = 0.0;
  options.by_example = 1.0;
  for (const TaskItem& item : items_of(options)) {
    INFO(item.prompt);
    CHECK(item.choices[item.answer] == " " + item.function);
    CHECK(count_of(item.prompt, ": " + request_of(item) + "\n") == 1);  // never described by the request itself
  }
  options.arguments = true;
  options.renamed = 0.5;
  CHECK(offline::make_tasks(options).error().code() == elms::StatusCode::kInvalidArgument);
  options.arguments = false;
  options.renamed = 1.5;
  CHECK(offline::make_tasks(options).error().code() == elms::StatusCode::kInvalidArgument);
  CHECK(plain.size() == items_of(task_options(TaskSource::kClinc150, clinc_file())).size());
}

TEST_CASE("tasks: examples are of other requests", "[offline][tasks]") {
  auto options = task_options(TaskSource::kClinc150, clinc_file());
  options.few_shot = {2, 2};
  for (const TaskItem& item : items_of(options)) {
    INFO(item.prompt);
    CHECK(count_of(item.prompt, "Request: " + request_of(item) + "\n") == 1);
    CHECK(count_of(item.prompt, "\nFunction: ") == 2);
  }
}

TEST_CASE("tasks: the splits share no request, and examples come from the training part", "[offline][tasks]") {
  auto options = task_options(TaskSource::kClinc150, clinc_file());
  options.few_shot = {2, 2};
  options.split = offline::TaskSplit::kTrain;
  const auto train = items_of(options);
  options.split = offline::TaskSplit::kValid;
  const auto valid = items_of(options);
  CHECK(train.size() + valid.size() == 120);
  CHECK(valid.size() > 1);
  CHECK(valid.size() < 20);
  std::set<std::string> judged;
  for (const TaskItem& item : valid) judged.insert(request_of(item));
  for (const auto* items : {&train, &valid}) {
    for (const TaskItem& item : *items) {
      const std::string shown = item.prompt.substr(0, item.prompt.rfind("Request: "));
      for (const std::string& request : judged) CHECK(count_of(shown, "Request: " + request + "\n") == 0);
    }
  }
  for (const TaskItem& item : train) CHECK(judged.count(request_of(item)) == 0);
}

TEST_CASE("tasks: functions held out are never listed, or the only ones asked for", "[offline][tasks]") {
  // One request for each of the 150 functions, which a list that names them all tells.
  auto options = task_options(TaskSource::kClinc150, clinc_file(1));
  options.functions = {150, 150};
  std::string text = "{\"test\": [";
  const std::vector<TaskItem> all = items_of(options);
  for (const std::string& choice : all.front().choices) {
    text += "[\"request for" + choice + "\", \"" + choice.substr(1) + "\"], ";
  }
  text.resize(text.size() - 2);
  options = task_options(TaskSource::kClinc150, write_text_file("tasks/each.json", text + "]}"));
  options.functions = {20, 20};
  options.few_shot = {2, 2};
  options.unseen = offline::UnseenFunctions::kOnly;
  std::set<std::string> held_out;
  for (const TaskItem& item : items_of(options)) {
    CHECK(item.seen == false);
    held_out.insert(item.function);
  }
  CHECK(held_out.size() > 14);
  options.unseen = offline::UnseenFunctions::kExclude;
  const auto without = items_of(options);
  CHECK(without.size() + held_out.size() == 150);
  for (const TaskItem& item : without) {
    CHECK(item.seen == true);
    for (const std::string& name : held_out) {
      CHECK(count_of(item.prompt, "\n" + name + ": ") == 0);
      CHECK(count_of(item.prompt, "Function: " + name + "\n") == 0);
    }
  }
  options.unseen = offline::UnseenFunctions::kInclude;
  CHECK(items_of(options).size() == 150);
}

TEST_CASE("tasks: all names are choices where that is asked for, the listed ones first", "[offline][tasks]") {
  auto options = task_options(TaskSource::kClinc150, clinc_file(3));
  options.functions = {5, 5};
  const auto listed = items_of(options);
  options.all_names = true;
  const auto all = items_of(options);
  REQUIRE(all.size() == listed.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    CHECK(all[i].prompt == listed[i].prompt);
    CHECK(all[i].answer == listed[i].answer);
    REQUIRE(all[i].choices.size() == 150);
    CHECK(std::equal(listed[i].choices.begin(), listed[i].choices.end(), all[i].choices.begin()));
  }
  options.unseen = offline::UnseenFunctions::kExclude;
  CHECK(items_of(options).front().choices.size() == 128);
  options.arguments = true;
  options.source = TaskSource::kSnips;
  CHECK_FALSE(offline::make_tasks(options).has_value());
}

TEST_CASE("tasks: whole domains of sgd services are held out", "[offline][tasks]") {
  write_text_file("tasks/sgd/schema.json", sgd_schema());
  auto options = task_options(TaskSource::kSgd, write_text_file("tasks/sgd/dialogues_001.json", sgd_dialogues()));
  options.functions = {3, 3};
  options.unseen = offline::UnseenFunctions::kOnly;
  const auto held_out = items_of(options);
  REQUIRE(held_out.size() == 1);
  CHECK(held_out[0].function == "search_flight");
  options.unseen = offline::UnseenFunctions::kExclude;
  for (const TaskItem& item : items_of(options)) CHECK(count_of(item.prompt, "search_flight") == 0);
}

TEST_CASE("tasks: a written file reads back", "[offline][tasks]") {
  const auto items = items_of(task_options(TaskSource::kClinc150, clinc_file(3)));
  const std::string path = scratch_path("written.jsonl");
  REQUIRE_OK(offline::write_tasks(items, path));
  const auto read = offline::read_tasks(path);
  REQUIRE_OK(read);
  REQUIRE(read->size() == items.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    CHECK((*read)[i].prompt == items[i].prompt);
    CHECK((*read)[i].choices == items[i].choices);
    CHECK((*read)[i].answer == items[i].answer);
    CHECK((*read)[i].task == "clinc150");
    CHECK((*read)[i].function == items[i].function);
    CHECK((*read)[i].seen == items[i].seen);
  }
}
