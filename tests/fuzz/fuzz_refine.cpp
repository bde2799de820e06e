// Any options, any text in segments and any scores through refine_by_scores(). An input is a header of
// options, then segments that end with 0xFE: a byte for what a segment is, one for its own keep ratio, its
// text.
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "elms/detail/gguf.hpp"
#include "elms/refine.hpp"
#include "tests/fuzz/fuzz_targets.hpp"

using namespace elms;  // NOLINT

namespace {

using elms_test::FuzzReader;
using elms_test::require;

struct Case {
  RefineOptions options;
  RefineBudget budget = RefineBudget::keep(0.5);
  std::uint8_t score_kind = 0, score_seed = 0;
  std::vector<Segment> prompt;
  std::string text;
  bool is_plain = false;  ///< nothing but scores and the budget decides
};

Guard guard_of(unsigned bits) {
  return static_cast<Guard>(bits & 3);
}

void read_options(FuzzReader& in, Case& out) {
  RefineOptions& options = out.options;
  const std::uint8_t guards = in.byte(), flags = in.byte(), budget_kind = in.byte();
  options.markers = guard_of(guards);
  options.json = guard_of(guards >> 2);
  options.code = guard_of(guards >> 4);
  options.urls = guard_of(guards >> 6);
  options.numbers = guard_of(flags);
  options.force_reserve_digit = (flags & 4) != 0;
  options.drop_consecutive = (flags & 8) != 0;
  options.strict_protection = (flags & 16) != 0;
  options.protect_last_line = (flags & 32) != 0;
  options.encode.add_special = (flags & 64) != 0;
  options.filter = static_cast<RefineFilter>(budget_kind % 4);
  options.filter_keep_ratio = std::max(0.0, in.byte() / 255.0 - 0.25);
  const std::uint8_t amount = in.byte();
  out.budget = (budget_kind & 64) != 0 ? RefineBudget::tokens(amount) : RefineBudget::keep(amount / 255.0);
  if ((budget_kind & 128) != 0) out.budget = out.budget.or_protected();
  out.score_kind = in.byte();
  out.score_seed = in.byte();
  out.is_plain = guards == 0xFF && (flags & 63) == 3 && options.filter == RefineFilter::kNone;
}

void read_segments(FuzzReader& in, Case& out) {
  while (!in.done() && out.prompt.size() < 16) {
    const std::uint8_t kind = in.byte(), ratio = in.byte();
    const std::string_view text = in.text_until(0xFE);
    if ((kind & 15) == 15) {  // words that are kept, or where texts may be cut
      out.options.force_tokens.emplace_back(text);
      out.is_plain = false;
      continue;
    }
    Segment segment;
    segment.text = text;
    segment.compressible = (kind & 8) == 0;
    segment.role = static_cast<SegmentRole>((kind & 7) % 5);
    if ((kind & 128) != 0) segment.keep_ratio = ratio / 255.0;
    out.is_plain &= !segment.keep_ratio.has_value();
    out.text += segment.text;
    out.prompt.push_back(std::move(segment));
  }
}

std::vector<float> make_scores(std::size_t n, std::uint8_t kind, std::uint8_t seed) {
  constexpr std::array<float, 4> kOdd = {std::numeric_limits<float>::quiet_NaN(),
                                         std::numeric_limits<float>::infinity(),
                                         -std::numeric_limits<float>::infinity(), 0.5f};
  std::vector<float> scores(n, 0.5f);
  std::uint32_t state = seed;
  for (std::size_t i = 0; i < n; ++i) {
    state = state * 1664525u + 1013904223u;
    const std::uint32_t random = state >> 24;
    if (kind % 4 == 1) scores[i] = static_cast<float>(random % 100) / 100.0f;
    if (kind % 4 == 2) scores[i] = static_cast<float>(i) / static_cast<float>(n);
    if (kind % 4 == 3) scores[i] = kOdd[random % 4];
  }
  return scores;
}

/// The spans ascend, apart from each other, and say where every byte comes from.
void check_spans(const Case& in, const RefinedPrompt& refined) {
  std::string text, segments;
  std::size_t last = 0;
  for (const ByteSpan& span : refined.kept) {
    require(span.begin < span.end && span.end <= in.text.size(), "spans lie in the prompt");
    require(text.empty() || span.begin > last, "spans ascend, apart from each other");
    last = span.end;
    text += in.text.substr(span.begin, span.size());
  }
  require(text == refined.text, "the text is its spans");
  require(refined.segments.size() == in.prompt.size(), "every segment is answered for");
  for (const std::string& segment : refined.segments) segments += segment;
  require(segments == refined.text, "the text is its segments");
  for (std::size_t i = 0; i < refined.text.size(); i += 7)
    require(in.text[refined.source_offset(i)] == refined.text[i], "offsets lead to the source");
}

bool is_guarded(WordKind kind, const RefineOptions& options) {
  const auto stays = [](Guard guard) { return guard == Guard::kKeep; };
  switch (kind) {
    case WordKind::kProtected:
      return true;
    case WordKind::kMarker:
      return stays(options.markers);
    case WordKind::kJson:
      return stays(options.json);
    case WordKind::kCode:
      return stays(options.code);
    case WordKind::kUrl:
      return stays(options.urls);
    case WordKind::kNumber:
      return stays(options.numbers);
    default:
      return false;
  }
}

/// Words are there whole or not at all, and what is protected is there byte for byte.
void check_words(const Case& in, const RefinedPrompt& refined) {
  std::vector<char> kept(in.text.size(), 0);
  for (const ByteSpan& span : refined.kept)
    std::fill_n(kept.begin() + static_cast<std::ptrdiff_t>(span.begin), span.size(), 1);
  for (const RefinedWord& word : refined.words) {
    const auto n = std::count(kept.begin() + static_cast<std::ptrdiff_t>(word.span.begin),
                              kept.begin() + static_cast<std::ptrdiff_t>(word.span.end), 1);
    require(n == (word.kept ? static_cast<std::ptrdiff_t>(word.span.size()) : 0), "words are whole or gone");
    require(word.kept || !is_guarded(word.kind, in.options), "guards keep their words");
  }
  for (std::size_t i = 0; i < in.prompt.size(); ++i) {
    if (!in.prompt[i].may_lose_words())
      require(refined.segments[i] == in.prompt[i].text, "what is protected is there byte for byte");
  }
}

/// With one more word, the best that was dropped, the text would be over the budget.
void check_tight(const Case& in, const RefinedPrompt& refined, const Tokenizer& tokenizer) {
  std::vector<std::uint8_t> kept;
  std::size_t best = refined.words.size();
  for (std::size_t i = 0; i < refined.words.size(); ++i) {
    kept.push_back(refined.words[i].kept ? 1 : 0);
    if (kept[i] == 0 && (best == refined.words.size() || refined.words[i].score > refined.words[best].score))
      best = i;
  }
  if (best == refined.words.size()) return;
  kept[best] = 1;
  const detail::refine::Layout layout(in.text, prompt_words(in.prompt, in.options));
  detail::refine::SpanText more;
  layout.render(kept, more);
  require(tokenizer.encode(more.text, in.options.encode).size() > refined.budget_tokens,
          "no other word fits");
}

const Tokenizer& mini_tokenizer() {
  static const auto file =
      detail::GgufFile::open(ELMS_FUZZ_CORPUS "/../../../examples/models/elms-mini.gguf");
  static const std::shared_ptr<const Tokenizer> tokenizer = *Tokenizer::from_gguf(*file);
  return *tokenizer;
}

}  // namespace

