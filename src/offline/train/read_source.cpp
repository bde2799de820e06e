#include "offline/train/read_source.hpp"

#include <algorithm>
#include <utility>

#include "elms/detail/error.hpp"
#include "elms/detail/file_mapping.hpp"
#include "offline/jsonl.hpp"

namespace elms::inline v0::offline::train {
namespace {

/// A document, or a line of JSON.
struct Unit {
  std::string_view text;
  std::size_t line;  ///< its number, from 1
};

std::vector<Unit> split_lines(std::string_view text) {
  std::vector<Unit> units;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = take_line(text);
    if (!is_blank(line)) units.push_back({line, number});
  }
  return units;
}

std::vector<Unit> split_documents(std::string_view text, const DataSource& source) {
  if (source.split == DocumentSplit::kWholeFile) {
    return is_blank(text) ? std::vector<Unit>() : std::vector<Unit>{{text, 1}};
  }
  std::vector<Unit> units;
  const char* begin = nullptr;  // of the document that is being read
  std::string_view last;        // its last line
  std::size_t first_line = 0;
  const auto finish = [&] {
    if (begin == nullptr) return;
    units.push_back({{begin, static_cast<std::size_t>(last.data() + last.size() - begin)}, first_line});
    begin = nullptr;
  };
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = take_line(text);
    const bool blank = is_blank(line);
    if (source.split == DocumentSplit::kSeparator ? line == source.separator : blank) {
      finish();
    } else if (!blank) {  // blank lines around a document are none of it
      if (begin == nullptr) {
        begin = line.data();
        first_line = number;
      }
      last = line;
    }
  }
  finish();
  return units;
}

/// What one task makes of some units.
struct Tokenised {
  TokenItems items;
  std::size_t n_too_long = 0, n_shortened = 0;
  Status status;
};

class UnitTokenizer {
 public:
  UnitTokenizer(const DataSource& source, const Tokenizer& tokenizer, const DatasetOptions& options,
                bool is_jsonl, bool is_text)
      : source_(source), tokenizer_(tokenizer), options_(options), is_jsonl_(is_jsonl), is_text_(is_text) {}

  void append(const Unit& unit, Tokenised& out) const {
    if (!is_jsonl_) return append_document(unit.text, out);
    const Result<JsonExample> example = parse_example(unit.text, source_.path, unit.line);
    if (!example.has_value()) {
      out.status = example.error();
    } else if (example->is_text != is_text_) {
      out.status = detail::malformed(
          source_.path, ":", unit.line,
          R"(: a file has "text" in every line or "prompt" and "completion" in every line)");
    } else if (is_text_) {
      append_document(example->completion, out);
    } else {
      append_example(*example, out);
    }
  }

 private:
  [[nodiscard]] std::vector<TokenId> encode(std::string_view text) const {
    return tokenizer_.encode(text, {.add_special = false});
  }

  /// A text from its token n_lost on, between BOS and EOS. The end is always learnt.
  void append_item(std::span<const TokenId> text, const std::vector<bool>& learnt, std::size_t n_lost,
                   Tokenised& out) const {
    TokenItems& items = out.items;
    const std::size_t n_bos = tokenizer_.bos() == kNoToken ? 0 : 1, begin = items.tokens.size();
    items.tokens.insert(items.tokens.end(), n_bos, tokenizer_.bos());
    items.tokens.insert(items.tokens.end(), text.begin() + static_cast<std::ptrdiff_t>(n_lost), text.end());
    items.tokens.push_back(tokenizer_.eos());
    items.is_target.insert(items.is_target.end(), n_bos, false);
    items.is_target.insert(items.is_target.end(), learnt.begin() + static_cast<std::ptrdiff_t>(n_lost),
                           learnt.end());
    items.is_target.push_back(true);
    items.is_target[begin] = false;
    items.sizes.push_back(items.tokens.size() - begin);
  }

  void append_document(std::string_view text, Tokenised& out) const {
    const std::vector<TokenId> tokens = encode(text);
    append_item(tokens, std::vector<bool>(tokens.size(), true), 0, out);
  }

