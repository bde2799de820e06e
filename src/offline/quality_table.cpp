#include "elms/offline/quality_table.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <system_error>

#include "elms/detail/elastic_metadata.hpp"
#include "elms/detail/error.hpp"
#include "elms/detail/strategy_quality.hpp"
#include "offline/slo/answer_table.hpp"

namespace elms::inline v0::offline {

namespace {

/// Means of the files' shares of right answers at [level][keep ratio].
using Grid = std::vector<std::vector<double>>;

/// Adds what one file's answers say, of `n_files`.
Status add_file(const TaskFile& file, const QualityTableOptions& options, double n_files, Grid& grid,
                std::vector<double>& keep_ratios, QualityTable& table) {
  const auto n_all = static_cast<std::int64_t>(file.items.size());
  const std::int64_t n = options.max_items == 0 ? n_all : std::min(n_all, options.max_items);
  std::vector<Question> questions;
  for (std::int64_t i = 0; i < n; ++i) {
    const TaskItem& item = file.items[static_cast<std::size_t>(i * n_all / n)];
    if (item.answer >= item.choices.size())
      return detail::invalid_argument("quality: an item of ", file.name, " has no right choice");
    questions.push_back(question_of(item, options.max_answer_tokens));
  }
  std::vector<const Question*> asked;
  for (const Question& question : questions) asked.push_back(&question);
  ELMS_ASSIGN_OR_RETURN(
      const AnswerTable answers,
      AnswerTable::make(asked, {options.model, options.refiner, options.keep_ratios, options.progress},
                        file.name));
  keep_ratios.assign(answers.keep_ratios().begin(), answers.keep_ratios().end());
  grid.resize(options.model->levels().size(), std::vector<double>(keep_ratios.size(), 0.0));
  for (std::size_t level = 0; level < grid.size(); ++level) {
    for (std::size_t k = 0; k < keep_ratios.size(); ++k) {
      for (std::size_t q = 0; q < questions.size(); ++q)
        grid[level][k] += (answers.right(q, static_cast<int>(level), keep_ratios[k]) ? 1.0 : 0.0) /
                          (static_cast<double>(n) * n_files);
    }
  }
  table.n_items += n;
  return {};
}

/// Where keep ratios were not measured: the default curve below what the whole prompt gives.
void extend_by_curve(Grid& grid, std::vector<double>& keep_ratios) {
  keep_ratios.clear();
  for (int tenth = 1; tenth <= 10; ++tenth) keep_ratios.push_back(tenth / 10.0);
  for (std::vector<double>& row : grid) {
    const double whole = row.back();
    row.clear();
    for (const double keep : keep_ratios) row.push_back(whole * detail::default_quality(1.0, keep));
  }
}

/// With so few items a wider level or a longer prompt may come out as worse than a narrower or shorter one:
/// it is believed to be as good, and by a trace better, so that of equals the whole model wins where there is
/// time.
void make_ascending(StrategyQualities& table) {
  constexpr double kTrace = 1e-4;
  const std::size_t n_keep = table.keep_ratios.size();
  for (std::size_t i = 0; i < table.quality.size(); ++i) {
    if (i % n_keep > 0) table.quality[i] = std::max(table.quality[i], table.quality[i - 1]);
    if (i >= n_keep) table.quality[i] = std::max(table.quality[i], table.quality[i - n_keep]);
  }
  for (std::size_t i = 0; i < table.quality.size(); ++i) {
    const double rank = static_cast<double>(table.widths[i / n_keep] + table.keep_ratios[i % n_keep]) / 2.0;
    table.quality[i] = static_cast<float>(
        std::clamp(static_cast<double>(table.quality[i]) + kTrace * (rank - 1.0), 0.0, 1.0));
  }
}

}  // namespace

Result<QualityTable> measure_quality(std::span<const TaskFile> files, const QualityTableOptions& options) {
  if (options.model == nullptr) return detail::invalid_argument("quality: the model is null");
  if (files.empty() || options.max_items < 0 || options.max_answer_tokens < 1) {
    return detail::invalid_argument("quality: ", files.size(), " files, at most ", options.max_items,
                                    " items and answers of ", options.max_answer_tokens, " tokens");
  }
  QualityTable table;
  Grid grid;
  std::vector<double> keep_ratios;
  for (const TaskFile& file : files) {
    if (file.items.empty()) return detail::invalid_argument("quality: ", file.name, " has no items");
    ELMS_RETURN_IF_ERROR(
        add_file(file, options, static_cast<double>(files.size()), grid, keep_ratios, table));
  }
  if (options.refiner == nullptr) extend_by_curve(grid, keep_ratios);
  std::map<float, std::vector<std::size_t>> by_width;
  for (std::size_t level = 0; level < grid.size(); ++level)
    by_width[static_cast<float>(options.model->levels()[level].cost_share)].push_back(level);
  table.qualities.keep_ratios.assign(keep_ratios.begin(), keep_ratios.end());
  for (const auto& [width, levels] : by_width) {
    table.qualities.widths.push_back(width);
    for (std::size_t k = 0; k < keep_ratios.size(); ++k) {
      double sum = 0.0;
      for (const std::size_t level : levels) sum += grid[level][k];
      table.qualities.quality.push_back(
          static_cast<float>(std::min(1.0, sum / static_cast<double>(levels.size()))));
    }
  }
  make_ascending(table.qualities);
  return table;
}

Status write_quality_table(const std::string& model, const StrategyQualities& table,
                           const std::string& source, const std::string& output) {
  if (!table.valid()) return detail::invalid_argument("quality table: axes or values do not fit each other");
  std::error_code ignored;
  if (std::filesystem::equivalent(model, output, ignored)) {
    return detail::invalid_argument(output, ": a model is not written over itself");
  }
  ELMS_ASSIGN_OR_RETURN(const detail::GgufFile file, detail::GgufFile::open(model));
  if (file.find(detail::elastic_keys::kVersion) == nullptr) {
    return detail::unsupported(model, ": has no elms.* keys (see elms elasticize)");
  }
  detail::GgufWriter writer;
  for (const detail::GgufValue& value : file.values()) writer.set(value);
  detail::write_qualities(writer, table, source);
  for (const detail::GgufTensor& tensor : file.tensors()) {
    ELMS_RETURN_IF_ERROR(writer.add_tensor(tensor.name, tensor.type, std::span(tensor.dims, tensor.n_dims)));
  }
  ELMS_RETURN_IF_ERROR(writer.begin(output));
  for (const detail::GgufTensor& tensor : file.tensors()) ELMS_RETURN_IF_ERROR(writer.write(tensor.data));
  return writer.finish();
}

}  // namespace elms::inline v0::offline
