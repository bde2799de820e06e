// Schema-Guided Dialogue: schema.json lists services with intents; dialogues_*.json hold dialogues. The
// request of an item is the user's turn where an intent starts.
#include <algorithm>
#include <map>

#include "offline/tasks/corpus.hpp"
#include "offline/tasks/raw_files.hpp"
#include "offline/tasks/words.hpp"

namespace elms::inline v0::offline::tasks {
namespace {

using nlohmann::json;

/// "Hotels_2" -> "hotels": services of one domain say the same in other words.
std::string domain_of(std::string_view service) {
  return snake_case(service.substr(0, service.rfind('_')));
}

/// Not the plain name of the data set: of the salts that hold out about 1 in 7 domains, this one holds out
/// some that dialogues ask for (flights, music, rental cars, messaging).
constexpr std::string_view kHeldOutSalt = "sgd 17";

class SgdReader {
 public:
  SgdReader() { corpus_.source = TaskSource::kSgd; }

  /// Whether it was a schema.
  bool add_schema(const json& document) {
    if (!document.is_array() || document.empty()) return false;
    for (const json& service : document) {
      if (text_at(service, "service_name").empty() || !value_at(service, "intents").is_array()) return false;
    }
    for (const json& service : document) add_service(service);
    return true;
  }

  bool add_dialogues(const json& document) {
    if (!document.is_array() || document.empty() || !value_at(document.front(), "turns").is_array())
      return false;
    for (const json& dialogue : document) add_dialogue(dialogue);
    return true;
  }

  [[nodiscard]] bool has_schema() const { return !corpus_.functions.empty(); }
  [[nodiscard]] Corpus take() { return std::move(corpus_); }

 private:
  void add_service(const json& service) {
    const std::string service_name = text_at(service, "service_name");
    std::vector<std::size_t>& functions = services_[service_name];
    if (!functions.empty()) return;  // schemas of several parts repeat their services
    const std::string domain = domain_of(service_name);
    for (const json& intent : value_at(service, "intents")) {
      Function function;
      function.name = snake_case(text_at(intent, "name"));
      if (function.name.empty()) continue;
      function.domain = domain;
      std::string description = one_line(text_at(intent, "description"));
      if (description.empty()) description = in_words(function.name);
      std::string words = in_words(domain);
      function.descriptions = {description, detail::concat(words, ": ", lower_case(description.substr(0, 1)),
                                                           description.substr(1))};
      add_parameters(intent, function);
      function.held_out = held_out_name(kHeldOutSalt, domain);
      functions.push_back(corpus_.functions.size());
      corpus_.functions.push_back(std::move(function));
    }
  }

  static void add_parameters(const json& intent, Function& function) {
    for (const json& slot : value_at(intent, "required_slots")) {
      if (slot.is_string()) function.parameters.push_back(snake_case(slot.get<std::string>()));
    }
    const json& optional = value_at(intent, "optional_slots");
    if (!optional.is_object()) return;
    for (const auto& [slot, unused] : optional.items()) function.parameters.push_back(snake_case(slot));
  }

  void add_dialogue(const json& dialogue) {
    std::vector<std::size_t> companions;
    for (const json& service : value_at(dialogue, "services")) {
      const auto found = service.is_string() ? services_.find(service.get<std::string>()) : services_.end();
      if (found == services_.end()) continue;
      companions.insert(companions.end(), found->second.begin(), found->second.end());
    }
    std::map<std::string, std::string> active;  // service -> intent
    for (const json& turn : value_at(dialogue, "turns")) {
      if (text_at(turn, "speaker") == "USER") add_turn(turn, companions, active);
    }
  }

  /// At most one request: of the first frame whose intent changes in words of the user's own.
  void add_turn(const json& turn, const std::vector<std::size_t>& companions,
                std::map<std::string, std::string>& active) {
    bool added = false;
    for (const json& frame : value_at(turn, "frames")) {
      const std::string service = text_at(frame, "service");
      const std::string intent = text_at(value_at(frame, "state"), "active_intent");
      const bool starts = !intent.empty() && intent != "NONE" && active[service] != intent;
      active[service] = intent;
      const std::size_t function = find(service, snake_case(intent));
      if (!starts || added || function == kNoFunction || only_agrees(frame)) continue;
      Request request;
      request.text = one_line(text_at(turn, "utterance"));
      request.function = function;
      request.companions = companions;
      add_arguments(frame, request);
      corpus_.add(std::move(request));
      added = true;
    }
  }

