// elms prints nothing. A host that wants to know what happens passes a LogSink where one is accepted.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

namespace elms::inline v0 {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning };

/// Called synchronously on the thread that does the work; the text is valid during the call only.
using LogSink = std::function<void(LogLevel, std::string_view)>;

}  // namespace elms::inline v0
