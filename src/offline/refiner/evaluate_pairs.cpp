#include "elms/offline/refiner_eval.hpp"

#include <algorithm>
#include <numeric>

#include "elms/detail/error.hpp"
#include "offline/jsonl.hpp"
#include "offline/progress_meter.hpp"
#include "offline/refiner/word_alignment.hpp"

namespace elms::inline v0::offline {
namespace {

/// A sentence whose words are labelled; words without letters or figures are left out.
struct LabelledSentence {
  std::vector<Segment> prompt;
  std::vector<PromptWord> words;    ///< all of them
  std::vector<std::size_t> judged;  ///< indices of those that count
  std::vector<std::uint8_t> kept;   ///< [judged]
  std::size_t n_kept = 0;
};

RefineOptions without_guards() {
  RefineOptions options;
  options.markers = options.json = options.code = options.urls = options.numbers = Guard::kOff;
  return options;
}

bool has_letters(std::string_view word) {
  return std::any_of(word.begin(), word.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x80 || (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= 'a' && byte <= 'z');
  });
}

/// Nothing to judge where the pair does not align.
LabelledSentence label(std::string_view sentence, std::string_view compression) {
  LabelledSentence labelled;
  labelled.prompt = {Segment::compress(std::string(sentence))};
  labelled.words = prompt_words(labelled.prompt, without_guards());
  std::vector<ByteSpan> spans;
  for (const PromptWord& word : labelled.words) spans.push_back(word.span);
  const std::vector<std::uint8_t> kept = kept_words(sentence, spans, compression);
  if (kept.empty()) return labelled;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    const ByteSpan span = labelled.words[i].span;
    if (!has_letters(sentence.substr(span.begin, span.size()))) continue;
    labelled.judged.push_back(i);
    labelled.kept.push_back(kept[i]);
    labelled.n_kept += kept[i];
  }
  return labelled;
}

struct Counts {
  std::int64_t right = 0, kept = 0, wanted = 0, all = 0;

  [[nodiscard]] KeepScore score(std::string method, std::int64_t n) const {
    const auto share = [](std::int64_t part, std::int64_t whole) {
      return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0.0;
    };
    const double precision = share(right, kept), recall = share(right, wanted);
    const double f1 = precision + recall > 0.0 ? 2.0 * precision * recall / (precision + recall) : 0.0;
    return {std::move(method), share(kept, all), precision, recall, f1, n};
  }
};

/// The words of the highest scores, as many as were kept.
void count_best(const LabelledSentence& sentence, std::span<const float> scores, Counts& counts) {
  std::vector<std::size_t> order(sentence.judged.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return detail::refine::comparable(scores[sentence.judged[a]]) >
           detail::refine::comparable(scores[sentence.judged[b]]);
  });
  for (std::size_t i = 0; i < sentence.n_kept; ++i) counts.right += sentence.kept[order[i]];
  counts.kept += static_cast<std::int64_t>(sentence.n_kept);
  counts.wanted += static_cast<std::int64_t>(sentence.n_kept);
  counts.all += static_cast<std::int64_t>(order.size());
}

