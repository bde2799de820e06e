#include "offline/recovery/compensation.hpp"

#include <cstddef>
#include <vector>

#include "offline/recovery/distiller.hpp"

namespace elms::inline v0::offline {
namespace {

using Mean = std::vector<double>;

class Compensator {
 public:
  Compensator(const CompensationInput& input, const CompensationTargets& targets,
              const train::ParameterLayout& level_layout, std::span<float> level)
      : in_(input),
        targets_(targets),
        level_layout_(level_layout),
        level_(level),
        d_(static_cast<std::size_t>(level_layout.config().d_model)),
        counted_(counted_positions(input.batch, input.decoder.shape().length)) {}

  void run() {
    const std::size_t n_layers = level_layout_.config().layers.size();
    if (targets_.reference == BiasReference::kFullModel) measure_full_model(n_layers);
    in_.decoder.embed(in_.pool, level_layout_, level_.data(), in_.batch.tokens);
    for (std::size_t i = 0; i < n_layers; ++i) {
      if (targets_.attention) {
        const Mean wanted = wanted_middle(i);
        attention(i);
        shift(level_layout_.layer(i).bo, wanted, mean(in_.decoder.layer_middle(i)));
      }
      attention(i);
      if (targets_.ffn) {
        const Mean wanted = wanted_output(i);
        ffn(i);
        shift(level_layout_.layer(i).down_bias, wanted, mean(in_.decoder.layer_input(i + 1)));
      }
      ffn(i);
    }
  }

 private:
  void measure_full_model(std::size_t n_layers) {
    in_.decoder.embed(in_.pool, in_.whole_layout, in_.whole.data(), in_.batch.tokens);
    for (std::size_t i = 0; i < n_layers; ++i) {
      in_.decoder.attention_block(in_.pool, in_.whole_layout, in_.whole.data(), i);
      full_middles_.push_back(mean(in_.decoder.layer_middle(i)));
      in_.decoder.ffn_block(in_.pool, in_.whole_layout, in_.whole.data(), i);
      full_outputs_.push_back(mean(in_.decoder.layer_input(i + 1)));
    }
  }
  Mean wanted_middle(std::size_t i) {
    if (targets_.reference == BiasReference::kFullModel) return full_middles_[i];
    in_.decoder.attention_block(in_.pool, in_.whole_layout, in_.whole.data(), i);
    return mean(in_.decoder.layer_middle(i));
  }
  Mean wanted_output(std::size_t i) {
    if (targets_.reference == BiasReference::kFullModel) return full_outputs_[i];
    in_.decoder.ffn_block(in_.pool, in_.whole_layout, in_.whole.data(), i);
    return mean(in_.decoder.layer_input(i + 1));
  }
  void attention(std::size_t i) { in_.decoder.attention_block(in_.pool, level_layout_, level_.data(), i); }
  void ffn(std::size_t i) { in_.decoder.ffn_block(in_.pool, level_layout_, level_.data(), i); }

  [[nodiscard]] Mean mean(std::span<const float> rows) const {
    Mean sum(d_, 0.0);
    std::size_t n = 0;
    for (std::size_t r = 0; r < counted_.size(); ++r) {
      if (!counted_[r]) continue;
      ++n;
      for (std::size_t c = 0; c < d_; ++c) sum[c] += static_cast<double>(rows[r * d_ + c]);
    }
    for (double& value : sum) value /= n == 0 ? 1.0 : static_cast<double>(n);
    return sum;
  }
  void shift(std::size_t bias, const Mean& wanted, const Mean& found) {
    for (std::size_t c = 0; c < d_; ++c) level_[bias + c] += static_cast<float>(wanted[c] - found[c]);
  }

  const CompensationInput& in_;
  const CompensationTargets& targets_;
  const train::ParameterLayout& level_layout_;
  std::span<float> level_;
  std::size_t d_;
  std::vector<bool> counted_;
  std::vector<Mean> full_middles_, full_outputs_;  ///< [n_layers], only for kFullModel
};

}  // namespace

void compensate(const CompensationInput& input, const CompensationTargets& targets,
                const train::ParameterLayout& level_layout, std::span<float> level) {
  Compensator(input, targets, level_layout, level).run();
}

}  // namespace elms::inline v0::offline
