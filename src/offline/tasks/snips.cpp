// SNIPS: {"GetWeather": [{"data": [{"text": "weather in "}, {"text": "Rome", "entity": "city"}]}, ...]}
#include "offline/tasks/corpus.hpp"
#include "offline/tasks/raw_files.hpp"
#include "offline/tasks/words.hpp"

namespace elms::inline v0::offline::tasks {
namespace {

using nlohmann::json;

bool is_snips(const json& document) {
  if (!document.is_object() || document.empty()) return false;
  for (const json& queries : document) {
    if (!queries.is_array()) return false;
    if (!queries.empty() && !value_at(queries.front(), "data").is_array()) return false;
  }
  return true;
}

Request snips_request(const json& query, std::size_t function) {
  Request request;
  request.function = function;
  for (const json& piece : value_at(query, "data")) {
    const std::string text = text_at(piece, "text"), entity = text_at(piece, "entity");
    request.text += text;
    const std::string value = one_line(text);
    if (!entity.empty() && !value.empty()) request.arguments.push_back({snake_case(entity), value});
  }
  return request;
}

}  // namespace

Result<Corpus> read_snips(const Paths& inputs) {
  ELMS_ASSIGN_OR_RETURN(const std::vector<RawFile> files, list_files(inputs, {".json"}));
  Corpus corpus = corpus_of(TaskSource::kSnips);
  for (const RawFile& file : files) {
    ELMS_ASSIGN_OR_RETURN(const json document, read_json(file.path));
    if (!is_snips(document)) {
      if (!file.asked_for) continue;
      return detail::malformed(file.path,
                               ": expected {\"Intent\": [{\"data\": [{\"text\": ...}]}]} as SNIPS has it");
    }
    for (const auto& [intent, queries] : document.items()) {
      const std::size_t function = corpus.find_or_add(intent);
      for (const json& query : queries) corpus.add(snips_request(query, function));
    }
  }
  return corpus;
}

}  // namespace elms::inline v0::offline::tasks
