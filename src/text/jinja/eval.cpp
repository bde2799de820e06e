#include <array>
#include <cmath>

#include "text/jinja/jinja.hpp"

namespace elms::inline v0::detail::jinja {
namespace {

using Type = Value::Type;
using Kind = Node::Kind;

// A template is data of a file: it must end, and fit into memory.
constexpr std::size_t kMaxSteps = 500'000;
constexpr std::int64_t kMaxRange = kMaxItems;
constexpr int kMaxCalls = 50;

struct Scope {
  Scope* parent = nullptr;
  Dict variables;

  [[nodiscard]] const Value* find(std::string_view name) const noexcept {
    for (const Scope* scope = this; scope != nullptr; scope = scope->parent) {
      for (const auto& [key, value] : scope->variables) {
        if (key == name) return &value;
      }
    }
    return nullptr;
  }
};

class Interpreter {
 public:
  Interpreter(Dict globals, std::time_t now) : now_(now) { globals_.variables = std::move(globals); }

  Result<Text> run(const Program& program) {
    Text out;
    ELMS_RETURN_IF_ERROR(run_body(program, globals_, out));
    return out;
  }

 private:
  enum class Jump : std::uint8_t { kNone, kBreak, kContinue };

  static Status fail(std::string_view what) { return invalid_argument("chat template: ", what); }

  /// Stops at the first break or continue, which jump_ then tells.
  Status run_body(const Program& body, Scope& scope, Text& out) {
    for (const auto& node : body) {
      ELMS_RETURN_IF_ERROR(run_statement(*node, scope, out));
      if (jump_ != Jump::kNone) break;
    }
    return {};
  }

  Status run_statement(const Node& node, Scope& scope, Text& out) {
    if (++steps_ > kMaxSteps || out.bytes.size() > kMaxTextBytes)
      return unsupported("chat template: too much work");
    switch (node.kind) {
      case Kind::kText:
        charge_new(node.constant);
        out.append(*node.constant.text);
        return {};
      case Kind::kOutput: {
        ELMS_ASSIGN_OR_RETURN(const Value value, eval(*node.children[0], scope));
        ELMS_ASSIGN_OR_RETURN(const Text text, printed(value));
        steps_ += text.bytes.size() / kNewBytesPerStep;
        out.append(text);
        return {};
      }
      case Kind::kIf: {
        ELMS_ASSIGN_OR_RETURN(const Value condition, eval(*node.children[0], scope));
        return run_body(condition.truthy() ? node.body : node.otherwise, scope, out);
      }
      case Kind::kFor:
        return run_for(node, scope, out);
      case Kind::kSet:
        return run_set(node, scope);
      case Kind::kBreak:
        jump_ = Jump::kBreak;
        return {};
      case Kind::kContinue:
        jump_ = Jump::kContinue;
        return {};
      case Kind::kMacro: {
        Value macro;
        macro.type = Type::kMacro;
        macro.macro = &node;
        set_entry(scope.variables, node.name, std::move(macro));
        return {};
      }
      default:
        return Status(StatusCode::kInternal, "chat template: no statement");
    }
  }

  /// The items of a loop's or a set's right side for its names.
  static Status unpack(const std::vector<std::string>& names, const Value& value, Scope& scope) {
    if (names.size() == 1) {
      set_entry(scope.variables, names[0], value);
      return {};
    }
    if (!value.is(Type::kList) || value.list->size() != names.size())
      return fail("a value that cannot be unpacked");
    for (std::size_t i = 0; i < names.size(); ++i) set_entry(scope.variables, names[i], (*value.list)[i]);
    return {};
  }

  Result<List> loop_items(const Node& node, Scope& scope) {
    ELMS_ASSIGN_OR_RETURN(Value iterable, eval(*node.children[0], scope));
    if (iterable.is(Type::kDict)) {
      ELMS_ASSIGN_OR_RETURN(iterable, call_method(iterable, "keys", {}));
    }
    if (!iterable.is(Type::kList)) return fail(concat("a loop over a ", name_of(iterable.type)));
    if (node.children[1] == nullptr) return *iterable.list;
    List items;
    Scope trial{&scope, {}};
    for (const Value& item : *iterable.list) {
      ELMS_RETURN_IF_ERROR(unpack(node.names, item, trial));
      ELMS_ASSIGN_OR_RETURN(const Value wanted, eval(*node.children[1], trial));
      if (wanted.truthy()) items.push_back(item);
    }
    return items;
  }

