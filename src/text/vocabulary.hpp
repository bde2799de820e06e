// What a tokenizer is made of, whichever file it came from: the one structure between the readers
// (vocabulary_gguf.cpp, tokenizer_json.cpp) and the algorithms (spm, bpe, wordpiece).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "elms/status.hpp"
#include "elms/types.hpp"
#include "normalize.hpp"
#include "pretokenize.hpp"
#include "text_hash.hpp"

namespace elms::inline v0::detail {

/// U+2581, which stands for a space in SentencePiece vocabularies.
inline constexpr std::string_view kSpaceMarker = "\xE2\x96\x81";

/// Values are those of `tokenizer.ggml.token_type`.
enum class TokenType : std::uint8_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

/// Texts and types of all tokens, and the way from a text to its id. Lookups do not allocate.
class TokenList {
 public:
  /// Gives the text to the next id. Only before index().
  void append(std::string_view text, TokenType type);
  /// Grows to n tokens with an empty text. Only before index().
  void resize(std::size_t n) { entries_.resize(n); }
  void set(TokenId id, std::string_view text, TokenType type);
  void set_type(TokenId id, TokenType type) { entries_[static_cast<std::size_t>(id)].type = type; }

  /// Makes find() work. Empty texts are not found. kNoToken, or the second of two tokens with the same text.
  [[nodiscard]] TokenId index();

  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  [[nodiscard]] bool contains(TokenId id) const noexcept {
    return id >= 0 && static_cast<std::size_t>(id) < entries_.size();
  }
  [[nodiscard]] std::string_view text(TokenId id) const noexcept {
    const Entry& entry = entries_[static_cast<std::size_t>(id)];
    return std::string_view(bytes_).substr(entry.begin, entry.size);
  }
  [[nodiscard]] TokenType type(TokenId id) const noexcept {
    return entries_[static_cast<std::size_t>(id)].type;
  }
  [[nodiscard]] TokenId find(std::string_view text) const noexcept;
  /// The longest token that is `prefix` and some of the bytes that `text` begins with, at least one, and
  /// whose type `accepts` takes; kNoToken where there is none. `n_bytes`: of `text`. `hashes` is for reuse.
  template <typename Accepts>
  [[nodiscard]] TokenId find_longest(std::string_view prefix, std::string_view text, const Accepts& accepts,
                                     std::vector<std::uint64_t>& hashes, std::size_t& n_bytes) const {
    hashes.clear();
    if (slots_.empty() || prefix.size() >= longest_) return kNoToken;
    TextHash hash;
    hash.append(prefix);
    for (const char c : text.substr(0, longest_ - prefix.size())) {
      hash.append(c);
      hashes.push_back(hash.value());
    }
    for (n_bytes = hashes.size(); n_bytes > 0; --n_bytes) {
      const std::size_t slot = slot_of(hashes[n_bytes - 1], [&](std::string_view token) {
        return token.size() == prefix.size() + n_bytes && token.starts_with(prefix) &&
               token.substr(prefix.size()) == text.substr(0, n_bytes);
      });
      const TokenId id = slots_[slot].id;
      if (id != kNoToken && accepts(type(id))) return id;
    }
    return kNoToken;
  }

 private:
  struct Entry {
    std::size_t begin = 0;
    std::uint32_t size = 0;
    TokenType type = TokenType::kUnused;
  };
  /// Most of what is looked for is no token, which the hash alone tells.
  struct Slot {
    std::uint32_t hash = 0;  ///< its upper half
    TokenId id = kNoToken;
  };
  /// Where the token with that hash is whose text `matches` says is the one; else a free slot.
  template <typename Matches>
  [[nodiscard]] std::size_t slot_of(std::uint64_t hash, const Matches& matches) const noexcept {
    const std::size_t mask = slots_.size() - 1;
    const auto upper = static_cast<std::uint32_t>(hash >> 32);
    std::size_t slot = hash & mask;
    while (slots_[slot].id != kNoToken && !(slots_[slot].hash == upper && matches(text(slots_[slot].id))))
      slot = (slot + 1) & mask;
    return slot;
  }