  void append_example(const JsonExample& example, Tokenised& out) const {
    const std::string whole = example.prompt + example.completion;
    const std::vector<TokenId> text = encode(whole);
    // Tokens that are the same whether the text goes on behind byte `end` or not.
    const auto n_before = [&](std::size_t end) {
      const std::vector<TokenId> part = encode(std::string_view(whole).substr(0, end));
      const auto parted = std::mismatch(part.begin(), part.end(), text.begin(), text.end());
      return static_cast<std::ptrdiff_t>(parted.first - part.begin());
    };
    std::vector<bool> learnt(text.size(), source_.learnt == LearntText::kAll);
    std::fill(learnt.begin() + n_before(example.prompt.size()), learnt.end(), true);
    if (source_.learnt == LearntText::kAnswers) {
      for (const auto& [begin, end] : example.solved) {
        std::fill(learnt.begin() + n_before(begin), learnt.begin() + n_before(end), true);
      }
    }
    const std::size_t n_ends = tokenizer_.bos() == kNoToken ? 1 : 2;
    const std::size_t most = options_.length - std::min(options_.length, n_ends);
    const std::size_t n_lost = text.size() - std::min(text.size(), most);
    if (n_lost > 0) {
      const auto n_prompt = static_cast<std::size_t>(n_before(example.prompt.size()));
      if (!options_.shorten_prompts || n_lost >= n_prompt) {
        ++out.n_too_long;
        return;
      }
      ++out.n_shortened;
    }
    append_item(text, learnt, n_lost, out);
  }

  const DataSource& source_;
  const Tokenizer& tokenizer_;
  const DatasetOptions& options_;
  bool is_jsonl_, is_text_;
};

/// Ends of groups of units that are worth a task of their own.
std::vector<std::size_t> group_ends(const std::vector<Unit>& units) {
  constexpr std::size_t kGroupBytes = std::size_t{1} << 16;
  std::vector<std::size_t> ends;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < units.size(); ++i) {
    bytes += units[i].text.size();
    if (bytes < kGroupBytes && i + 1 < units.size()) continue;
    ends.push_back(i + 1);
    bytes = 0;
  }
  return ends;
}

Status add_group(Tokenised& group, ReadSource& read) {
  if (!group.status.ok()) return group.status;
  read.items.tokens.insert(read.items.tokens.end(), group.items.tokens.begin(), group.items.tokens.end());
  read.items.is_target.insert(read.items.is_target.end(), group.items.is_target.begin(),
                              group.items.is_target.end());
  read.items.sizes.insert(read.items.sizes.end(), group.items.sizes.begin(), group.items.sizes.end());
  read.n_too_long += group.n_too_long;
  read.n_shortened += group.n_shortened;
  return {};
}

/// Some groups at a time, so that an error or a wish to stop is heard soon and little lies in memory twice.
Status tokenise(const std::vector<Unit>& units, const UnitTokenizer& unit_tokenizer, ThreadPool& pool,
                ProgressMeter& progress, double done, double share, ReadSource& read) {
  constexpr std::size_t kGroupsAtOnce = 64;
  const std::vector<std::size_t> ends = group_ends(units);
  for (std::size_t first = 0; first < ends.size(); first += kGroupsAtOnce) {
    std::vector<Tokenised> groups(std::min(kGroupsAtOnce, ends.size() - first));
    pool.parallel_for(groups.size(), [&](std::size_t g) {
      const std::size_t begin = first + g == 0 ? 0 : ends[first + g - 1];
      for (std::size_t i = begin; i < ends[first + g] && groups[g].status.ok(); ++i) {
        unit_tokenizer.append(units[i], groups[g]);
      }
    });
    for (Tokenised& group : groups) ELMS_RETURN_IF_ERROR(add_group(group, read));
    const double part = static_cast<double>(first + groups.size()) / static_cast<double>(ends.size());
    ELMS_RETURN_IF_ERROR(progress.report(done + share * part));
  }
  return {};
}

}  // namespace

Result<ReadSource> read_source(const DataSource& source, const Tokenizer& tokenizer,
                               const DatasetOptions& options, ThreadPool& pool, ProgressMeter& progress,
                               double done, double share) {
  ELMS_ASSIGN_OR_RETURN(const detail::FileMapping mapping, detail::FileMapping::open(source.path));
  const std::span<const std::uint8_t> bytes = mapping.bytes();
  const std::string_view text =
      without_byte_order_mark({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  const bool is_jsonl = source.path.ends_with(".jsonl");
  const std::vector<Unit> units = is_jsonl ? split_lines(text) : split_documents(text, source);
  ReadSource read;
  read.bytes = bytes.size();
  if (is_jsonl && !units.empty()) {
    ELMS_ASSIGN_OR_RETURN(const JsonExample first, parse_example(units[0].text, source.path, units[0].line));
    read.is_text = first.is_text;
  }
  const UnitTokenizer unit_tokenizer(source, tokenizer, options, is_jsonl, read.is_text);
  ELMS_RETURN_IF_ERROR(tokenise(units, unit_tokenizer, pool, progress, done, share, read));
  return read;
}

}  // namespace elms::inline v0::offline::train
