// SPDX-License-Identifier: Apache-2.0
// From tokens to a tree: the grammar of Jinja as far as chat templates need it.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/lexer.h"
#include "text/jinja/syntax.h"

namespace quamba2::jinja {

// A place in the tokens. The last one, kEnd, is never passed.
class TokenStream {
 public:
  explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}
  const Token& now() const { return tokens_[at_]; }
  const Token& ahead() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  int line() const { return now().line; }
  Token take();
  bool skip(std::string_view op);  // an operator, where it is there
  bool skip_name(std::string_view name);
  void expect(std::string_view op);
  std::string expect_name(const char* what);
  void expect(TokenKind kind, const char* what);
  [[noreturn]] void refuse(const std::string& wanted) const;

 private:
  std::vector<Token> tokens_;
  size_t at_ = 0;
};

// Counts how deep the parser stands in itself.
class Nesting {
 public:
  Nesting(int* level, int line);
  ~Nesting() { --*level_; }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;

 private:
  int* level_;
};

class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream* tokens) : t_(*tokens) {}

  ExpressionPtr expression(bool with_if = true);
  ExpressionPtr tuple();  // "a, b": a tuple without parentheses
  int* level() { return &level_; }

 private:
  ExpressionPtr make(ExpressionKind kind, int line, std::vector<ExpressionPtr> operands, std::string text = {});
  ExpressionPtr disjunction();
  ExpressionPtr conjunction();
  ExpressionPtr negation();
  ExpressionPtr comparison();
  ExpressionPtr sum();
  ExpressionPtr concatenation();
  ExpressionPtr product();
  ExpressionPtr unary(bool with_filter);
  ExpressionPtr primary();
  ExpressionPtr string();
  ExpressionPtr in_parentheses();
  ExpressionPtr list();
  ExpressionPtr dict();
  ExpressionPtr postfix(ExpressionPtr e);
  ExpressionPtr filters(ExpressionPtr e);
  ExpressionPtr member(ExpressionPtr e);
  ExpressionPtr subscript(ExpressionPtr e);
  ExpressionPtr test(ExpressionPtr e);
  void arguments(Expression* call);
  TokenStream& t_;
  int level_ = 0;
};

}  // namespace quamba2::jinja
