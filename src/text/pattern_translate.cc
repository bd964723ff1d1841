// SPDX-License-Identifier: Apache-2.0
#include "text/pattern_translate.h"

#include <fmt/format.h>

#include <cstdint>
#include <span>

#include "quamba2/error.h"
#include "text/unicode_tables.h"

namespace quamba2 {
namespace {

constexpr std::string_view kSpace =
    "\\x09-\\x0d\\x20\\x85\\xa0\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}";
constexpr std::string_view kWordExtras =
    "\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\xb2\\xb3\\xb9\\xbc-\\xbe\\x{24b6}-\\x{24e9}\\x{1f130}-\\x{1f149}\\x{1f150}-\\x{1f169}"
    "\\x{1f170}-\\x{1f189}";

std::string with_ranges(std::string_view members, std::span<const CodeRange> ranges) {
  std::string out(members);
  for (const CodeRange& r : ranges) {
    out += fmt::format("\\x{{{:x}}}-\\x{{{:x}}}", static_cast<uint32_t>(r.first), static_cast<uint32_t>(r.last));
  }
  return out;
}

// kNewNumbers less its No entries.
std::string digits() {
  std::string out = "\\p{Nd}";
  for (const CodeRange& r : kNewNumbers) {
    if (r.first != 0x1D2C0) out += with_ranges("", {&r, 1});
  }
  return out;
}

// The members of a class that mean the same as the escape, or empty for one that PCRE2 reads like Oniguruma.
std::string members_of(std::string_view escape) {
  if (escape == "\\s" || escape == "\\S") return std::string(kSpace);
  if (escape == "\\p{L}" || escape == "\\P{L}") return with_ranges("\\p{L}", kNewLetters);
  if (escape == "\\p{N}" || escape == "\\P{N}") return with_ranges("\\p{N}", kNewNumbers);
  if (escape == "\\d" || escape == "\\D") return digits();
  if (escape == "\\w" || escape == "\\W") return with_ranges("\\p{L}", kNewLetters).append(kWordExtras);
  if (escape == "\\h" || escape == "\\H") return "0-9A-Fa-f";
  return {};
}

class Translator {
 public:
  Translator(std::string_view in, const std::string& where) : in_(in), where_(where) {}

  std::string run() {
    while (at_ < in_.size()) {
      if (in_[at_] == '\\') {
        escape(false);
      } else if (in_[at_] == '[') {
        character_class();
      } else {
        out_ += in_[at_++];
      }
    }
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const {
    throw Error(ErrorCode::kModelFile, "unsupported regular expression", where_, why);
  }

  // \x, or \p{..} and \P{..} whole.
  std::string_view take_escape() {
    size_t length = at_ + 1 < in_.size() ? 2 : 1;
    if (length == 2 && (in_[at_ + 1] == 'p' || in_[at_ + 1] == 'P') && in_.substr(at_ + 2, 1) == "{") {
      const size_t close = in_.find('}', at_);
      if (close != in_.npos) length = close - at_ + 1;
    }
    const std::string_view text = in_.substr(at_, length);
    at_ += length;
    return text;
  }

  void escape(bool in_class) {
    const std::string_view text = take_escape();
    const std::string members = members_of(text);
    const bool negated = text.size() > 1 && text[1] >= 'A' && text[1] <= 'Z';
    if (members.empty()) {
      out_ += text;
    } else if (!in_class) {
      out_.append(negated ? "[^" : "[").append(members).append("]");
    } else if (!negated) {
      out_ += members;
    } else if (text == "\\S") {
      out_ += "\\S\\x{180e}";
    } else if (text == "\\H") {
      refuse("\\H inside a character class");
    } else {
      out_ += text;
    }
  }

  void character_class() {
    out_ += in_[at_++];
    if (at_ < in_.size() && in_[at_] == '^') out_ += in_[at_++];
    bool first = true;
    for (; at_ < in_.size(); first = false) {
      const char c = in_[at_];
      if (c == '\\') {
        escape(true);
      } else if (c == ']') {
        ++at_;
        out_ += first ? "\\]" : "]";
        if (!first) return;
      } else if (in_.substr(at_, 2) == "[:") {
        const size_t close = in_.find(":]", at_ + 2);
        if (close == in_.npos) refuse("an open [: inside a character class");
        out_ += in_.substr(at_, close + 2 - at_);
        at_ = close + 2;
      } else if (c == '[') {
        refuse("a character class inside another");
      } else if (in_.substr(at_, 2) == "&&") {
        refuse("&& inside a character class");
      } else {
        out_ += c;
        ++at_;
      }
    }
  }

  std::string_view in_;
  const std::string& where_;
  std::string out_;
  size_t at_ = 0;
};

}  // namespace

std::string translate_oniguruma(std::string_view expression, const std::string& where) {
  return Translator(expression, where).run();
}

}  // namespace quamba2
