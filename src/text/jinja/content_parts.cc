// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/content_parts.h"

#include <algorithm>

namespace quamba2::jinja {
namespace {

bool is_content(const Expression& e) {
  switch (e.kind) {
    case ExpressionKind::kName:
    case ExpressionKind::kAttribute: return e.text == "content";
    case ExpressionKind::kSubscript: {
      const std::string* key = e.operands[1]->value.string();
      return e.operands[1]->kind == ExpressionKind::kConstant && key && *key == "content";
    }
    case ExpressionKind::kFilter: return is_content(*e.operands[0]);
    default: return false;
  }
}

bool in_statement(const Statement& s) {
  if (s.kind == StatementKind::kFor && is_content(*s.expression)) return true;
  return goes_through_content(s.body) || goes_through_content(s.otherwise) ||
         std::any_of(s.branches.begin(), s.branches.end(),
                     [](const Branch& branch) { return goes_through_content(branch.body); });
}

}  // namespace

bool goes_through_content(const Block& block) { return std::any_of(block.begin(), block.end(), in_statement); }

}  // namespace quamba2::jinja
