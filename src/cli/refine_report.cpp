#include "cli/refine_report.hpp"

#include <cstdio>
#include <string>

namespace elms_cli {

Json refined_json(const elms::RefinedPrompt& refined, bool with_words) {
  Json spans = Json::array();
  for (const elms::ByteSpan span : refined.kept) spans.push_back({span.begin, span.end});
  Json json = {{"text", refined.text},
               {"kept_spans", std::move(spans)},
               {"tokens_before", refined.tokens_before},
               {"tokens_after", refined.tokens_after},
               {"budget_tokens", refined.budget_tokens}};
  if (!with_words) return json;
  Json words = Json::array();
  for (const elms::RefinedWord& word : refined.words) {
    words.push_back({{"span", {word.span.begin, word.span.end}},
                     {"kind", elms::to_string(word.kind)},
                     {"score", word.score},
                     {"kept", word.kept}});
  }
  json["words"] = std::move(words);
  return json;
}

void print_diff(std::string_view source, const elms::RefinedPrompt& refined) {
  const auto print = [&](std::size_t begin, std::size_t end, const char* style) {
    if (begin >= end) return;
    std::printf("%s%.*s\x1b[0m", style, static_cast<int>(end - begin), source.data() + begin);
  };
  std::size_t at = 0;
  for (const elms::ByteSpan span : refined.kept) {
    print(at, span.begin, "\x1b[31;9m");
    std::printf("%.*s", static_cast<int>(span.size()), source.data() + span.begin);
    at = span.end;
  }
  print(at, source.size(), "\x1b[31;9m");
  if (!source.empty() && source.back() != '\n') std::printf("\n");
}

Json grid_json(const elms::StrategyQualities& grid) {
  Json rows = Json::array();
  for (std::size_t w = 0; w < grid.widths.size(); ++w) {
    Json row = Json::array();
    for (std::size_t k = 0; k < grid.keep_ratios.size(); ++k) row.push_back(grid.at(w, k));
    rows.push_back(std::move(row));
  }
  return {{"widths", grid.widths}, {"keep_ratios", grid.keep_ratios}, {"quality", std::move(rows)}};
}

void print_grid(const elms::StrategyQualities& grid) {
  std::vector<std::string> header = {"width"};
  for (const double ratio : grid.keep_ratios) header.push_back("keep " + fixed(ratio, 2));
  Table table(std::move(header));
  for (std::size_t w = 0; w < grid.widths.size(); ++w) {
    std::vector<std::string> row = {fixed(grid.widths[w], 2)};
    for (std::size_t k = 0; k < grid.keep_ratios.size(); ++k)
      row.push_back(fixed(static_cast<double>(grid.at(w, k)), 3));
    table.add(std::move(row));
  }
  table.print();
}

}  // namespace elms_cli
