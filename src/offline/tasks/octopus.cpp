// Octopus: functions.txt holds Python functions with docstrings; a table holds requests, the functions to
// choose from and the letter of the right one: request,option A,option B,...,letter.
#include <filesystem>
#include <system_error>

#include "offline/tasks/corpus.hpp"
#include "offline/tasks/raw_files.hpp"
#include "offline/tasks/words.hpp"

namespace elms::inline v0::offline::tasks {
namespace {

/// "(level, volume_type='ring')" -> level, volume_type.
std::vector<std::string> parameter_names(std::string_view list) {
  std::vector<std::string> names;
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    const std::string_view parameter = list.substr(0, comma);
    std::string name = snake_case(parameter.substr(0, parameter.find_first_of("=:")));
    if (!name.empty()) names.push_back(std::move(name));
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  }
  return names;
}

/// One Function for each `def name(...):`, described by the first sentence of its docstring.
std::vector<Function> parse_functions(std::string_view text) {
  std::vector<Function> functions;
  std::size_t at = text.substr(0, 4) == "def " ? 0 : text.find("\ndef ");
  while (at != std::string_view::npos) {
    if (text[at] == '\n') ++at;
    const std::size_t next = text.find("\ndef ", at);
    const std::string_view body = text.substr(at, next == std::string_view::npos ? next : next - at);
    at = next;
    const std::size_t open = body.find('('), close = body.find(')');
    if (close == std::string_view::npos || open > close) continue;
    Function function;
    function.name = snake_case(body.substr(4, open - 4));
    function.domain = "octopus";
    function.parameters = parameter_names(body.substr(open + 1, close - open - 1));
    function.held_out = true;
    const std::size_t quotes = body.find("\"\"\"", close);
    std::string_view doc = quotes == std::string_view::npos ? std::string_view() : body.substr(quotes + 3);
    doc = doc.substr(0, doc.find("\"\"\""));
    doc = doc.substr(0, doc.find("Parameters:"));
    const std::string sentence = first_sentence(doc);
    function.descriptions = {sentence.empty() ? in_words(function.name) : sentence};
    if (!function.name.empty()) functions.push_back(std::move(function));
  }
  return functions;
}

Status add_question(const Row& row, const std::string& where, Corpus& corpus) {
  // A row without options names the function itself.
  const bool has_options = row.size() > 3;
  if (row.size() < 2) return detail::malformed(where, ": expected a request and its function");
  std::string function = row[1];
  if (has_options) {
    const std::string letter = lower_case(one_line(row.back()));
    const std::size_t option = letter.size() == 1 ? static_cast<std::size_t>(letter[0] - 'a') : row.size();
    if (option >= row.size() - 2) {
      return detail::malformed(where, ": expected the letter of one of ", row.size() - 2,
                               " options, found \"", letter, "\"");
    }
    function = row[1 + option];
  }
  const std::string name = snake_case(function);
  for (std::size_t i = 0; i < corpus.functions.size(); ++i) {
    if (corpus.functions[i].name != name) continue;
    Request request;
    request.text = row[0];
    request.function = i;
    corpus.add(std::move(request));
    return {};
  }
  if (name == "irrelevant_function") {
    ++corpus.out_of_scope;
    return {};
  }
  return detail::malformed(where, ": no function is called \"", function, "\"");
}

/// functions.txt among the files, or beside or above one of them.
Result<std::string> find_functions(const std::vector<RawFile>& files) {
  namespace fs = std::filesystem;
  for (const RawFile& file : files) {
    if (file.name == "functions.txt") return file.path;
  }
  for (const RawFile& file : files) {
    std::error_code failure;
    const fs::path folder = fs::absolute(file.path, failure).parent_path();
    for (const fs::path& candidate : {folder / "functions.txt", folder.parent_path() / "functions.txt"}) {
      if (fs::is_regular_file(candidate, failure)) return candidate.string();
    }
  }
  return detail::error(StatusCode::kNotFound, files.front().path,
                       ": no functions.txt is given, beside it or above it");
}

}  // namespace

Result<Corpus> read_octopus(const Paths& inputs) {
  ELMS_ASSIGN_OR_RETURN(const std::vector<RawFile> files, list_files(inputs, {".csv", ".txt"}));
  Corpus corpus;
  corpus.source = TaskSource::kOctopus;
  ELMS_ASSIGN_OR_RETURN(const std::string functions_path, find_functions(files));
  ELMS_ASSIGN_OR_RETURN(const std::string functions, read_utf8(functions_path));
  corpus.functions = parse_functions(functions);
  if (corpus.functions.size() < 2) {
    return detail::malformed(functions_path,
                             ": expected functions as \"def name(...):\" with docstrings, found ",
                             corpus.functions.size());
  }
  for (const RawFile& file : files) {
    if (!file.name.ends_with(".csv")) continue;
    ELMS_ASSIGN_OR_RETURN(const RawTable table, read_table(file.path, {"question", "query", "request"}));
    for (std::size_t i = 0; i < table.rows.size(); ++i) {
      ELMS_RETURN_IF_ERROR(add_question(table.rows[i], detail::concat(file.path, ": row ", i + 1), corpus));
    }
  }
  return corpus;
}

}  // namespace elms::inline v0::offline::tasks
