// Byte-pair encoding with a merge list, over bytes (GPT-2 and its family) or over characters (the
// tokenizer.json form of SentencePiece models).
#include <array>

#include "token_model.hpp"
#include "unicode.hpp"

namespace elms::inline v0::detail {
namespace {

/// (left, right) to (result, rank): open addressing over 64-bit keys, at most half full.
class MergeTable {
 public:
  explicit MergeTable(const std::vector<Merge>& merges) {
    std::size_t n_slots = 16;
    while (n_slots < merges.size() * 2) n_slots *= 2;
    slots_.resize(n_slots);
    for (std::size_t i = 0; i < merges.size(); ++i) {
      const std::uint64_t key = key_of(merges[i].left, merges[i].right);
      Slot& slot = slots_[slot_of(key)];
      if (slot.key != kEmpty) continue;  // the first of two equal merges counts
      slot = {key, {merges[i].result, static_cast<std::uint32_t>(i)}};
    }
  }

  [[nodiscard]] MergeResult find(TokenId left, TokenId right) const noexcept {
    if (left == kNoToken || right == kNoToken) return {};
    return slots_[slot_of(key_of(left, right))].merge;
  }

 private:
  static constexpr std::uint64_t kEmpty = ~std::uint64_t{0};
  struct Slot {
    std::uint64_t key = kEmpty;
    MergeResult merge;
  };

  static std::uint64_t key_of(TokenId left, TokenId right) noexcept {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 |
           static_cast<std::uint32_t>(right);
  }
  [[nodiscard]] std::size_t slot_of(std::uint64_t key) const noexcept {
    const std::size_t mask = slots_.size() - 1;
    std::uint64_t hash = (key ^ key >> 31) * 0x9E3779B97F4A7C15u;
    std::size_t slot = (hash ^ hash >> 32) & mask;
    while (slots_[slot].key != kEmpty && slots_[slot].key != key) slot = (slot + 1) & mask;
    return slot;
  }

  std::vector<Slot> slots_;
};

class RankedMerges final : public TokenModel {
 public:
  explicit RankedMerges(const Vocabulary& vocabulary)
      : vocabulary_(vocabulary),
        merges_(vocabulary.merges),
        bytes_(vocabulary.writing == Vocabulary::Writing::kByteLevel) {
    std::string text;
    for (unsigned byte = 0; byte < 256; ++byte) {
      text.clear();
      if (bytes_) {
        append_utf8(text, byte_level_char(static_cast<unsigned char>(byte)));
      } else {
        const auto hex = hex_token_of_byte(static_cast<unsigned char>(byte));
        text.assign(hex.data(), hex.size());
      }
      byte_tokens_[byte] = find_plain(text);
    }
  }

  void encode(std::string_view piece, Workspace& workspace, std::vector<TokenId>& out) const override {
    if (vocabulary_.ignore_merges) {
      const TokenId whole = find_plain(bytes_ ? to_byte_alphabet(piece, workspace.text) : piece);
      if (whole != kNoToken) {
        out.push_back(whole);
        return;
      }
    }
    MergeQueue& queue = workspace.merges;
    queue.clear();
    bytes_ ? append_bytes(piece, queue) : append_characters(piece, queue);
    queue.merge_all([&](const Symbol& left, const Symbol& right) { return merges_.find(left.id, right.id); });
    queue.for_each([&](const Symbol& symbol) {
      if (symbol.id != kNoToken) out.push_back(symbol.id);
    });
  }

 private:
  [[nodiscard]] TokenId find_plain(std::string_view text) const noexcept {
    const TokenId id = vocabulary_.tokens.find(text);
    if (id == kNoToken) return id;
    const TokenType type = vocabulary_.tokens.type(id);
    return type == TokenType::kControl || type == TokenType::kUnknown ? kNoToken : id;
  }

  static std::string_view to_byte_alphabet(std::string_view piece, std::string& text) {
    text.clear();
    for (const char byte : piece) append_utf8(text, byte_level_char(static_cast<unsigned char>(byte)));
    return text;
  }

  void append_bytes(std::string_view piece, MergeQueue& queue) const {
    for (std::size_t i = 0; i < piece.size(); ++i) {
      const TokenId id = byte_tokens_[static_cast<unsigned char>(piece[i])];
      queue.append(static_cast<std::uint32_t>(i), 1, id == kNoToken ? vocabulary_.unk : id);
    }
  }

  void append_characters(std::string_view piece, MergeQueue& queue) const {
    bool after_unknown = false;
    for (std::size_t i = 0; i < piece.size();) {
      const Char c = char_at(piece, i);
      const auto begin = static_cast<std::uint32_t>(i);
      const std::string_view text = piece.substr(i, c.size);
      i += c.size;
      const TokenId id = find_plain(text);
      if (id != kNoToken) {
        queue.append(begin, c.size, id);
      } else if (vocabulary_.byte_fallback && has_byte_tokens(text)) {
        for (std::uint32_t j = 0; j < c.size; ++j) {
          queue.append(begin + j, 1, byte_tokens_[static_cast<unsigned char>(text[j])]);
        }
      } else {
        if (vocabulary_.unk != kNoToken && !(after_unknown && vocabulary_.fuse_unknown)) {
          queue.append(begin, c.size, vocabulary_.unk);
        }
        after_unknown = true;
        continue;
      }
      after_unknown = false;
    }
  }

  [[nodiscard]] bool has_byte_tokens(std::string_view text) const noexcept {
    for (const char byte : text) {
      if (byte_tokens_[static_cast<unsigned char>(byte)] == kNoToken) return false;
    }
    return true;
  }

  const Vocabulary& vocabulary_;
  MergeTable merges_;
  bool bytes_;
  std::array<TokenId, 256> byte_tokens_{};
};

}  // namespace

std::unique_ptr<TokenModel> make_ranked_merges(const Vocabulary& vocabulary) {
  return std::make_unique<RankedMerges>(vocabulary);
}

}  // namespace elms::inline v0::detail
