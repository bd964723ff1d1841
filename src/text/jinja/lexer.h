// SPDX-License-Identifier: Apache-2.0
// A template as tokens, with white space handled as the `trim_blocks` and `lstrip_blocks` of Hugging Face's templates ask.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace quamba2::jinja {

enum class TokenKind {
  kText,
  kBlockBegin,
  kBlockEnd,
  kPrintBegin,
  kPrintEnd,
  kName,
  kString,
  kInt,
  kFloat,
  kOperator,
  kEnd
};

struct Token {
  TokenKind kind;
  std::string text;  // of a string: without quotes, escapes decoded
  int line;

  bool is(std::string_view op) const { return kind == TokenKind::kOperator && text == op; }
  bool is_name(std::string_view name) const { return kind == TokenKind::kName && text == name; }
};

// `source` is valid UTF-8. The last token is kEnd. Throws Error{kModelFile} that names the line.
std::vector<Token> lex(std::string_view source);

// "line 12: why"
[[noreturn]] void unsupported_at(int line, const std::string& why);

}  // namespace quamba2::jinja
