// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>

#include "text/jinja/builtins.h"
#include "text/jinja/parser.h"

namespace quamba2::jinja {

Token TokenStream::take() {
  Token token = tokens_[at_];
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool TokenStream::skip(std::string_view op) {
  if (!now().is(op)) return false;
  take();
  return true;
}

bool TokenStream::skip_name(std::string_view name) {
  if (!now().is_name(name)) return false;
  take();
  return true;
}

void TokenStream::expect(std::string_view op) {
  if (!skip(op)) refuse("\"" + std::string(op) + "\"");
}

std::string TokenStream::expect_name(const char* what) {
  if (now().kind != TokenKind::kName) refuse(what);
  return take().text;
}

void TokenStream::expect(TokenKind kind, const char* what) {
  if (now().kind != kind) refuse(what);
  take();
}

void TokenStream::refuse(const std::string& wanted) const {
  const Token& token = now();
  std::string found = "\"" + token.text + "\"";
  if (token.kind == TokenKind::kBlockEnd || token.kind == TokenKind::kPrintEnd) found = "the end of the tag";
  if (token.kind == TokenKind::kEnd) found = "the end of the template";
  unsupported_at(token.line, wanted + " is expected where " + found + " is");
}

Nesting::Nesting(int* level, int line) : level_(level) {
  if (++*level_ <= kMaxNesting) return;
  --*level_;  // no destructor runs
  unsupported_at(line, "it is nested deeper than " + std::to_string(kMaxNesting) + " levels");
}

ExpressionPtr ExpressionParser::make(ExpressionKind kind, int line, std::vector<ExpressionPtr> operands,
                                     std::string text) {
  auto e = std::make_unique<Expression>(Expression{kind, line});
  e->text = std::move(text);
  for (const ExpressionPtr& operand : operands) {
    if (operand) e->depth = std::max(e->depth, operand->depth + 1);
  }
  // A long chain of operators nests without the parser doing so.
  if (e->depth > 2 * kMaxNesting) unsupported_at(line, "an expression has too many operators");
  e->operands = std::move(operands);
  return e;
}

namespace {

std::vector<ExpressionPtr> together(ExpressionPtr a, ExpressionPtr b = {}, ExpressionPtr c = {}) {
  std::vector<ExpressionPtr> out;
  out.push_back(std::move(a));
  if (b) out.push_back(std::move(b));
  if (c) out.push_back(std::move(c));
  return out;
}

}  // namespace

ExpressionPtr ExpressionParser::expression(bool with_if) {
  const Nesting nesting(&level_, t_.line());
  ExpressionPtr e = disjunction();
  while (with_if && t_.now().is_name("if")) {
    const int line = t_.take().line;
    ExpressionPtr condition = disjunction();
    ExpressionPtr other;
    if (t_.skip_name("else")) other = expression();
    e = make(ExpressionKind::kIf, line, together(std::move(e), std::move(condition), std::move(other)));
  }
  return e;
}

ExpressionPtr ExpressionParser::tuple() {
  const int line = t_.line();
  ExpressionPtr first = expression();
  if (!t_.now().is(",")) return first;
  std::vector<ExpressionPtr> items = together(std::move(first));
  while (t_.skip(",")) {
    if (t_.now().kind == TokenKind::kBlockEnd || t_.now().kind == TokenKind::kPrintEnd || t_.now().is(")")) break;
    items.push_back(expression());
  }
  return make(ExpressionKind::kTuple, line, std::move(items));
}

ExpressionPtr ExpressionParser::disjunction() {
  ExpressionPtr e = conjunction();
  while (t_.now().is_name("or")) {
    const int line = t_.take().line;
    e = make(ExpressionKind::kOr, line, together(std::move(e), conjunction()));
  }
  return e;
}

ExpressionPtr ExpressionParser::conjunction() {
  ExpressionPtr e = negation();
  while (t_.now().is_name("and")) {
    const int line = t_.take().line;
    e = make(ExpressionKind::kAnd, line, together(std::move(e), negation()));
  }
  return e;
}

ExpressionPtr ExpressionParser::negation() {
  if (!t_.now().is_name("not")) return comparison();
  const Nesting nesting(&level_, t_.line());
  const int line = t_.take().line;
  return make(ExpressionKind::kNot, line, together(negation()));
}

ExpressionPtr ExpressionParser::comparison() {
  const int line = t_.line();
  std::vector<ExpressionPtr> operands = together(sum());
  std::vector<std::string> names;
  while (true) {
    const Token& token = t_.now();
    if (token.is("==") || token.is("!=") || token.is("<") || token.is("<=") || token.is(">") || token.is(">=") ||
        token.is_name("in")) {
      names.push_back(t_.take().text);
    } else if (token.is_name("not") && t_.ahead().is_name("in")) {
      t_.take();
      t_.take();
      names.push_back("not in");
    } else {
      break;
    }
    operands.push_back(sum());
  }
  if (names.empty()) return std::move(operands[0]);
  ExpressionPtr e = make(ExpressionKind::kCompare, line, std::move(operands));
  e->names = std::move(names);
  return e;
}

ExpressionPtr ExpressionParser::sum() {
  ExpressionPtr e = concatenation();
  while (t_.now().is("+") || t_.now().is("-")) {
    const Token op = t_.take();
    e = make(ExpressionKind::kBinary, op.line, together(std::move(e), concatenation()), op.text);
  }
  return e;
}

ExpressionPtr ExpressionParser::concatenation() {
  ExpressionPtr e = product();
  while (t_.now().is("~")) {
    const Token op = t_.take();
    e = make(ExpressionKind::kBinary, op.line, together(std::move(e), product()), op.text);
  }
  return e;
}

ExpressionPtr ExpressionParser::product() {
  ExpressionPtr e = unary(true);
  while (t_.now().is("*") || t_.now().is("/") || t_.now().is("//") || t_.now().is("%")) {
    const Token op = t_.take();
    e = make(ExpressionKind::kBinary, op.line, together(std::move(e), unary(true)), op.text);
  }
  if (t_.now().is("**")) unsupported_at(t_.line(), "the operator ** is not known here");
  return e;
}

ExpressionPtr ExpressionParser::unary(bool with_filter) {
  const Nesting nesting(&level_, t_.line());
  ExpressionPtr e;
  if (t_.now().is("-") || t_.now().is("+")) {
    const Token op = t_.take();
    e = make(op.text == "-" ? ExpressionKind::kNegate : ExpressionKind::kPlus, op.line, together(unary(false)));
  } else {
    e = postfix(primary());
  }
  return with_filter ? filters(std::move(e)) : std::move(e);
}

ExpressionPtr ExpressionParser::primary() {
  const Token& token = t_.now();
  if (token.is("(")) return in_parentheses();
  if (token.is("[")) return list();
  if (token.is("{")) return dict();
  if (token.kind == TokenKind::kString) return string();
  const bool constant = token.kind == TokenKind::kInt || token.kind == TokenKind::kFloat;
  if (!constant && token.kind != TokenKind::kName) t_.refuse("a value");
  for (const char* word : {"if", "else", "and", "or", "in", "is", "not"}) {
    if (token.is_name(word)) t_.refuse("a value");
  }
  ExpressionPtr e = make(constant ? ExpressionKind::kConstant : ExpressionKind::kName, token.line, {}, token.text);
  const std::string text = t_.take().text;
  const char* end = text.data() + text.size();
  if (e->kind == ExpressionKind::kName) {
    for (const auto& [name, value] : {std::pair<const char*, Value>{"true", true},
                                      {"True", true},
                                      {"false", false},
                                      {"False", false},
                                      {"none", {}},
                                      {"None", {}}}) {
      if (text == name) e->kind = ExpressionKind::kConstant, e->value = value;
    }
    return e;
  }
  if (text.find_first_not_of("0123456789") == text.npos) {
    int64_t v = 0;
    if (std::from_chars(text.data(), end, v).ec != std::errc()) unsupported_at(e->line, "a number needs over 64 bits");
    e->value = v;
  } else {
    double v = 0;
    if (std::from_chars(text.data(), end, v).ec != std::errc()) unsupported_at(e->line, "a number is out of range");
    e->value = v;
  }
  return e;
}

ExpressionPtr ExpressionParser::string() {
  ExpressionPtr e = make(ExpressionKind::kConstant, t_.line(), {});
  std::string text;
  while (t_.now().kind == TokenKind::kString) text += t_.take().text;  // strings side by side are one
  e->value = std::move(text);
  return e;
}

ExpressionPtr ExpressionParser::in_parentheses() {
  const int line = t_.take().line;
  if (t_.skip(")")) return make(ExpressionKind::kTuple, line, {});
  ExpressionPtr e = tuple();
  t_.expect(")");
  return e;
}

ExpressionPtr ExpressionParser::list() {
  const int line = t_.take().line;
  std::vector<ExpressionPtr> items;
  while (!t_.now().is("]")) {
    items.push_back(expression());
    if (!t_.skip(",")) break;
  }
  t_.expect("]");
  return make(ExpressionKind::kList, line, std::move(items));
}

ExpressionPtr ExpressionParser::dict() {
  const int line = t_.take().line;
  std::vector<ExpressionPtr> items;
  while (!t_.now().is("}")) {
    items.push_back(expression());
    t_.expect(":");
    items.push_back(expression());
    if (!t_.skip(",")) break;
  }
  t_.expect("}");
  return make(ExpressionKind::kDict, line, std::move(items));
}

ExpressionPtr ExpressionParser::postfix(ExpressionPtr e) {
  while (true) {
    if (t_.now().is(".")) {
      e = member(std::move(e));
    } else if (t_.now().is("[")) {
      e = subscript(std::move(e));
    } else if (t_.now().is("(")) {
      e = make(ExpressionKind::kCall, t_.line(), together(std::move(e)));
      if (e->operands[0]->kind != ExpressionKind::kName || !known_function(e->operands[0]->text)) {
        const bool named = e->operands[0]->kind == ExpressionKind::kName;
        unsupported_at(e->line, (named ? "the function \"" + e->operands[0]->text + "\"" : "calling this") +
                                    " is not known here; known are: " + function_names());
      }
      arguments(e.get());
    } else {
      return e;
    }
  }
}

ExpressionPtr ExpressionParser::member(ExpressionPtr e) {
  const int line = t_.take().line;
  if (t_.now().kind == TokenKind::kInt) {
    ExpressionPtr index = primary();
    return make(ExpressionKind::kSubscript, line, together(std::move(e), std::move(index)));
  }
  const std::string name = t_.expect_name("a name");
  if (!t_.now().is("(")) return make(ExpressionKind::kAttribute, line, together(std::move(e)), name);
  if (!known_method(name)) {
    unsupported_at(line, "the method \"" + name + "\" is not known here; known are: " + method_names());
  }
  e = make(ExpressionKind::kMethod, line, together(std::move(e)), name);
  arguments(e.get());
  return e;
}

ExpressionPtr ExpressionParser::subscript(ExpressionPtr e) {
  const int line = t_.take().line;
  const auto bound = [&]() -> ExpressionPtr {
    if (t_.now().is(":") || t_.now().is("]")) return make(ExpressionKind::kConstant, line, {});
    return expression();
  };
  ExpressionPtr first = bound();
  if (!t_.now().is(":")) {
    if (first->kind == ExpressionKind::kConstant && first->value.is_none()) t_.refuse("an index");
    t_.expect("]");
    return make(ExpressionKind::kSubscript, line, together(std::move(e), std::move(first)));
  }
  std::vector<ExpressionPtr> operands = together(std::move(e), std::move(first));
  while (operands.size() < 4 && t_.skip(":")) operands.push_back(bound());
  while (operands.size() < 4) operands.push_back(make(ExpressionKind::kConstant, line, {}));
  t_.expect("]");
  return make(ExpressionKind::kSlice, line, std::move(operands));
}

ExpressionPtr ExpressionParser::filters(ExpressionPtr e) {
  while (true) {
    if (t_.skip("|")) {
      const int line = t_.line();
      const std::string name = t_.expect_name("the name of a filter");
      if (!known_filter(name)) {
        unsupported_at(line, "the filter \"" + name + "\" is not known here; known are: " + filter_names());
      }
      e = make(ExpressionKind::kFilter, line, together(std::move(e)), name);
      if (t_.now().is("(")) arguments(e.get());
    } else if (t_.now().is_name("is")) {
      e = test(std::move(e));
    } else if (t_.now().is("(")) {
      unsupported_at(t_.line(), "calling what a filter gives is not known here");
    } else {
      return e;
    }
  }
}

ExpressionPtr ExpressionParser::test(ExpressionPtr e) {
  t_.take();
  const int line = t_.line();
  const bool negated = t_.skip_name("not");
  const std::string name = t_.expect_name("the name of a test");
  if (!known_test(name)) {
    unsupported_at(line, "the test \"" + name + "\" is not known here; known are: " + test_names());
  }
  e = make(ExpressionKind::kTest, line, together(std::move(e)), name);
  const Token& next = t_.now();
  const bool begins_value = next.kind == TokenKind::kName || next.kind == TokenKind::kString ||
                            next.kind == TokenKind::kInt || next.kind == TokenKind::kFloat || next.is("[") ||
                            next.is("{");
  if (next.is("(")) {
    arguments(e.get());
  } else if (begins_value && !next.is_name("else") && !next.is_name("or") && !next.is_name("and")) {
    if (next.is_name("is")) unsupported_at(line, "a test of a test is not known here");
    e->operands.push_back(postfix(primary()));  // "is divisibleby 3"
    e->depth = std::max(e->depth, e->operands.back()->depth + 1);
  }
  if (!negated) return e;
  return make(ExpressionKind::kNot, line, together(std::move(e)));
}

void ExpressionParser::arguments(Expression* call) {
  t_.expect("(");
  const auto grow = [&](const ExpressionPtr& e) { call->depth = std::max(call->depth, e->depth + 1); };
  while (!t_.now().is(")")) {
    if (t_.now().is("*") || t_.now().is("**")) unsupported_at(t_.line(), "arguments with * or ** are not known here");
    if (t_.now().kind == TokenKind::kName && t_.ahead().is("=")) {
      const std::string name = t_.take().text;
      t_.take();
      call->named.emplace_back(name, expression());
      grow(call->named.back().second);
    } else {
      if (!call->named.empty()) t_.refuse("a named argument");
      call->operands.push_back(expression());
      grow(call->operands.back());
    }
    if (!t_.skip(",")) break;
  }
  t_.expect(")");
  if (call->depth > 2 * kMaxNesting) unsupported_at(call->line, "an expression has too many operators");
}

}  // namespace quamba2::jinja
