#include "vocabulary.hpp"

#include <algorithm>

#include "elms/detail/error.hpp"

namespace elms::inline v0::detail {
namespace {

std::uint64_t hash_of(std::string_view text) noexcept {
  TextHash hash;
  hash.append(text);
  return hash.value();
}

constexpr int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

/// Bytes that stand for themselves in the byte alphabet: the printable part of Latin-1.
constexpr bool is_printable_latin1(unsigned byte) noexcept {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD && byte <= 0xFF);
}

struct ByteAlphabet {
  std::array<char32_t, 256> char_of{};
  std::array<std::int16_t, 68> byte_of_high{};  ///< U+0100 + i stands for this byte
};
constexpr ByteAlphabet make_byte_alphabet() noexcept {
  ByteAlphabet alphabet;
  unsigned next = 0;
  for (unsigned byte = 0; byte < 256; ++byte) {
    if (is_printable_latin1(byte)) {
      alphabet.char_of[byte] = byte;
    } else {
      alphabet.byte_of_high[next] = static_cast<std::int16_t>(byte);
      alphabet.char_of[byte] = 0x100 + next++;
    }
  }
  return alphabet;
}
constexpr ByteAlphabet kByteAlphabet = make_byte_alphabet();

Status check_id(const Vocabulary& vocabulary, TokenId id, std::string_view role, std::string_view source) {
  if (id == kNoToken || vocabulary.tokens.contains(id)) return {};
  return malformed(source, ": the ", role, " token has id ", id, ", the vocabulary has ",
                   vocabulary.tokens.size(), " tokens");
}

/// Whether some token goes on after a space, as in "of▁the".
bool has_token_across_words(const TokenList& tokens) noexcept {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    if (tokens.type(id) == TokenType::kControl || tokens.type(id) == TokenType::kUnknown) continue;
    std::string_view text = tokens.text(id);
    while (text.starts_with(kSpaceMarker)) text.remove_prefix(kSpaceMarker.size());
    if (text.find(kSpaceMarker) != text.npos) return true;
  }
  return false;
}

/// Where no token reaches over the end of a word, words can be tokenised one by one: the same tokens from
/// small queues, several times as fast.
void split_at_words(Vocabulary& vocabulary) {
  if (vocabulary.writing != Vocabulary::Writing::kMarkedSpaces) return;
  if (vocabulary.tokens.find(kSpaceMarker) == kNoToken || has_token_across_words(vocabulary.tokens)) return;
  vocabulary.pre_tokenizer.steps.push_back({.kind = SplitStep::Kind::kMarkedRuns});
}

}  // namespace

void TokenList::append(std::string_view text, TokenType type) {
  entries_.emplace_back();
  set(static_cast<TokenId>(entries_.size() - 1), text, type);
}

void TokenList::set(TokenId id, std::string_view text, TokenType type) {
  entries_[static_cast<std::size_t>(id)] = {bytes_.size(), static_cast<std::uint32_t>(text.size()), type};
  bytes_.append(text);
  longest_ = std::max(longest_, text.size());
}

TokenId TokenList::index() {
  std::size_t n_slots = 16;
  while (n_slots < entries_.size() * 2) n_slots *= 2;
  slots_.assign(n_slots, {});
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    if (text(id).empty()) continue;
    const std::uint64_t hash = hash_of(text(id));
    Slot& slot = slots_[slot_of(hash, [&](std::string_view token) { return token == text(id); })];
    if (slot.id != kNoToken) return id;
    slot = {static_cast<std::uint32_t>(hash >> 32), id};
  }
  return kNoToken;
}

TokenId TokenList::find(std::string_view text) const noexcept {
  if (text.empty() || text.size() > longest_ || slots_.empty()) return kNoToken;
  return slots_[slot_of(hash_of(text), [&](std::string_view token) { return token == text; })].id;
}

int byte_of_hex_token(std::string_view text) noexcept {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return -1;
  const int high = hex_digit(text[3]);
  const int low = hex_digit(text[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

std::array<char, 6> hex_token_of_byte(unsigned char byte) noexcept {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  return {'<', '0', 'x', kDigits[byte >> 4], kDigits[byte & 15], '>'};
}

char32_t byte_level_char(unsigned char byte) noexcept {
  return kByteAlphabet.char_of[byte];
}

int byte_of_byte_level_char(char32_t c) noexcept {
  if (c < 0x100) return is_printable_latin1(static_cast<unsigned>(c)) ? static_cast<int>(c) : -1;
  return c < 0x100 + kByteAlphabet.byte_of_high.size() ? kByteAlphabet.byte_of_high[c - 0x100] : -1;
}

Status append_merge(Vocabulary& vocabulary, std::string_view left, std::string_view right, std::size_t rank,
                    std::string& scratch) {
  const TokenId left_id = vocabulary.tokens.find(left);
  const TokenId right_id = vocabulary.tokens.find(right);
  if (left_id == kNoToken || right_id == kNoToken) return {};
  scratch.assign(left);
  scratch.append(right);
  const TokenId result = vocabulary.tokens.find(scratch);
  if (result == kNoToken) {
    return malformed("merge ", rank, " makes '", scratch, "', which is not in the vocabulary");
  }
  vocabulary.merges.push_back({left_id, right_id, result});
  return {};
}

Status finish_vocabulary(Vocabulary& vocabulary, std::string_view source) {
  ELMS_RETURN_IF_ERROR(check_id(vocabulary, vocabulary.bos, "BOS", source));
  ELMS_RETURN_IF_ERROR(check_id(vocabulary, vocabulary.eos, "EOS", source));
  ELMS_RETURN_IF_ERROR(check_id(vocabulary, vocabulary.unk, "unknown", source));
  for (const TokenId id : vocabulary.prefix)
    ELMS_RETURN_IF_ERROR(check_id(vocabulary, id, "leading", source));
  for (const TokenId id : vocabulary.suffix)
    ELMS_RETURN_IF_ERROR(check_id(vocabulary, id, "trailing", source));
  mark_end_of_generation(vocabulary);
  split_at_words(vocabulary);
  return {};
}

}  // namespace elms::inline v0::detail
