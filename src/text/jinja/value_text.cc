// SPDX-License-Identifier: Apache-2.0
// How values are written: as Python's str, repr and json.dumps write them.
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "text/jinja/text.h"
#include "text/jinja/value.h"
#include "text/utf8.h"

namespace quamba2::jinja {

std::string float_text(double v) {
  if (std::isnan(v)) return "nan";
  if (std::isinf(v)) return v > 0 ? "inf" : "-inf";
  char buffer[40];
  // d.ddde-xx: the shortest digits that read back as the same number.
  const char* end = std::to_chars(buffer, buffer + sizeof buffer, v, std::chars_format::scientific).ptr;
  std::string text(buffer, static_cast<size_t>(end - buffer));
  const size_t e = text.find('e');
  const int exponent = std::atoi(text.c_str() + e + 1);
  if (exponent < -4 || exponent >= 16) return text;
  end = std::to_chars(buffer, buffer + sizeof buffer, v, std::chars_format::fixed).ptr;
  text.assign(buffer, static_cast<size_t>(end - buffer));
  return text.find('.') == text.npos ? text + ".0" : text;
}

namespace {

void append_hex(char32_t c, int digits, std::string* out) {
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) *out += "0123456789abcdef"[(c >> shift) & 15];
}

// As Python quotes: single quotes, unless only those occur inside.
void append_quoted(std::string_view s, std::string* out) {
  const bool twice = s.find('\'') != s.npos && s.find('"') == s.npos;
  const char quote = twice ? '"' : '\'';
  *out += quote;
  for (size_t at = 0; at < s.size();) {
    const size_t from = at;
    const char32_t c = utf8_next(s, &at);
    if (c == '\n') {
      *out += "\\n";
    } else if (c == '\r') {
      *out += "\\r";
    } else if (c == '\t') {
      *out += "\\t";
    } else if (c == '\\' || c == static_cast<char32_t>(quote)) {
      *out += '\\';
      *out += static_cast<char>(c);
    } else if (is_printable(c)) {
      out->append(s.substr(from, at - from));
    } else {
      *out += c < 0x100 ? "\\x" : c < 0x10000 ? "\\u" : "\\U";
      append_hex(c, c < 0x100 ? 2 : c < 0x10000 ? 4 : 8, out);
    }
  }
  *out += quote;
}

void append_repr(const Value& v, std::string* out, Budget* budget) {
  const size_t before = out->size();
  if (v.string()) {
    append_quoted(*v.string(), out);
  } else if (const List* list = v.list()) {
    *out += list->tuple ? '(' : '[';
    for (size_t i = 0; i < list->items.size(); ++i) {
      if (i > 0) *out += ", ";
      append_repr(list->items[i], out, budget);
    }
    if (list->tuple && list->items.size() == 1) *out += ',';
    *out += list->tuple ? ')' : ']';
  } else if (const Dict* dict = v.dict()) {
    *out += '{';
    for (size_t i = 0; i < dict->items.size(); ++i) {
      if (i > 0) *out += ", ";
      append_quoted(dict->items[i].first, out);
      *out += ": ";
      append_repr(dict->items[i].second, out, budget);
    }
    *out += '}';
  } else if (v.is_undefined()) {
    *out += "Undefined";
  } else {
    *out += to_text(v, budget);
  }
  budget->text(out->size() - before);
}

}  // namespace

std::string to_repr(const Value& v, Budget* budget) {
  std::string out;
  append_repr(v, &out, budget);
  return out;
}

std::string to_text(const Value& v, Budget* budget) {
  if (const std::string* s = v.string()) {
    budget->text(s->size());
    return *s;
  }
  if (v.list() || v.dict()) return to_repr(v, budget);
  if (v.is_undefined()) return "";
  if (v.is_none()) return "None";
  if (v.is_bool()) return v.truth() ? "True" : "False";
  if (v.is_whole()) return std::to_string(v.whole());
  if (v.is_number()) return float_text(v.number());
  unsupported(std::string("printing a ") + v.type_name() + " is not known here");
}

namespace {

void append_json_string(std::string_view s, std::string* out) {
  *out += '"';
  for (const char c : s) {
    switch (c) {
      case '"': *out += "\\\""; break;
      case '\\': *out += "\\\\"; break;
      case '\n': *out += "\\n"; break;
      case '\r': *out += "\\r"; break;
      case '\t': *out += "\\t"; break;
      case '\b': *out += "\\b"; break;
      case '\f': *out += "\\f"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          *out += "\\u";
          append_hex(static_cast<unsigned char>(c), 4, out);
        } else {
          *out += c;
        }
    }
  }
  *out += '"';
}

struct JsonWriter {
  int64_t indent;  // < 0: one line
  Budget* budget;
  std::string out = {};

  void new_line(int level) {
    if (indent >= 0) out.append("\n").append(static_cast<size_t>(indent * level), ' ');
  }

  void separate(size_t i, int level) {
    if (i > 0) out += indent < 0 ? ", " : ",";
    new_line(level);
  }

  void write(const Value& v, int level) {
    const size_t before = out.size();
    if (v.string()) {
      append_json_string(*v.string(), &out);
    } else if (const List* list = v.list()) {
      out += '[';
      for (size_t i = 0; i < list->items.size(); ++i) {
        separate(i, level + 1);
        write(list->items[i], level + 1);
      }
      if (!list->items.empty()) new_line(level);
      out += ']';
    } else if (const Dict* dict = v.dict()) {
      out += '{';
      for (size_t i = 0; i < dict->items.size(); ++i) {
        separate(i, level + 1);
        append_json_string(dict->items[i].first, &out);
        out += ": ";
        write(dict->items[i].second, level + 1);
      }
      if (!dict->items.empty()) new_line(level);
      out += '}';
    } else {
      out += scalar(v);
    }
    budget->text(out.size() - before);
  }

  std::string scalar(const Value& v) {
    if (v.is_none()) return "null";
    if (v.is_bool()) return v.truth() ? "true" : "false";
    if (v.is_whole()) return std::to_string(v.whole());
    if (!v.is_number()) failed(std::string("a value of type ") + v.type_name() + " has no form in JSON (tojson)");
    if (std::isnan(v.number())) return "NaN";
    if (std::isinf(v.number())) return v.number() > 0 ? "Infinity" : "-Infinity";
    return float_text(v.number());
  }
};

}  // namespace

std::string to_json(const Value& v, int64_t indent, Budget* budget) {
  if (indent > 64) unsupported("tojson with an indent over 64 is not known here");
  JsonWriter writer{indent, budget};
  writer.write(v, 0);
  return std::move(writer.out);
}

}  // namespace quamba2::jinja
