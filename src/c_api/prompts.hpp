// Prompts in segments, and how they may be shortened, as C has them.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "c_api/arguments.hpp"
#include "elms/chat_template.hpp"
#include "elms/refine_options.hpp"
#include "elms/segment.hpp"

namespace elms::inline v0::detail {

Result<std::vector<Segment>> read_segments(const elms_segment* given, std::size_t n);
Result<std::vector<ChatMessage>> read_messages(const elms_message* given, std::size_t n);

/// All but the budget.
Result<RefineOptions> read_refine_options(const elms_refine_options& asked);

}  // namespace elms::inline v0::detail
