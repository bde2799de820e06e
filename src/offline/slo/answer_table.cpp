#include "offline/slo/answer_table.hpp"

#include <algorithm>
#include <cmath>

#include "elms/offline/refiner_eval.hpp"
#include "elms/service.hpp"
#include "offline/progress_meter.hpp"

namespace elms::inline v0::offline {

Question question_of(const TaskItem& item, std::int32_t max_tokens) {
  return {task_segments(item.prompt), first_line(item.choices[item.answer]), max_tokens};
}

std::string first_line(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  std::string_view line = text.substr(begin, text.find('\n', begin) - begin);
  return std::string(line.substr(0, line.find_last_not_of(kBlanks) + 1));
}

Result<AnswerTable> AnswerTable::make(std::span<const Question* const> questions,
                                      const AnswerTableOptions& options, std::string_view phase) {
  AnswerTable table;
  if (options.refiner != nullptr) table.keep_ratios_ = options.keep_ratios;
  table.keep_ratios_.push_back(1.0);
  std::sort(table.keep_ratios_.begin(), table.keep_ratios_.end());
  table.keep_ratios_.erase(std::unique(table.keep_ratios_.begin(), table.keep_ratios_.end()),
                           table.keep_ratios_.end());
  table.n_levels_ = options.model->levels().size();
  table.right_.resize(questions.size() * table.n_levels_ * table.keep_ratios_.size());

  ServiceOptions service_options;
  service_options.model = options.model;
  service_options.refiner = options.refiner;
  service_options.reuse = CacheReuse::kOff;
  service_options.narrow_while_decoding = service_options.learn = false;
  service_options.n_sessions = 1;
  ELMS_ASSIGN_OR_RETURN(const std::shared_ptr<ElasticService> service,
                        ElasticService::create(std::move(service_options)));
  ProgressMeter progress(options.progress, phase);
  for (std::size_t q = 0; q < questions.size(); ++q) {
    const Question& question = *questions[q];
    ServiceRequest asked;
    asked.prompt = question.prompt;
    asked.max_tokens = question.max_tokens;
    asked.stop = {"\n"};
    for (std::size_t k = 0; k < table.keep_ratios_.size(); ++k) {
      for (int level = 0; level < static_cast<int>(table.n_levels_); ++level) {
        asked.level = level;
        asked.keep_ratio = table.keep_ratios_[k];
        ELMS_ASSIGN_OR_RETURN(const Answer answer, service->generate(asked));
        table.right_[table.index(q, level, k)] = first_line(answer.text) == question.answer ? 1 : 0;
      }
    }
    ELMS_RETURN_IF_ERROR(progress.report(static_cast<double>(q + 1) / static_cast<double>(questions.size())));
  }
  return table;
}

bool AnswerTable::right(std::size_t question, int level, double keep_ratio) const noexcept {
  constexpr double kSame = 1e-9;
  for (std::size_t k = 0; k < keep_ratios_.size(); ++k) {
    if (std::abs(keep_ratios_[k] - keep_ratio) < kSame) return right_[index(question, level, k)] != 0;
  }
  return false;
}

std::int64_t AnswerTable::n_answerable() const noexcept {
  const std::size_t n_each = n_levels_ * keep_ratios_.size();
  std::int64_t n = 0;
  for (std::size_t begin = 0; begin < right_.size(); begin += n_each) {
    const auto first = right_.begin() + static_cast<std::ptrdiff_t>(begin);
    n += std::any_of(first, first + static_cast<std::ptrdiff_t>(n_each),
                     [](std::uint8_t r) { return r != 0; });
  }
  return n;
}

}  // namespace elms::inline v0::offline
