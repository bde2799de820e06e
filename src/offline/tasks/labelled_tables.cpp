// BANKING77 (text,category) and HWU64 (answerid;scenario;intent;answer_annotation;...): a request and its
// label in a row.
#include "offline/tasks/corpus.hpp"
#include "offline/tasks/raw_files.hpp"
#include "offline/tasks/words.hpp"

namespace elms::inline v0::offline::tasks {
namespace {

const std::vector<std::string_view> kTextColumns = {"text",    "utterance",        "sentence",
                                                    "request", "answer_from_anno", "answer_annotation"};
const std::vector<std::string_view> kLabelColumns = {"category", "label", "intent"};

std::string field(const Row& row, int column) {
  return column >= 0 && static_cast<std::size_t>(column) < row.size() ? row[static_cast<std::size_t>(column)]
                                                                      : std::string();
}

/// "set [time : six am] alarm" -> "set six am alarm", and the argument time = "six am".
struct Annotated {
  std::string text;
  std::vector<Argument> arguments;
};
Annotated parse_annotation(std::string_view annotation) {
  Annotated parsed;
  while (!annotation.empty()) {
    const std::size_t open = annotation.find('[');
    const std::size_t close = open == std::string_view::npos ? open : annotation.find(']', open);
    const std::size_t colon = open == std::string_view::npos ? open : annotation.find(':', open);
    if (close == std::string_view::npos || colon >= close) break;
    parsed.text.append(annotation.substr(0, open));
    const std::string value = one_line(annotation.substr(colon + 1, close - colon - 1));
    const std::string name = snake_case(annotation.substr(open + 1, colon - open - 1));
    parsed.text.append(value);
    if (!name.empty() && !value.empty()) parsed.arguments.push_back({name, value});
    annotation.remove_prefix(close + 1);
  }
  parsed.text.append(annotation);
  parsed.text = one_line(parsed.text);
  return parsed;
}

Request labelled_request(const Row& row, const RawTable& table, int text_column) {
  Request request;
  request.text = one_line(field(row, text_column));
  const Annotated annotated = parse_annotation(field(row, table.column({"answer_annotation", "annotation"})));
  if (!annotated.text.empty()) {
    request.argument_text = annotated.text;
    request.arguments = annotated.arguments;
    // What the user typed keeps capitals and digits; "null" stands where an annotator found nothing to keep.
    const std::string typed = one_line(field(row, table.column({"answer_from_user"})));
    request.text = typed.empty() || typed == "null" ? annotated.text : typed;
  }
  return request;
}

Status add_table(const RawTable& table, const std::string& path, Corpus& corpus) {
  int text_column = 0, label_column = 1;
  if (!table.header.empty()) {
    text_column = table.column(kTextColumns);
    label_column = table.column(kLabelColumns);
    if (text_column < 0 || label_column < 0) {
      return detail::malformed(path, ": expected columns for the text and the category or intent, found \"",
                               table.header.front(), "\" and ", table.header.size() - 1, " more");
    }
  }
  const int scenario_column = table.column({"scenario"});
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    const Row& row = table.rows[i];
    const std::string label = field(row, label_column), scenario = field(row, scenario_column);
    if (snake_case(label).empty()) return detail::malformed(path, ": row ", i + 1, " has no label");
    Request request = labelled_request(row, table, text_column);
    request.function = corpus.find_or_add(scenario.empty() ? label : detail::concat(scenario, "_", label));
    corpus.add(std::move(request));
  }
  return {};
}

Result<Corpus> read_labelled(TaskSource source, const Paths& inputs) {
  ELMS_ASSIGN_OR_RETURN(const std::vector<RawFile> files, list_files(inputs, {".csv", ".tsv"}));
  Corpus corpus = corpus_of(source);
  std::vector<std::string_view> header_words = kLabelColumns;
  header_words.insert(header_words.end(), kTextColumns.begin(), kTextColumns.end());
  for (const RawFile& file : files) {
    ELMS_ASSIGN_OR_RETURN(const RawTable table, read_table(file.path, header_words));
    ELMS_RETURN_IF_ERROR(add_table(table, file.path, corpus));
  }
  return corpus;
}

}  // namespace

Result<Corpus> read_banking77(const Paths& inputs) {
  return read_labelled(TaskSource::kBanking77, inputs);
}
Result<Corpus> read_hwu64(const Paths& inputs) {
  return read_labelled(TaskSource::kHwu64, inputs);
}

}  // namespace elms::inline v0::offline::tasks
