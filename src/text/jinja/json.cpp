// Values as json.dumps writes them.
#include <cmath>
#include <cstdio>

#include "text/jinja/jinja.hpp"

namespace elms::inline v0::detail::jinja {
namespace {

std::string json_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    constexpr std::string_view kSpecial = "\"\\\n\r\t\b\f", kLetters = "\"\\nrtbf";
    if (const std::size_t i = kSpecial.find(c); i != std::string_view::npos) {
      out += {'\\', kLetters[i]};
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(static_cast<unsigned char>(c)));
      out += escape;
    } else {
      out += c;
    }
  }
  return out + '"';
}

Result<std::string> json_items(const Value& value, std::int64_t indent, int depth) {
  const bool is_list = value.is(Value::Type::kList);
  const std::size_t n = is_list ? value.list->size() : value.dict->size();
  const auto padding = [&](int level) {
    return indent > 0
               ? "\n" + std::string(static_cast<std::size_t>(indent) * static_cast<std::size_t>(level), ' ')
               : std::string();
  };
  std::string out(1, is_list ? '[' : '{');
  for (std::size_t i = 0; i < n; ++i) {
    out += i == 0 ? "" : indent > 0 ? "," : ", ";
    out += padding(depth + 1);
    if (!is_list) out += json_text((*value.dict)[i].first) + ": ";
    ELMS_ASSIGN_OR_RETURN(const std::string item,
                          to_json(is_list ? (*value.list)[i] : (*value.dict)[i].second, indent, depth + 1));
    out += item;
  }
  if (n > 0) out += padding(depth);
  return out + (is_list ? ']' : '}');
}

}  // namespace

Result<std::string> to_json(const Value& value, std::int64_t indent, int depth) {
  switch (value.type) {
    case Value::Type::kUndefined:
    case Value::Type::kNone:
      return std::string("null");
    case Value::Type::kBool:
      return std::string(value.boolean ? "true" : "false");
    case Value::Type::kInt:
      return std::to_string(value.integer);
    case Value::Type::kText:
      return json_text(value.bytes());
    case Value::Type::kList:
    case Value::Type::kDict:
      return json_items(value, indent, depth);
    case Value::Type::kFloat:
      if (std::isfinite(value.real)) {
        std::string number = concat(value.real);
        if (number.find_first_of(".e") == std::string::npos) number += ".0";
        return number;
      }
      break;
    default:
      break;
  }
  return unsupported("chat template: a ", name_of(value.type), " as text");
}

}  // namespace elms::inline v0::detail::jinja
