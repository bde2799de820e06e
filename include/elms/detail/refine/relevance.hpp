// What the parts of a prompt have in common with its question: BM25 (Robertson et al., Okapi at TREC-3, 1994)
// over runs of characters, so that "lights" is near "lighton" in every language, with the prompt itself as
// the collection.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "elms/detail/refine/characters.hpp"

namespace elms::inline v0::detail::refine {

/// Lower case, where that is a fixed distance away (ASCII, Latin-1, Greek, Cyrillic).
[[nodiscard]] constexpr char32_t folded(char32_t code) noexcept {
  if (within(code, 'A', 'Z') || (within(code, 0xC0, 0xDE) && code != 0xD7) || within(code, 0x391, 0x3A9) ||
      within(code, 0x410, 0x42F)) {
    return code + 32;
  }
  return within(code, 0x400, 0x40F) ? code + 80 : code;
}

/// Part of a word: a letter or digit, as far as can be told without tables.
[[nodiscard]] constexpr bool is_word_character(char32_t code) noexcept {
  if (code < 0x80) return is_ascii_letter(code) || within(code, '0', '9');
  return !is_white(code) && !is_trailing_mark(code) && !within(code, 0x80, 0xBF) &&
         !within(code, 0x2010, 0x206F) && !within(code, 0x3000, 0x3004) && !within(code, 0x3008, 0x3020);
}

/// Calls use(std::uint64_t) with a hash of every run of 4 characters of a word, its beginning being one; a
/// shorter word is one run, as is every character and every pair of a script that is written without spaces.
template <typename Use>
void for_each_run(std::string_view text, Use&& use) {
  constexpr std::uint64_t kMix = 0x9E3779B97F4A7C15u;
  char32_t run[4] = {};  // the last characters, newest first
  std::size_t length = 0;
  const auto hash = [&](std::size_t n) {
    std::uint64_t value = n;
    for (std::size_t i = 0; i < n; ++i) value = (value ^ run[i]) * kMix ^ value >> 29;
    return value;
  };
  const auto push = [&](char32_t code) {
    run[3] = run[2], run[2] = run[1], run[1] = run[0], run[0] = code;
    ++length;
  };
  const auto end_word = [&] {
    if (length > 1 && length < 4) use(hash(length));
    length = 0;
  };
  char32_t unspaced = 0;  // the character before, of such a script
  for (std::size_t at = 0; at < text.size();) {
    const Character c = read_character(text, at);
    at += c.size;
    if (is_unspaced(c.code)) {
      end_word();
      use(c.code * kMix);
      if (unspaced != 0) use((unspaced * kMix ^ c.code) * kMix);
      unspaced = c.code;
      continue;
    }
    unspaced = 0;
    if (!is_word_character(c.code)) {
      end_word();
      continue;
    }
    if (length == 0) push('^');
    push(folded(c.code));
    if (length >= 4) use(hash(4));
  }
  end_word();
}

/// The runs of the question, by number. The many runs of a prompt that are not asked for are told by one bit
/// each.
class AskedRuns {
 public:
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

  explicit AskedRuns(std::string_view question) {
    for_each_run(question, [&](std::uint64_t run) { runs_.push_back(run); });
    std::sort(runs_.begin(), runs_.end());
    runs_.erase(std::unique(runs_.begin(), runs_.end()), runs_.end());
    std::size_t n_bits = 1024;
    while (n_bits < runs_.size() * 16) n_bits *= 2;
    maybe_.resize(n_bits / 64);
    for (const std::uint64_t run : runs_) maybe_[word_of(run)] |= bit_of(run);
  }

  [[nodiscard]] std::size_t size() const noexcept { return runs_.size(); }
  [[nodiscard]] std::size_t find(std::uint64_t run) const noexcept {
    if ((maybe_[word_of(run)] & bit_of(run)) == 0) return kNone;
    const auto at = std::lower_bound(runs_.begin(), runs_.end(), run);
    return at == runs_.end() || *at != run ? kNone : static_cast<std::size_t>(at - runs_.begin());
  }

 private:
  [[nodiscard]] std::size_t word_of(std::uint64_t run) const noexcept {
    return run >> 32 & (maybe_.size() - 1);
  }
  static std::uint64_t bit_of(std::uint64_t run) noexcept { return std::uint64_t{1} << (run >> 26 & 63); }

  std::vector<std::uint64_t> runs_;   ///< sorted, no two equal
  std::vector<std::uint64_t> maybe_;  ///< at least 16 bits a run, of which one says that it may be there
};

/// [parts.size()], at least 0, higher is nearer; empty where no part has anything in common with the question
/// that not most have. n log n in the bytes.
[[nodiscard]] inline std::vector<double> relevance(const std::vector<std::string_view>& parts,
                                                   std::string_view question) {
  const AskedRuns asked(question);
  if (asked.size() == 0) return {};

  struct Found {
    std::size_t run, part, n;  ///< which of `asked`, where, how often
  };
  std::vector<Found> found;
  std::vector<std::size_t> n_in_part(asked.size(), 0), n_parts_with(asked.size(), 0), touched;
  std::vector<double> lengths(parts.size(), 0.0);
  double n_all = 0.0;
  for (std::size_t part = 0; part < parts.size(); ++part) {
    std::size_t n_runs = 0;
    for_each_run(parts[part], [&](std::uint64_t run) {
      ++n_runs;
      const std::size_t which = asked.find(run);
      if (which == AskedRuns::kNone) return;
      if (n_in_part[which]++ == 0) touched.push_back(which);
    });
    lengths[part] = static_cast<double>(n_runs);
    n_all += lengths[part];
    for (const std::size_t which : touched) {
      found.push_back({which, part, n_in_part[which]});
      ++n_parts_with[which];
      n_in_part[which] = 0;
    }
    touched.clear();
  }

  constexpr double kSaturation = 1.2, kByLength = 0.75;  // k1 and b
  const auto n_parts = static_cast<double>(parts.size());
  const double mean_length = std::max(1.0, n_all / std::max(1.0, n_parts));
  std::vector<double> scores(parts.size(), 0.0);
  bool any = false;
  for (const Found& f : found) {
    if (2 * n_parts_with[f.run] > parts.size()) continue;  // says nothing
    any = true;
    const double rarity = std::log((n_parts + 1.0) / (static_cast<double>(n_parts_with[f.run]) + 0.5));
    const auto n = static_cast<double>(f.n);
    scores[f.part] += rarity * n * (kSaturation + 1.0) /
                      (n + kSaturation * (1.0 - kByLength + kByLength * lengths[f.part] / mean_length));
  }
  if (!any) scores.clear();
  return scores;
}

}  // namespace elms::inline v0::detail::refine
