#include "text_tokenizer.hpp"

#include <algorithm>

#include "added_tokens.hpp"
#include "clean_up.hpp"
#include "piece_counts.hpp"
#include "token_model.hpp"
#include "unicode.hpp"

namespace elms::inline v0::detail {
namespace {

/// Added tokens are looked for twice: in the given text, and in what normalising made of the rest.
struct AddedTokenSets {
  AddedTokenSet given;
  AddedTokenSet normalized;
};

class TextTokenizer final : public Tokenizer {
 public:
  explicit TextTokenizer(Vocabulary vocabulary)
      : vocabulary_(std::move(vocabulary)), model_(make_model(vocabulary_)) {
    for (const AddedToken& token : vocabulary_.added) {
      add(with_control_, token);
      if (!is_control(token.id) && vocabulary_.tokens.type(token.id) != TokenType::kUnknown)
        add(plain_, token);
    }
    for (AddedTokenSets* sets : {&plain_, &with_control_}) {
      sets->given.index();
      sets->normalized.index();
    }
  }

  std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options) const override {
    std::vector<TokenId> out;
    out.reserve(text.size() / 3 + 2);
    Memory memory;
    append_tokens(text, options, memory, out);
    return out;
  }

  std::unique_ptr<TokenizerRun> start_run() const override { return std::make_unique<Run>(*this); }

  std::string token_bytes(TokenId token, bool special) const override {
    std::string bytes;
    append_bytes(token, special, bytes);
    return bytes;
  }

  std::string decode(std::span<const TokenId> tokens, bool special) const override {
    std::string bytes;
    bool at_start = true;
    for (const TokenId token : tokens) append_piece(token, special, at_start, bytes);
    return take_settled(bytes, true);
  }

  std::string_view token_text(TokenId token) const override {
    return vocabulary_.tokens.contains(token) ? vocabulary_.tokens.text(token) : std::string_view();
  }
  TokenId find(std::string_view text) const override { return vocabulary_.tokens.find(text); }
  std::int32_t n_vocab() const noexcept override {
    return static_cast<std::int32_t>(vocabulary_.tokens.size());
  }
  TokenId bos() const noexcept override { return vocabulary_.bos; }
  TokenId eos() const noexcept override { return vocabulary_.eos; }
  TokenId unk() const noexcept override { return vocabulary_.unk; }
  bool is_control(TokenId token) const noexcept override { return has_type(token, TokenType::kControl); }
  bool is_end_of_generation(TokenId token) const noexcept override {
    return std::binary_search(vocabulary_.end_of_generation.begin(), vocabulary_.end_of_generation.end(),
                              token);
  }
  std::string_view model() const noexcept override { return vocabulary_.model; }
  std::string_view chat_template() const noexcept override { return vocabulary_.chat_template; }

 private:
  /// What texts are encoded in, one after another.
  struct Memory {
    Workspace workspace;
    std::vector<TextSection> given_sections, sections;
    std::vector<std::string_view> pieces, scratch;
    std::string normalized, rewritten;
  };

  class Run final : public TokenizerRun {
   public:
    explicit Run(const TextTokenizer& tokenizer) : tokenizer_(tokenizer) {}

    void encode(std::string_view text, const EncodeOptions& options, std::vector<TokenId>& out) override {
      tokenizer_.append_tokens(text, options, memory_, out);
    }
    std::size_t count(std::string_view text, const EncodeOptions& options) override {
      std::size_t n = 0;
      const auto add_piece = [&](std::string_view piece) {
        n += counts_.of(piece, [&] {
          tokens_.clear();
          tokenizer_.encode_piece(piece, memory_.workspace, tokens_);
          return tokens_.size();
        });
      };
      tokenizer_.cut(
          text, options, memory_, [&](TokenId) { ++n; }, add_piece);
      return n;
    }

   private:
    const TextTokenizer& tokenizer_;
    Memory memory_;
    PieceCounts counts_;
    std::vector<TokenId> tokens_;  ///< of one piece
  };

  static std::unique_ptr<TokenModel> make_model(const Vocabulary& vocabulary) {
    switch (vocabulary.algorithm) {
      case Vocabulary::Algorithm::kScoredMerges:
        return make_scored_merges(vocabulary);
      case Vocabulary::Algorithm::kRankedMerges:
        return make_ranked_merges(vocabulary);
      case Vocabulary::Algorithm::kWordPiece:
        break;
    }
    return make_word_piece(vocabulary);
  }