  Status run_for(const Node& node, Scope& outer, Text& out) {
    ELMS_ASSIGN_OR_RETURN(const List items, loop_items(node, outer));
    steps_ += items.size() / kCopiedItemsPerStep;
    Scope scope{&outer, {}};
    const auto n = static_cast<std::int64_t>(items.size());
    for (std::int64_t i = 0; i < n; ++i) {
      const auto at = static_cast<std::size_t>(i);
      Dict loop = {{"index", Value::of(i + 1)},
                   {"index0", Value::of(i)},
                   {"revindex", Value::of(n - i)},
                   {"revindex0", Value::of(n - i - 1)},
                   {"first", Value::of(i == 0)},
                   {"last", Value::of(i + 1 == n)},
                   {"length", Value::of(n)},
                   {"previtem", i > 0 ? items[at - 1] : Value()},
                   {"nextitem", i + 1 < n ? items[at + 1] : Value()}};
      set_entry(scope.variables, "loop", Value::of(std::move(loop)));
      ELMS_RETURN_IF_ERROR(unpack(node.names, items[at], scope));
      ELMS_RETURN_IF_ERROR(run_body(node.body, scope, out));
      const Jump jump = std::exchange(jump_, Jump::kNone);
      if (jump == Jump::kBreak) break;
    }
    return items.empty() ? run_body(node.otherwise, scope, out) : Status();
  }

  Status run_set(const Node& node, Scope& scope) {
    Value value;
    if (node.children[1] != nullptr) {
      ELMS_ASSIGN_OR_RETURN(value, eval(*node.children[1], scope));
    } else {
      Text text;
      ELMS_RETURN_IF_ERROR(run_body(node.body, scope, text));
      value = Value::of(std::move(text));
    }
    const Node& target = *node.children[0];
    steps_ += scope.variables.size() / kReadEntriesPerStep;
    if (!node.names.empty()) return unpack(node.names, value, scope);
    if (target.kind == Kind::kName) {
      set_entry(scope.variables, target.name, std::move(value));
      return {};
    }
    ELMS_ASSIGN_OR_RETURN(const Value object, eval(*target.children[0], scope));
    if (!object.is(Type::kNamespace)) return fail("an attribute is set on what is no namespace");
    if (value.depth >= kMaxDepth) return unsupported("chat template: values too deep in each other");
    set_entry(*object.dict, target.name, std::move(value));
    return {};
  }

  // What work is worth in steps: a step is some 100 ns.
  static constexpr std::size_t kNewBytesPerStep = 256, kReadBytesPerStep = 256;
  static constexpr std::size_t kCopiedItemsPerStep = 8, kReadEntriesPerStep = 32;

  void charge_new(const Value& value) noexcept {
    steps_ += value.bytes().size() / kNewBytesPerStep + (value.list != nullptr ? value.list->size() : 0);
  }
  /// For whoever searches or compares it.
  void charge_read(const Value& value) noexcept {
    steps_ += value.bytes().size() / kReadBytesPerStep;
    if (value.list != nullptr) steps_ += value.list->size() / kReadEntriesPerStep;
    if (value.dict != nullptr) steps_ += value.dict->size() / kReadEntriesPerStep;
  }

  /// A new text or list costs more steps the longer it is, and so does every use of an old one.
  Result<Value> eval(const Node& node, Scope& scope) {
    if (++steps_ > kMaxSteps) return unsupported("chat template: too much work");
    if (node.kind == Kind::kName) {
      for (const Scope* s = &scope; s != nullptr; s = s->parent)
        steps_ += s->variables.size() / kReadEntriesPerStep;
    }
    ELMS_ASSIGN_OR_RETURN(Value out, eval_kind(node, scope));
    const bool is_new = node.kind == Kind::kBinary || node.kind == Kind::kCall ||
                        node.kind == Kind::kFilter || node.kind == Kind::kSlice;
    is_new ? charge_new(out) : charge_read(out);
    return out;
  }

