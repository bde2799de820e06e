// Values as json.dumps writes them.
#include <cmath>
#include <cstdio>

#include "text/jinja/jinja.hpp"

namespace elms::inline v0::detail::jinja {
namespace {

void append_text(std::string_view text, std::string& out) {
  out += '"';
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
  out += '"';
}

Status append(const Value& value, std::int64_t indent, int depth, std::string& out);

Status append_items(const Value& value, std::int64_t indent, int depth, std::string& out) {
  const bool is_list = value.is(Value::Type::kList);
  const std::size_t n = is_list ? value.list->size() : value.dict->size();
  const auto pad = [&](int level) {
    if (indent == 0) return;
    out += '\n';
    out.append(static_cast<std::size_t>(indent) * static_cast<std::size_t>(level), ' ');
  };
  out += is_list ? '[' : '{';
  for (std::size_t i = 0; i < n; ++i) {
    out += i == 0 ? "" : indent > 0 ? "," : ", ";
    pad(depth + 1);
    if (!is_list) {
      append_text((*value.dict)[i].first, out);
      out += ": ";
    }
    ELMS_RETURN_IF_ERROR(
        append(is_list ? (*value.list)[i] : (*value.dict)[i].second, indent, depth + 1, out));
  }
  if (n > 0) pad(depth);
  out += is_list ? ']' : '}';
  return {};
}

Status append(const Value& value, std::int64_t indent, int depth, std::string& out) {
  if (out.size() > kMaxTextBytes) return unsupported("chat template: too much text");
  switch (value.type) {
    case Value::Type::kUndefined:
    case Value::Type::kNone:
      out += "null";
      return {};
    case Value::Type::kBool:
      out += value.boolean ? "true" : "false";
      return {};
    case Value::Type::kInt:
      out += std::to_string(value.integer);
      return {};
    case Value::Type::kText:
      append_text(value.bytes(), out);
      return {};
    case Value::Type::kList:
    case Value::Type::kDict:
      return append_items(value, indent, depth, out);
    case Value::Type::kFloat:
      if (std::isfinite(value.real)) {
        const std::string number = concat(value.real);
        out += number;
        if (number.find_first_of(".e") == std::string::npos) out += ".0";
        return {};
      }
      break;
    default:
      break;
  }
  return unsupported("chat template: a ", name_of(value.type), " as text");
}

}  // namespace

Result<std::string> to_json(const Value& value, std::int64_t indent) {
  std::string out;
  ELMS_RETURN_IF_ERROR(append(value, indent, 0, out));
  return out;
}

}  // namespace elms::inline v0::detail::jinja
