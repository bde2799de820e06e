#include <algorithm>
#include <array>

#include "text/jinja/jinja.hpp"

namespace elms::inline v0::detail::jinja {

std::string formatted_time(std::string_view format, std::time_t now) {
  constexpr std::array<std::string_view, 12> kMonths = {"January",   "February", "March",    "April",
                                                        "May",       "June",     "July",     "August",
                                                        "September", "October",  "November", "December"};
  std::tm time{};
#if defined(_WIN32)
  localtime_s(&time, &now);
#else
  localtime_r(&now, &time);
#endif
  const auto two = [](int n) { return (n < 10 ? "0" : "") + std::to_string(n); };
  const std::string_view month = kMonths[static_cast<std::size_t>(std::clamp(time.tm_mon, 0, 11))];
  std::string out;
  for (std::size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      out += format[i];
      continue;
    }
    switch (format[++i]) {
      case 'Y':
        out += std::to_string(time.tm_year + 1900);
        break;
      case 'm':
        out += two(time.tm_mon + 1);
        break;
      case 'd':
        out += two(time.tm_mday);
        break;
      case 'b':
        out += month.substr(0, 3);
        break;
      case 'B':
        out += month;
        break;
      case 'H':
        out += two(time.tm_hour);
        break;
      case 'M':
        out += two(time.tm_min);
        break;
      case '%':
        out += '%';
        break;
      default:
        out += {'%', format[i]};
    }
  }
  return out;
}

}  // namespace elms::inline v0::detail::jinja
