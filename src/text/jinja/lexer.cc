// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/lexer.h"

#include <algorithm>

#include "quamba2/error.h"
#include "text/jinja/budget.h"
#include "text/jinja/string_literal.h"
#include "text/jinja/text.h"
#include "text/utf8.h"

namespace quamba2::jinja {

void unsupported_at(int line, const std::string& why) {
  try {
    unsupported(why);
  } catch (const Error& e) {
    throw e.within("line " + std::to_string(line));
  }
}

namespace {

// \r\n and \r become \n; one newline at the end is dropped.
std::string with_plain_newlines(std::string_view source) {
  std::string out;
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out += source[i];
    } else {
      out += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    }
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

class Lexer {
 public:
  explicit Lexer(std::string source) : source_(std::move(source)) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) text();
    add(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  bool starts(std::string_view what, size_t offset = 0) const {
    return std::string_view(source_).substr(std::min(at_ + offset, source_.size())).starts_with(what);
  }
  void add(TokenKind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }

  // Moves on, counting lines.
  void skip(size_t bytes) {
    line_ += static_cast<int>(
        std::count(source_.begin() + static_cast<long>(at_), source_.begin() + static_cast<long>(at_ + bytes), '\n'));
    at_ += bytes;
    if (bytes > 0) line_begins_ = source_[at_ - 1] == '\n';
  }

  void skip_spaces() {
    const std::string_view rest = std::string_view(source_).substr(at_);
    skip(rest.size() - strip(rest, nullptr, true, false).size());
  }

  // The text up to `end`, where a tag begins; `sign` is what follows its opening.
  void add_text(size_t end, char sign, bool is_print) {
    std::string_view text = std::string_view(source_).substr(at_, end - at_);
    if (sign == '-') {
      text = strip(text, nullptr, false, true);
    } else if (sign != '+' && !is_print) {
      // A block alone at the start of its line takes the white space before it along.
      const size_t begin = text.rfind('\n') + 1;  // 0 where there is none
      if ((begin > 0 || line_begins_) && strip(text.substr(begin), nullptr, true, false).empty()) {
        text = text.substr(0, begin);
      }
    }
    if (!text.empty()) add(TokenKind::kText, std::string(text));
    skip(end - at_);
  }

  static bool is_sign(char c) { return c == '-' || c == '+'; }

  void text() {
    const size_t open = find_tag();
    if (open == std::string::npos) {
      add(TokenKind::kText, source_.substr(at_));
      at_ = source_.size();
      return;
    }
    const char kind = source_[open + 1];
    char sign = open + 2 < source_.size() ? source_[open + 2] : ' ';
    if (!is_sign(sign)) sign = ' ';
    add_text(open, sign, kind == '{');
    skip(sign == ' ' ? 2 : 3);
    line_begins_ = false;
    if (kind == '#') return comment();
    if (kind == '%' && is_raw("raw")) return raw();
    add(kind == '%' ? TokenKind::kBlockBegin : TokenKind::kPrintBegin, "");
    inside(kind == '%' ? '%' : '}');
  }

  size_t find_tag() const {
    for (size_t at = source_.find('{', at_); at != std::string::npos; at = source_.find('{', at + 1)) {
      if (at + 1 < source_.size() && (source_[at + 1] == '{' || source_[at + 1] == '%' || source_[at + 1] == '#'))
        return at;
    }
    return std::string::npos;
  }

  // Behind the end of a block or comment its newline goes, behind a minus all white space.
  bool end_of_tag(char first, bool trims) {
    const char end[] = {first, '}', 0};
    if (starts(end)) {
      skip(2);
      if (trims && starts("\n")) skip(1);
      return true;
    }
    if (starts("-") && starts(end, 1)) {
      skip(3);
      skip_spaces();
      return true;
    }
    if (!trims || !starts("+") || !starts(end, 1)) return false;
    skip(3);
    return true;
  }

  void comment() {
    const int begin = line_;
    for (; at_ < source_.size(); skip(1)) {
      if (end_of_tag('#', true)) return;
    }
    unsupported_at(begin, "a comment {# has no end");
  }

  // Is this the inside of "{% raw %}" (or endraw)? Does not move.
  bool is_raw(std::string_view word) const {
    std::string_view rest = strip(std::string_view(source_).substr(at_), nullptr, true, false);
    if (!rest.starts_with(word)) return false;
    rest = strip(rest.substr(word.size()), nullptr, true, false);
    return rest.starts_with("%}") || rest.starts_with("-%}") || rest.starts_with("+%}");
  }

  void raw() {
    const int begin = line_;
    skip_spaces();
    skip(3);
    skip_spaces();
    if (starts("+")) unsupported_at(line_, "{% raw +%} is not known here");
    end_of_tag('%', false);
    for (size_t open = source_.find("{%", at_); open != std::string::npos; open = source_.find("{%", open + 2)) {
      const char sign = open + 2 < source_.size() && is_sign(source_[open + 2]) ? source_[open + 2] : ' ';
      const size_t before = at_;
      at_ = open + (sign == ' ' ? 2 : 3);
      const bool ends = is_raw("endraw");
      at_ = before;
      if (!ends) continue;
      add_text(open, sign, false);
      skip(sign == ' ' ? 2 : 3);
      skip_spaces();
      skip(6);
      skip_spaces();
      end_of_tag('%', true);
      return;
    }
    unsupported_at(begin, "{% raw %} has no {% endraw %}");
  }

  // The tokens of a tag, to its end.
  void inside(char end) {
    const int begin = line_;
    std::string open;  // brackets: an end inside of them is none
    while (at_ < source_.size()) {
      const int line = line_;
      if (open.empty() && end_of_tag(end, end == '%')) {
        tokens_.push_back({end == '%' ? TokenKind::kBlockEnd : TokenKind::kPrintEnd, "", line});
        return;
      }
      skip_spaces();
      if (at_ < source_.size() && !(open.empty() && at_end(end))) token(&open);
    }
    unsupported_at(begin, std::string("a tag has no end: ") + end + "} is missing");
  }

  bool at_end(char first) const {
    const char end[] = {first, '}', 0};
    return starts(end) || ((starts("-") || (first == '%' && starts("+"))) && starts(end, 1));
  }

  void token(std::string* open) {
    const char c = source_[at_];
    if (is_digit(c)) return number();
    if (c == '"' || c == '\'') return string(c);
    if (is_name_start(c)) {
      size_t n = 1;
      while (at_ + n < source_.size() && (is_name_start(source_[at_ + n]) || is_digit(source_[at_ + n]))) ++n;
      add(TokenKind::kName, source_.substr(at_, n));
      return skip(n);
    }
    for (const std::string_view op : {"//", "**", "==", "!=", ">=", "<=", "+", "-", "*", "/", "%", "~", "[",
                                      "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"}) {
      if (!starts(op)) continue;
      bracket(op[0], open);
      add(TokenKind::kOperator, std::string(op));
      return skip(op.size());
    }
    unsupported_at(line_,
                   "the character \"" + source_.substr(at_, utf8_length(c)) + "\" has no place in an expression");
  }

  void bracket(char c, std::string* open) {
    if (c == '(' || c == '[' || c == '{') *open += c == '(' ? ')' : c == '[' ? ']' : '}';
    if (c != ')' && c != ']' && c != '}') return;
    if (open->empty() || open->back() != c) unsupported_at(line_, std::string("a \"") + c + "\" closes nothing");
    open->pop_back();
  }

  void number() {
    size_t n = 0;
    bool whole = true;
    const auto digits = [&] {
      while (at_ + n < source_.size() && is_digit(source_[at_ + n])) ++n;
    };
    const auto next = [&](size_t offset) {
      return at_ + n + offset < source_.size() ? source_[at_ + n + offset] : ' ';
    };
    digits();
    const bool after_dot = !tokens_.empty() && tokens_.back().is(".");  // a.0.1
    if (next(0) == '.' && is_digit(next(1)) && !after_dot) {
      ++n;
      digits();
      whole = false;
    }
    const bool signed_exponent = next(1) == '-' || next(1) == '+';
    if ((next(0) == 'e' || next(0) == 'E') && is_digit(next(signed_exponent ? 2 : 1)) && !after_dot) {
      n += signed_exponent ? 2 : 1;
      digits();
      whole = false;
    }
    if (is_name_start(next(0)) || n > 30) {
      unsupported_at(line_, "the number " + source_.substr(at_, std::min<size_t>(n + 1, 40)) + " is not known here");
    }
    add(whole ? TokenKind::kInt : TokenKind::kFloat, source_.substr(at_, n));
    skip(n);
  }

  void string(char quote) {
    size_t n = 1;
    while (at_ + n < source_.size() && source_[at_ + n] != quote) n += source_[at_ + n] == '\\' ? 2 : 1;
    if (at_ + n >= source_.size()) unsupported_at(line_, "a string has no end");
    add(TokenKind::kString, decode_string_literal(std::string_view(source_).substr(at_ + 1, n - 1), line_));
    skip(n + 1);
  }

  std::string source_;
  size_t at_ = 0;
  int line_ = 1;
  bool line_begins_ = true;  // nothing but white space since the last newline, as far as Jinja knows
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> lex(std::string_view source) { return Lexer(with_plain_newlines(source)).run(); }

}  // namespace quamba2::jinja