  Result<Value> eval_kind(const Node& node, Scope& scope) {
    switch (node.kind) {
      case Kind::kConstant:
        return node.constant;
      case Kind::kName: {
        const Value* found = scope.find(node.name);
        return found != nullptr ? *found : Value();
      }
      case Kind::kList:
      case Kind::kDict:
        return eval_items(node, scope);
      case Kind::kMember: {
        ELMS_ASSIGN_OR_RETURN(const Value object, eval(*node.children[0], scope));
        return member(object, node.name);
      }
      case Kind::kIndex:
        return eval_index(node, scope);
      case Kind::kSlice:
        return eval_slice(node, scope);
      case Kind::kCall:
        return eval_call(node, scope);
      case Kind::kFilter: {
        ELMS_ASSIGN_OR_RETURN(const Value value, eval(*node.children[0], scope));
        ELMS_ASSIGN_OR_RETURN(const Arguments arguments, eval_arguments(node, scope));
        if (node.name == "selectattr" || node.name == "rejectattr")
          return select_items(value, node.name, arguments);
        return apply_filter(value, node.name, arguments);
      }
      case Kind::kTest: {
        ELMS_ASSIGN_OR_RETURN(const Value value, eval(*node.children[0], scope));
        ELMS_ASSIGN_OR_RETURN(const bool holds, apply_test(value, node.name));
        return Value::of(holds);
      }
      case Kind::kNot: {
        ELMS_ASSIGN_OR_RETURN(const Value value, eval(*node.children[0], scope));
        return Value::of(!value.truthy());
      }
      case Kind::kNegate: {
        ELMS_ASSIGN_OR_RETURN(const Value value, eval(*node.children[0], scope));
        if (!value.is_number()) return fail(concat("minus a ", name_of(value.type)));
        return value.is(Type::kInt) ? Value::of(-value.integer) : Value::of(-value.real);
      }
      case Kind::kBinary:
        return eval_binary(node, scope);
      case Kind::kTernary: {
        ELMS_ASSIGN_OR_RETURN(const Value condition, eval(*node.children[0], scope));
        const Node* chosen = node.children[condition.truthy() ? 1 : 2].get();
        return chosen != nullptr ? eval(*chosen, scope) : Result<Value>(Value());
      }
      default:
        return Status(StatusCode::kInternal, "chat template: no expression");
    }
  }

  Result<Value> eval_items(const Node& node, Scope& scope) {
    List items;
    for (const auto& child : node.children) {
      ELMS_ASSIGN_OR_RETURN(Value item, eval(*child, scope));
      items.push_back(std::move(item));
    }
    Value value;
    if (node.kind == Kind::kList) {
      value = Value::of(std::move(items));
    } else {
      Dict dict;
      for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
        steps_ += dict.size() / kReadEntriesPerStep;
        if (!items[i].is(Type::kText)) return fail("a key that is no string");
        set_entry(dict, items[i].bytes(), items[i + 1]);
      }
      value = Value::of(std::move(dict));
    }
    if (value.depth >= kMaxDepth) return unsupported("chat template: values too deep in each other");
    return value;
  }

  static Result<Value> member(const Value& object, std::string_view name) {
    if (const Value* found = object.find(name)) return *found;
    if (!has_method(object, name)) return Value();
    Value method = Value::of_function(name);
    method.self = std::make_shared<const Value>(object);
    method.depth = object.depth + 1;
    return method;
  }