/// The counts at the threshold over all words that has the highest F1.
Counts best_threshold(std::vector<std::pair<float, std::uint8_t>> words) {
  std::stable_sort(words.begin(), words.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  Counts counts, best;
  for (const auto& word : words) counts.wanted += word.second;
  counts.all = static_cast<std::int64_t>(words.size());
  double best_f1 = -1.0;
  for (std::size_t i = 0; i < words.size(); ++i) {
    ++counts.kept;
    counts.right += words[i].second;
    if (i + 1 < words.size() && words[i + 1].first == words[i].first) continue;
    const double f1 = counts.score({}, 0).f1;
    if (f1 <= best_f1) continue;
    best_f1 = f1;
    best = counts;
  }
  return best;
}

constexpr std::string_view kStopWords[] = {
    "a",     "about", "after", "again",   "all",  "also",   "am",     "an",      "and",   "any",   "are",
    "as",    "at",    "be",    "because", "been", "before", "being",  "between", "both",  "but",   "by",
    "can",   "could", "did",   "do",      "does", "during", "each",   "few",     "for",   "from",  "further",
    "had",   "has",   "have",  "having",  "he",   "her",    "here",   "him",     "his",   "how",   "i",
    "if",    "in",    "into",  "is",      "it",   "its",    "just",   "me",      "more",  "most",  "my",
    "no",    "nor",   "not",   "now",     "of",   "off",    "on",     "once",    "only",  "or",    "other",
    "our",   "out",   "over",  "own",     "same", "she",    "should", "so",      "some",  "such",  "than",
    "that",  "the",   "their", "them",    "then", "there",  "these",  "they",    "this",  "those", "through",
    "to",    "too",   "under", "until",   "up",   "very",   "was",    "we",      "were",  "what",  "when",
    "where", "which", "while", "who",     "whom", "why",    "will",   "with",    "would", "you",   "your"};

bool is_stop_word(std::string_view word) {
  std::string lower(word);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return std::binary_search(std::begin(kStopWords), std::end(kStopWords), std::string_view(lower));
}

void count_stop_words(const LabelledSentence& sentence, Counts& counts) {
  const std::string& text = sentence.prompt.front().text;
  for (std::size_t i = 0; i < sentence.judged.size(); ++i) {
    const ByteSpan span = sentence.words[sentence.judged[i]].span;
    const bool keep = !is_stop_word(std::string_view(text).substr(span.begin, span.size()));
    counts.kept += keep ? 1 : 0;
    counts.right += keep && sentence.kept[i] != 0 ? 1 : 0;
    counts.wanted += sentence.kept[i];
    ++counts.all;
  }
}

/// The pairs that align.
Result<std::vector<LabelledSentence>> labelled_sentences(std::string_view sentences,
                                                         std::string_view compressions,
                                                         const RefinerEvalOptions& options,
                                                         std::int64_t& n_skipped) {
  if (options.from_line < 0 || options.max_pairs < 0) {
    return detail::invalid_argument("refiner: from line ", options.from_line, ", at most ", options.max_pairs,
                                    " pairs");
  }
  std::vector<LabelledSentence> labelled;
  std::int64_t line = 0;
  for (; !sentences.empty() && !compressions.empty(); ++line) {
    const std::string_view sentence = take_line(sentences), compression = take_line(compressions);
    const bool wanted =
        line >= options.from_line && (options.max_pairs == 0 || line < options.from_line + options.max_pairs);
    if (!wanted) continue;
    LabelledSentence pair = label(sentence, compression);
    if (pair.judged.empty()) {
      ++n_skipped;
    } else {
      labelled.push_back(std::move(pair));
    }
  }
  if (!sentences.empty() || !compressions.empty()) {
    return detail::invalid_argument("refiner: only one of both files goes on after line ", line);
  }
  if (labelled.empty()) {
    return detail::invalid_argument("refiner: no pair to judge on: ", line, " lines, from line ",
                                    options.from_line, ", ", n_skipped, " do more than delete words");
  }
  return labelled;
}

}  // namespace

Result<RefinerEvalResult> evaluate_refiner(std::string_view sentences, std::string_view compressions,
                                           const RefinerEvalOptions& options) {
  RefinerEvalResult result;
  ELMS_ASSIGN_OR_RETURN(const std::vector<LabelledSentence> pairs,
                        labelled_sentences(sentences, compressions, options, result.n_skipped));
  result.n_pairs = static_cast<std::int64_t>(pairs.size());
  std::vector<ScoreMethod> methods = {ScoreMethod::kRefiner, ScoreMethod::kSelfInformation, ScoreMethod::kRandom,
                                      ScoreMethod::kTruncation};
  if (options.refiner == nullptr) std::erase(methods, ScoreMethod::kRefiner);
  if (options.model == nullptr) std::erase(methods, ScoreMethod::kSelfInformation);

  WordScorer scorer(options.refiner, options.model, options.seed);
  ProgressMeter progress(options.progress, "refiner");
  std::size_t n_done = 0;
  for (const ScoreMethod method : methods) {
    Counts counts;
    std::vector<std::pair<float, std::uint8_t>> all;
    for (const LabelledSentence& pair : pairs) {
      ELMS_ASSIGN_OR_RETURN(const std::vector<float> scores,
                            scorer.score(method, pair.prompt, without_guards()));
      count_best(pair, scores, counts);
      for (std::size_t i = 0; i < pair.judged.size(); ++i) {
        all.emplace_back(detail::refine::comparable(scores[pair.judged[i]]), pair.kept[i]);
      }
      ELMS_RETURN_IF_ERROR(progress.report(static_cast<double>(++n_done) /
                                           static_cast<double>(methods.size() * pairs.size())));
    }
    result.scores.push_back(counts.score(to_string(method), result.n_pairs));
    if (method == ScoreMethod::kRefiner || method == ScoreMethod::kSelfInformation) {
      result.scores.push_back(
          best_threshold(std::move(all))
              .score(std::string(to_string(method)) + ", best threshold", result.n_pairs));
    }
  }
  Counts stop_words, everything;
  for (const LabelledSentence& pair : pairs) {
    count_stop_words(pair, stop_words);
    const auto n = static_cast<std::int64_t>(pair.judged.size()),
               n_kept = static_cast<std::int64_t>(pair.n_kept);
    everything = {everything.right + n_kept, everything.kept + n, everything.wanted + n_kept,
                  everything.all + n};
  }
  result.scores.push_back(stop_words.score("stop words", result.n_pairs));
  result.scores.push_back(everything.score("all words", result.n_pairs));
  return result;
}

}  // namespace elms::inline v0::offline