  std::string bytes_;  ///< all texts, one after the other
  std::vector<Entry> entries_;
  std::vector<Slot> slots_;  ///< open addressing, a power of two, at most half full
  std::size_t longest_ = 0;
};

/// One line of a BPE merge list; its rank is its place in the list.
struct Merge {
  TokenId left;
  TokenId right;
  TokenId result;
};

/// A token that is cut out of the text before the model sees it.
struct AddedToken {
  TokenId id = kNoToken;
  bool strip_left = false;   ///< takes the whitespace before it along
  bool strip_right = false;  ///< takes the whitespace after it along
  bool normalized = false;   ///< looked for in the normalised text instead of the given one
};

struct Vocabulary {
  enum class Algorithm : std::uint8_t { kScoredMerges, kRankedMerges, kWordPiece };
  /// How the text of a normal token stands for bytes.
  enum class Writing : std::uint8_t {
    kByteLevel,     ///< every byte is one of 256 printable characters (GPT-2)
    kMarkedSpaces,  ///< UTF-8 with U+2581 for a space, and tokens <0x00> to <0xFF>
    kWordPiece,     ///< words and their continuations, told apart by a prefix
  };

  std::string_view model;  ///< "llama", "gpt2" or "bert"
  Algorithm algorithm = Algorithm::kScoredMerges;
  Writing writing = Writing::kMarkedSpaces;
  TokenList tokens;

  std::vector<float> scores;   ///< [n_vocab], kScoredMerges only
  std::vector<Merge> merges;   ///< kRankedMerges only
  bool ignore_merges = false;  ///< a piece that is a token is that token, whatever the merges say
  bool fuse_unknown = false;   ///< neighbouring unknown characters give one unknown token
  bool byte_fallback = false;  ///< an unknown character becomes its byte tokens

  std::string word_prefix;               ///< WordPiece: before a token that begins a word
  std::string continuation_prefix;       ///< WordPiece: before one that does not
  std::size_t longest_word_chars = 100;  ///< WordPiece: longer words are unknown

  std::vector<NormalizerStep> normalizer;
  PreTokenizer pre_tokenizer;
  std::vector<AddedToken> added;  ///< control tokens among them are matched only on request

  std::vector<TokenId> prefix;  ///< what add_special puts before the text
  std::vector<TokenId> suffix;  ///< and after it
  TokenId bos = kNoToken;
  TokenId eos = kNoToken;
  TokenId unk = kNoToken;
  std::vector<TokenId> end_of_generation;  ///< sorted

  bool strip_leading_space = false;  ///< decode() takes out the space that encode() put in
  bool clean_up_spaces = false;      ///< decode() joins punctuation to the word before it (WordPiece)
  std::string chat_template;
};

/// The byte behind a "<0xAB>" token, or -1.
[[nodiscard]] int byte_of_hex_token(std::string_view text) noexcept;
/// "<0xAB>" for a byte.
[[nodiscard]] std::array<char, 6> hex_token_of_byte(unsigned char byte) noexcept;

/// The character that GPT-2's byte alphabet writes a byte with: itself when printable in Latin-1, else from
/// U+0100 on.
[[nodiscard]] char32_t byte_level_char(unsigned char byte) noexcept;
/// The byte behind such a character, or -1.
[[nodiscard]] int byte_of_byte_level_char(char32_t c) noexcept;

/// Turns "a b" into a merge of two tokens. Merges whose parts the vocabulary lacks can never apply and are
/// left out; kMalformedFile when there is no space in it or the vocabulary has both parts and not the result.
[[nodiscard]] Status append_merge(Vocabulary& vocabulary, std::string_view left, std::string_view right,
                                  std::size_t rank, std::string& scratch);

/// Completes a vocabulary: marks the tokens that end a turn, sorts what lookups need sorted, checks every id
/// that the algorithms use without looking. `source` stands for the file in messages.
[[nodiscard]] Status finish_vocabulary(Vocabulary& vocabulary, std::string_view source);

/// Adds the tokens that are known to end a turn or a file ("<|im_end|>", "<|eot_id|>" ...) to
/// end_of_generation, and makes them control tokens.
void mark_end_of_generation(Vocabulary& vocabulary);

}  // namespace elms::inline v0::detail
