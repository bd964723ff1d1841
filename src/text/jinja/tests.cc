// SPDX-License-Identifier: Apache-2.0
// Tests: value is name(arguments).
#include <algorithm>

#include "text/jinja/builtins.h"
#include "text/jinja/operators.h"
#include "text/jinja/text.h"

namespace quamba2::jinja {
namespace {

struct Test {
  std::string_view name;
  size_t arguments;
  bool (*run)(const Value& v, const Items& a, Context* c);
};

double remainder(const Value& v, const Value& by) {
  if (v.string()) failed("a str has no remainder");
  return binary("%", v, by, nullptr).number();
}

double parity(const Value& v) { return remainder(v, int64_t{2}); }

bool same_case(const Value& v, Context* c, std::string (*change)(std::string_view)) {
  const std::string text = to_text(v, &c->budget);
  return change(text) == text && (upper(text) != text || lower(text) != text);
}

template <char kFirst, bool kOrEqual>
bool ordered(const Value& v, const Items& a, Context* c) {
  constexpr char kOp[] = {kFirst, kOrEqual ? '=' : 0, 0};
  return compare(kOp, v, a[0], &c->budget);
}

bool equals(const Value& v, const Items& a, Context* c) { return equal(v, a[0], &c->budget); }
bool differs(const Value& v, const Items& a, Context* c) { return !equal(v, a[0], &c->budget); }
bool has_elements(const Value& v, const Items&, Context*) {
  return v.list() || v.dict() || v.string() || v.is_undefined();
}

constexpr Test kTests[] = {
    {"!=", 1, differs},
    {"<", 1, ordered<'<', false>},
    {"<=", 1, ordered<'<', true>},
    {"==", 1, equals},
    {">", 1, ordered<'>', false>},
    {">=", 1, ordered<'>', true>},
    {"boolean", 0, [](const Value& v, const Items&, Context*) { return v.is_bool(); }},
    {"callable", 0, [](const Value& v, const Items&, Context*) { return v.function() != nullptr || v.is_undefined(); }},
    {"defined", 0, [](const Value& v, const Items&, Context*) { return !v.is_undefined(); }},
    {"divisibleby", 1, [](const Value& v, const Items& a, Context*) { return remainder(v, a[0]) == 0; }},
    {"eq", 1, equals},
    {"equalto", 1, equals},
    {"even", 0, [](const Value& v, const Items&, Context*) { return parity(v) == 0; }},
    {"false", 0, [](const Value& v, const Items&, Context*) { return v.is_bool() && !v.truth(); }},
    {"float", 0, [](const Value& v, const Items&, Context*) { return v.is_number() && !v.is_whole(); }},
    {"ge", 1, ordered<'>', true>},
    {"greaterthan", 1, ordered<'>', false>},
    {"gt", 1, ordered<'>', false>},
    {"in", 1, [](const Value& v, const Items& a, Context* c) { return contains(a[0], v, &c->budget); }},
    {"integer", 0, [](const Value& v, const Items&, Context*) { return v.is_whole() && !v.is_bool(); }},
    {"iterable", 0, has_elements},
    {"le", 1, ordered<'<', true>},
    {"lessthan", 1, ordered<'<', false>},
    {"lower", 0, [](const Value& v, const Items&, Context* c) { return same_case(v, c, lower); }},
    {"lt", 1, ordered<'<', false>},
    {"mapping", 0, [](const Value& v, const Items&, Context*) { return v.dict() != nullptr; }},
    {"ne", 1, differs},
    {"none", 0, [](const Value& v, const Items&, Context*) { return v.is_none(); }},
    {"number", 0, [](const Value& v, const Items&, Context*) { return v.is_number(); }},
    {"odd", 0, [](const Value& v, const Items&, Context*) { return parity(v) == 1; }},
    {"sequence", 0, has_elements},
    {"string", 0, [](const Value& v, const Items&, Context*) { return v.string() != nullptr; }},
    {"true", 0, [](const Value& v, const Items&, Context*) { return v.is_bool() && v.truth(); }},
    {"undefined", 0, [](const Value& v, const Items&, Context*) { return v.is_undefined(); }},
    {"upper", 0, [](const Value& v, const Items&, Context* c) { return same_case(v, c, upper); }},
};

const Test* find_test(std::string_view name) {
  const auto* at = std::find_if(std::begin(kTests), std::end(kTests), [&](const Test& t) { return t.name == name; });
  return at == std::end(kTests) ? nullptr : at;
}

}  // namespace

bool known_test(std::string_view name) { return find_test(name) != nullptr; }

std::string test_names() {
  std::string out;
  for (const Test& t : kTests) out.append(out.empty() ? "" : ", ").append(t.name);
  return out;
}

bool apply_test(std::string_view name, const Value& value, const Arguments& arguments, Context* context) {
  context->budget.step();
  const Test& test = *find_test(name);
  if (!arguments.named.empty() || arguments.positional.size() != test.arguments) {
    failed("the test \"" + std::string(name) + "\" takes " + std::to_string(test.arguments) + " arguments");
  }
  return test.run(value, arguments.positional, context);
}

}  // namespace quamba2::jinja
