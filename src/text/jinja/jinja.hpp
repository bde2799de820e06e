// The part of Jinja that chat templates are written in: a program is parsed once and run with the messages.
//
// Text knows where each of its bytes comes from, so that whatever a template does to a content (trim, split,
// slice), the result still tells contents from markers. What this does not know is kUnsupported, never
// guessed; values behave as in
// @huggingface/jinja, which is what chat templates are tried with (None and undefined print nothing, true
// prints "true").
#pragma once

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "elms/detail/error.hpp"
#include "elms/status.hpp"

namespace elms::inline v0::detail::jinja {

inline constexpr std::int32_t kFromTemplate = -1;
/// Of values in each other and of expressions in each other: a hostile template must not exhaust the stack.
inline constexpr int kMaxDepth = 100;
/// Of one text, and of the items of one list: nor memory. A text takes four times more for where its bytes
/// are from.
inline constexpr std::size_t kMaxTextBytes = std::size_t{1} << 22;
inline constexpr std::size_t kMaxItems = 100'000;

/// Bytes, and for each of them which of the caller's strings it comes from.
struct Text {
  std::string bytes;
  std::vector<std::int32_t> source;  ///< [bytes.size()]

  void append(std::string_view piece, std::int32_t from = kFromTemplate) {
    bytes.append(piece);
    source.resize(bytes.size(), from);
  }
  void append(const Text& other) { append(other, 0, other.bytes.size()); }
  void append(const Text& other, std::size_t begin, std::size_t end) {
    bytes.append(other.bytes, begin, end - begin);
    source.insert(source.end(), other.source.begin() + static_cast<std::ptrdiff_t>(begin),
                  other.source.begin() + static_cast<std::ptrdiff_t>(end));
  }
};

struct Value;
struct Node;
using List = std::vector<Value>;
using Dict = std::vector<std::pair<std::string, Value>>;  ///< in order of insertion

struct Value {
  enum class Type : std::uint8_t {
    kUndefined,
    kNone,
    kBool,
    kInt,
    kFloat,
    kText,
    kList,
    kDict,
    kNamespace,  ///< a dict that may be assigned to
    kFunction,   ///< a function of the host by name, or a method of `self`
    kMacro,
  };

  Type type = Type::kUndefined;
  bool boolean = false;
  std::int64_t integer = 0;
  double real = 0.0;
  std::shared_ptr<const Text> text;
  std::shared_ptr<List> list;
  std::shared_ptr<Dict> dict;
  std::string function;
  std::shared_ptr<const Value> self;
  const Node* macro = nullptr;
  int depth = 0;  ///< of lists and dicts in each other, see kMaxDepth

  [[nodiscard]] static Value none() { return of_type(Type::kNone); }
  [[nodiscard]] static Value of(bool value) {
    Value out = of_type(Type::kBool);
    out.boolean = value;
    return out;
  }
  [[nodiscard]] static Value of(std::int64_t value) {
    Value out = of_type(Type::kInt);
    out.integer = value;
    return out;
  }
  [[nodiscard]] static Value of(double value) {
    Value out = of_type(Type::kFloat);
    out.real = value;
    return out;
  }
  [[nodiscard]] static Value of(Text value) {
    Value out = of_type(Type::kText);
    out.text = std::make_shared<const Text>(std::move(value));
    return out;
  }
  [[nodiscard]] static Value of_text(std::string_view bytes, std::int32_t from = kFromTemplate) {
    Text text;
    text.append(bytes, from);
    return of(std::move(text));
  }
  [[nodiscard]] static Value of(List value);
  [[nodiscard]] static Value of(Dict value);
  [[nodiscard]] static Value of_function(std::string_view name) {
    Value out = of_type(Type::kFunction);
    out.function = name;
    return out;
  }

  [[nodiscard]] bool is(Type wanted) const noexcept { return type == wanted; }
  [[nodiscard]] bool is_number() const noexcept { return type == Type::kInt || type == Type::kFloat; }
  [[nodiscard]] double number() const noexcept {
    return type == Type::kFloat  ? real
           : type == Type::kBool ? (boolean ? 1.0 : 0.0)
                                 : static_cast<double>(integer);
  }
  [[nodiscard]] std::string_view bytes() const noexcept {
    return text == nullptr ? std::string_view() : text->bytes;
  }
  [[nodiscard]] bool truthy() const noexcept;
  /// The entry of a dict or namespace; null where there is none.
  [[nodiscard]] const Value* find(std::string_view key) const noexcept;

