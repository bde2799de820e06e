// Examples to train on, as lines of JSON: {"prompt", "completion", "solved"} or {"text"}; other keys are for
// others.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "elms/status.hpp"

namespace elms::inline v0::offline {

struct JsonExample {
  bool is_text = false;  ///< {"text"}: all of it is `completion`
  std::string prompt;
  std::string completion;
  std::vector<std::pair<std::size_t, std::size_t>>
      solved;  ///< byte ranges of the prompt, in order; may be missing
};

/// Line `number` (from 1) of a file. kMalformedFile names file, line and key.
[[nodiscard]] Result<JsonExample> parse_example(std::string_view line, const std::string& path,
                                                std::size_t number);

/// Takes the next line off the front of a text, without its line end ("\n" or "\r\n").
[[nodiscard]] std::string_view take_line(std::string_view& text) noexcept;

/// Whether there is nothing but spaces and tabs.
[[nodiscard]] bool is_blank(std::string_view line) noexcept;

/// A file's text without the byte order mark that some programs begin it with.
[[nodiscard]] std::string_view without_byte_order_mark(std::string_view text) noexcept;

}  // namespace elms::inline v0::offline
