#include <array>
#include <cmath>
#include <cstdio>

#include "text/jinja/jinja.hpp"
#include "text/unicode.hpp"

namespace elms::inline v0::detail::jinja {
namespace {

using Type = Value::Type;

/// What trim() and split() take for blanks.
bool is_blank_character(char32_t c) noexcept {
  return (c >= 9 && c <= 13) || c == ' ' || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
         c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000 || c == 0xFEFF;
}

std::size_t skip_blank_characters(std::string_view text, std::size_t at) noexcept {
  while (at < text.size()) {
    const Utf8Unit unit = read_utf8(text, at);
    if (unit.kind != Utf8Unit::Kind::kCharacter || !is_blank_character(unit.code_point)) break;
    at += unit.size;
  }
  return at;
}

/// Bytes [begin, end) of a text.
Text part(const Text& text, std::size_t begin, std::size_t end) {
  Text out;
  out.append(text, begin, std::max(begin, end));
  return out;
}

Value trimmed(const Text& text, bool left, bool right) {
  const std::size_t begin = left ? skip_blank_characters(text.bytes, 0) : 0;
  std::size_t end = begin;
  for (std::size_t i = begin; i < text.bytes.size();) {
    const Utf8Unit unit = read_utf8(text.bytes, i);
    i += unit.size;
    if (!right || unit.kind != Utf8Unit::Kind::kCharacter || !is_blank_character(unit.code_point)) end = i;
  }
  return Value::of(part(text, begin, end));
}

/// Letters beyond ASCII would need the tables of the language that the template was written for.
template <typename Map>
Result<Value> mapped(const Value& value, Map&& map) {
  Text out = *value.text;
  for (std::size_t i = 0; i < out.bytes.size(); ++i) {
    if (static_cast<unsigned char>(out.bytes[i]) >= 0x80)
      return unsupported("chat template: case of letters beyond ASCII");
    out.bytes[i] = map(out.bytes, i);
  }
  return Value::of(std::move(out));
}
char upper_of(char c) noexcept {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}
char lower_of(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// In the characters of JavaScript: UTF-16 units.
std::int64_t text_length(std::string_view text) noexcept {
  std::int64_t n = 0;
  for (std::size_t i = 0; i < text.size();) {
    const Utf8Unit unit = read_utf8(text, i);
    n += unit.code_point > 0xFFFF ? 2 : 1;
    i += unit.size;
  }
  return n;
}

Result<Value> split_text(const Value& self, const Arguments& arguments) {
  const Text& text = *self.text;
  const Value* separator = arguments.get(0, "sep");
  if (arguments.get(1, "maxsplit") != nullptr) return unsupported("chat template: split() with a limit");
  List out;
  if (separator == nullptr || separator->is(Type::kNone)) {
    for (std::size_t i = skip_blank_characters(text.bytes, 0); i < text.bytes.size();) {
      if (out.size() >= kMaxItems) return unsupported("chat template: too long a list");
      const std::size_t begin = i;
      while (i < text.bytes.size() && skip_blank_characters(text.bytes, i) == i)
        i += read_utf8(text.bytes, i).size;
      out.push_back(Value::of(part(text, begin, i)));
      i = skip_blank_characters(text.bytes, i);
    }
    return Value::of(std::move(out));
  }
  if (!separator->is(Type::kText) || separator->bytes().empty())
    return invalid_argument("chat template: split() by no text");
  std::size_t begin = 0;
  for (std::size_t at = 0; (at = text.bytes.find(separator->bytes(), begin)) != std::string::npos;) {
    if (out.size() >= kMaxItems) return unsupported("chat template: too long a list");
    out.push_back(Value::of(part(text, begin, at)));
    begin = at + separator->bytes().size();
  }
  out.push_back(Value::of(part(text, begin, text.bytes.size())));
  return Value::of(std::move(out));
}

Result<Value> replace_text(const Value& self, const Arguments& arguments) {
  const Value* from = arguments.get(0, "old");
  const Value* to = arguments.get(1, "new");
  if (arguments.get(2, "count") != nullptr) return unsupported("chat template: replace() with a count");
  if (from == nullptr || to == nullptr || !from->is(Type::kText) || !to->is(Type::kText) ||
      from->bytes().empty()) {
    return invalid_argument("chat template: replace() wants two strings");
  }
  const Text& text = *self.text;
  Text out;
  std::size_t begin = 0;
  for (std::size_t at = 0; (at = text.bytes.find(from->bytes(), begin)) != std::string::npos;) {
    if (out.bytes.size() + (at - begin) + to->bytes().size() > kMaxTextBytes)
      return unsupported("chat template: too much text");
    out.append(text, begin, at);
    out.append(*to->text);
    begin = at + from->bytes().size();
  }
  out.append(text, begin, text.bytes.size());
  return Value::of(std::move(out));
}

Result<Value> begins_or_ends(const Value& self, std::string_view name, const Arguments& arguments) {
  const Value* pattern = arguments.get(0, "prefix");
  if (pattern == nullptr || !pattern->is(Type::kText))
    return unsupported("chat template: ", name, "() of what is no string");
  return Value::of(name == "startswith" ? self.bytes().starts_with(pattern->bytes())
                                        : self.bytes().ends_with(pattern->bytes()));
}

Value entries_of(const Dict& dict, bool keys, bool values) {
  List out;
  for (const auto& [key, value] : dict) {
    if (keys && values) {
      out.push_back(Value::of(List{Value::of_text(key), value}));
    } else {
      out.push_back(keys ? Value::of_text(key) : value);
    }
  }
  return Value::of(std::move(out));
}

Result<Value> join_list(const Value& value, const Arguments& arguments) {
  const Value* separator = arguments.get(0, "d");
  if (separator != nullptr && !separator->is(Type::kText))
    return invalid_argument("chat template: join() by no string");
  Text out;
  for (std::size_t i = 0; i < value.list->size(); ++i) {
    if (i > 0 && separator != nullptr) out.append(*separator->text);
    ELMS_ASSIGN_OR_RETURN(const Text item, printed((*value.list)[i]));
    out.append(item);
    if (out.bytes.size() > kMaxTextBytes) return unsupported("chat template: too much text");
  }
  return Value::of(std::move(out));
}

Status no_filter(std::string_view name, const Value& value) {
  constexpr std::array<std::string_view, 19> kKnown = {
      "trim", "upper", "lower",   "capitalize", "title", "length", "count", "tojson", "default", "first",
      "last", "join",  "reverse", "list",       "items", "string", "safe",  "int",    "keys"};
  if (std::find(kKnown.begin(), kKnown.end(), name) == kKnown.end())
    return unsupported("chat template: filter ", name);
  return invalid_argument("chat template: a ", name_of(value.type), " has no filter ", name);
}

Result<Value> text_filter(const Value& value, std::string_view name) {
  if (name == "trim") return trimmed(*value.text, true, true);
  if (name == "length" || name == "count") return Value::of(text_length(value.bytes()));
  if (name == "string" || name == "safe") return value;
  if (name == "upper" || name == "lower" || name == "capitalize" || name == "title")
    return call_method(value, name, {});
  return no_filter(name, value);
}

Result<Value> list_filter(const Value& value, std::string_view name, const Arguments& arguments) {
  const List& list = *value.list;
  if (name == "length" || name == "count") return Value::of(static_cast<std::int64_t>(list.size()));
  if (name == "list" || name == "safe") return value;
  if (name == "first") return list.empty() ? Value() : list.front();
  if (name == "last") return list.empty() ? Value() : list.back();
  if (name == "reverse") return Value::of(List(list.rbegin(), list.rend()));
  if (name == "join") return join_list(value, arguments);
  return no_filter(name, value);
}

}  // namespace

bool Value::truthy() const noexcept {
  switch (type) {
    case Type::kUndefined:
    case Type::kNone:
      return false;
    case Type::kBool:
      return boolean;
    case Type::kInt:
      return integer != 0;
    case Type::kFloat:
      return real != 0.0;
    case Type::kText:
      return !text->bytes.empty();
    case Type::kList:
      return !list->empty();
    case Type::kDict:
      return !dict->empty();
    case Type::kNamespace:
    case Type::kFunction:
    case Type::kMacro:
      break;
  }
  return true;
}

const Value* Value::find(std::string_view key) const noexcept {
  if (dict == nullptr) return nullptr;
  for (const auto& [name, value] : *dict) {
    if (name == key) return &value;
  }
  return nullptr;
}

const Value* Arguments::get(std::size_t i, std::string_view name) const noexcept {
  if (i < positional.size()) return &positional[i];
  for (const auto& [key, value] : named) {
    if (key == name) return &value;
  }
  return nullptr;
}

void set_entry(Dict& dict, std::string_view key, Value value) {
  for (auto& [name, old] : dict) {
    if (name == key) {
      old = std::move(value);
      return;
    }
  }
  dict.emplace_back(key, std::move(value));
}

std::string_view name_of(Type type) noexcept {
  constexpr std::array<std::string_view, 11> kNames = {"undefined value", "none",     "boolean", "integer",
                                                       "float",           "string",   "list",    "dict",
                                                       "namespace",       "function", "macro"};
  return kNames[static_cast<std::size_t>(type)];
}

Result<Text> printed(const Value& value) {
  Text out;
  switch (value.type) {
    case Type::kUndefined:
    case Type::kNone:
      break;
    case Type::kText:
      return *value.text;
    default: {
      ELMS_ASSIGN_OR_RETURN(const std::string json, to_json(value, 0));
      out.append(json);
    }
  }
  return out;
}

bool equal(const Value& a, const Value& b) noexcept {
  const auto is_nothing = [](const Value& v) { return v.is(Type::kUndefined) || v.is(Type::kNone); };
  const auto is_scalar = [](const Value& v) { return v.is_number() || v.is(Type::kBool); };
  if (is_nothing(a) || is_nothing(b)) return is_nothing(a) && is_nothing(b);
  if (is_scalar(a) && is_scalar(b)) return a.number() == b.number();
  if (a.type != b.type) return false;
  if (a.is(Type::kText)) return a.bytes() == b.bytes();
  return a.list == b.list && a.dict == b.dict && a.macro == b.macro && a.function == b.function;
}

Result<Value> apply_filter(const Value& value, std::string_view name, const Arguments& arguments) {
  if (name == "default" || name == "d") {
    const Value* fallback = arguments.get(0, "default_value");
    const Value* also_false = arguments.get(1, "boolean");
    const bool missing =
        value.is(Type::kUndefined) || (also_false != nullptr && also_false->truthy() && !value.truthy());
    return !missing ? value : fallback != nullptr ? *fallback : Value::of_text("");
  }
  if (name == "tojson") {
    const Value* indent = arguments.get(0, "indent");
    if (!arguments.named.empty() && indent == nullptr)
      return unsupported("chat template: tojson with options");
    if (indent != nullptr && (!indent->is(Type::kInt) || indent->integer < 0 || indent->integer > 16)) {
      return unsupported("chat template: tojson with an odd indent");
    }
    ELMS_ASSIGN_OR_RETURN(const std::string json, to_json(value, indent == nullptr ? 0 : indent->integer));
    return Value::of_text(json);
  }
  if (value.is(Type::kText)) return text_filter(value, name);
  if (value.is(Type::kList)) return list_filter(value, name, arguments);
  if (value.is(Type::kDict)) {
    if (name == "length" || name == "count") return Value::of(static_cast<std::int64_t>(value.dict->size()));
    if (has_method(value, name) && name != "get") return call_method(value, name, arguments);
  }
  if (value.is_number() || value.is(Type::kBool)) {
    if (name == "int")
      return Value::of(static_cast<std::int64_t>(std::floor(std::clamp(value.number(), -1e15, 1e15))));
    if (name == "string") {
      ELMS_ASSIGN_OR_RETURN(Text text, printed(value));
      return Value::of(std::move(text));
    }
  }
  return no_filter(name, value);
}

Result<bool> apply_test(const Value& value, std::string_view name) {
  if (name == "defined") return !value.is(Type::kUndefined);
  if (name == "undefined") return value.is(Type::kUndefined);
  if (name == "none") return value.is(Type::kNone);
  if (name == "string") return value.is(Type::kText);
  if (name == "mapping") return value.is(Type::kDict);
  if (name == "iterable") return value.is(Type::kList) || value.is(Type::kText);
  if (name == "sequence") return value.is(Type::kList) || value.is(Type::kText) || value.is(Type::kDict);
  if (name == "number") return value.is_number();
  if (name == "integer") return value.is(Type::kInt);
  if (name == "boolean") return value.is(Type::kBool);
  if (name == "true") return value.is(Type::kBool) && value.boolean;
  if (name == "false") return value.is(Type::kBool) && !value.boolean;
  if (name == "callable") return value.is(Type::kFunction) || value.is(Type::kMacro);
  if (name == "odd" || name == "even") {
    if (!value.is(Type::kInt))
      return invalid_argument("chat template: a ", name_of(value.type), " is not ", name);
    return (value.integer % 2 != 0) == (name == "odd");
  }
  return unsupported("chat template: test ", name);
}

bool has_method(const Value& self, std::string_view name) noexcept {
  constexpr std::array<std::string_view, 11> kText = {"strip",   "lstrip",     "rstrip",  "upper",
                                                      "lower",   "capitalize", "title",   "split",
                                                      "replace", "startswith", "endswith"};
  constexpr std::array<std::string_view, 4> kDict = {"get", "items", "keys", "values"};
  if (self.is(Type::kText)) return std::find(kText.begin(), kText.end(), name) != kText.end();
  if (self.is(Type::kDict)) return std::find(kDict.begin(), kDict.end(), name) != kDict.end();
  return false;
}

Result<Value> call_method(const Value& self, std::string_view name, const Arguments& arguments) {
  if (self.is(Type::kDict)) {
    if (name == "items") return entries_of(*self.dict, true, true);
    if (name == "keys") return entries_of(*self.dict, true, false);
    if (name == "values") return entries_of(*self.dict, false, true);
    const Value* key = arguments.get(0, "key");
    if (key == nullptr || !key->is(Type::kText))
      return invalid_argument("chat template: get() of what is no string");
    const Value* found = self.find(key->bytes());
    const Value* fallback = arguments.get(1, "default");
    return found != nullptr ? *found : fallback != nullptr ? *fallback : Value::none();
  }
  if (name == "split") return split_text(self, arguments);
  if (name == "replace") return replace_text(self, arguments);
  if (name == "startswith" || name == "endswith") return begins_or_ends(self, name, arguments);
  if (name == "strip" || name == "lstrip" || name == "rstrip") {
    // @huggingface/jinja strips all blanks, whatever characters are given.
    return trimmed(*self.text, name != "rstrip", name != "lstrip");
  }
  if (name == "upper")
    return mapped(self, [](const std::string& s, std::size_t i) { return upper_of(s[i]); });
  if (name == "lower")
    return mapped(self, [](const std::string& s, std::size_t i) { return lower_of(s[i]); });
  if (name == "capitalize") {
    return mapped(self, [](const std::string& s, std::size_t i) { return i == 0 ? upper_of(s[i]) : s[i]; });
  }
  return mapped(self, [](const std::string& s, std::size_t i) {
    return i == 0 || s[i - 1] == ' ' || s[i - 1] == '\n' || s[i - 1] == '\t' ? upper_of(s[i]) : s[i];
  });
}

Result<Value> slice(const Value& value, const Value& start, const Value& stop, const Value& step) {
  if (!value.is(Type::kList) && !value.is(Type::kText)) {
    return invalid_argument("chat template: a slice of a ", name_of(value.type));
  }
  for (const Value* bound : {&start, &stop, &step}) {
    if (!bound->is(Type::kInt) && !bound->is(Type::kUndefined))
      return invalid_argument("chat template: a slice's bound is no integer");
  }
  const std::int64_t stride = step.is(Type::kInt) ? step.integer : 1;
  if (stride != 1 && (stride != -1 || value.is(Type::kText)))
    return unsupported("chat template: a slice with a step");
  std::vector<std::size_t> offsets;  // of characters
  if (value.is(Type::kText)) {
    for (std::size_t i = 0; i < value.bytes().size(); i += read_utf8(value.bytes(), i).size)
      offsets.push_back(i);
    offsets.push_back(value.bytes().size());
  }
  const auto n = static_cast<std::int64_t>(value.is(Type::kList) ? value.list->size() : offsets.size() - 1);
  const auto bound = [&](const Value& given, std::int64_t otherwise) {
    if (!given.is(Type::kInt)) return otherwise;
    const std::int64_t low = stride > 0 ? 0 : -1, high = stride > 0 ? n : n - 1;
    return std::clamp(given.integer < 0 ? given.integer + n : given.integer, low, high);
  };
  const std::int64_t begin = bound(start, stride > 0 ? 0 : n - 1), end = bound(stop, stride > 0 ? n : -1);
  if (value.is(Type::kText)) {
    return Value::of(part(*value.text, offsets[static_cast<std::size_t>(begin)],
                          offsets[static_cast<std::size_t>(std::max(begin, end))]));
  }
  List out;
  for (std::int64_t i = begin; stride > 0 ? i < end : i > end; i += stride)
    out.push_back((*value.list)[static_cast<std::size_t>(i)]);
  return Value::of(std::move(out));
}

}  // namespace elms::inline v0::detail::jinja
