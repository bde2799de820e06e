// The pre-tokenizers by name: as GGUF calls them, and as tokenizer.json spells their expressions.
#include <algorithm>
#include <array>
#include <span>

#include "pretokenize.hpp"

namespace elms::inline v0::detail {
namespace {

using Contractions = WordRule::Contractions;
using Kind = SplitStep::Kind;

constexpr WordRule kGpt2Words{.contractions = Contractions::kLowerCase};
constexpr WordRule kLlama3Words{
    .contractions = Contractions::kAnyCase, .any_lead = true, .max_digits = 3, .newlines = true};
constexpr WordRule kQwen2Words{
    .contractions = Contractions::kAnyCase, .any_lead = true, .max_digits = 1, .newlines = true};
constexpr WordRule kQwen35Words{.contractions = Contractions::kAnyCase,
                                .any_lead = true,
                                .letters = kLetter | kMark,
                                .max_digits = 1,
                                .newlines = true};

constexpr SplitStep words(const WordRule& rule) noexcept {
  return {.kind = Kind::kWords, .rule = rule};
}
constexpr SplitStep run(bool (*in_run)(const Char&) noexcept, std::size_t max_run = 0) noexcept {
  return {.kind = Kind::kRun, .in_run = in_run, .max_run = max_run};
}
constexpr SplitStep spaced_run(bool (*in_run)(const Char&) noexcept) noexcept {
  return {.kind = Kind::kRun, .in_run = in_run, .leading_space = true};
}

bool in_newlines(const Char& c) noexcept {
  return c.code_point == '\n' || c.code_point == '\r';
}
bool in_letters(const Char& c) noexcept {
  return c.is(kLetter);
}
bool in_numbers(const Char& c) noexcept {
  return c.is(kNumber);
}
bool in_punctuation(const Char& c) noexcept {
  return c.is(kPunctuation);
}
/// ASCII's own punctuation has nine characters that Unicode calls symbols.
bool in_ascii_or_unicode_punctuation(const Char& c) noexcept {
  return c.is(kPunctuation) || (c.code_point < 0x80 && c.is(kSymbol));
}
/// [\p{P}\$\+<=>\^~\|]: the above without the backtick.
bool in_default_punctuation(const Char& c) noexcept {
  return in_ascii_or_unicode_punctuation(c) && c.code_point != '`';
}
/// [一-龥ࠀ-一가-퟿]
bool in_deepseek_east_asian(const Char& c) noexcept {
  return (c.code_point >= 0x800 && c.code_point <= 0x9FA5) ||
         (c.code_point >= 0xAC00 && c.code_point <= 0xD7FF);
}
/// [一-龥぀-ゟ゠-ヿ]
bool in_deepseek3_east_asian(const Char& c) noexcept {
  return (c.code_point >= 0x4E00 && c.code_point <= 0x9FA5) ||
         (c.code_point >= 0x3040 && c.code_point <= 0x30FF);
}

struct Named {
  std::string_view name;
  std::span<const SplitStep> steps;
  bool llama3_defaults = false;
};

constexpr SplitStep kGpt2[] = {words(kGpt2Words)};
constexpr SplitStep kLlama3[] = {words(kLlama3Words)};
constexpr SplitStep kQwen2[] = {words(kQwen2Words)};
constexpr SplitStep kQwen35[] = {words(kQwen35Words)};
constexpr SplitStep kSingleDigits[] = {run(in_numbers, 1), words(kGpt2Words)};
constexpr SplitStep kFalcon[] = {
    run(in_ascii_or_unicode_punctuation), words(kGpt2Words), {.kind = Kind::kThreeDigits}};
constexpr SplitStep kDefault[] = {
    run(in_default_punctuation), words(kGpt2Words), run(in_numbers), {.kind = Kind::kThreeDigits}};
constexpr SplitStep kDeepseekCoder[] = {run(in_newlines, 1), spaced_run(in_letters),
                                        spaced_run(in_punctuation), run(in_deepseek_east_asian),
                                        run(in_numbers, 1)};
constexpr SplitStep kDeepseek3[] = {
    run(in_numbers, 3), run(in_deepseek3_east_asian), {.kind = Kind::kDeepseek3Words}};

constexpr Named kByGgufName[] = {
    {"", kDefault},
    {"default", kDefault},
    {"falcon", kFalcon},
    {"deepseek-coder", kDeepseekCoder},
    {"gpt-2", kGpt2},
    {"phi-2", kGpt2},
    {"jina-es", kGpt2},
    {"jina-de", kGpt2},
    {"jina-v1-en", kGpt2},
    {"jina-v2-es", kGpt2},
    {"jina-v2-de", kGpt2},
    {"jina-v2-code", kGpt2},
    {"roberta-bpe", kGpt2},
    {"mpt", kGpt2},
    {"olmo", kGpt2},
    {"jais", kGpt2},
    {"gigachat", kGpt2},
    {"a.x-4.0", kGpt2},
    {"mellum", kGpt2},
    {"modern-bert", kGpt2},
    {"exaone4", kGpt2},
    {"trillion", kGpt2},
    {"granite-docling", kGpt2},
    {"llama-bpe", kLlama3, true},
    {"llama3", kLlama3, true},
    {"llama-v3", kLlama3, true},
    {"falcon3", kLlama3, true},
    {"falcon-h1", kLlama3, true},
    {"pixtral", kLlama3, true},
    {"midm-2.0", kLlama3, true},
    {"lfm2", kLlama3, true},
    {"jina-v5-nano", kLlama3, true},
    {"dbrx", kLlama3},
    {"smaug-bpe", kLlama3},
    {"glm4", kLlama3},
    {"chatglm-bpe", kLlama3},
    {"qwen2", kQwen2},
    {"deepseek-r1-qwen", kQwen2},
    {"stablelm2", kQwen2},
    {"megrez", kQwen2},
    {"hunyuan", kQwen2},
    {"kormo", kQwen2},
    {"f2llmv2", kQwen2},
    {"solar-open", kQwen2},
    {"grok-2", kQwen2},
    {"qwen35", kQwen35},
    {"starcoder", kSingleDigits},
    {"refact", kSingleDigits},
    {"command-r", kSingleDigits},
    {"smollm", kSingleDigits},
    {"codeshell", kSingleDigits},
    {"exaone", kSingleDigits},
    {"minerva-7b", kSingleDigits},
    {"mellum2", kSingleDigits},
    {"deepseek-v3", kDeepseek3},
    {"hunyuan-dense", kDeepseek3},
    {"joyai-llm", kDeepseek3},
};

struct Pattern {
  std::string_view regex;
  SplitStep step;
};

constexpr Pattern kPatterns[] = {
    {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", words(kGpt2Words)},
    {R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", words(kGpt2Words)},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     words(kLlama3Words)},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     words(kQwen2Words)},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     words(kQwen35Words)},
    {"[\r\n]", run(in_newlines, 1)},
    {R"([\r\n])", run(in_newlines, 1)},
    {R"(\s?\p{L}+)", spaced_run(in_letters)},
    {R"(\s?\p{P}+)", spaced_run(in_punctuation)},
    {"[一-龥ࠀ-一가-퟿]+", run(in_deepseek_east_asian)},
    {"[一-龥぀-ゟ゠-ヿ]+", run(in_deepseek3_east_asian)},
    {"[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| "
     "?[\\p{P}\\p{S}]+[\r\n]*"
     "|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
     {.kind = Kind::kDeepseek3Words}},
    {R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     {.kind = Kind::kDeepseek3Words}},
    {R"(\p{N})", run(in_numbers, 1)},
    {R"(\p{N}+)", run(in_numbers)},
    {R"(\p{N}{1,3})", run(in_numbers, 3)},
    {"[0-9][0-9][0-9]", {.kind = Kind::kThreeDigits}},
    {R"(\s+$)", {.kind = Kind::kFinalSpace}},
};

}  // namespace

std::optional<NamedPreTokenizer> find_pre_tokenizer(std::string_view gguf_name) noexcept {
  for (const Named& named : kByGgufName) {
    if (named.name == gguf_name)
      return NamedPreTokenizer{named.steps, named.llama3_defaults, named.llama3_defaults};
  }
  return std::nullopt;
}

std::string_view find_pre_tokenizer_name(std::span<const SplitStep> steps, bool ignore_merges) noexcept {
  for (const Named& named : kByGgufName) {
    if (!named.name.empty() && named.llama3_defaults == ignore_merges &&
        std::equal(named.steps.begin(), named.steps.end(), steps.begin(), steps.end())) {
      return named.name;
    }
  }
  return {};
}

bool find_split_pattern(std::string_view regex, SplitStep& step) {
  for (const Pattern& pattern : kPatterns) {
    if (pattern.regex != regex) continue;
    step = pattern.step;
    return true;
  }
  return false;
}

SplitStep gpt2_words() noexcept {
  return words(kGpt2Words);
}
SplitStep digits_step(bool individual) noexcept {
  return run(in_numbers, individual ? 1 : 0);
}
SplitStep punctuation_step(bool individual) noexcept {
  return run(in_ascii_or_unicode_punctuation, individual ? 1 : 0);
}

}  // namespace elms::inline v0::detail
