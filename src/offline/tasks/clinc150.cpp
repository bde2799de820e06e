// CLINC150: {"train": [["translate this", "translate"], ...], "oos_val": [...]}; also a bare list of such
// pairs.
#include "offline/tasks/corpus.hpp"
#include "offline/tasks/raw_files.hpp"

namespace elms::inline v0::offline::tasks {
namespace {

using nlohmann::json;

bool is_pair(const json& value) {
  return value.is_array() && value.size() == 2 && value[0].is_string() && value[1].is_string();
}

bool is_pair_list(const json& value) {
  return value.is_array() && !value.empty() && is_pair(value.front());
}

Status add_part(const json& pairs, const std::string& where, Corpus& corpus) {
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    if (!is_pair(pairs[i]))
      return detail::malformed(where, ": item ", i, " is not [\"request\", \"intent\"]");
    const std::string intent = pairs[i][1].get<std::string>();
    if (intent == "oos") {
      ++corpus.out_of_scope;
      continue;
    }
    Request request;
    request.text = pairs[i][0].get<std::string>();
    request.function = corpus.find_or_add(intent);
    corpus.add(std::move(request));
  }
  return {};
}

/// Whether there was anything of that format.
Result<bool> add_document(const json& document, const std::string& path, const std::string& part,
                          Corpus& corpus) {
  if (is_pair_list(document)) {
    ELMS_RETURN_IF_ERROR(add_part(document, path, corpus));
    return true;
  }
  bool any = false;
  if (!document.is_object()) return any;
  for (const auto& [name, pairs] : document.items()) {
    if (!is_pair_list(pairs) || (!part.empty() && name != part)) continue;
    ELMS_RETURN_IF_ERROR(add_part(pairs, detail::concat(path, ": ", name), corpus));
    any = true;
  }
  return any;
}

}  // namespace

Result<Corpus> read_clinc150(const Paths& inputs, const std::string& part) {
  ELMS_ASSIGN_OR_RETURN(const std::vector<RawFile> files, list_files(inputs, {".json"}));
  Corpus corpus = corpus_of(TaskSource::kClinc150);
  for (const RawFile& file : files) {
    ELMS_ASSIGN_OR_RETURN(const json document, read_json(file.path));
    ELMS_ASSIGN_OR_RETURN(const bool any, add_document(document, file.path, part, corpus));
    if (any || !file.asked_for) continue;
    if (!part.empty())
      return detail::error(StatusCode::kNotFound, file.path, ": there is no part \"", part, "\"");
    return detail::malformed(file.path,
                             ": expected {\"part\": [[\"request\", \"intent\"], ...]} as CLINC150 has it");
  }
  return corpus;
}

}  // namespace elms::inline v0::offline::tasks
