#include "c_api/prompts.hpp"

#include <cmath>

namespace elms::inline v0::detail {
namespace {

static_assert(static_cast<int>(SegmentRole::kTemplate) == ELMS_ROLE_TEMPLATE,
              "roles of elms.h are those of SegmentRole");
static_assert(static_cast<int>(Guard::kOff) + 1 == ELMS_GUARD_OFF,
              "guards of elms.h are those of Guard, after the default");
static_assert(static_cast<int>(RefineFilter::kQuestion) == ELMS_FILTER_QUESTION &&
                  static_cast<int>(RefineFilter::kNone) == ELMS_FILTER_NONE &&
                  static_cast<int>(RefineFilter::kSegments) == ELMS_FILTER_SEGMENTS,
              "filters of elms.h are those of RefineFilter");

Status read_guard(std::int32_t given, std::string_view name, Guard& guard) {
  ELMS_ASSIGN_OR_RETURN(const std::int32_t choice, read_choice(given, ELMS_GUARD_OFF, name));
  if (choice != ELMS_GUARD_DEFAULT) guard = static_cast<Guard>(choice - 1);
  return {};
}

}  // namespace

Result<std::vector<Segment>> read_segments(const elms_segment* given, std::size_t n) {
  ELMS_ASSIGN_OR_RETURN(const auto asked, read_list(given, n, "elms_segment"));
  std::vector<Segment> segments;
  for (const elms_segment& from : asked) {
    ELMS_ASSIGN_OR_RETURN(const std::string_view text,
                          read_text(from.text, from.text_bytes, "a segment's text"));
    ELMS_ASSIGN_OR_RETURN(const std::int32_t role,
                          read_choice(from.role, ELMS_ROLE_TEMPLATE, "a segment's role"));
    if (std::isnan(from.keep_ratio)) return invalid_argument("a segment's keep ratio is not a number");
    Segment segment{std::string(text), from.compressible != 0, static_cast<SegmentRole>(role), std::nullopt};
    if (from.keep_ratio != 0.0) segment.keep_ratio = std::max(0.0, from.keep_ratio);
    segments.push_back(std::move(segment));
  }
  return segments;
}

Result<std::vector<ChatMessage>> read_messages(const elms_message* given, std::size_t n) {
  ELMS_ASSIGN_OR_RETURN(const auto asked, read_list(given, n, "elms_message"));
  std::vector<ChatMessage> messages;
  for (const elms_message& from : asked) {
    if (from.role == nullptr)
      return invalid_argument("message ", messages.size(), ": its role is a null pointer");
    ELMS_ASSIGN_OR_RETURN(std::vector<Segment> content, read_segments(from.content, from.n_content));
    messages.push_back({from.role, std::move(content)});
  }
  return messages;
}

Result<RefineOptions> read_refine_options(const elms_refine_options& asked) {
  RefineOptions options;
  ELMS_ASSIGN_OR_RETURN(options.force_tokens,
                        read_texts(asked.force_tokens, asked.n_force_tokens, "force_tokens"));
  ELMS_ASSIGN_OR_RETURN(options.chunk_end_tokens,
                        read_texts(asked.chunk_end_tokens, asked.n_chunk_end_tokens, "chunk_end_tokens"));
  options.force_reserve_digit = asked.keep_digits != 0;
  options.drop_consecutive = asked.drop_consecutive != 0;
  options.strict_protection = asked.strict_protection != 0;
  options.protect_last_line = asked.protect_last_line != 0;
  ELMS_ASSIGN_OR_RETURN(const std::int32_t filter, read_choice(asked.filter, ELMS_FILTER_SEGMENTS, "filter"));
  options.filter = static_cast<RefineFilter>(filter);
  options.filter_keep_ratio = asked.filter_keep_ratio;
  ELMS_RETURN_IF_ERROR(read_guard(asked.markers, "markers", options.markers));
  ELMS_RETURN_IF_ERROR(read_guard(asked.json, "json", options.json));
  ELMS_RETURN_IF_ERROR(read_guard(asked.code, "code", options.code));
  ELMS_RETURN_IF_ERROR(read_guard(asked.urls, "urls", options.urls));
  ELMS_RETURN_IF_ERROR(read_guard(asked.numbers, "numbers", options.numbers));
  options.encode.add_special = asked.without_special == 0;
  return options;
}

}  // namespace elms::inline v0::detail