  Result<Value> eval_index(const Node& node, Scope& scope) {
    ELMS_ASSIGN_OR_RETURN(const Value object, eval(*node.children[0], scope));
    ELMS_ASSIGN_OR_RETURN(const Value index, eval(*node.children[1], scope));
    if (index.is(Type::kText)) return member(object, index.bytes());
    if (!index.is(Type::kInt) || !object.is(Type::kList)) {
      return object.is(Type::kText) ? Result<Value>(unsupported("chat template: a character of a string"))
                                    : Result<Value>(fail(concat("an index of a ", name_of(object.type))));
    }
    const auto n = static_cast<std::int64_t>(object.list->size());
    const std::int64_t at = index.integer < 0 ? index.integer + n : index.integer;
    return at >= 0 && at < n ? (*object.list)[static_cast<std::size_t>(at)] : Value();
  }

  Result<Value> eval_slice(const Node& node, Scope& scope) {
    ELMS_ASSIGN_OR_RETURN(const Value object, eval(*node.children[0], scope));
    std::array<Value, 3> bounds;
    for (std::size_t i = 0; i < 3; ++i) {
      if (node.children[i + 1] == nullptr) continue;
      ELMS_ASSIGN_OR_RETURN(bounds[i], eval(*node.children[i + 1], scope));
    }
    return slice(object, bounds[0], bounds[1], bounds[2]);
  }

  Result<Arguments> eval_arguments(const Node& node, Scope& scope) {
    Arguments arguments;
    for (const auto& argument : node.arguments) {
      ELMS_ASSIGN_OR_RETURN(Value value, eval(*argument, scope));
      arguments.positional.push_back(std::move(value));
    }
    for (const auto& [name, argument] : node.named_arguments) {
      ELMS_ASSIGN_OR_RETURN(Value value, eval(*argument, scope));
      set_entry(arguments.named, name, std::move(value));
    }
    return arguments;
  }

  Result<Value> eval_call(const Node& node, Scope& scope) {
    ELMS_ASSIGN_OR_RETURN(const Value callee, eval(*node.children[0], scope));
    ELMS_ASSIGN_OR_RETURN(Arguments arguments, eval_arguments(node, scope));
    if (callee.is(Type::kMacro)) return call_macro(*callee.macro, arguments, scope);
    if (!callee.is(Type::kFunction)) {
      const bool named = node.children[0]->kind == Kind::kName && callee.is(Type::kUndefined);
      return named ? Result<Value>(unsupported("chat template: function ", node.children[0]->name))
                   : Result<Value>(fail(concat("a call of a ", name_of(callee.type))));
    }
    return callee.self != nullptr ? call_method(*callee.self, callee.function, arguments)
                                  : call_function(callee.function, arguments);
  }

  Result<Value> call_macro(const Node& macro, const Arguments& arguments, Scope& scope) {
    if (n_calls_ >= kMaxCalls) return unsupported("chat template: macros call each other too deeply");
    if (arguments.positional.size() > macro.names.size())
      return fail(concat("too many arguments of ", macro.name));
    Scope inner{&scope, {}};
    for (std::size_t i = 0; i < macro.names.size(); ++i) {
      const Value* given = arguments.get(i, macro.names[i]);
      Value value = given != nullptr ? *given : Value();
      if (given == nullptr && macro.children[i] != nullptr) {
        ELMS_ASSIGN_OR_RETURN(value, eval(*macro.children[i], inner));
      }
      set_entry(inner.variables, macro.names[i], std::move(value));
    }
    ++n_calls_;
    Text out;
    const Status status = run_body(macro.body, inner, out);
    --n_calls_;
    if (!status.ok()) return status;
    return Value::of(std::move(out));
  }

  Result<Value> call_function(std::string_view name, const Arguments& arguments) {
    const std::vector<Value>& given = arguments.positional;
    if (name == "raise_exception") {
      return invalid_argument("chat template: ",
                              given.empty() ? std::string_view("not possible") : given[0].bytes());
    }
    if (name == "strftime_now") {
      if (given.empty() || !given[0].is(Type::kText)) return fail("strftime_now() of what is no string");
      return Value::of_text(formatted_time(given[0].bytes(), now_));
    }
    if (name == "namespace") {
      if (!given.empty()) return unsupported("chat template: namespace() of a value");
      for (const auto& [key, value] : arguments.named) {
        if (value.depth >= kMaxDepth) return unsupported("chat template: values too deep in each other");
      }
      Value out = Value::of(arguments.named);
      out.type = Type::kNamespace;
      out.depth = kMaxDepth;  // in no other value: it could come to hold itself
      return out;
    }
    return call_range(given);
  }