 private:
  [[nodiscard]] static Value of_type(Type type) {
    Value out;
    out.type = type;
    return out;
  }
};

inline Value Value::of(List value) {
  Value out = of_type(Type::kList);
  for (const Value& item : value) out.depth = std::max(out.depth, item.depth + 1);
  out.list = std::make_shared<List>(std::move(value));
  return out;
}
inline Value Value::of(Dict value) {
  Value out = of_type(Type::kDict);
  for (const auto& [key, item] : value) out.depth = std::max(out.depth, item.depth + 1);
  out.dict = std::make_shared<Dict>(std::move(value));
  return out;
}

/// In words, for messages: "string", "list".
[[nodiscard]] std::string_view name_of(Value::Type type) noexcept;
/// As `{{ value }}` prints it. kUnsupported for functions.
[[nodiscard]] Result<Text> printed(const Value& value);
/// As == compares: by value for scalars and text, by identity for lists and dicts.
[[nodiscard]] bool equal(const Value& a, const Value& b) noexcept;
void set_entry(Dict& dict, std::string_view key, Value value);

/// Arguments of a call.
struct Arguments {
  std::vector<Value> positional;
  Dict named;
  /// The i-th one, or the one of that name; null where neither was given.
  [[nodiscard]] const Value* get(std::size_t i, std::string_view name) const noexcept;
};

/// `value | name(arguments)`, without those that need a scope. kUnsupported for unknown names,
/// kInvalidArgument for operands that have no such filter.
[[nodiscard]] Result<Value> apply_filter(const Value& value, std::string_view name,
                                         const Arguments& arguments);
/// `value is name`.
[[nodiscard]] Result<bool> apply_test(const Value& value, std::string_view name);
/// `self.name(arguments)` for strings and dicts.
[[nodiscard]] Result<Value> call_method(const Value& self, std::string_view name, const Arguments& arguments);
[[nodiscard]] bool has_method(const Value& self, std::string_view name) noexcept;
/// `value[start:stop:step]`; undefined bounds are left out.
[[nodiscard]] Result<Value> slice(const Value& value, const Value& start, const Value& stop,
                                  const Value& step);
[[nodiscard]] Result<Value> binary(std::string_view op, const Value& a, const Value& b);
/// As json.dumps writes it. kUnsupported for functions and non-finite numbers, and for what is longer than
/// kMaxTextBytes: lists that hold one list many times are short until they are written.
[[nodiscard]] Result<std::string> to_json(const Value& value, std::int64_t indent);
/// strftime in English, whatever the locale; local time.
[[nodiscard]] std::string formatted_time(std::string_view format, std::time_t now);

struct Node {
  enum class Kind : std::uint8_t {
    // Statements; `body` and `otherwise` are lists of them.
    kText,    ///< constant
    kOutput,  ///< children[0]
    kIf,      ///< children[0]; body, otherwise
    kFor,     ///< names: targets; children[0]: iterable; children[1]: condition, may be null; body, otherwise
    kSet,     ///< children[0]: target, or names for several; children[1]: value, null for the body
    kMacro,   ///< name; names: parameters; children: their defaults, null for none; body
    kBreak,
    kContinue,
    // Expressions.
    kConstant,
    kName,
    kList,    ///< children
    kDict,    ///< children: key, value, key, value ...
    kMember,  ///< children[0].name
    kIndex,   ///< children[0][children[1]]
    kSlice,   ///< children[0][children[1]:children[2]:children[3]], null for left out
    kCall,    ///< children[0](arguments)
    kFilter,  ///< children[0] | name(arguments)
    kTest,    ///< children[0] is name
    kNot,
    kNegate,
    kBinary,   ///< children[0] name children[1]
    kTernary,  ///< children[1] if children[0] else children[2], which may be null
  };

  Kind kind = Kind::kText;
  std::string name;
  std::vector<std::string> names;
  Value constant;
  std::vector<std::unique_ptr<Node>> children;
  std::vector<std::unique_ptr<Node>> arguments;  ///< positional
  std::vector<std::pair<std::string, std::unique_ptr<Node>>> named_arguments;
  std::vector<std::unique_ptr<Node>> body, otherwise;
  int height = 1;  ///< of an expression's tree
};
using Program = std::vector<std::unique_ptr<Node>>;

struct Token {
  enum class Type : std::uint8_t {
    kText,
    kOpenStatement,
    kCloseStatement,
    kOpenOutput,
    kCloseOutput,
    kName,
    kString,
    kInteger,
    kReal,
    kSymbol,
    kEnd
  };
  Type type = Type::kEnd;
  std::string value;
  std::size_t offset = 0;  ///< in the template
};

/// With trim_blocks and lstrip_blocks, as chat templates are rendered everywhere. kUnsupported names the
/// offset.
[[nodiscard]] Result<std::vector<Token>> tokenize(std::string_view source);
/// kUnsupported names the offset and what is not understood.
[[nodiscard]] Result<Program> parse(std::string_view source);

/// Runs a program. `now` is what strftime_now() formats, in local time. What the template itself objects to,
/// by raise_exception() or by an operation that makes no sense, is kInvalidArgument; what is not known here
/// kUnsupported.
[[nodiscard]] Result<Text> render(const Program& program, Dict globals, std::time_t now);

}  // namespace elms::inline v0::detail::jinja
