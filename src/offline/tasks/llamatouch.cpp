// LlamaTouch: a task, a tab, the app that does it ("Set an alarm for 9am<TAB>Clock"); with or without a
// header.
#include <algorithm>

#include "offline/tasks/corpus.hpp"
#include "offline/tasks/raw_files.hpp"
#include "offline/tasks/words.hpp"

namespace elms::inline v0::offline::tasks {
namespace {

const std::vector<std::string_view> kTaskColumns = {"description", "task", "instruction", "task_description"};
const std::vector<std::string_view> kAppColumns = {"app", "apps", "application", "app_name"};

/// One app under one name, however the data set spells it. Of several apps the first does the work.
std::string app_name(std::string_view label) {
  struct Alias {
    std::string_view name, app;
  };
  static constexpr Alias kAliases[] = {
      {"calender", "calendar"},      {"chrome", "google_chrome"},         {"amazon", "amazon_shopping"},
      {"youtube_music", "yt_music"}, {"google_play_books", "play_books"}, {"cap_cut", "capcut"},
      {"you_tube", "youtube"}};
  std::string name = snake_case(lower_case(label.substr(0, label.find(','))));
  for (const Alias& alias : kAliases) {
    if (name == alias.name) return std::string(alias.app);
  }
  return name;
}

Status add_tasks(const RawTable& table, const std::string& path, Corpus& corpus) {
  int task_column = 0, app_column = 1;
  if (!table.header.empty()) {
    task_column = table.column(kTaskColumns);
    app_column = table.column(kAppColumns);
    if (task_column < 0 || app_column < 0)
      return detail::malformed(path, ": the header names no task or no app");
  }
  const auto last = static_cast<std::size_t>(std::max(task_column, app_column));
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    const Row& row = table.rows[i];
    const std::string app =
        row.size() > last ? app_name(row[static_cast<std::size_t>(app_column)]) : std::string();
    if (app.empty()) return detail::malformed(path, ": row ", i + 1, " names no app");
    Request request;
    request.text = row[static_cast<std::size_t>(task_column)];
    request.function = corpus.find_or_add(app);
    corpus.add(std::move(request));
  }
  return {};
}

}  // namespace

Result<Corpus> read_llamatouch(const Paths& inputs) {
  ELMS_ASSIGN_OR_RETURN(const std::vector<RawFile> files, list_files(inputs, {".tsv"}));
  Corpus corpus = corpus_of(TaskSource::kLlamaTouch);
  std::vector<std::string_view> header_words = kTaskColumns;
  header_words.insert(header_words.end(), kAppColumns.begin(), kAppColumns.end());
  for (const RawFile& file : files) {
    ELMS_ASSIGN_OR_RETURN(const RawTable table, read_table(file.path, header_words));
    ELMS_RETURN_IF_ERROR(add_tasks(table, file.path, corpus));
  }
  return corpus;
}

}  // namespace elms::inline v0::offline::tasks
