// Finding the tokens that are cut out of a text before it is tokenised.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "elms/types.hpp"

namespace elms::inline v0::detail {

/// A stretch of a text: an added token, or (id kNoToken) text between them.
struct TextSection {
  std::string_view text;
  TokenId id = kNoToken;
};

/// A set of texts, of which a text is searched from left to right for the longest at each place.
class AddedTokenSet {
 public:
  void add(std::string_view text, TokenId id, bool strip_left, bool strip_right);
  /// To be called once, after the last add().
  void index();
  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }

  /// Appends the sections of `text`, which they view. O(size of the text × length of the longest token).
  void split(std::string_view text, std::vector<TextSection>& sections) const;

 private:
  struct Entry {
    std::string text;
    TokenId id = kNoToken;
    bool strip_left = false;
    bool strip_right = false;
  };
  [[nodiscard]] const Entry* longest_at(std::string_view text, std::size_t position) const noexcept;

  std::vector<Entry> entries_;                      ///< sorted by text
  std::array<std::uint32_t, 257> by_first_byte_{};  ///< entries that begin with byte b: [b], [b + 1]
};

}  // namespace elms::inline v0::detail
