#include "cli/level_report.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace elms_cli {
namespace {

using elms::LayerShape;

std::vector<std::int32_t> counts(const elms::Level& level, std::int32_t LayerShape::*member) {
  std::vector<std::int32_t> out;
  for (const LayerShape& layer : level.layers) out.push_back(layer.*member);
  return out;
}

/// "16" where all layers have as many, "8-16" where they differ.
std::string range(const elms::Level& level, std::int32_t LayerShape::*member) {
  const std::vector<std::int32_t> values = counts(level, member);
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  return *low == *high ? std::to_string(*low) : std::to_string(*low) + "-" + std::to_string(*high);
}

}  // namespace

Json levels_json(std::span<const elms::Level> levels) {
  Json list = Json::array();
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const elms::Level& level = levels[i];
    list.push_back({{"level", i},
                    {"cost_share", level.cost_share},
                    {"bytes_per_token", level.bytes_per_token},
                    {"query_heads", counts(level, &LayerShape::q_heads)},
                    {"kv_heads", counts(level, &LayerShape::kv_heads)},
                    {"ffn_units", counts(level, &LayerShape::ff)}});
  }
  return list;
}

void print_levels(std::span<const elms::Level> levels) {
  Table table({"level", "cost", "read per token", "query heads", "KV heads", "FFN units"});
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const elms::Level& level = levels[i];
    table.add({std::to_string(i), fixed(level.cost_share, 3), readable_bytes(level.bytes_per_token),
               range(level, &LayerShape::q_heads), range(level, &LayerShape::kv_heads),
               range(level, &LayerShape::ff)});
  }
  table.print();
}

Json recovery_json(const elms::offline::RecoveryReport& report) {
  Json levels = Json::array();
  for (const elms::offline::LevelRecovery& level : report.levels) {
    levels.push_back({{"level", level.level},
                      {"cost_share", level.cost_share},
                      {"kl_before", level.kl_before},
                      {"kl_after", level.kl_after},
                      {"loss_before", level.loss_before},
                      {"loss_after", level.loss_after},
                      {"adapter", level.adapter}});
  }
  return {{"steps", report.n_steps},
          {"tokens", report.n_tokens},
          {"valid_tokens", report.valid_tokens},
          {"adapter_bytes", report.adapter_bytes},
          {"levels", std::move(levels)}};
}

void print_recovery(const elms::offline::RecoveryReport& report) {
  Table table({"level", "cost", "KL before", "KL after", "loss before", "loss after"});
  for (const elms::offline::LevelRecovery& level : report.levels) {
    table.add({std::to_string(level.level), fixed(level.cost_share, 3), fixed(level.kl_before, 4),
               fixed(level.kl_after, 4), fixed(level.loss_before, 4), fixed(level.loss_after, 4)});
  }
  table.print();
}

}  // namespace elms_cli
