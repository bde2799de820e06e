#include "elms/offline/quality_table.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <system_error>

#include "elms/detail/elastic_metadata.hpp"
#include "elms/detail/error.hpp"
#include "elms/detail/strategy_quality.hpp"

namespace elms::inline v0::offline {

Result<StrategyQualities> quality_table(std::span<const TaskEvalResult> scores) {
  struct Sum {
    double accuracy = 0.0, chance = 0.0, n = 0.0;
  };
  std::map<float, Sum> by_width;
  for (const TaskEvalResult& score : scores) {
    Sum& sum = by_width[static_cast<float>(score.cost_share)];
    sum.accuracy += score.total.accuracy();
    sum.chance += score.chance;
    sum.n += 1.0;
  }
  if (by_width.empty()) return detail::invalid_argument("quality table: there are no scores");
  StrategyQualities table;
  for (int tenth = 1; tenth <= 10; ++tenth) table.keep_ratios.push_back(static_cast<float>(tenth) / 10.0f);
  for (const auto& [width, sum] : by_width) {
    table.widths.push_back(width);
    const double accuracy = sum.accuracy / sum.n, chance = std::min(accuracy, sum.chance / sum.n);
    for (const float keep : table.keep_ratios) {
      const double share = detail::default_quality(1.0, static_cast<double>(keep));
      table.quality.push_back(static_cast<float>(chance + (accuracy - chance) * share));
    }
  }
  if (!table.valid()) return detail::invalid_argument("quality table: widths or accuracies outside 0 to 1");
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
