#include "offline/refiner/word_alignment.hpp"

#include <algorithm>
#include <string>

namespace elms::inline v0::offline {
namespace {

struct Run {
  std::string text;
  std::size_t begin;
};

/// Runs of letters and figures; what is not ASCII counts as letters.
std::vector<Run> runs_of(std::string_view text) {
  std::vector<Run> runs;
  bool inside = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool upper = byte >= 'A' && byte <= 'Z';
    const bool part = byte >= 0x80 || upper || (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9');
    if (part) {
      if (!inside) runs.push_back({{}, i});
      runs.back().text += upper ? static_cast<char>(byte - 'A' + 'a') : text[i];
    }
    inside = part;
  }
  return runs;
}

/// [n_long]: which runs of the longer text are matched; empty where not all of the shorter one's are.
std::vector<std::uint8_t> matched_runs(const std::vector<Run>& longer, const std::vector<Run>& shorter) {
  constexpr std::int32_t kMatch = 1 << 10, kNone = -(1 << 30);  // a match counts more than all neighbours
  const std::size_t n = longer.size(), m = shorter.size(), stride = m + 1;
  std::vector<std::int32_t> best((n + 1) * stride, 0);        // of the first i and j runs
  std::vector<std::int32_t> ending((n + 1) * stride, kNone);  // and the last two of them are a pair
  for (std::size_t i = 1; i <= n; ++i) {
    for (std::size_t j = 1; j <= m; ++j) {
      const std::size_t at = i * stride + j, before = at - stride - 1;
      if (longer[i - 1].text == shorter[j - 1].text) {
        ending[at] = kMatch + std::max(best[before], ending[before] + 1);
      }
      best[at] = std::max({best[at - stride], best[at - 1], ending[at]});
    }
  }
  std::vector<std::uint8_t> matched(n, 0);
  std::size_t n_matched = 0;
  bool must_pair = false;  // the pair behind was counted as this one's neighbour
  for (std::size_t i = n, j = m; i > 0 && j > 0;) {
    const std::size_t at = i * stride + j, before = at - stride - 1;
    if (must_pair || ending[at] == best[at]) {
      matched[i - 1] = 1;
      ++n_matched;
      must_pair = ending[at] == kMatch + ending[before] + 1 && ending[before] + 1 > best[before];
      --i;
      --j;
    } else if (best[at - stride] == best[at]) {
      --i;
    } else {
      --j;
    }
  }
  if (n_matched < m) matched.clear();
  return matched;
}

}  // namespace

std::vector<std::uint8_t> kept_words(std::string_view sentence, std::span<const ByteSpan> words,
                                     std::string_view compression) {
  const std::vector<Run> longer = runs_of(sentence), shorter = runs_of(compression);
  if (longer.empty() || shorter.empty() || shorter.size() > longer.size()) return {};
  const std::vector<std::uint8_t> matched = matched_runs(longer, shorter);
  if (matched.empty()) return {};
  std::vector<std::uint8_t> kept;
  std::size_t run = 0;
  for (const ByteSpan& word : words) {
    std::size_t n_runs = 0, n_kept = 0;
    for (; run < longer.size() && longer[run].begin < word.end; ++run, ++n_runs) n_kept += matched[run];
    kept.push_back(2 * n_kept > n_runs ? 1 : 0);
  }
  return kept;
}

}  // namespace elms::inline v0::offline
