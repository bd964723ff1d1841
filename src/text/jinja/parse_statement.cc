// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "text/jinja/parser.h"

namespace quamba2::jinja {
namespace {

class StatementParser {
 public:
  explicit StatementParser(std::vector<Token> tokens) : t_(std::move(tokens)), expressions_(&t_) {}

  Block run() {
    Block block = body({}, "the template");
    return block;
  }

 private:
  // Statements up to a tag whose name is one of `ends`, which is left in place behind its "{%"; where `ends` is empty, up
  // to the end of the template.
  Block body(const std::vector<std::string>& ends, const std::string& of) {
    const Nesting nesting(&level_, t_.line());
    Block out;
    while (true) {
      const Token& token = t_.now();
      if (token.kind == TokenKind::kEnd) {
        if (!ends.empty()) unsupported_at(token.line, of + " has no {% " + ends.back() + " %}");
        return out;
      }
      if (token.kind == TokenKind::kText) {
        out.push_back(make(StatementKind::kText));
        out.back().text = t_.take().text;
      } else if (token.kind == TokenKind::kPrintBegin) {
        t_.take();
        out.push_back(make(StatementKind::kPrint));
        out.back().expression = expressions_.tuple();
        t_.expect(TokenKind::kPrintEnd, "}}");
      } else {
        t_.take();
        if (std::find(ends.begin(), ends.end(), t_.now().text) != ends.end()) return out;
        out.push_back(statement());
      }
    }
  }

  Statement make(StatementKind kind) const { return Statement{kind, t_.line()}; }
  void end_tag() { t_.expect(TokenKind::kBlockEnd, "%}"); }
  void end_tag(const char* name) {
    if (!t_.skip_name(name)) t_.refuse(name);
    end_tag();
  }

  Statement statement() {
    const int line = t_.line();
    const std::string name = t_.expect_name("the name of a statement");
    if (name == "if") return if_statement(line);
    if (name == "for") return for_statement(line);
    if (name == "set") return set_statement(line);
    if (name == "generation") return group(line);
    if (name == "break" || name == "continue") {
      if (loops_ == 0) unsupported_at(line, "a \"" + name + "\" outside of a for");
      end_tag();
      return Statement{name == "break" ? StatementKind::kBreak : StatementKind::kContinue, line};
    }
    unsupported_at(
        line, "the statement \"" + name +
                  "\" is not known or has no place here; known are: break, continue, for, generation, if, raw, set");
  }

  Statement if_statement(int line) {
    Statement out{StatementKind::kIf, line};
    ExpressionPtr condition = expressions_.expression();
    while (true) {
      end_tag();
      Block block =
          body(condition ? std::vector<std::string>{"elif", "else", "endif"} : std::vector<std::string>{"endif"},
               "the \"if\" of line " + std::to_string(line));
      out.branches.push_back({std::move(condition), std::move(block)});
      condition = nullptr;
      if (t_.skip_name("elif")) {
        condition = expressions_.expression();
      } else if (!t_.skip_name("else")) {
        break;
      }
    }
    end_tag("endif");
    return out;
  }

  // "a" or "a, b", in parentheses or not.
  std::vector<std::string> targets() {
    const bool in_parentheses = t_.skip("(");
    std::vector<std::string> names = {t_.expect_name("the name of a variable")};
    while (t_.skip(",")) names.push_back(t_.expect_name("the name of a variable"));
    if (in_parentheses) t_.expect(")");
    for (const std::string& name : names) {
      if (name == "loop") t_.refuse("another name than \"loop\"");
      for (const char* word :
           {"true", "false", "none", "True", "False", "None", "not", "in", "is", "and", "or", "if"}) {
        if (name == word) t_.refuse("the name of a variable");
      }
    }
    return names;
  }

  Statement for_statement(int line) {
    Statement out{StatementKind::kFor, line};
    out.names = targets();
    if (!t_.skip_name("in")) t_.refuse("\"in\"");
    out.expression = expressions_.expression(false);
    if (t_.skip_name("if")) out.condition = expressions_.expression();
    if (t_.now().is_name("recursive")) unsupported_at(line, "a recursive for is not known here");
    end_tag();
    const std::string what = "the \"for\" of line " + std::to_string(line);
    ++loops_;
    out.body = body({"else", "endfor"}, what);
    --loops_;
    if (t_.skip_name("else")) {
      end_tag();
      out.otherwise = body({"endfor"}, what);
    }
    end_tag("endfor");
    return out;
  }

  Statement set_statement(int line) {
    Statement out{StatementKind::kSet, line};
    out.names = targets();
    if (out.names.size() == 1 && t_.skip(".")) {
      out.text = out.names[0];
      out.names[0] = t_.expect_name("the name of a variable");
    }
    if (t_.skip("=")) {
      out.expression = expressions_.tuple();
      end_tag();
      return out;
    }
    if (t_.now().is("|")) unsupported_at(line, "a {% set %} block with a filter is not known here");
    if (out.names.size() != 1 || !out.text.empty()) t_.refuse("\"=\"");
    end_tag();
    const int loops = loops_;
    loops_ = 0;  // no break leads out of the block
    out.body = body({"endset"}, "the \"set\" of line " + std::to_string(line));
    loops_ = loops;
    end_tag("endset");
    return out;
  }

  Statement group(int line) {
    Statement out{StatementKind::kGroup, line};
    end_tag();
    out.body = body({"endgeneration"}, "the \"generation\" of line " + std::to_string(line));
    end_tag("endgeneration");
    return out;
  }

  TokenStream t_;
  ExpressionParser expressions_;
  int level_ = 0, loops_ = 0;
};

}  // namespace

Block parse(std::string_view source) { return StatementParser(lex(source)).run(); }

}  // namespace quamba2::jinja
