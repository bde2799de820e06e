// Names and texts as prompts want them, and hashes that are the same everywhere.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace elms::inline v0::offline::tasks {

/// "GetWeather", "oil change-when?", "RateBook" -> "get_weather", "oil_change_when", "rate_book".
[[nodiscard]] std::string snake_case(std::string_view name);
/// "get_weather" -> "get weather".
[[nodiscard]] std::string in_words(std::string_view name);
/// One line: white space runs become one blank, none at the ends.
[[nodiscard]] std::string one_line(std::string_view text);
/// ASCII letters and digits, in lower case; what lies between them becomes one blank. Bytes above ASCII stay.
[[nodiscard]] std::string plain_words(std::string_view text);
/// ASCII only.
[[nodiscard]] std::string lower_case(std::string_view text);
/// Text up to the end of its first sentence, without the full stop.
[[nodiscard]] std::string first_sentence(std::string_view text);

/// FNV-1a over the bytes, spread by one step of SplitMix64.
[[nodiscard]] std::uint64_t stable_hash(std::string_view text) noexcept;
/// 1 in 20 texts.
[[nodiscard]] bool in_validation_split(std::string_view text);
/// About 1 in 7 names of a data set.
[[nodiscard]] bool held_out_name(std::string_view data_set, std::string_view name);

}  // namespace elms::inline v0::offline::tasks
