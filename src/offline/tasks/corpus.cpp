#include "offline/tasks/corpus.hpp"

#include <algorithm>

#include "offline/tasks/descriptions.hpp"
#include "offline/tasks/words.hpp"

namespace elms::inline v0::offline::tasks {
namespace {

bool holds_out_names(TaskSource source) {
  return source == TaskSource::kClinc150 || source == TaskSource::kBanking77 || source == TaskSource::kHwu64;
}

/// "card_payment" is a domain where the data set has no better one: what comes before the first underscore.
std::string first_word(const std::string& name) {
  return name.substr(0, name.find('_'));
}

Function known_function(const KnownFunction& known) {
  Function function;
  function.name = snake_case(known.label);
  function.domain = known.domain;
  function.descriptions = {known.descriptions[0], known.descriptions[1]};
  return function;
}

}  // namespace

std::vector<KnownFunction> known_functions(TaskSource source) {
  switch (source) {
    case TaskSource::kSnips:
      return snips_functions();
    case TaskSource::kClinc150:
      return clinc150_functions();
    case TaskSource::kBanking77:
      return banking77_functions();
    case TaskSource::kHwu64:
      return hwu64_functions();
    case TaskSource::kLlamaTouch:
      return llamatouch_apps();
    case TaskSource::kSgd:
    case TaskSource::kOctopus:
      break;  // the data describes its functions
  }
  return {};
}

Corpus corpus_of(TaskSource source) {
  Corpus corpus;
  corpus.source = source;
  for (const KnownFunction& known : known_functions(source)) {
    Function& function = corpus.functions.emplace_back(known_function(known));
    function.held_out = holds_out_names(source) && held_out_name(to_string(source), function.name);
  }
  // Seven functions make no list of eight.
  if (source != TaskSource::kSnips) return corpus;
  for (const KnownFunction& known : assistant_functions()) {
    corpus.functions.emplace_back(known_function(known)).listed_only = true;
  }
  return corpus;
}

std::size_t Corpus::find_or_add(std::string_view label) {
  const std::string name = snake_case(label);
  for (std::size_t i = 0; i < functions.size(); ++i) {
    if (functions[i].name == name) return i;
  }
  Function function;
  function.name = name;
  function.domain = first_word(name);
  function.descriptions = {in_words(name)};
  function.held_out = holds_out_names(source) && held_out_name(to_string(source), name);
  functions.push_back(std::move(function));
  return functions.size() - 1;
}

void Corpus::add(Request request) {
  request.text = one_line(request.text);
  if (request.text.empty()) return;
  if (seen_.insert(detail::concat(request.function, ":", request.text)).second)
    requests.push_back(std::move(request));
}

}  // namespace elms::inline v0::offline::tasks