  void add(AddedTokenSets& sets, const AddedToken& token) const {
    const std::string_view text = vocabulary_.tokens.text(token.id);
    if (token.normalized && !vocabulary_.normalizer.empty()) {
      std::string normalized;
      normalize(vocabulary_.normalizer, text, normalized);
      sets.normalized.add(normalized, token.id, token.strip_left, token.strip_right);
    } else {
      sets.given.add(text, token.id, token.strip_left, token.strip_right);
    }
  }

  [[nodiscard]] bool has_type(TokenId token, TokenType type) const noexcept {
    return vocabulary_.tokens.contains(token) && vocabulary_.tokens.type(token) == type;
  }

  /// Control tokens are looked for inside `ranges`, other added tokens everywhere. Text that only a range's
  /// end parts stays one section.
  void split_ranges(std::string_view text, std::span<const TextRange> ranges,
                    std::vector<TextSection>& sections) const {
    const auto split = [&](const AddedTokenSets& sets, std::size_t begin, std::size_t end) {
      const std::size_t n_before = sections.size();
      sets.given.split(text.substr(begin, end - begin), sections);
      if (n_before == 0 || sections.size() == n_before) return;
      TextSection &last = sections[n_before - 1], &next = sections[n_before];
      if (last.id != kNoToken || next.id != kNoToken || last.text.end() != next.text.begin()) return;
      last.text = {last.text.data(), last.text.size() + next.text.size()};
      sections.erase(sections.begin() + static_cast<std::ptrdiff_t>(n_before));
    };
    std::size_t at = 0;
    for (const TextRange& range : ranges) {
      const std::size_t begin = std::clamp(range.begin, at, text.size());
      const std::size_t end = std::clamp(range.end, begin, text.size());
      split(plain_, at, begin);
      split(with_control_, begin, end);
      at = end;
    }
    split(plain_, at, text.size());
  }

  /// Cuts a text into what is a token already and pieces that are encoded on their own, in order.
  template <typename AddToken, typename AddPiece>
  void cut(std::string_view text, const EncodeOptions& options, Memory& memory, const AddToken& add_token,
           const AddPiece& add_piece) const {
    const bool everywhere = options.parse_special && options.special_ranges.empty();
    const AddedTokenSets& added = everywhere ? with_control_ : plain_;
    std::vector<TextSection>& sections = memory.given_sections;
    sections.clear();
    if (options.parse_special && !everywhere) {
      split_ranges(text, options.special_ranges, sections);
    } else {
      added.given.split(text, sections);
    }
    if (options.add_special) std::for_each(vocabulary_.prefix.begin(), vocabulary_.prefix.end(), add_token);
    bool first = true;
    for (const TextSection& section : sections) {
      if (section.id != kNoToken) {
        add_token(section.id);
      } else {
        cut_section(section.text, first, added, memory, add_token, add_piece);
      }
      first = false;
    }
    if (options.add_special) std::for_each(vocabulary_.suffix.begin(), vocabulary_.suffix.end(), add_token);
  }

  /// Text between added tokens. `first`: the given text begins with it.
  template <typename AddToken, typename AddPiece>
  void cut_section(std::string_view text, bool first, const AddedTokenSets& added, Memory& memory,
                   const AddToken& add_token, const AddPiece& add_piece) const {
    if (vocabulary_.normalizer.empty()) {
      cut_normalized(text, first, memory, add_piece);
      return;
    }
    normalize(vocabulary_.normalizer, text, memory.normalized);
    if (added.normalized.empty()) {
      cut_normalized(memory.normalized, first, memory, add_piece);
      return;
    }
    memory.sections.clear();
    added.normalized.split(memory.normalized, memory.sections);
    for (const TextSection& section : memory.sections) {
      if (section.id != kNoToken) {
        add_token(section.id);
      } else {
        cut_normalized(section.text, first, memory, add_piece);
      }
      first = false;
    }
  }

