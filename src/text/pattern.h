// SPDX-License-Identifier: Apache-2.0
// A literal or a regular expression, as tokenizer.json's Split and Replace hold them. Expressions are written for
// Oniguruma (Ruby syntax) and run by PCRE2; docs on the differences are in pattern_translate.h.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace quamba2 {

class Json;

class Pattern {
 public:
  // `value` is {"String": text} or {"Regex": text}, or a bare string, which is a literal. Throws Error{kModelFile}.
  static Pattern from_json(const Json& value, const std::string& where);
  static Pattern literal(std::string text);
  static Pattern regex(const std::string& expression, const std::string& where);

  // Finds the matches in `text` (valid UTF-8) from left to right, as Oniguruma's find_iter does.
  class Matcher {
   public:
    Matcher(const Pattern& pattern, std::string_view text);
    ~Matcher();
    Matcher(const Matcher&) = delete;
    Matcher& operator=(const Matcher&) = delete;
    // Throws Error{kRuntime} when the expression needs more steps than the limit.
    bool next(size_t* begin, size_t* end);

   private:
    struct Scratch;
    bool search(size_t* begin, size_t* end);
    const Pattern& pattern_;
    std::string_view text_;
    size_t at_ = 0, last_end_ = 0;
    bool matched_ = false;
    std::unique_ptr<Scratch> scratch_;
  };

  std::string replace_all(std::string_view text, std::string_view replacement) const;
  // The expression as written, or empty for a literal.
  const std::string& expression() const { return expression_; }

 private:
  struct Code;
  std::string literal_, expression_;
  std::shared_ptr<const Code> code_;  // null for a literal
};

}  // namespace quamba2
