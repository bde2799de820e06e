// What +, <, in and their like make of two values.
#include <algorithm>
#include <cmath>

#include "text/jinja/jinja.hpp"

namespace elms::inline v0::detail::jinja {
namespace {

Result<Value> concatenated(const Value& a, const Value& b) {
  ELMS_ASSIGN_OR_RETURN(Text out, printed(a));
  ELMS_ASSIGN_OR_RETURN(const Text tail, printed(b));
  if (out.bytes.size() + tail.bytes.size() > kMaxTextBytes)
    return unsupported("chat template: too much text");
  out.append(tail);
  return Value::of(std::move(out));
}

Result<Value> contains(const Value& item, const Value& container) {
  if (container.is(Value::Type::kUndefined)) return Value::of(false);
  if (container.is(Value::Type::kList)) {
    return Value::of(std::any_of(container.list->begin(), container.list->end(),
                                 [&](const Value& v) { return equal(v, item); }));
  }
  if (item.is(Value::Type::kText) && container.is(Value::Type::kDict))
    return Value::of(container.find(item.bytes()) != nullptr);
  if (item.is(Value::Type::kText) && container.is(Value::Type::kText)) {
    return Value::of(container.bytes().find(item.bytes()) != std::string_view::npos);
  }
  return invalid_argument("chat template: a ", name_of(item.type), " in a ", name_of(container.type));
}

Result<Value> arithmetic(std::string_view op, const Value& a, const Value& b) {
  const double x = a.number(), y = b.number();
  if (op == "<") return Value::of(x < y);
  if (op == ">") return Value::of(x > y);
  if (op == "<=") return Value::of(x <= y);
  if (op == ">=") return Value::of(x >= y);
  if ((op == "/" || op == "//" || op == "%") && y == 0.0)
    return invalid_argument("chat template: division by zero");
  const double result = op == "+"    ? x + y
                        : op == "-"  ? x - y
                        : op == "*"  ? x * y
                        : op == "/"  ? x / y
                        : op == "//" ? std::floor(x / y)
                        : op == "%"  ? std::fmod(x, y)
                                     : std::nan("");
  const bool whole = a.is(Value::Type::kInt) && b.is(Value::Type::kInt) && op != "/";
  if (!std::isfinite(result) || (whole && std::abs(result) > 1e15))
    return unsupported("chat template: a number out of range");
  return whole ? Value::of(static_cast<std::int64_t>(result)) : Value::of(result);
}

}  // namespace

Result<Value> binary(std::string_view op, const Value& a, const Value& b) {
  if (op == "==") return Value::of(equal(a, b));
  if (op == "!=") return Value::of(!equal(a, b));
  if (op == "in") return contains(a, b);
  if (op == "not in") {
    ELMS_ASSIGN_OR_RETURN(const Value found, contains(a, b));
    return Value::of(!found.boolean);
  }
  const auto is_nothing = [](const Value& v) {
    return v.is(Value::Type::kUndefined) || v.is(Value::Type::kNone);
  };
  if (is_nothing(a) || is_nothing(b)) {
    return invalid_argument("chat template: ", name_of(a.type), " ", op, " ", name_of(b.type));
  }
  if (op == "~") return concatenated(a, b);
  if (a.is_number() && b.is_number()) return arithmetic(op, a, b);
  if (op == "+" && a.is(Value::Type::kList) && b.is(Value::Type::kList)) {
    if (a.list->size() + b.list->size() > kMaxItems) return unsupported("chat template: too long a list");
    List out = *a.list;
    out.insert(out.end(), b.list->begin(), b.list->end());
    return Value::of(std::move(out));
  }
  if (op == "+" && (a.is(Value::Type::kText) || b.is(Value::Type::kText))) return concatenated(a, b);
  return invalid_argument("chat template: ", name_of(a.type), " ", op, " ", name_of(b.type));
}

}  // namespace elms::inline v0::detail::jinja
