#include "vocabulary_gguf_writer.hpp"

#include <cstdint>
#include <string>
#include <vector>

#include "elms/detail/error.hpp"

namespace elms::inline v0::detail {
namespace {

using PrefixSpace = PreTokenizer::PrefixSpace;

void write_tokens(const TokenList& tokens, std::size_t n_vocab, GgufWriter& writer) {
  const auto is_hole = [&](std::size_t i) {
    return i >= tokens.size() || tokens.text(static_cast<TokenId>(i)).empty();
  };
  std::vector<std::string> names(n_vocab);
  std::vector<std::string_view> texts(n_vocab);
  std::vector<std::int32_t> types(n_vocab, static_cast<std::int32_t>(TokenType::kUnused));
  for (std::size_t i = 0; i < n_vocab; ++i) {
    if (is_hole(i)) {
      names[i] = concat("[PAD", i, "]");
      texts[i] = names[i];
    } else {
      texts[i] = tokens.text(static_cast<TokenId>(i));
      types[i] = static_cast<std::int32_t>(tokens.type(static_cast<TokenId>(i)));
    }
  }
  writer.set("tokenizer.ggml.tokens", std::span<const std::string_view>(texts));
  writer.set("tokenizer.ggml.token_type", std::span<const std::int32_t>(types));
}

void write_id(std::string_view key, TokenId id, GgufWriter& writer) {
  if (id != kNoToken) writer.set(key, static_cast<std::uint32_t>(id));
}

/// Whether `ends`, what goes before or after every text, is the one token that GGUF has a flag for.
Status write_end(std::string_view key, const std::vector<TokenId>& ends, TokenId token,
                 std::string_view source, GgufWriter& writer) {
  if (!ends.empty() && ends != std::vector<TokenId>{token}) {
    return unsupported(source, ": GGUF has no words for a tokenizer that adds ", ends.size(),
                       " tokens on one side of a text, or one that is neither BOS nor EOS");
  }
  writer.set(key, !ends.empty());
  return {};
}

Status write_special(const Vocabulary& vocabulary, std::string_view source, GgufWriter& writer) {
  write_id("tokenizer.ggml.bos_token_id", vocabulary.bos, writer);
  write_id("tokenizer.ggml.eos_token_id", vocabulary.eos, writer);
  write_id("tokenizer.ggml.unknown_token_id", vocabulary.unk, writer);
  ELMS_RETURN_IF_ERROR(
      write_end("tokenizer.ggml.add_bos_token", vocabulary.prefix, vocabulary.bos, source, writer));
  ELMS_RETURN_IF_ERROR(
      write_end("tokenizer.ggml.add_eos_token", vocabulary.suffix, vocabulary.eos, source, writer));
  if (!vocabulary.chat_template.empty()) writer.set("tokenizer.chat_template", vocabulary.chat_template);
  return {};
}

void write_merges(const Vocabulary& vocabulary, GgufWriter& writer) {
  std::vector<std::string> lines;
  lines.reserve(vocabulary.merges.size());
  for (const Merge& merge : vocabulary.merges) {
    lines.push_back(concat(vocabulary.tokens.text(merge.left), " ", vocabulary.tokens.text(merge.right)));
  }
  const std::vector<std::string_view> views(lines.begin(), lines.end());
  writer.set("tokenizer.ggml.merges", std::span<const std::string_view>(views));
}

Status write_byte_level(const Vocabulary& vocabulary, std::string_view source, GgufWriter& writer) {
  for (const NormalizerStep& step : vocabulary.normalizer) {
    if (step.kind == NormalizerStep::Kind::kNfc) continue;
    return unsupported(source, ": GGUF has no words for the normalizer of this byte-level tokenizer");
  }
  if (vocabulary.pre_tokenizer.prefix_space != PrefixSpace::kNever) {
    return unsupported(source,
                       ": GGUF has no words for a byte-level tokenizer that adds a space before the text");
  }
  const std::string_view name =
      find_pre_tokenizer_name(vocabulary.pre_tokenizer.steps, vocabulary.ignore_merges);
  if (name.empty()) return unsupported(source, ": GGUF has no name for this pre_tokenizer");
  writer.set("tokenizer.ggml.pre", name);
  write_merges(vocabulary, writer);
  return {};
}

/// Scores with which SentencePiece's algorithm merges in the order of the ranks. It knows a score for each
/// result, not for each pair, so that all pairs with one result must follow each other in the list: true of
/// every list that was made from a SentencePiece model.
Result<std::vector<float>> scores_of(const Vocabulary& vocabulary, std::size_t n_vocab,
                                     std::string_view source) {
  const std::size_t n_merges = vocabulary.merges.size();
  std::vector<float> scores(n_vocab);
  for (std::size_t i = 0; i < n_vocab; ++i)
    scores[i] = -static_cast<float>(n_merges + i);  // never the result of one
  std::vector<bool> seen(n_vocab);
  TokenId last = kNoToken;
  for (std::size_t rank = 0; rank < n_merges; ++rank) {
    const TokenId result = vocabulary.merges[rank].result;
    if (result == last) continue;
    const auto index = static_cast<std::size_t>(result);
    if (seen[index]) {
      return unsupported(source, ": GGUF has no words for these merges: those that make '",
                         vocabulary.tokens.text(result), "' do not follow each other");
    }
    seen[index] = true;
    scores[index] = -static_cast<float>(rank);
    last = result;
  }
  return scores;
}

Status write_marked_spaces(const Vocabulary& vocabulary, std::size_t n_vocab, std::string_view source,
                           GgufWriter& writer) {
  using Kind = NormalizerStep::Kind;
  bool marks = vocabulary.pre_tokenizer.mark_spaces;
  bool prefix = vocabulary.pre_tokenizer.prefix_space != PrefixSpace::kNever;
  for (const NormalizerStep& step : vocabulary.normalizer) {
    const bool is_prepend = step.kind == Kind::kPrepend && step.text == kSpaceMarker;
    const bool is_mark = step.kind == Kind::kReplace && step.text == " " && step.replacement == kSpaceMarker;
    if (!is_prepend && !is_mark) {
      return unsupported(source, ": GGUF has no words for the normalizer of this tokenizer");
    }
    prefix |= is_prepend;
    marks |= is_mark;
  }
  for (const SplitStep& step : vocabulary.pre_tokenizer.steps) {
    if (step.kind == SplitStep::Kind::kMarkedRuns) continue;  // which changes no token
    return unsupported(source, ": GGUF has no words for the pre_tokenizer of this tokenizer");
  }
  if (!marks || !vocabulary.byte_fallback) {
    return unsupported(source,
                       ": GGUF has no words for a BPE tokenizer that is neither byte-level nor, with marked"
                       " spaces and byte_fallback, like SentencePiece");
  }
  ELMS_ASSIGN_OR_RETURN(const std::vector<float> scores, scores_of(vocabulary, n_vocab, source));
  writer.set("tokenizer.ggml.pre", "default");
  writer.set("tokenizer.ggml.scores", std::span<const float>(scores));
  writer.set("tokenizer.ggml.add_space_prefix", prefix);
  return {};
}

}  // namespace

Status write_gguf_vocabulary(const Vocabulary& vocabulary, std::size_t n_vocab, std::string_view source,
                             GgufWriter& writer) {
  if (vocabulary.algorithm != Vocabulary::Algorithm::kRankedMerges) {
    return unsupported(source, ": elms writes BPE vocabularies to GGUF, found ", vocabulary.model);
  }
  if (vocabulary.tokens.size() > n_vocab) {
    return malformed(source, ": expected at most the ", n_vocab, " tokens of the model, found ",
                     vocabulary.tokens.size());
  }
  writer.set("tokenizer.ggml.model", vocabulary.model);
  write_tokens(vocabulary.tokens, n_vocab, writer);
  ELMS_RETURN_IF_ERROR(write_special(vocabulary, source, writer));
  return vocabulary.writing == Vocabulary::Writing::kByteLevel
             ? write_byte_level(vocabulary, source, writer)
             : write_marked_spaces(vocabulary, n_vocab, source, writer);
}

}  // namespace elms::inline v0::detail
