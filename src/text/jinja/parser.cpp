#include <charconv>
#include <initializer_list>

#include "text/jinja/jinja.hpp"

namespace elms::inline v0::detail::jinja {
namespace {

using NodePtr = std::unique_ptr<Node>;
using Kind = Node::Kind;

/// Recursive descent, a function for each level of precedence.
class TemplateParser {
 public:
  explicit TemplateParser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Result<Program> run() {
    Program program;
    ELMS_RETURN_IF_ERROR(parse_body({}, program));
    return program;
  }

 private:
  /// Counts the levels of a recursion.
  struct Deeper {
    explicit Deeper(int& depth) : depth_(depth) { ++depth_; }
    ~Deeper() { --depth_; }
    int& depth_;
  };

  [[nodiscard]] const Token& token(std::size_t ahead = 0) const noexcept {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  [[nodiscard]] bool at(Token::Type type) const noexcept { return token().type == type; }
  [[nodiscard]] bool at_symbol(std::string_view symbol) const noexcept {
    return at(Token::Type::kSymbol) && token().value == symbol;
  }
  [[nodiscard]] bool at_name(std::string_view name, std::size_t ahead = 0) const noexcept {
    return token(ahead).type == Token::Type::kName && token(ahead).value == name;
  }
  [[nodiscard]] bool at_statement(std::string_view name) const noexcept {
    return at(Token::Type::kOpenStatement) && at_name(name, 1);
  }
  bool take_symbol(std::string_view symbol) noexcept {
    const bool found = at_symbol(symbol);
    at_ += found ? 1 : 0;
    return found;
  }
  bool take_name(std::string_view name) noexcept {
    const bool found = at_name(name);
    at_ += found ? 1 : 0;
    return found;
  }
  Status fail(std::string_view what) const {
    return unsupported("chat template, offset ", token().offset, ": ", what,
                       token().value.empty() ? "" : ", found \"", token().value.substr(0, 40),
                       token().value.empty() ? "" : "\"");
  }
  Status expect_symbol(std::string_view symbol) {
    return take_symbol(symbol) ? Status() : fail(concat("expected ", symbol));
  }
  Status expect(Token::Type type, std::string_view what) {
    if (!at(type)) return fail(concat("expected ", what));
    ++at_;
    return {};
  }
  Result<std::string> take_identifier() {
    if (!at(Token::Type::kName)) return fail("expected a name");
    return tokens_[at_++].value;
  }
  static NodePtr make(Kind kind, std::string name = {}) {
    auto node = std::make_unique<Node>();
    node->kind = kind;
    node->name = std::move(name);
    return node;
  }
  static NodePtr constant(Value value) {
    NodePtr node = make(Kind::kConstant);
    node->constant = std::move(value);
    return node;
  }

  /// Statements up to one of `ends`, which stays; without any, up to the end of the template.
  Status parse_body(std::initializer_list<std::string_view> ends, Program& body) {
    while (true) {
      if (at(Token::Type::kEnd))
        return ends.size() == 0 ? Status() : fail(concat("expected {% ", *ends.begin(), " %}"));
      for (const std::string_view end : ends) {
        if (at_statement(end)) return {};
      }
      if (at(Token::Type::kText)) {
        NodePtr node = make(Kind::kText);
        node->constant = Value::of_text(tokens_[at_++].value);
        body.push_back(std::move(node));
      } else if (at(Token::Type::kOpenOutput)) {
        ++at_;
        NodePtr node = make(Kind::kOutput);
        ELMS_RETURN_IF_ERROR(add_child(*node, parse_expression()));
        ELMS_RETURN_IF_ERROR(expect(Token::Type::kCloseOutput, "}}"));
        body.push_back(std::move(node));
      } else {
        ELMS_RETURN_IF_ERROR(parse_statement(body));
      }
    }
  }

  static Status add_child(Node& node, Result<NodePtr> child) {
    if (!child.has_value()) return child.error();
    node.children.push_back(std::move(*child));
    return {};
  }

  /// Notes how high the tree below an expression is, and refuses one that is too high.
  Result<NodePtr> grown(NodePtr node) const {
    for (const NodePtr& child : node->children) {
      if (child != nullptr) node->height = std::max(node->height, child->height + 1);
    }
    for (const NodePtr& child : node->arguments) node->height = std::max(node->height, child->height + 1);
    for (const auto& [name, child] : node->named_arguments)
      node->height = std::max(node->height, child->height + 1);
    if (node->height > 2 * kMaxDepth) return fail("an expression of too many steps");
    return node;
  }

  Status close_statement() { return expect(Token::Type::kCloseStatement, "%}"); }
  Status end_statement(std::string_view name) {
    at_ += 2;  // parse_body() stopped here
    static_cast<void>(name);
    return close_statement();
  }

  Status parse_statement(Program& body) {
    const Deeper deeper(depth_);
    if (depth_ > kMaxDepth) return fail("too deeply nested");
    ++at_;
    if (take_name("generation") || take_name("endgeneration"))
      return close_statement();  // marks for training only
    Result<NodePtr> node = take_name("if")         ? parse_if()
                           : take_name("for")      ? parse_for()
                           : take_name("set")      ? parse_set()
                           : take_name("macro")    ? parse_macro()
                           : take_name("break")    ? parse_simple(Kind::kBreak)
                           : take_name("continue") ? parse_simple(Kind::kContinue)
                                                   : Result<NodePtr>(fail("a statement that is not known"));
    if (!node.has_value()) return node.error();
    body.push_back(std::move(*node));
    return {};
  }

  Result<NodePtr> parse_simple(Kind kind) {
    ELMS_RETURN_IF_ERROR(close_statement());
    return make(kind);
  }

  Result<NodePtr> parse_if() {
    NodePtr node = make(Kind::kIf);
    ELMS_RETURN_IF_ERROR(add_child(*node, parse_expression()));
    ELMS_RETURN_IF_ERROR(close_statement());
    ELMS_RETURN_IF_ERROR(parse_body({"endif", "else", "elif"}, node->body));
    if (at_statement("elif")) {
      const Deeper deeper(depth_);
      if (depth_ > kMaxDepth) return fail("too deeply nested");
      at_ += 2;
      ELMS_ASSIGN_OR_RETURN(NodePtr nested, parse_if());  // takes the {% endif %}
      node->otherwise.push_back(std::move(nested));
      return node;
    }
    if (at_statement("else")) {
      at_ += 2;
      ELMS_RETURN_IF_ERROR(close_statement());
      ELMS_RETURN_IF_ERROR(parse_body({"endif"}, node->otherwise));
    }
    ELMS_RETURN_IF_ERROR(end_statement("endif"));
    return node;
  }

  Result<NodePtr> parse_for() {
    NodePtr node = make(Kind::kFor);
    const bool parenthesised = take_symbol("(");
    do {
      ELMS_ASSIGN_OR_RETURN(std::string name, take_identifier());
      node->names.push_back(std::move(name));
    } while (take_symbol(","));
    if (parenthesised) ELMS_RETURN_IF_ERROR(expect_symbol(")"));
    if (!take_name("in")) return fail("expected in");
    ELMS_RETURN_IF_ERROR(add_child(*node, parse_or()));
    if (take_name("if")) {
      ELMS_RETURN_IF_ERROR(add_child(*node, parse_expression()));
    } else {
      node->children.push_back(nullptr);
    }
    if (at_name("recursive")) return fail("a recursive loop");
    ELMS_RETURN_IF_ERROR(close_statement());
    ELMS_RETURN_IF_ERROR(parse_body({"endfor", "else"}, node->body));
    if (at_statement("else")) {
      at_ += 2;
      ELMS_RETURN_IF_ERROR(close_statement());
      ELMS_RETURN_IF_ERROR(parse_body({"endfor"}, node->otherwise));
    }
    ELMS_RETURN_IF_ERROR(end_statement("endfor"));
    return node;
  }

  Result<NodePtr> parse_set() {
    NodePtr node = make(Kind::kSet);
    ELMS_RETURN_IF_ERROR(add_child(*node, parse_postfix()));
    const auto is_target = [](const Node& target) {
      return target.kind == Kind::kName || target.kind == Kind::kMember;
    };
    if (!is_target(*node->children[0])) return fail("set of what is no name");
    if (at_symbol(",")) {
      if (node->children[0]->kind != Kind::kName) return fail("set of what is no name");
      node->names.push_back(node->children[0]->name);
      while (take_symbol(",")) {
        ELMS_ASSIGN_OR_RETURN(std::string name, take_identifier());
        node->names.push_back(std::move(name));
      }
    }
    if (take_symbol("=")) {
      ELMS_RETURN_IF_ERROR(add_child(*node, parse_sequence()));
      ELMS_RETURN_IF_ERROR(close_statement());
      return node;
    }
    node->children.push_back(nullptr);
    ELMS_RETURN_IF_ERROR(close_statement());
    ELMS_RETURN_IF_ERROR(parse_body({"endset"}, node->body));
    ELMS_RETURN_IF_ERROR(end_statement("endset"));
    return node;
  }

  Result<NodePtr> parse_macro() {
    NodePtr node = make(Kind::kMacro);
    ELMS_ASSIGN_OR_RETURN(node->name, take_identifier());
    ELMS_RETURN_IF_ERROR(expect_symbol("("));
    while (!take_symbol(")")) {
      ELMS_ASSIGN_OR_RETURN(std::string name, take_identifier());
      node->names.push_back(std::move(name));
      if (take_symbol("=")) {
        ELMS_RETURN_IF_ERROR(add_child(*node, parse_expression()));
      } else {
        node->children.push_back(nullptr);
      }
      if (!at_symbol(")")) ELMS_RETURN_IF_ERROR(expect_symbol(","));
    }
    ELMS_RETURN_IF_ERROR(close_statement());
    ELMS_RETURN_IF_ERROR(parse_body({"endmacro"}, node->body));
    ELMS_RETURN_IF_ERROR(end_statement("endmacro"));
    return node;
  }

  /// `a, b` is a list.
  Result<NodePtr> parse_sequence() {
    ELMS_ASSIGN_OR_RETURN(NodePtr first, parse_expression());
    if (!at_symbol(",")) return first;
    NodePtr list = make(Kind::kList);
    list->children.push_back(std::move(first));
    while (take_symbol(",")) {
      if (at_symbol(")") || at(Token::Type::kCloseStatement)) break;
      ELMS_RETURN_IF_ERROR(add_child(*list, parse_expression()));
    }
    return grown(std::move(list));
  }

  Result<NodePtr> parse_expression() {
    const Deeper deeper(depth_);
    if (depth_ > kMaxDepth) return fail("too deeply nested");
    ELMS_ASSIGN_OR_RETURN(NodePtr value, parse_or());
    if (!take_name("if")) return value;
    NodePtr node = make(Kind::kTernary);
    ELMS_RETURN_IF_ERROR(add_child(*node, parse_or()));
    node->children.push_back(std::move(value));
    if (take_name("else")) {
      ELMS_RETURN_IF_ERROR(add_child(*node, parse_expression()));
    } else {
      node->children.push_back(nullptr);
    }
    return grown(std::move(node));
  }

  using Level = Result<NodePtr> (TemplateParser::*)();
  Result<NodePtr> join(std::string op, NodePtr left, NodePtr right) const {
    NodePtr node = make(Kind::kBinary, std::move(op));
    node->children.push_back(std::move(left));
    node->children.push_back(std::move(right));
    return grown(std::move(node));
  }
  Result<NodePtr> parse_words(std::string_view word, Level next) {
    ELMS_ASSIGN_OR_RETURN(NodePtr left, (this->*next)());
    while (take_name(word)) {
      ELMS_ASSIGN_OR_RETURN(NodePtr right, (this->*next)());
      ELMS_ASSIGN_OR_RETURN(left, join(std::string(word), std::move(left), std::move(right)));
    }
    return left;
  }
  Result<NodePtr> parse_symbols(std::initializer_list<std::string_view> symbols, Level next) {
    ELMS_ASSIGN_OR_RETURN(NodePtr left, (this->*next)());
    while (true) {
      std::string_view found;
      for (const std::string_view symbol : symbols) found = take_symbol(symbol) ? symbol : found;
      if (found.empty()) return left;
      ELMS_ASSIGN_OR_RETURN(NodePtr right, (this->*next)());
      ELMS_ASSIGN_OR_RETURN(left, join(std::string(found), std::move(left), std::move(right)));
    }
  }

  Result<NodePtr> parse_or() { return parse_words("or", &TemplateParser::parse_and); }
  Result<NodePtr> parse_and() { return parse_words("and", &TemplateParser::parse_not); }
  Result<NodePtr> parse_not() {
    if (!take_name("not")) return parse_comparison();
    const Deeper deeper(depth_);
    if (depth_ > kMaxDepth) return fail("too deeply nested");
    NodePtr node = make(Kind::kNot);
    ELMS_RETURN_IF_ERROR(add_child(*node, parse_not()));
    return grown(std::move(node));
  }

  Result<NodePtr> parse_comparison() {
    ELMS_ASSIGN_OR_RETURN(NodePtr left, parse_sum());
    while (true) {
      std::string op;
      for (const std::string_view symbol : {"==", "!=", "<=", ">=", "<", ">"}) {
        if (op.empty() && take_symbol(symbol)) op = symbol;
      }
      if (op.empty() && take_name("in")) op = "in";
      if (op.empty() && at_name("not") && at_name("in", 1)) {
        at_ += 2;
        op = "not in";
      }
      if (op.empty()) return left;
      ELMS_ASSIGN_OR_RETURN(NodePtr right, parse_sum());
      ELMS_ASSIGN_OR_RETURN(left, join(std::move(op), std::move(left), std::move(right)));
    }
  }

  Result<NodePtr> parse_sum() { return parse_symbols({"+", "-", "~"}, &TemplateParser::parse_product); }
  Result<NodePtr> parse_product() {
    return parse_symbols({"*", "//", "/", "%"}, &TemplateParser::parse_test);
  }

  Result<NodePtr> parse_test() {
    ELMS_ASSIGN_OR_RETURN(NodePtr operand, parse_filter());
    while (take_name("is")) {
      const bool negated = take_name("not");
      ELMS_ASSIGN_OR_RETURN(std::string name, take_identifier());
      if (at_symbol("(")) return fail("a test with arguments");
      NodePtr node = make(Kind::kTest, std::move(name));
      node->children.push_back(std::move(operand));
      ELMS_ASSIGN_OR_RETURN(operand, grown(std::move(node)));
      if (!negated) continue;
      node = make(Kind::kNot);
      node->children.push_back(std::move(operand));
      ELMS_ASSIGN_OR_RETURN(operand, grown(std::move(node)));
    }
    return operand;
  }

  Result<NodePtr> parse_filter() {
    ELMS_ASSIGN_OR_RETURN(NodePtr operand, parse_sign());
    while (take_symbol("|")) {
      NodePtr node = make(Kind::kFilter);
      ELMS_ASSIGN_OR_RETURN(node->name, take_identifier());
      node->children.push_back(std::move(operand));
      if (take_symbol("(")) ELMS_RETURN_IF_ERROR(parse_arguments(*node));
      ELMS_ASSIGN_OR_RETURN(operand, grown(std::move(node)));
    }
    return operand;
  }

  Result<NodePtr> parse_sign() {
    if (take_symbol("+")) return parse_sign_operand();
    if (!take_symbol("-")) return parse_postfix();
    NodePtr node = make(Kind::kNegate);
    ELMS_RETURN_IF_ERROR(add_child(*node, parse_sign_operand()));
    return grown(std::move(node));
  }
  Result<NodePtr> parse_sign_operand() {
    const Deeper deeper(depth_);
    if (depth_ > kMaxDepth) return fail("too deeply nested");
    return parse_sign();
  }

  /// Behind the opening parenthesis.
  Status parse_arguments(Node& call) {
    while (!take_symbol(")")) {
      if (at(Token::Type::kName) && token(1).type == Token::Type::kSymbol && token(1).value == "=") {
        std::string name = token().value;
        at_ += 2;
        ELMS_ASSIGN_OR_RETURN(NodePtr value, parse_expression());
        call.named_arguments.emplace_back(std::move(name), std::move(value));
      } else {
        ELMS_ASSIGN_OR_RETURN(NodePtr value, parse_expression());
        call.arguments.push_back(std::move(value));
      }
      if (!at_symbol(")")) ELMS_RETURN_IF_ERROR(expect_symbol(","));
    }
    return {};
  }

  Result<NodePtr> parse_postfix() {
    ELMS_ASSIGN_OR_RETURN(NodePtr value, parse_primary());
    while (true) {
      NodePtr node;
      if (take_symbol(".")) {
        node = make(Kind::kMember);
        ELMS_ASSIGN_OR_RETURN(node->name, take_identifier());
        node->children.push_back(std::move(value));
      } else if (take_symbol("[")) {
        ELMS_ASSIGN_OR_RETURN(node, parse_subscript(std::move(value)));
      } else if (take_symbol("(")) {
        node = make(Kind::kCall);
        node->children.push_back(std::move(value));
        ELMS_RETURN_IF_ERROR(parse_arguments(*node));
      } else {
        return value;
      }
      ELMS_ASSIGN_OR_RETURN(value, grown(std::move(node)));
    }
  }

  Result<NodePtr> parse_subscript(NodePtr object) {
    NodePtr node = make(Kind::kIndex);
    node->children.push_back(std::move(object));
    const auto parse_bound = [&]() -> Status {
      if (at_symbol(":") || at_symbol("]")) {
        node->children.push_back(nullptr);
        return {};
      }
      return add_child(*node, parse_expression());
    };
    ELMS_RETURN_IF_ERROR(parse_bound());
    while (take_symbol(":")) {
      node->kind = Kind::kSlice;
      if (node->children.size() >= 4) return fail("a slice of more than three bounds");
      ELMS_RETURN_IF_ERROR(parse_bound());
    }
    if (node->kind == Kind::kIndex && node->children[1] == nullptr) return fail("expected an index");
    ELMS_RETURN_IF_ERROR(expect_symbol("]"));
    if (node->kind == Kind::kSlice) node->children.resize(4);
    return node;
  }

  Result<NodePtr> parse_primary() {
    if (at(Token::Type::kString)) {
      std::string text;
      while (at(Token::Type::kString)) text += tokens_[at_++].value;
      return constant(Value::of_text(text));
    }
    if (at(Token::Type::kInteger) || at(Token::Type::kReal)) return parse_number();
    if (at(Token::Type::kName)) return make(Kind::kName, tokens_[at_++].value);
    if (take_symbol("(")) {
      ELMS_ASSIGN_OR_RETURN(NodePtr value, parse_sequence());
      ELMS_RETURN_IF_ERROR(expect_symbol(")"));
      return value;
    }
    if (take_symbol("[")) return parse_items(Kind::kList, "]");
    if (take_symbol("{")) return parse_items(Kind::kDict, "}");
    return fail("expected a value");
  }

  Result<NodePtr> parse_number() {
    const Token& number = tokens_[at_++];
    const char* end = number.value.data() + number.value.size();
    if (number.type == Token::Type::kReal) {
      double value = 0.0;
      std::from_chars(number.value.data(), end, value);
      return constant(Value::of(value));
    }
    std::int64_t value = 0;
    std::from_chars(number.value.data(), end, value);
    return constant(Value::of(value));
  }

  Result<NodePtr> parse_items(Kind kind, std::string_view end) {
    NodePtr node = make(kind);
    while (!take_symbol(end)) {
      ELMS_RETURN_IF_ERROR(add_child(*node, parse_expression()));
      if (kind == Kind::kDict) {
        ELMS_RETURN_IF_ERROR(expect_symbol(":"));
        ELMS_RETURN_IF_ERROR(add_child(*node, parse_expression()));
      }
      if (!at_symbol(end)) ELMS_RETURN_IF_ERROR(expect_symbol(","));
    }
    return grown(std::move(node));
  }

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

Result<Program> parse(std::string_view source) {
  ELMS_ASSIGN_OR_RETURN(std::vector<Token> tokens, tokenize(source));
  return TemplateParser(std::move(tokens)).run();
}

}  // namespace elms::inline v0::detail::jinja
