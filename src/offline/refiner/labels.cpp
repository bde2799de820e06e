// Labels of words: of task prompts by the right answer, of meetings by the spans that a query needs.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "elms/detail/error.hpp"
#include "elms/detail/file_mapping.hpp"
#include "offline/jsonl.hpp"
#include "offline/refiner/score_data.hpp"

namespace elms::inline v0::offline::refiner {
namespace {

using Json = nlohmann::json;

/// Calls fn(object) for every line of a file.
template <typename Fn>
Status for_json_lines(const std::string& path, Fn&& fn) {
  ELMS_ASSIGN_OR_RETURN(const detail::FileMapping mapping, detail::FileMapping::open(path));
  std::string_view text(reinterpret_cast<const char*>(mapping.bytes().data()), mapping.bytes().size());
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = take_line(text);
    if (is_blank(line)) continue;
    const Json json = Json::parse(line, nullptr, false);
    if (!json.is_object()) return detail::malformed(path, ": line ", number, ": this is no JSON object");
    ELMS_RETURN_IF_ERROR(fn(json, number));
  }
  return {};
}

std::string string_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

/// How much a word of a task's prompt helps to answer.
constexpr float kAnswer = 1.0f, kRequest = 1.0f, kOtherName = 0.5f, kOtherText = 0.1f, kHeader = 0.05f;

/// Whether a line of a prompt lists a function: its name, then ": " or "(".
bool is_listed(std::string_view line, std::string_view name) {
  return !name.empty() && line.starts_with(name) && line.size() > name.size() &&
         (line[name.size()] == ':' || line[name.size()] == '(');
}

/// A prompt line by line: the right function's line and its examples, the request, the others.
LabelledText label_task(const std::string& prompt, std::string_view answer, const TextLabeller& labeller,
                        float weight) {
  std::vector<std::string_view> lines;
  for (std::string_view rest = prompt; !rest.empty();) lines.push_back(take_line(rest));
  LabelledText text;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::vector<std::string_view> words = words_of(lines[i]);
    const bool is_last = i + 2 >= lines.size(), is_request = lines[i].starts_with("Request:");
    const bool is_call = lines[i].starts_with("Function:") || lines[i].starts_with("Call:");
    const std::string_view call = is_request && i + 1 < lines.size() ? lines[i + 1] : lines[i];
    const bool of_answer =
        (is_request || is_call) && !words_of(call).empty() && words_of(call).back() == answer;
    for (std::size_t w = 0; w < words.size(); ++w) {
      float label = i == 0 ? kHeader : kOtherText;
      if (is_last) label = kRequest;
      if (is_listed(lines[i], answer) || of_answer) label = kAnswer;
      if (label == kOtherText && i > 0 && w == 0 && !is_request && !is_call) label = kOtherName;
      labeller.add_word(words[w], label, is_last ? 0.2f * weight : weight, text);
    }
  }
  return text;
}

/// The turns of a meeting that a query needs.
std::vector<bool> relevant_turns(const Json& query, std::size_t n_turns) {
  std::vector<bool> relevant(n_turns, false);
  const auto spans = query.find("relevant_text_span");
  if (spans == query.end() || !spans->is_array()) return relevant;
  for (const Json& span : *spans) {
    if (!span.is_array() || span.size() != 2 || !span[0].is_string() || !span[1].is_string()) continue;
    const auto at = [&](std::size_t i) {
      return static_cast<std::size_t>(std::strtoul(span[i].get<std::string>().c_str(), nullptr, 10));
    };
    for (std::size_t turn = at(0); turn <= at(1) && turn < n_turns; ++turn) relevant[turn] = true;
  }
  return relevant;
}

}  // namespace

std::vector<std::string_view> words_of(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\r\n\f\v";
  std::vector<std::string_view> words;
  for (std::size_t begin = text.find_first_not_of(kSpaces); begin != text.npos;) {
    const std::size_t end = std::min(text.size(), text.find_first_of(kSpaces, begin));
    words.push_back(text.substr(begin, end - begin));
    begin = text.find_first_not_of(kSpaces, end);
  }
  return words;
}

void TextLabeller::add_word(std::string_view word, float label, float weight, LabelledText& text) const {
  const std::vector<TokenId> tokens = tokenizer_.encode(word, {.add_special = false});
  if (tokens.empty()) return;
  text.words.push_back(text.tokens.size());
  text.tokens.insert(text.tokens.end(), tokens.begin(), tokens.end());
  text.labels.insert(text.labels.end(), tokens.size(), label);
  // A word counts the same whatever its number of tokens.
  text.weights.insert(text.weights.end(), tokens.size(), weight / static_cast<float>(tokens.size()));
}

Status read_task_prompts(const std::string& path, const RefinerTrainingOptions& options,
                         const TextLabeller& labeller, std::size_t max_tokens, ScoreData& data) {
  constexpr std::size_t kValidEvery = 50;
  return for_json_lines(path, [&](const Json& json, std::size_t number) -> Status {
    const std::string prompt = string_of(json, "prompt");
    std::string answer = string_of(json, "completion");
    answer.erase(0, answer.find_first_not_of(' '));
    answer.resize(std::min(answer.size(), answer.find('(')));
    if (prompt.empty() || answer.empty())
      return detail::malformed(path, ": line ", number, ": no prompt or no completion");
    LabelledText text = label_task(prompt, answer, labeller, static_cast<float>(options.task_weight));
    if (text.tokens.size() > max_tokens) return {};
    (number % kValidEvery == 0 ? data.valid_tasks : data.tasks).push_back(std::move(text));
    return {};
  });
}

Status read_meetings(const std::string& path, const RefinerTrainingOptions& options,
                     const TextLabeller& labeller, std::size_t max_tokens, ScoreData& data) {
  return for_json_lines(path, [&](const Json& meeting, std::size_t) -> Status {
    const auto queries = meeting.find("specific_query_list"), turns = meeting.find("meeting_transcripts");
    if (queries == meeting.end() || turns == meeting.end()) return {};
    for (const Json& query : *queries) {
      const std::vector<bool> relevant = relevant_turns(query, turns->size());
      // A window around the first border of what is relevant, so that it has some of both.
      std::size_t border = 1;
      while (border < relevant.size() && relevant[border] == relevant[border - 1]) ++border;
      if (border >= relevant.size()) continue;
      LabelledText text;
      for (const std::string_view word : words_of(string_of(query, "query")))
        labeller.add_word(word, 1, 0, text);
      for (std::size_t turn = border > 6 ? border - 6 : 0; turn < turns->size(); ++turn) {
        LabelledText longer = text;
        const std::string content = string_of((*turns)[turn], "content");
        for (const std::string_view word : words_of(content))
          labeller.add_word(word, relevant[turn] ? 1.0f : 0.0f, static_cast<float>(options.meeting_weight),
                            longer);
        if (longer.tokens.size() > max_tokens) break;
        text = std::move(longer);
      }
      data.meetings.push_back(std::move(text));
    }
    return {};
  });
}

}  // namespace elms::inline v0::offline::refiner
