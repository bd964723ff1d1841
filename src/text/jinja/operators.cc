// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/operators.h"

#include <algorithm>
#include <cmath>

#include "text/jinja/builtins.h"
#include "text/jinja/text.h"

namespace quamba2::jinja {

void fail_undefined(const Undefined& v) { failed("\"" + v.name + "\" is undefined"); }

int64_t require_whole(const Value& v, const char* what) {
  if (v.undefined()) fail_undefined(*v.undefined());
  if (!v.is_whole()) failed(std::string(what) + " must be an int, not " + v.type_name());
  return v.whole();
}

const std::string& require_text(const Value& v, const char* what) {
  if (v.undefined()) fail_undefined(*v.undefined());
  if (!v.string()) failed(std::string(what) + " must be a str, not " + v.type_name());
  return *v.string();
}

namespace {

[[noreturn]] void fail_operands(std::string_view op, const Value& a, const Value& b) {
  if (a.undefined()) fail_undefined(*a.undefined());
  if (b.undefined()) fail_undefined(*b.undefined());
  failed("the operator " + std::string(op) + " does not take " + a.type_name() + " and " + b.type_name());
}

int64_t floor_divide(int64_t a, int64_t b) {
  const int64_t q = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q;
}

Value whole_arithmetic(std::string_view op, int64_t a, int64_t b) {
  int64_t r = 0;
  bool overflow = false;
  if (op == "+") {
    overflow = __builtin_add_overflow(a, b, &r);
  } else if (op == "-") {
    overflow = __builtin_sub_overflow(a, b, &r);
  } else if (op == "*") {
    overflow = __builtin_mul_overflow(a, b, &r);
  } else if (b == 0) {
    failed("division by zero");
  } else if (op == "/") {
    return static_cast<double>(a) / static_cast<double>(b);
  } else if (b == -1) {  // the lowest number has no opposite
    if (op == "//") overflow = __builtin_sub_overflow(int64_t{0}, a, &r);
  } else {
    r = op == "//" ? floor_divide(a, b) : a - floor_divide(a, b) * b;
  }
  if (overflow) failed("a number needs over 64 bits");
  return r;
}

Value float_arithmetic(std::string_view op, double a, double b) {
  if (op == "+") return a + b;
  if (op == "-") return a - b;
  if (op == "*") return a * b;
  if (b == 0) failed("division by zero");
  if (op == "/") return a / b;
  if (op == "//") return std::floor(a / b);
  const double rest = std::fmod(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

Value join_lists(const List& a, const List& b, Budget* budget) {
  budget->elements(a.items.size() + b.items.size());
  Items items = a.items;
  items.insert(items.end(), b.items.begin(), b.items.end());
  return make_list(std::move(items), a.tuple);
}

Value repeat(const Value& what, int64_t times, Budget* budget) {
  const auto n = static_cast<size_t>(std::clamp<int64_t>(times, 0, int64_t{1} << 32));
  if (const std::string* s = what.string()) {
    budget->text(n * std::min<size_t>(s->size(), kMaxText));
    std::string out;
    for (size_t i = 0; i < n && !s->empty(); ++i) out += *s;
    return out;
  }
  const List& list = *what.list();
  budget->elements(n * list.items.size());
  Items items;
  for (size_t i = 0; i < n && !list.items.empty(); ++i) {
    items.insert(items.end(), list.items.begin(), list.items.end());
  }
  return make_list(std::move(items), list.tuple);
}

}  // namespace

Value binary(std::string_view op, const Value& a, const Value& b, Budget* budget) {
  if (op == "~") {
    std::string text = to_text(a, budget) + to_text(b, budget);
    budget->text(text.size());
    return text;
  }
  if (a.is_whole() && b.is_whole()) return whole_arithmetic(op, a.whole(), b.whole());
  if (a.is_number() && b.is_number()) return float_arithmetic(op, a.number(), b.number());
  if (op == "+" && a.string() && b.string()) {
    budget->text(a.string()->size() + b.string()->size());
    return *a.string() + *b.string();
  }
  if (op == "+" && a.list() && b.list() && a.list()->tuple == b.list()->tuple) {
    return join_lists(*a.list(), *b.list(), budget);
  }
  if (op == "*" && (a.string() || a.list()) && b.is_whole()) return repeat(a, b.whole(), budget);
  if (op == "*" && (b.string() || b.list()) && a.is_whole()) return repeat(b, a.whole(), budget);
  if (op == "%" && a.string()) unsupported("formatting a string with % is not known here");
  fail_operands(op, a, b);
}

Value negate(const Value& v) {
  if (v.is_whole()) return whole_arithmetic("-", 0, v.whole());
  if (v.is_number()) return -v.number();
  if (v.undefined()) fail_undefined(*v.undefined());
  failed(std::string("a ") + v.type_name() + " has no opposite");
}

Value plus(const Value& v) {
  if (v.is_whole()) return v.whole();
  if (v.is_number()) return v.number();
  if (v.undefined()) fail_undefined(*v.undefined());
  failed(std::string("a ") + v.type_name() + " takes no plus");
}

namespace {

int sign(auto a, auto b) { return a < b ? -1 : a > b ? 1 : 0; }

// -1, 0, 1; numbers that are none compare as neither.
bool ordered(std::string_view op, const Value& a, const Value& b, Budget* budget) {
  int order = 0;
  if (a.is_whole() && b.is_whole()) {
    order = sign(a.whole(), b.whole());
  } else if (a.is_number() && b.is_number()) {
    if (std::isnan(a.number()) || std::isnan(b.number())) return false;
    order = sign(a.number(), b.number());
  } else if (a.string() && b.string()) {
    budget->text(std::min(a.string()->size(), b.string()->size()));
    order = a.string()->compare(*b.string());  // UTF-8 sorts as its code points do
  } else if (a.list() && b.list() && a.list()->tuple == b.list()->tuple) {
    const Items &x = a.list()->items, &y = b.list()->items;
    for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
      if (!equal(x[i], y[i], budget)) return ordered(op, x[i], y[i], budget);
    }
    order = sign(x.size(), y.size());
  } else {
    fail_operands(op, a, b);
  }
  if (op == "<") return order < 0;
  if (op == "<=") return order <= 0;
  return op == ">" ? order > 0 : order >= 0;
}

}  // namespace

bool contains(const Value& container, const Value& item, Budget* budget) {
  if (const std::string* text = container.string()) {
    budget->text(text->size());
    return text->find(require_text(item, "what is looked for in a str")) != text->npos;
  }
  if (const List* list = container.list()) {
    for (const Value& v : list->items) {
      if (equal(v, item, budget)) return true;
    }
    return false;
  }
  if (const Dict* dict = container.dict()) {
    budget->elements(dict->items.size());
    if (item.list() || item.dict()) failed(std::string("a ") + item.type_name() + " cannot be a key");
    return item.string() && dict->find(*item.string());
  }
  if (container.is_undefined()) return false;
  failed(std::string("nothing is in a ") + container.type_name());
}

bool compare(std::string_view op, const Value& a, const Value& b, Budget* budget) {
  if (op == "==") return equal(a, b, budget);
  if (op == "!=") return !equal(a, b, budget);
  if (op == "in") return contains(b, a, budget);
  if (op == "not in") return !contains(b, a, budget);
  return ordered(op, a, b, budget);
}

namespace {

Value missing(const Value& value, const std::string& name) {
  return Undefined{std::string(value.type_name()) + " has no " + name};
}

Value loop_member(const Loop& loop, const std::string& name) {
  const auto number = [](size_t n) { return Value(static_cast<int64_t>(n)); };
  if (name == "index") return number(loop.index0 + 1);
  if (name == "index0") return number(loop.index0);
  if (name == "revindex") return number(loop.length - loop.index0);
  if (name == "revindex0") return number(loop.length - loop.index0 - 1);
  if (name == "first") return loop.index0 == 0;
  if (name == "last") return loop.index0 + 1 == loop.length;
  if (name == "length") return number(loop.length);
  if (name == "previtem") return loop.previous;
  if (name == "nextitem") return loop.next;
  if (name == "depth") unsupported("loop.depth is not known here");
  if (name == "depth0") unsupported("loop.depth0 is not known here");
  return Undefined{"loop." + name};
}

const Value* find_key(const Value& value, const std::string& name) {
  if (const Dict* dict = value.dict()) return dict->find(name);
  if (const Namespace* space = value.name_space()) {
    for (const auto& [key, v] : space->items) {
      if (key == name) return &v;
    }
  }
  return nullptr;
}

}  // namespace

Value attribute(const Value& value, const std::string& name) {
  if (value.undefined()) fail_undefined(*value.undefined());
  if (value.loop()) return loop_member(*value.loop(), name);
  // In Python a method comes before a key of the same name.
  if ((value.dict() || value.string() || value.list()) && known_method(name) && has_method(value, name)) {
    unsupported("the method \"" + name + "\" without a call is not known here");
  }
  const Value* found = find_key(value, name);
  return found ? *found : missing(value, "attribute \"" + name + "\"");
}

Value subscript(const Value& value, const Value& index, Budget* budget) {
  if (value.undefined()) fail_undefined(*value.undefined());
  if (const std::string* key = index.string()) {
    if (value.dict()) budget->elements(value.dict()->items.size() / 16);
    const Value* found = find_key(value, *key);
    if (found) return *found;
    if (value.loop()) return loop_member(*value.loop(), *key);
    if (has_method(value, *key)) unsupported("the method \"" + *key + "\" as an index is not known here");
    return missing(value, "element \"" + *key + "\"");
  }
  if (!index.is_whole() || (!value.list() && !value.string())) return missing(value, "such element");
  int64_t at = index.whole();
  if (const List* list = value.list()) {
    const auto n = static_cast<int64_t>(list->items.size());
    if (at < 0) at += n;
    return at < 0 || at >= n ? missing(value, "such element") : list->items[static_cast<size_t>(at)];
  }
  budget->text(value.string()->size());
  const auto all = characters(*value.string());
  const auto n = static_cast<int64_t>(all.size());
  if (at < 0) at += n;
  return at < 0 || at >= n ? missing(value, "such character") : Value(std::string(all[static_cast<size_t>(at)]));
}

namespace {

// Places that a slice of `n` elements takes.
std::vector<size_t> slice_places(int64_t n, const Value& from, const Value& to, const Value& step_value) {
  const int64_t step = step_value.is_none() ? 1 : require_whole(step_value, "the step of a slice");
  if (step == 0) failed("the step of a slice is zero");
  const int64_t low = step > 0 ? 0 : -1, high = step > 0 ? n : n - 1;
  const auto bound = [&](const Value& v, int64_t absent) {
    if (v.is_none()) return absent;
    int64_t at = require_whole(v, "a bound of a slice");
    if (at < 0) at += n;
    return std::clamp(at, low, high);
  };
  const int64_t begin = bound(from, step > 0 ? low : high), end = bound(to, step > 0 ? high : low);
  std::vector<size_t> out;
  // A step may be huge: no sum of it overflows this way.
  for (int64_t at = begin; step > 0 ? at < end : at > end;) {
    out.push_back(static_cast<size_t>(at));
    if (__builtin_add_overflow(at, step, &at)) break;
  }
  return out;
}

}  // namespace

Value slice(const Value& value, const Value& from, const Value& to, const Value& step, Budget* budget) {
  if (value.undefined()) fail_undefined(*value.undefined());
  if (const List* list = value.list()) {
    budget->elements(list->items.size());
    Items items;
    for (const size_t at : slice_places(static_cast<int64_t>(list->items.size()), from, to, step)) {
      items.push_back(list->items[at]);
    }
    return make_list(std::move(items), list->tuple);
  }
  if (!value.string()) failed(std::string("a ") + value.type_name() + " has no slices");
  budget->elements(value.string()->size() / 8);
  const auto all = characters(*value.string());
  std::string out;
  for (const size_t at : slice_places(static_cast<int64_t>(all.size()), from, to, step)) out += all[at];
  return out;
}

Items iterate(const Value& value, Budget* budget) {
  if (const List* list = value.list()) {
    budget->elements(list->items.size());
    return list->items;
  }
  Items out;
  if (const Dict* dict = value.dict()) {
    budget->elements(dict->items.size());
    for (const auto& [key, v] : dict->items) out.push_back(key);
  } else if (const std::string* s = value.string()) {
    budget->elements(s->size());
    for (const std::string_view c : characters(*s)) out.push_back(std::string(c));
  } else if (!value.is_undefined()) {
    failed(std::string("a ") + value.type_name() + " cannot be gone through");
  }
  return out;
}

}  // namespace quamba2::jinja