  static Result<Value> call_range(const std::vector<Value>& given) {
    std::array<std::int64_t, 3> bounds = {0, 0, 1};
    if (given.empty() || given.size() > 3) return fail("range() takes one to three integers");
    for (std::size_t i = 0; i < given.size(); ++i) {
      if (!given[i].is(Type::kInt)) return fail("range() takes one to three integers");
      bounds[given.size() == 1 ? 1 : i] = given[i].integer;
    }
    const auto [begin, end, step] = bounds;
    if (step == 0) return fail("range() with no step");
    if (std::abs(static_cast<double>(end) - static_cast<double>(begin)) > static_cast<double>(kMaxRange)) {
      return unsupported("chat template: a range of more than ", kMaxRange);
    }
    List out;
    for (std::int64_t i = begin; step > 0 ? i < end : i > end; i += step) {
      out.push_back(Value::of(i));
      if (std::abs(static_cast<double>(step)) > static_cast<double>(kMaxRange)) break;
    }
    return Value::of(std::move(out));
  }

  /// Items of a list by an attribute: `selectattr("role", "equalto", "user")`.
  static Result<Value> select_items(const Value& value, std::string_view name, const Arguments& arguments) {
    const std::vector<Value>& given = arguments.positional;
    if (!value.is(Type::kList) || given.empty() || !given[0].is(Type::kText))
      return fail(concat(name, " of what is no list"));
    List out;
    for (const Value& item : *value.list) {
      const Value* found = item.find(given[0].bytes());
      const Value attribute = found != nullptr ? *found : Value();
      bool holds = attribute.truthy();
      if (found == nullptr) {
        holds = false;  // in @huggingface/jinja an absent attribute passes no test, "undefined" included
      } else if (given.size() == 3 &&
                 (given[1].bytes() == "equalto" || given[1].bytes() == "eq" || given[1].bytes() == "==")) {
        holds = equal(attribute, given[2]);
      } else if (given.size() == 2) {
        ELMS_ASSIGN_OR_RETURN(holds, apply_test(attribute, given[1].bytes()));
      } else if (given.size() > 1) {
        return unsupported("chat template: ", name, " with test ", given[1].bytes());
      }
      if (holds == (name == "selectattr")) out.push_back(item);
    }
    return Value::of(std::move(out));
  }

  Result<Value> eval_binary(const Node& node, Scope& scope) {
    ELMS_ASSIGN_OR_RETURN(Value left, eval(*node.children[0], scope));
    if (node.name == "and")
      return left.truthy() ? eval(*node.children[1], scope) : Result<Value>(std::move(left));
    if (node.name == "or")
      return left.truthy() ? Result<Value>(std::move(left)) : eval(*node.children[1], scope);
    ELMS_ASSIGN_OR_RETURN(const Value right, eval(*node.children[1], scope));
    if (left.bytes().size() + right.bytes().size() > kMaxTextBytes)
      return unsupported("chat template: too much text");
    return binary(node.name, left, right);
  }

  Scope globals_;
  std::time_t now_;
  Jump jump_ = Jump::kNone;
  std::size_t steps_ = 0;
  int n_calls_ = 0;
};

}  // namespace

Result<Text> render(const Program& program, Dict globals, std::time_t now) {
  for (const char* name : {"true", "True"}) set_entry(globals, name, Value::of(true));
  for (const char* name : {"false", "False"}) set_entry(globals, name, Value::of(false));
  for (const char* name : {"none", "None"}) set_entry(globals, name, Value::none());
  for (const char* name : {"raise_exception", "strftime_now", "namespace", "range"}) {
    set_entry(globals, name, Value::of_function(name));
  }
  return Interpreter(std::move(globals), now).run(program);
}

}  // namespace elms::inline v0::detail::jinja
