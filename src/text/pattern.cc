// SPDX-License-Identifier: Apache-2.0
#include "text/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/json.h"
#include "quamba2/error.h"
#include "text/pattern_translate.h"
#include "text/utf8.h"

namespace quamba2 {
namespace {

constexpr size_t kMaxExpression = 1 << 16;
constexpr uint32_t kMaxSteps = 10'000'000;  // PCRE2's match limit: an expression gone wild ends in an error

std::string message_of(int code) {
  PCRE2_UCHAR text[256];
  pcre2_get_error_message(code, text, sizeof(text));
  return reinterpret_cast<const char*>(text);
}

PCRE2_SPTR pcre(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

}  // namespace

struct Pattern::Code {
  pcre2_code* code = nullptr;
  pcre2_match_context* context = nullptr;
  Code() = default;
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
  ~Code() {
    pcre2_code_free(code);
    pcre2_match_context_free(context);
  }
};

struct Pattern::Matcher::Scratch {
  pcre2_match_data* data;
  explicit Scratch(const Code& code) : data(pcre2_match_data_create_from_pattern(code.code, nullptr)) {}
  ~Scratch() { pcre2_match_data_free(data); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
};

Pattern Pattern::literal(std::string text) {
  Pattern p;
  p.literal_ = std::move(text);
  return p;
}

Pattern Pattern::regex(const std::string& expression, const std::string& where) {
  const auto fail = [&](const std::string& why) {
    throw Error(ErrorCode::kModelFile, "cannot use the regular expression", where, why);
  };
  if (expression.size() > kMaxExpression) fail("it is longer than " + std::to_string(kMaxExpression) + " bytes");
  const std::string translated = translate_oniguruma(expression, where);
  auto code = std::make_shared<Code>();
  int error = 0;
  PCRE2_SIZE offset = 0;
  code->code =
      pcre2_compile(pcre(translated), translated.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error, &offset, nullptr);
  if (code->code == nullptr) fail(message_of(error) + " in " + expression);
  pcre2_jit_compile(code->code, PCRE2_JIT_COMPLETE);  // without JIT support the interpreter runs it
  code->context = pcre2_match_context_create(nullptr);
  pcre2_set_match_limit(code->context, kMaxSteps);
  Pattern p;
  p.expression_ = expression;
  p.code_ = std::move(code);
  return p;
}

Pattern Pattern::from_json(const Json& value, const std::string& where) {
  if (value.is_string()) return literal(value.as_string(where));
  if (const Json* text = value.find("String")) return literal(text->as_string(where + ".String"));
  if (const Json* text = value.find("Regex")) return regex(text->as_string(where + ".Regex"), where + ".Regex");
  throw Error(ErrorCode::kModelFile, "unsupported tokenizer", where,
              "a pattern is {\"String\": ...} or {\"Regex\": ...}");
}

Pattern::Matcher::Matcher(const Pattern& pattern, std::string_view text) : pattern_(pattern), text_(text) {
  if (pattern.code_) scratch_ = std::make_unique<Scratch>(*pattern.code_);
}

Pattern::Matcher::~Matcher() = default;

bool Pattern::Matcher::search(size_t* begin, size_t* end) {
  if (!pattern_.code_) {
    const std::string& needle = pattern_.literal_;
    if (needle.empty()) return false;
    *begin = text_.find(needle, at_);
    *end = *begin + needle.size();
    return *begin != text_.npos;
  }
  const Code& code = *pattern_.code_;
  int rc = pcre2_match(code.code, pcre(text_), text_.size(), at_, PCRE2_NO_UTF_CHECK, scratch_->data, code.context);
  if (rc == PCRE2_ERROR_JIT_STACKLIMIT) {  // the interpreter takes its memory from the heap
    rc = pcre2_match(code.code, pcre(text_), text_.size(), at_, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, scratch_->data,
                     code.context);
  }
  if (rc == PCRE2_ERROR_NOMATCH) return false;
  if (rc < 0) {
    throw Error(ErrorCode::kRuntime, "cannot split the text", pattern_.expression_, message_of(rc),
                "the tokenizer's regular expression backtracks too much on this text");
  }
  const PCRE2_SIZE* found = pcre2_get_ovector_pointer(scratch_->data);
  *begin = found[0];
  *end = found[1];
  // \K in a look-around may report a match that starts behind its end or before the search: never hand that out.
  return *begin >= at_ && *begin <= *end;
}

bool Pattern::Matcher::next(size_t* begin, size_t* end) {
  while (at_ <= text_.size() && search(begin, end)) {
    if (*begin == *end && matched_ && last_end_ == *end) {  // an empty match right behind the last one does not count
      if (at_ >= text_.size()) return false;
      at_ += utf8_length(text_[at_]);
      continue;
    }
    at_ = last_end_ = *end;
    matched_ = true;
    return true;
  }
  return false;
}

std::string Pattern::replace_all(std::string_view text, std::string_view replacement) const {
  std::string out;
  out.reserve(text.size());
  Matcher matcher(*this, text);
  size_t done = 0, begin = 0, end = 0;
  while (matcher.next(&begin, &end)) {
    out.append(text.substr(done, begin - done)).append(replacement);
    done = end;
  }
  return out.append(text.substr(done));
}

}  // namespace quamba2
