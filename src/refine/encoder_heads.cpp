#include "refine/encoder_heads.hpp"

#include <cmath>
#include <string>

#include "elms/detail/error.hpp"

namespace elms::inline v0::detail {
namespace {

float sigmoid_of(double x) noexcept {
  return static_cast<float>(1.0 / (1.0 + std::exp(-x)));
}

double dot_product(std::span<const float> a, std::span<const float> b) noexcept {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

/// The array `name` with exactly n elements, all finite.
Result<std::vector<float>> reals_of(const GgufFile& file, const std::string& name, std::size_t n) {
  ELMS_ASSIGN_OR_RETURN(std::vector<float> values, file.reals(name));
  if (values.size() != n) {
    return malformed(file.name(), ": ", name, " has ", values.size(), " elements, expected ", n);
  }
  for (std::size_t i = 0; i < n; ++i) {
    if (!std::isfinite(values[i])) return malformed(file.name(), ": ", name, " is not a number at ", i);
  }
  return values;
}

/// One side of the grid: ascending, in (0, 1].
Result<std::vector<float>> grid_of(const GgufFile& file, const std::string& name) {
  ELMS_ASSIGN_OR_RETURN(std::vector<float> values, file.reals(name));
  if (values.empty()) return malformed(file.name(), ": ", name, " is empty");
  for (std::size_t i = 0; i < values.size(); ++i) {
    const float before = i == 0 ? 0.0f : values[i - 1];
    if (!(values[i] > before && values[i] <= 1.0f)) {
      return malformed(file.name(), ": ", name, ": expected ascending values in (0, 1], found ",
                       static_cast<double>(values[i]), " at ", i);
    }
  }
  return values;
}

/// A head whose first key is there has all of them.
template <typename T>
Result<T> complete(Result<T> head) {
  if (head.error().code() == StatusCode::kNotFound) return malformed(head.error().message());
  return head;
}

Result<ScoreHead> read_score(const GgufFile& file, const EncoderConfig& config) {
  ScoreHead head;
  ELMS_ASSIGN_OR_RETURN(
      head.weight, reals_of(file, "elms.refiner.score.weight", static_cast<std::size_t>(config.d_model)));
  ELMS_ASSIGN_OR_RETURN(const auto bias, reals_of(file, "elms.refiner.score.bias", 1));
  head.bias = bias[0];
  return head;
}

Result<DecisionHead> read_decision(const GgufFile& file, const EncoderConfig& config) {
  const std::string prefix = "elms.refiner.decision.";
  DecisionHead head;
  ELMS_ASSIGN_OR_RETURN(head.widths, grid_of(file, prefix + "widths"));
  ELMS_ASSIGN_OR_RETURN(head.keep_ratios, grid_of(file, prefix + "keep_ratios"));
  ELMS_ASSIGN_OR_RETURN(head.hidden_bias, file.reals(prefix + "hidden.bias"));
  const std::size_t n_hidden = head.hidden_bias.size(), n_out = head.widths.size() * head.keep_ratios.size();
  if (n_hidden == 0) return malformed(file.name(), ": ", prefix, "hidden.bias is empty");
  ELMS_ASSIGN_OR_RETURN(head.hidden_bias, reals_of(file, prefix + "hidden.bias", n_hidden));
  ELMS_ASSIGN_OR_RETURN(head.hidden, reals_of(file, prefix + "hidden.weight",
                                              n_hidden * (static_cast<std::size_t>(config.d_model) + 2)));
  ELMS_ASSIGN_OR_RETURN(head.output, reals_of(file, prefix + "output.weight", n_out * n_hidden));
  ELMS_ASSIGN_OR_RETURN(head.output_bias, reals_of(file, prefix + "output.bias", n_out));
  ELMS_ASSIGN_OR_RETURN(const auto temperature, reals_of(file, prefix + "temperature", 1));
  head.temperature = temperature[0];
  if (!(head.temperature > 0.0f)) {
    return malformed(file.name(), ": ", prefix, "temperature is ", static_cast<double>(head.temperature));
  }
  return head;
}

}  // namespace

Result<ScoreHead> read_score_head(const GgufFile& file, const EncoderConfig& config) {
  if (file.find("elms.refiner.score.weight") == nullptr) return ScoreHead();
  return complete(read_score(file, config));
}

Result<DecisionHead> read_decision_head(const GgufFile& file, const EncoderConfig& config) {
  if (file.find("elms.refiner.decision.hidden.weight") == nullptr) return DecisionHead();
  return complete(read_decision(file, config));
}

float keep_probability_of(const ScoreHead& head, std::span<const float> state) noexcept {
  return sigmoid_of(dot_product(head.weight, state) + static_cast<double>(head.bias));
}

void strategy_qualities(const DecisionHead& head, std::span<const float> pooled, float ttft_share,
                        float tpot_share, std::span<float> hidden, std::span<float> quality) noexcept {
  const std::size_t d = pooled.size();
  for (std::size_t i = 0; i < hidden.size(); ++i) {
    const std::span<const float> row(head.hidden.data() + i * (d + 2), d + 2);
    const double sum = dot_product(row.first(d), pooled) + static_cast<double>(row[d] * ttft_share) +
                       static_cast<double>(row[d + 1] * tpot_share) +
                       static_cast<double>(head.hidden_bias[i]);
    hidden[i] = static_cast<float>(std::tanh(sum));
  }
  for (std::size_t i = 0; i < quality.size(); ++i) {
    const std::span<const float> row(head.output.data() + i * hidden.size(), hidden.size());
    const double logit = dot_product(row, hidden) + static_cast<double>(head.output_bias[i]);
    quality[i] = sigmoid_of(logit / static_cast<double>(head.temperature));
  }
}

}  // namespace elms::inline v0::detail
