#include "offline/jsonl.hpp"

#include "elms/detail/error.hpp"
#include "io/json_file.hpp"

namespace elms::inline v0::offline {
namespace {

/// The ranges of "solved", each behind the one before and inside the prompt.
Status read_solved(const detail::JsonObject& top, JsonExample& example) {
  const nlohmann::json* ranges = top.find("solved");
  if (ranges == nullptr) return {};
  const auto wrong = [&] {
    return detail::malformed(top.at("solved"),
                             ": expected byte ranges of the prompt, [[begin, end], ...], in order");
  };
  if (!ranges->is_array()) return wrong();
  std::size_t last = 0;
  for (const nlohmann::json& range : *ranges) {
    if (!range.is_array() || range.size() != 2 || !range[0].is_number_unsigned() ||
        !range[1].is_number_unsigned()) {
      return wrong();
    }
    const auto begin = range[0].get<std::size_t>(), end = range[1].get<std::size_t>();
    if (begin < last || end < begin || end > example.prompt.size()) return wrong();
    example.solved.emplace_back(begin, end);
    last = end;
  }
  return {};
}

}  // namespace

Result<JsonExample> parse_example(std::string_view line, const std::string& path, std::size_t number) {
  ELMS_ASSIGN_OR_RETURN(const auto file, detail::JsonFile::parse(line, detail::concat(path, ":", number)));
  const detail::JsonObject top = file.top();
  const auto take = [&](std::string_view key, std::string& text) -> Status {
    const Result<std::string_view> found = top.string(key);
    if (!found.has_value()) return detail::malformed(found.error().message());
    text = *found;
    return {};
  };
  JsonExample example;
  example.is_text = top.has("text");
  if (example.is_text && (top.has("prompt") || top.has("completion"))) {
    return detail::malformed(file.name(), R"(: expected "text", or "prompt" and "completion", not both)");
  }
  if (example.is_text) {
    ELMS_RETURN_IF_ERROR(take("text", example.completion));
    return example;
  }
  ELMS_RETURN_IF_ERROR(take("prompt", example.prompt));
  ELMS_RETURN_IF_ERROR(take("completion", example.completion));
  ELMS_RETURN_IF_ERROR(read_solved(top, example));
  return example;
}

std::string_view take_line(std::string_view& text) noexcept {
  const std::size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end == text.npos ? text.size() : end + 1);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

bool is_blank(std::string_view line) noexcept {
  return line.find_first_not_of(" \t\r") == line.npos;
}

std::string_view without_byte_order_mark(std::string_view text) noexcept {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  return text;
}

}  // namespace elms::inline v0::offline