void elms_test::fuzz_refine(FuzzBytes bytes) {
  FuzzReader reader(bytes);
  Case in;
  read_options(reader, in);
  read_segments(reader, in);
  const std::vector<float> scores =
      make_scores(prompt_words(in.prompt, in.options).size(), in.score_kind, in.score_seed);
  const auto refined = refine_by_scores(in.prompt, scores, mini_tokenizer(), in.budget, in.options);
  if (!refined.has_value()) {
    require(refined.error().code() == StatusCode::kInvalidArgument, "what cannot be is refused");
    require(refined.error().message().starts_with("refine: "), "errors say whose they are");
    return;
  }
  require(refined->tokens_before == mini_tokenizer().encode(in.text, in.options.encode).size(),
          "tokens before are counted");
  require(refined->tokens_after == mini_tokenizer().encode(refined->text, in.options.encode).size(),
          "tokens after are counted");
  require(refined->tokens_after <= refined->budget_tokens, "the budget is met");
  check_spans(in, *refined);
  check_words(in, *refined);
  if (in.is_plain && in.score_kind % 4 != 3) check_tight(in, *refined, mini_tokenizer());
  if (in.score_seed % 8 != 0) return;  // takes as long as all before
  const auto again = refine_by_scores(in.prompt, scores, mini_tokenizer(), in.budget, in.options);
  require(again.has_value() && again->text == refined->text, "the same every time");
}