  static constexpr std::size_t kNoFunction = static_cast<std::size_t>(-1);
  [[nodiscard]] std::size_t find(const std::string& service, const std::string& name) const {
    const auto found = services_.find(service);
    if (found == services_.end()) return kNoFunction;
    for (const std::size_t i : found->second) {
      if (corpus_.functions[i].name == name) return i;
    }
    return kNoFunction;
  }

  /// "Yes, please": the intent was offered, and the turn does not name it.
  static bool only_agrees(const json& frame) {
    bool agrees = false;
    for (const json& action : value_at(frame, "actions")) {
      const std::string act = text_at(action, "act");
      if (act == "INFORM_INTENT") return false;
      agrees |= act == "AFFIRM_INTENT";
    }
    return agrees;
  }

  /// Slot values that stand in the utterance, in its order.
  void add_arguments(const json& frame, Request& request) const {
    const std::string words = lower_case(request.text);
    const std::vector<std::string>& parameters = corpus_.functions[request.function].parameters;
    const json& values = value_at(value_at(frame, "state"), "slot_values");
    if (!values.is_object()) return;
    std::vector<std::pair<std::size_t, Argument>> found;
    for (const auto& [slot, variants] : values.items()) {
      const std::string name = snake_case(slot);
      if (std::find(parameters.begin(), parameters.end(), name) == parameters.end()) continue;
      for (const json& variant : variants) {
        if (!variant.is_string()) continue;
        const std::string value = one_line(variant.get<std::string>());
        const std::size_t at = value.empty() ? std::string::npos : words.find(lower_case(value));
        if (at == std::string::npos) continue;
        found.push_back({at, {name, request.text.substr(at, value.size())}});
        break;
      }
    }
    std::stable_sort(found.begin(), found.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (auto& [at, argument] : found) request.arguments.push_back(std::move(argument));
  }

  Corpus corpus_;
  std::map<std::string, std::vector<std::size_t>> services_;  ///< functions of each
};

bool is_schema(const RawFile& file) {
  return file.name.find("schema") != std::string::npos;
}

/// Schemas beside the files that were named, where none was named.
std::vector<std::string> schemas_for(const std::vector<RawFile>& files) {
  std::vector<std::string> paths;
  for (const RawFile& file : files) {
    if (is_schema(file)) paths.push_back(file.path);
  }
  if (!paths.empty()) return paths;
  for (const RawFile& file : files) {
    const std::string path =
        file.folder.empty() ? std::string("schema.json") : detail::concat(file.folder, "/schema.json");
    if (std::find(paths.begin(), paths.end(), path) == paths.end()) paths.push_back(path);
  }
  return paths;
}

}  // namespace

Result<Corpus> read_sgd(const Paths& inputs) {
  ELMS_ASSIGN_OR_RETURN(const std::vector<RawFile> files, list_files(inputs, {".json"}));
  SgdReader reader;
  for (const std::string& path : schemas_for(files)) {
    ELMS_ASSIGN_OR_RETURN(const json schema, read_json(path));
    if (!reader.add_schema(schema)) {
      return detail::malformed(path, ": expected a list of services with \"service_name\" and \"intents\"");
    }
  }
  if (!reader.has_schema()) return detail::malformed(inputs.front(), ": the schema describes no function");
  for (const RawFile& file : files) {
    if (is_schema(file)) continue;
    ELMS_ASSIGN_OR_RETURN(const json document, read_json(file.path));
    if (!reader.add_dialogues(document) && file.asked_for) {
      return detail::malformed(file.path, ": expected a list of dialogues with \"turns\"");
    }
  }
  return reader.take();
}

}  // namespace elms::inline v0::offline::tasks
