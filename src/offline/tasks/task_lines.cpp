// Task files: one JSON object in each line.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "elms/detail/error.hpp"
#include "elms/offline/tasks.hpp"
#include "io/json_file.hpp"
#include "io/output_file.hpp"
#include "offline/tasks/raw_files.hpp"

namespace elms::inline v0::offline {
namespace {

using detail::malformed;
using nlohmann::json;

std::string line_of(const TaskItem& item) {
  nlohmann::ordered_json line = {
      {"task", item.task},
      {"prompt", item.prompt},
      {"choices", item.choices},
      {"answer", item.answer},
      {"completion", item.answer < item.choices.size() ? item.choices[item.answer] : ""},
      {"function", item.function}};
  if (item.seen.has_value()) line["seen"] = *item.seen;
  if (!item.solved.empty()) line["solved"] = item.solved;
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

Status read_choices(const json& line, const std::string& where, TaskItem& item) {
  const json& choices = tasks::value_at(line, "choices");
  if (!choices.is_array() || choices.size() < 2)
    return malformed(where, ": \"choices\" is no list of two or more texts");
  for (const json& choice : choices) {
    const auto* text = choice.get_ptr<const json::string_t*>();
    if (text == nullptr || text->empty()) return malformed(where, ": a choice is no text");
    item.choices.push_back(*text);
  }
  return {};
}

Status read_answer(const json& line, const std::string& where, TaskItem& item) {
  const json& answer = tasks::value_at(line, "answer");
  item.answer = item.choices.size();
  if (const auto* index = answer.get_ptr<const json::number_unsigned_t*>()) {
    if (*index < item.choices.size()) item.answer = static_cast<std::size_t>(*index);
  } else if (const auto* text = answer.get_ptr<const json::string_t*>()) {
    for (std::size_t i = item.choices.size(); i-- > 0;) {
      if (item.choices[i] == *text) item.answer = i;
    }
  }
  if (item.answer < item.choices.size()) return {};
  return malformed(where, ": \"answer\" is neither an index below ", item.choices.size(),
                   " nor one of the choices");
}

Result<TaskItem> read_item(std::string_view text, const std::string& where) {
  ELMS_ASSIGN_OR_RETURN(const detail::JsonDocument document, detail::parse_json(text, where));
  const json& line = document.root();
  const auto* prompt = tasks::value_at(line, "prompt").get_ptr<const json::string_t*>();
  if (prompt == nullptr || prompt->empty())
    return malformed(where, ": \"prompt\" is missing, empty or no text");
  TaskItem item;
  item.prompt = *prompt;
  item.task = tasks::text_at(line, "task");
  item.function = tasks::text_at(line, "function");
  ELMS_RETURN_IF_ERROR(read_choices(line, where, item));
  ELMS_RETURN_IF_ERROR(read_answer(line, where, item));
  if (const json& seen = tasks::value_at(line, "seen"); seen.is_boolean()) item.seen = seen.get<bool>();
  return item;
}

}  // namespace

Status write_tasks(std::span<const TaskItem> items, const std::string& path) {
  ELMS_ASSIGN_OR_RETURN(detail::OutputFile file, detail::OutputFile::create(path));
  for (const TaskItem& item : items) {
    const std::string line = line_of(item);
    ELMS_RETURN_IF_ERROR(file.write({reinterpret_cast<const std::uint8_t*>(line.data()), line.size()}));
  }
  return file.commit();
}

Result<std::vector<TaskItem>> read_tasks(const std::string& path) {
  ELMS_ASSIGN_OR_RETURN(const std::string text, tasks::read_utf8(path));
  std::vector<TaskItem> items;
  std::size_t number = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = std::string_view(text).substr(at, end - at);
    at = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    ELMS_ASSIGN_OR_RETURN(TaskItem item, read_item(line, detail::concat(path, ":", number)));
    items.push_back(std::move(item));
  }
  if (items.empty())
    return malformed(path, ": expected JSON lines with \"prompt\", \"choices\" and \"answer\", found none");
  return items;
}

}  // namespace elms::inline v0::offline
