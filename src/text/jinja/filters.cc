// SPDX-License-Identifier: Apache-2.0
// Filters: value | name(arguments), as Jinja's own do, and Hugging Face's tojson.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "text/jinja/builtins.h"
#include "text/jinja/operators.h"
#include "text/jinja/text.h"

namespace quamba2::jinja {
namespace {

using FilterFunction = Value (*)(const Value& v, const Arguments& a, Context* c);

struct Filter {
  std::string_view name;
  FilterFunction run;
};

std::string text_of(const Value& v, Context* c) { return to_text(v, &c->budget); }

bool flag(const Value* v) { return v && v->truth(); }

Value abs_filter(const Value& v, const Arguments& a, Context*) {
  a.check("the filter \"abs\"", {});
  if (v.is_whole()) return v.whole() < 0 ? negate(v) : Value(v.whole());
  if (!v.is_number()) failed(std::string("the filter \"abs\" does not take ") + v.type_name());
  return std::abs(v.number());
}

Value capitalize_filter(const Value& v, const Arguments& a, Context* c) {
  a.check("the filter \"capitalize\"", {});
  return capitalize(text_of(v, c));
}

Value default_filter(const Value& v, const Arguments& a, Context*) {
  a.check("the filter \"default\"", {"default_value", "boolean"});
  const Value* other = a.get(0, "default_value");
  const bool absent = v.is_undefined() || (flag(a.get(1, "boolean")) && !v.truth());
  return !absent ? v : other ? *other : Value("");
}

Value first_filter(const Value& v, const Arguments& a, Context* c) {
  a.check("the filter \"first\"", {});
  const Items items = iterate(v, &c->budget);
  return items.empty() ? Value(Undefined{"the first of nothing"}) : items.front();
}

Value last_filter(const Value& v, const Arguments& a, Context* c) {
  a.check("the filter \"last\"", {});
  const Items items = iterate(v, &c->budget);
  return items.empty() ? Value(Undefined{"the last of nothing"}) : items.back();
}

std::string number_text(const Value& v) {
  std::string text(strip(*v.string(), nullptr, true, true));
  if (text.starts_with('+') && text.size() > 1 && text[1] != '-') text.erase(0, 1);
  return text;
}

template <class T>
bool read_number(const std::string& text, T* out) {
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return fault == std::errc() && end == text.data() + text.size();
}

Value float_filter(const Value& v, const Arguments& a, Context*) {
  a.check("the filter \"float\"", {"default"});
  double number = 0;
  if (v.undefined()) fail_undefined(*v.undefined());
  if (v.is_number()) return v.number();
  if (v.string() && read_number(number_text(v), &number)) return number;
  const Value* other = a.get(0, "default");
  return other ? *other : Value(0.0);
}

Value int_filter(const Value& v, const Arguments& a, Context*) {
  a.check("the filter \"int\"", {"default"});
  double number = 0;
  int64_t whole = 0;
  if (v.undefined()) fail_undefined(*v.undefined());
  if (v.is_whole()) return v.whole();
  const bool is_text = v.string() != nullptr;
  if (is_text && read_number(number_text(v), &whole)) return whole;
  if (v.is_number() || (is_text && read_number(number_text(v), &number))) {
    if (v.is_number()) number = v.number();
    if (std::abs(number) < 9e18) return static_cast<int64_t>(number);
  }
  const Value* other = a.get(0, "default");
  return other ? *other : Value(int64_t{0});
}

Value indent_filter(const Value& v, const Arguments& a, Context* c) {
  a.check("the filter \"indent\"", {"width", "first", "blank"});
  const Value* width = a.get(0, "width");
  const std::string prefix =
      width && width->string()
          ? *width->string()
          : std::string(static_cast<size_t>(std::clamp<int64_t>(width ? require_whole(*width, "a width") : 4, 0, 1000)),
                        ' ');
  const std::string text = text_of(v, c) + "\n";  // as Jinja does: a newline at the end is kept this way
  const std::vector<std::string_view> lines = split_lines(text, false);
  c->budget.text(text.size() + lines.size() * prefix.size());
  std::string out = flag(a.get(1, "first")) ? prefix : "";
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out += '\n';
    if (i > 0 && (flag(a.get(2, "blank")) || !lines[i].empty())) out += prefix;
    out += lines[i];
  }
  return out;
}

Value items_filter(const Value& v, const Arguments& a, Context* c) {
  a.check("the filter \"items\"", {});
  if (v.is_undefined()) return make_list({});
  if (!v.dict()) failed(std::string("the filter \"items\" takes a dict, not ") + v.type_name());
  return call_method("items", v, {}, c);
}

Value attribute_path(const Value& v, const std::string& path, Context* c) {
  Value out = v;
  const std::string dot = ".";
  for (const std::string_view part : split(path, &dot, -1)) {
    int64_t index = 0;
    const std::string name(part);
    out = subscript(out, read_number(name, &index) ? Value(index) : Value(name), &c->budget);
  }
  return out;
}

Value join_filter(const Value& v, const Arguments& a, Context* c) {
  a.check("the filter \"join\"", {"d", "attribute"});
  const std::string separator = a.get(0, "d") ? text_of(*a.get(0, "d"), c) : "";
  const Value* path = a.get(1, "attribute");
  std::string out;
  bool first = true;
  for (const Value& item : iterate(v, &c->budget)) {
    if (!first) out += separator;
    first = false;
    const size_t before = out.size();
    out += text_of(path ? attribute_path(item, require_text(*path, "an attribute"), c) : item, c);
    if (out.size() > kMaxText) c->budget.text(out.size());
    c->budget.text(out.size() - before + separator.size());
  }
  return out;
}

Value length_filter(const Value& v, const Arguments& a, Context* c) {
  a.check("the filter \"length\"", {});
  if (v.string()) {
    c->budget.text(v.string()->size());
    return count_characters(*v.string());
  }
  if (v.list()) return static_cast<int64_t>(v.list()->items.size());
  if (v.dict()) return static_cast<int64_t>(v.dict()->items.size());
  if (v.is_undefined()) return int64_t{0};
  failed(std::string("a ") + v.type_name() + " has no length");
}

Value list_filter(const Value& v, const Arguments& a, Context* c) {
  a.check("the filter \"list\"", {});
  return make_list(iterate(v, &c->budget));
}

Value lower_filter(const Value& v, const Arguments& a, Context* c) {
  a.check("the filter \"lower\"", {});
  return lower(text_of(v, c));
}

// The arguments behind the first `n`.
Arguments rest_of(const Arguments& a, size_t n) {
  Arguments out;
  for (size_t i = n; i < a.positional.size(); ++i) out.positional.push_back(a.positional[i]);
  out.named = a.named;
  return out;
}

Value map_filter(const Value& v, const Arguments& a, Context* c) {
  Items out;
  if (!v.truth()) return make_list({});  // none and 0 too
  const Items items = iterate(v, &c->budget);
  if (a.positional.empty()) {
    a.check("the filter \"map\"", {"attribute", "default"}, 1);
    const std::string path = require_text(*a.get(0, "attribute"), "an attribute");
    for (const Value& item : items) {
      Value found = attribute_path(item, path, c);
      if (found.is_undefined() && a.get(1, "default")) found = *a.get(1, "default");
      out.push_back(std::move(found));
    }
    return make_list(std::move(out));
  }
  const std::string& name = require_text(a.positional[0], "the name of a filter");
  if (!known_filter(name)) unsupported("the filter \"" + name + "\" is not known here; known are: " + filter_names());
  if (name == "map") unsupported("map of map is not known here");
  const Arguments rest = rest_of(a, 1);
  for (const Value& item : items) out.push_back(apply_filter(name, item, rest, c));
  return make_list(std::move(out));
}

// select, reject, selectattr, rejectattr.
Value selected(const Value& v, const Arguments& a, Context* c, bool by_attribute, bool wanted) {
  const size_t first = by_attribute ? 1 : 0;
  if (a.positional.size() < first) failed("selectattr and rejectattr need the name of an attribute");
  const std::string path = by_attribute ? require_text(a.positional[0], "an attribute") : "";
  const bool tests = a.positional.size() > first;
  const std::string name = tests ? require_text(a.positional[first], "the name of a test") : "";
  if (tests && !known_test(name))
    unsupported("the test \"" + name + "\" is not known here; known are: " + test_names());
  const Arguments rest = tests ? rest_of(a, first + 1) : Arguments{};
  Items out;
  if (!v.truth()) return make_list({});  // none and 0 too
  for (const Value& item : iterate(v, &c->budget)) {
    const Value looked_at = by_attribute ? attribute_path(item, path, c) : item;
    if ((tests ? apply_test(name, looked_at, rest, c) : looked_at.truth()) == wanted) out.push_back(item);
  }
  return make_list(std::move(out));
}

Value select_filter(const Value& v, const Arguments& a, Context* c) { return selected(v, a, c, false, true); }
Value reject_filter(const Value& v, const Arguments& a, Context* c) { return selected(v, a, c, false, false); }
Value selectattr_filter(const Value& v, const Arguments& a, Context* c) { return selected(v, a, c, true, true); }
Value rejectattr_filter(const Value& v, const Arguments& a, Context* c) { return selected(v, a, c, true, false); }

Value replace_filter(const Value& v, const Arguments& a, Context* c) {
  a.check("the filter \"replace\"", {"old", "new", "count"}, 2);
  Arguments plain{{text_of(*a.get(0, "old"), c), text_of(*a.get(1, "new"), c)}, {}};
  if (const Value* count = a.get(2, "count"); count && !count->is_none()) plain.positional.push_back(*count);
  return call_method("replace", text_of(v, c), plain, c);
}

Value reverse_filter(const Value& v, const Arguments& a, Context* c) {
  a.check("the filter \"reverse\"", {});
  if (v.string()) return slice(v, {}, {}, int64_t{-1}, &c->budget);
  Items items = iterate(v, &c->budget);
  std::reverse(items.begin(), items.end());
  return make_list(std::move(items));
}

Value string_filter(const Value& v, const Arguments& a, Context* c) {
  a.check("the filter \"string\"", {});
  return text_of(v, c);
}

Value title_filter_of(const Value& v, const Arguments& a, Context* c) {
  a.check("the filter \"title\"", {});
  return title_filter(text_of(v, c));
}

Value tojson_filter(const Value& v, const Arguments& a, Context* c) {
  a.check("the filter \"tojson\"", {"ensure_ascii", "indent"});
  if (flag(a.get(0, "ensure_ascii"))) unsupported("tojson with ensure_ascii is not known here");
  const Value* indent = a.get(1, "indent");
  const bool one_line = !indent || indent->is_none();
  return to_json(v, one_line ? -1 : std::max<int64_t>(0, require_whole(*indent, "an indent")), &c->budget);
}

Value trim_filter(const Value& v, const Arguments& a, Context* c) {
  a.check("the filter \"trim\"", {"chars"});
  const Value* set = a.get(0, "chars");
  const bool spaces = !set || set->is_none();
  return std::string(strip(text_of(v, c), spaces ? nullptr : &require_text(*set, "chars"), true, true));
}

Value upper_filter(const Value& v, const Arguments& a, Context* c) {
  a.check("the filter \"upper\"", {});
  return upper(text_of(v, c));
}

constexpr Filter kFilters[] = {
    {"abs", abs_filter},         {"capitalize", capitalize_filter},
    {"count", length_filter},    {"d", default_filter},
    {"default", default_filter}, {"first", first_filter},
    {"float", float_filter},     {"indent", indent_filter},
    {"int", int_filter},         {"items", items_filter},
    {"join", join_filter},       {"last", last_filter},
    {"length", length_filter},   {"list", list_filter},
    {"lower", lower_filter},     {"map", map_filter},
    {"reject", reject_filter},   {"rejectattr", rejectattr_filter},
    {"replace", replace_filter}, {"reverse", reverse_filter},
    {"select", select_filter},   {"selectattr", selectattr_filter},
    {"string", string_filter},   {"title", title_filter_of},
    {"tojson", tojson_filter},   {"trim", trim_filter},
    {"upper", upper_filter},
};

const Filter* find_filter(std::string_view name) {
  const auto* at =
      std::find_if(std::begin(kFilters), std::end(kFilters), [&](const Filter& f) { return f.name == name; });
  return at == std::end(kFilters) ? nullptr : at;
}

}  // namespace

bool known_filter(std::string_view name) { return find_filter(name) != nullptr; }

std::string filter_names() {
  std::string out;
  for (const Filter& f : kFilters) out.append(out.empty() ? "" : ", ").append(f.name);
  return out;
}

Value apply_filter(std::string_view name, const Value& value, const Arguments& arguments, Context* context) {
  context->budget.step();
  return find_filter(name)->run(value, arguments, context);
}

}  // namespace quamba2::jinja