  template <typename AddPiece>
  void cut_normalized(std::string_view text, bool first, Memory& memory, const AddPiece& add_piece) const {
    if (rewrite_spaces(vocabulary_.pre_tokenizer, text, first, memory.rewritten)) text = memory.rewritten;
    pre_tokenize(vocabulary_.pre_tokenizer.steps, text, memory.pieces, memory.scratch);
    std::for_each(memory.pieces.begin(), memory.pieces.end(), add_piece);
  }

  void encode_piece(std::string_view piece, Workspace& workspace, std::vector<TokenId>& out) const {
    for (; piece.size() > TokenModel::kMaxPieceBytes; piece.remove_prefix(TokenModel::kMaxPieceBytes)) {
      model_->encode(piece.substr(0, TokenModel::kMaxPieceBytes), workspace, out);
    }
    model_->encode(piece, workspace, out);
  }

  void append_tokens(std::string_view text, const EncodeOptions& options, Memory& memory,
                     std::vector<TokenId>& out) const {
    cut(
        text, options, memory, [&](TokenId token) { out.push_back(token); },
        [&](std::string_view piece) { encode_piece(piece, memory.workspace, out); });
  }

  void append_bytes(TokenId token, bool special, std::string& out) const {
    if (!vocabulary_.tokens.contains(token)) return;
    const std::string_view text = vocabulary_.tokens.text(token);
    const TokenType type = vocabulary_.tokens.type(token);
    const bool hidden = type == TokenType::kControl || type == TokenType::kUnknown;
    if (hidden && !special) return;
    if (vocabulary_.writing == Vocabulary::Writing::kWordPiece) {
      append_word_piece(text, hidden, out);
    } else if (hidden || type == TokenType::kUserDefined) {
      out.append(text);
    } else if (vocabulary_.writing == Vocabulary::Writing::kByteLevel) {
      append_byte_level(text, out);
    } else {
      append_space_marked(text, type, out);
    }
  }

  static void append_byte_level(std::string_view text, std::string& out) {
    for (std::size_t i = 0; i < text.size();) {
      const Utf8Unit unit = read_utf8(text, i);
      const int byte = byte_of_byte_level_char(unit.code_point);
      if (byte >= 0) {
        out.push_back(static_cast<char>(byte));
      } else {
        out.append(text.substr(i, unit.size));  // not in the alphabet: a token that stands for itself
      }
      i += unit.size;
    }
  }

  static void append_space_marked(std::string_view text, TokenType type, std::string& out) {
    const int byte = type == TokenType::kByte ? byte_of_hex_token(text) : -1;
    if (byte >= 0) {
      out.push_back(static_cast<char>(byte));
      return;
    }
    for (std::size_t i = 0; i < text.size();) {
      if (text.substr(i).starts_with(kSpaceMarker)) {
        out.push_back(' ');
        i += kSpaceMarker.size();
      } else {
        out.push_back(text[i++]);
      }
    }
  }

  void append_word_piece(std::string_view text, bool hidden, std::string& out) const {
    const std::string& word = vocabulary_.word_prefix;
    const std::string& continuation = vocabulary_.continuation_prefix;
    const bool continues =
        !hidden && (continuation.empty() ? !text.starts_with(word) : text.starts_with(continuation));
    if (!continues) out.push_back(' ');
    if (hidden) {
      out.append(text);
    } else {
      out.append(text.substr(continues ? continuation.size() : word.size()));
    }
  }

  void append_piece(TokenId token, bool special, bool& at_start, std::string& text) const override {
    const std::size_t before = text.size();
    append_bytes(token, special, text);
    if (at_start && text.size() > before) {
      if (vocabulary_.strip_leading_space && text[before] == ' ') text.erase(before, 1);
      at_start = false;
    }
  }

  std::string take_settled(std::string& pending, bool at_end) const override {
    return detail::take_settled(pending, at_end, vocabulary_.clean_up_spaces);
  }

  const Vocabulary vocabulary_;
  const std::unique_ptr<TokenModel> model_;  ///< refers to vocabulary_
  AddedTokenSets plain_;                     ///< without the control tokens
  AddedTokenSets with_control_;
};

}  // namespace

std::shared_ptr<const Tokenizer> make_tokenizer(Vocabulary vocabulary) {
  return std::make_shared<const TextTokenizer>(std::move(vocabulary));
}

}  // namespace elms::inline v0::detail
