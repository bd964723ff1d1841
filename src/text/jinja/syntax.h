// SPDX-License-Identifier: Apache-2.0
// A parsed template.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja/value.h"

namespace quamba2::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

enum class ExpressionKind {
  kConstant,   // value
  kName,       // text
  kList,       // operands
  kTuple,      // operands
  kDict,       // operands: key, value, key, value ...
  kNot,        // operands[0]
  kNegate,     // operands[0]
  kPlus,       // operands[0]: a unary plus
  kAnd,        // operands[0], [1]
  kOr,         // operands[0], [1]
  kBinary,     // text is the operator: + - * / // % ~
  kCompare,    // operands[0] names[0] operands[1] names[1] operands[2] ...: "==", "in", "not in" ...
  kIf,         // operands: value, condition, other value (absent: undefined)
  kAttribute,  // operands[0].text
  kSubscript,  // operands[0][operands[1]]
  kSlice,      // operands[0][a:b:c]; absent bounds are None
  kCall,       // operands[0] is called with the other operands and `named`
  kMethod,     // operands[0].text(other operands, named)
  kFilter,     // operands[0] | text(other operands, named)
  kTest,       // operands[0] is text(other operands)
};

struct Expression {
  ExpressionKind kind;
  int line = 0;
  int depth = 1;  // levels of expressions inside: evaluation recurses
  std::string text = {};
  Value value = {};
  std::vector<ExpressionPtr> operands = {};
  std::vector<std::string> names = {};
  std::vector<std::pair<std::string, ExpressionPtr>> named = {};
};

struct Statement;
using Block = std::vector<Statement>;

enum class StatementKind {
  kText,   // text
  kPrint,  // expression
  kIf,     // branches; the last one's condition is absent for else
  kFor,    // names in expression (if condition) body, otherwise
  kSet,    // names = expression, or one name = body where there is no expression; text: the namespace of the name
  kBreak,
  kContinue,
  kGroup  // body: what a generation block holds
};

struct Branch {
  ExpressionPtr condition;
  Block body;
};

struct Statement {
  StatementKind kind;
  int line = 0;
  std::string text = {};
  ExpressionPtr expression = {}, condition = {};
  std::vector<std::string> names = {};
  std::vector<Branch> branches = {};
  Block body = {}, otherwise = {};
};

// Throws Error{kModelFile}, naming what it does not know and the line. `source` is valid UTF-8.
Block parse(std::string_view source);

}  // namespace quamba2::jinja
